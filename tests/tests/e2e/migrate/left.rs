//! What Argo's sensors leave on a bus, and that the commands which `tiphys migrate leftovers` prints remove all of it.

use std::collections::BTreeSet;

use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::{self, kv};
use futures::TryStreamExt as _;
use tiphys_tests::{Nats, NatsOptions};

use super::*;

/// Two Sensors of Argo Events, and others that have left nothing on JetStream.
const OBJECTS: &str = include_str!("left.yaml");

/// A bus as Argo's sensors leave it: the names are those that the reference gives for these Sensors.
const CONSUMERS: [&str; 3] = ["group-3411371631", "group-3041850486", "group-2871341474"];

async fn left(kubeconfig: Option<&Path>, args: &[&str]) -> TiphysOutput {
    let command = Tiphys::command(["migrate", "leftovers"]).args(args);
    let none = Path::new("/nonexistent");
    let command = command.env("KUBECONFIG", kubeconfig.unwrap_or(none));
    command.output(LIMIT).await
}

#[tokio::test]
async fn the_commands_remove_what_argos_sensors_have_left_and_nothing_else() {
    let server = Nats::start(NatsOptions::default()).await;
    let client = server.connect().await;
    let context = jetstream::new(client);
    let config = jetstream::stream::Config {
        name: "default".to_owned(),
        subjects: vec!["default.*.*".to_owned()],
        ..jetstream::stream::Config::default()
    };
    let stream = context.create_stream(config).await.unwrap();
    for durable in CONSUMERS.into_iter().chain(["another"]) {
        let config = pull::Config {
            durable_name: Some(durable.to_owned()),
            ..pull::Config::default()
        };
        stream.create_consumer(config).await.unwrap();
    }
    for bucket in ["webhook", "e2e-multi-dep", "s", "another"] {
        let bucket = kv::Config {
            bucket: bucket.to_owned(),
            ..kv::Config::default()
        };
        context.create_key_value(bucket).await.unwrap();
    }

    let folder = tiphys_tests::temp_dir();
    let file = folder.path().join("objects.yaml");
    std::fs::write(&file, OBJECTS).unwrap();
    let output = left(None, &[file.to_str().unwrap()]).await;
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let says = "3 Sensors looked at: up to 4 consumers and 3 buckets are left; nothing was removed";
    assert!(output.stderr.contains(says), "{}", output.stderr);
    // A shell passes over what stands behind #, whatever the names are.
    for line in output
        .stdout
        .lines()
        .filter(|line| line.starts_with("nats "))
    {
        let words: Vec<&str> = line.split(' ').collect();
        let absent = match words[..] {
            [
                "nats",
                "consumer",
                "rm",
                "default",
                durable,
                "--force",
                "#",
                ..,
            ] => stream.delete_consumer(durable).await.is_err(),
            ["nats", "kv", "del", bucket, "--force", "#", ..] => {
                context.delete_key_value(bucket).await.is_err()
            }
            _ => panic!("{line}"),
        };
        // The one consumer of two dependencies that hear the same events has the name of one of them.
        assert_eq!(absent, line.contains("\"shared\""), "{line}");
    }
    let names: Vec<String> = stream.consumer_names().try_collect().await.unwrap();
    assert_eq!(names, ["another"]);
    let streams: BTreeSet<String> = context.stream_names().try_collect().await.unwrap();
    let kept = ["KV_another", "default"].map(str::to_owned);
    assert_eq!(streams, BTreeSet::from(kept));
}

#[tokio::test]
async fn a_cluster_is_asked_for_its_sensors_and_rights_that_are_missing_are_named() {
    let server = ApiServer::start_with(ApiServerOptions {
        authorization: Authorization::Rbac,
        ..ApiServerOptions::default()
    })
    .await;
    apply_crds(&server.client().await).await;
    for namespace in ["events", "other"] {
        server.create_namespace(namespace).await;
    }
    let made = kubectl(&server, &["apply", "-n", "events", "-f", "-"], OBJECTS);
    assert!(made.status.success(), "{}", said(&made));
    let kubeconfig = server.kubeconfig_path();
    let output = left(Some(&kubeconfig), &["-n", "events"]).await;
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    for line in [
        "# Sensor \"webhook\" in namespace \"events\", EventBus \"default\" in namespace \"events\"",
        "nats consumer rm default group-3411371631 --force # trigger \"http-trigger\", dependency \"test-dep\"",
        "nats kv del webhook --force # what its conditions held",
    ] {
        assert!(
            output.stdout.lines().any(|one| one == line),
            "{line}\n{}",
            output.stdout
        );
    }
    let output = left(Some(&kubeconfig), &["-n", "other"]).await;
    assert_eq!(
        (output.code, output.stdout.as_str()),
        (Some(0), ""),
        "{}",
        output.stderr
    );

    // Somebody who may read one namespace: the others are refused by name, and without a dump of what a library saw.
    let rights = "apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reads, namespace: events}
rules: [{apiGroups: [argoproj.io], resources: [eventbus, eventsources, sensors], verbs: [list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reads, namespace: events}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reads}
subjects: [{kind: User, name: one-namespace, apiGroup: rbac.authorization.k8s.io}]
";
    let made = kubectl(&server, &["apply", "-f", "-"], rights);
    assert!(made.status.success(), "{}", said(&made));
    let one = server.kubeconfig_as("one-namespace");
    eventually_ok("the rights to hold", LIMIT, async || {
        let output = left(Some(&one), &["-n", "events"]).await;
        if output.code == Some(0) {
            Ok(())
        } else {
            Err(output.stderr)
        }
    })
    .await;
    for (command, args, what) in [
        (
            "leftovers",
            ["-n", "other"].as_slice(),
            "cannot list eventbus.argoproj.io in namespace \"other\"",
        ),
        (
            "check",
            &["-n", "other"],
            "cannot list eventbus.argoproj.io in namespace \"other\"",
        ),
        (
            "check",
            &["-A"],
            "cannot list eventbus.argoproj.io in all namespaces",
        ),
    ] {
        let command = Tiphys::command(["migrate", command])
            .args(args)
            .env("KUBECONFIG", &one);
        let output = command.output(LIMIT).await;
        assert_eq!(
            (output.code, output.stdout.as_str()),
            (Some(1), ""),
            "{args:?}"
        );
        for part in [what, "you need the right to `list` them", "one-namespace"] {
            assert!(output.stderr.contains(part), "{part}: {}", output.stderr);
        }
        assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
    }
}
