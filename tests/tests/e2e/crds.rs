//! The definitions on a real API server: they install, over Argo's too, keep what is there, take every example,
//! and say no where a value is closed. No program of ours runs here.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use kube::api::{DynamicObject, ListParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tiphys_tests::argo_crds::{apply_crds, argo, discovered};
use tiphys_tests::{ApiServer, eventually_ok};

use crate::examples::examples;
use crate::support::NAMESPACE;

/// An API server on a busy machine takes seconds to serve a new definition.
const SERVED: Duration = Duration::from_secs(120);

pub(crate) const KINDS: [&str; 3] = ["EventBus", "EventSource", "Sensor"];

/// A file or folder of the manifests.
pub(crate) fn manifests(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../manifests")
        .join(path)
}

/// Runs kubectl, with text for its standard input.
pub(crate) fn kubectl(server: &ApiServer, args: &[&str], input: &str) -> Output {
    use std::io::Write as _;
    use std::process::Stdio;
    let mut command = server.kubectl();
    command.args(args);
    command.stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

/// What a command said, both ways.
pub(crate) fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Installs our definitions as a user does, and waits until their schemas are in force.
pub(crate) async fn install(server: &ApiServer) -> String {
    let folder = manifests("crds");
    let applied = kubectl(server, &["apply", "-k", folder.to_str().unwrap()], "");
    assert!(applied.status.success(), "{}", said(&applied));
    let client = server.client().await;
    for kind in KINDS {
        let objects = api(&client, kind);
        eventually_ok("the definitions to be in force", SERVED, async || {
            let odd = object(
                kind,
                "odd",
                json!({ "jetstream": 1, "webhook": 1, "triggers": 1 }),
            );
            match create(&objects, &odd).await {
                Err(kube::Error::Api(status)) if status.message.contains("must be of type") => {
                    Ok(())
                }
                other => Err(format!("{kind}: {other:?}")),
            }
        })
        .await;
    }
    discovered(&client, &["eventbus", "eventsources", "sensors"]).await;
    said(&applied)
}

pub(crate) fn api(client: &Client, kind: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), NAMESPACE, &argo(kind))
}

pub(crate) fn object(kind: &str, name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": kind,
        "metadata": { "name": name, "namespace": NAMESPACE },
        "spec": spec,
    })
}

/// Creates an object for a moment: everything but keeping it.
pub(crate) async fn create(
    objects: &Api<DynamicObject>,
    object: &Value,
) -> kube::Result<DynamicObject> {
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let object = serde_json::from_value(object.clone()).map_err(kube::Error::SerdeError)?;
    objects.create(&dry, &object).await
}

#[tokio::test]
async fn the_definitions_install_over_argos_and_keep_what_is_there() {
    let server = ApiServer::start().await;
    let client = server.client().await;
    apply_crds(&client).await;
    server.create_namespace(NAMESPACE).await;
    let before = [
        object(
            "EventBus",
            "kept",
            json!({"jetstream": {"version": "2.10.10", "unknown": {"deep": [1, null, "x"]}}, "other": true}),
        ),
        object(
            "EventSource",
            "kept",
            json!({"webhook": {"e": {"endpoint": "/e", "port": "1", "later": 1.5}}, "newkind": {"e": {}}}),
        ),
        object(
            "Sensor",
            "kept",
            json!({"dependencies": [{"name": "d", "strange": {"a": 1}}], "triggers": [{"template": {"openwhisk": {"host": "h"}}}]}),
        ),
    ];
    for (kind, object) in KINDS.iter().zip(&before) {
        let objects = api(&client, kind);
        let typed = serde_json::from_value(object.clone()).unwrap();
        objects
            .create(&PostParams::default(), &typed)
            .await
            .unwrap();
    }

    let said = install(&server).await;
    assert!(!said.contains("unrecognized format"), "{said}");

    for (kind, object) in KINDS.iter().zip(&before) {
        let objects = api(&client, kind);
        let after = objects.get("kept").await.unwrap();
        assert_eq!(after.data["spec"], object["spec"], "{kind}");
        // And it can still be changed, the strange parts included.
        let mut changed = after.clone();
        changed.data["spec"]["more"] = json!({"x": [{"y": 2.5}]});
        let changed = objects
            .replace("kept", &PostParams::default(), &changed)
            .await
            .unwrap();
        assert_eq!(changed.data["spec"]["more"], json!({"x": [{"y": 2.5}]}));
        // The status is apart.
        let mut told = changed.clone();
        told.data["status"] = json!({"conditions": [{"type": "Ready", "status": "False", "reason": "Why", "message": "because"}]});
        told.data["spec"] = json!({});
        let told = objects
            .replace_status("kept", &PostParams::default(), &told)
            .await
            .unwrap();
        assert_eq!(told.data["spec"], changed.data["spec"], "{kind}");
        assert_eq!(
            api(&client, kind)
                .list(&ListParams::default())
                .await
                .unwrap()
                .items
                .len(),
            1
        );
    }

    for (short, line) in [
        ("eb", "kept   False              Why"),
        ("es", "kept"),
        ("sn", "kept"),
    ] {
        let table = kubectl(&server, &["get", short, "-n", NAMESPACE], "");
        let table = crds_text(&table);
        assert!(
            table.contains("READY") && table.contains("AGE"),
            "{short}\n{table}"
        );
        let words = |text: &str| {
            text.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let row = words(table.lines().nth(1).unwrap());
        assert!(words(line).iter().all(|word| row.contains(word)), "{table}");
    }
    let explained = kubectl(
        &server,
        &["explain", "sensor.spec.triggers.template.k8s.operation"],
        "",
    );
    let explained = crds_text(&explained);
    assert!(
        explained.contains("operation <string>") && explained.contains("`patch` or `delete`"),
        "{explained}"
    );
}

#[tokio::test]
async fn every_manifest_is_taken_by_an_api_server() {
    let server = ApiServer::start().await;
    let all = manifests("");
    let applied = kubectl(&server, &["apply", "-k", all.to_str().unwrap()], "");
    let said = crds_text(&applied);
    assert!(!said.contains("Warning"), "{said}");
    for made in [
        "customresourcedefinition.apiextensions.k8s.io/sensors.argoproj.io created",
        "deployment.apps/tiphys-webhook created",
        "validatingwebhookconfiguration.admissionregistration.k8s.io/webhook.tiphys.dev created",
    ] {
        assert!(said.contains(made), "{made}\n{said}");
    }
    let again = kubectl(&server, &["apply", "-k", all.to_str().unwrap()], "");
    assert!(
        !crds_text(&again).contains("configured"),
        "{}",
        crds_text(&again)
    );
}

fn crds_text(output: &Output) -> String {
    assert!(output.status.success(), "{}", said(output));
    said(output)
}

#[tokio::test]
async fn the_definitions_take_every_example_whole_and_refuse_only_closed_values() {
    let server = ApiServer::start().await;
    server.create_namespace(NAMESPACE).await;
    let client = server.client().await;
    let applied = kubectl(
        &server,
        &["apply", "-k", manifests("crds").to_str().unwrap()],
        "",
    );
    assert!(applied.status.success(), "{}", said(&applied));
    // Definitions that were never there are served after a moment, for all kinds.
    install(&server).await;

    for (path, object) in examples() {
        let kind = object["kind"].as_str().unwrap();
        let kept = create(&api(&client, kind), &object).await;
        let kept = kept.unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(kept.data["spec"], object["spec"], "{path}");
    }

    // What Argo's decoder takes besides: null for absent, numbers as text, quantities as numbers.
    let loose = [
        (
            "EventSource",
            json!({"eventBusName": null, "template": {"container": {"resources": {"limits": {"cpu": 1, "memory": "1Gi"}}}},
                   "amqp": {"e": {"url": "amqp://a", "filter": null, "tls": null,
                            "connectionBackoff": {"duration": "1s", "factor": "2", "jitter": 0.5, "steps": 3}}},
                   "mqtt": {"e": {"connectionBackoff": {"duration": 1000, "factor": 2.5, "jitter": "0.1"}}}}),
        ),
        (
            "Sensor",
            json!({"dependencies": null, "triggers": [{"parameters": null, "template": {"http": {"method": ""}},
                   "retryStrategy": {"duration": 5, "factor": 1.5}}]}),
        ),
        (
            "EventBus",
            json!({"nats": {"native": {"auth": "", "replicas": 3}, "exotic": null}}),
        ),
        ("EventBus", json!({})),
    ];
    for (kind, spec) in loose {
        let made = create(&api(&client, kind), &object(kind, "loose", spec.clone())).await;
        made.unwrap_or_else(|error| panic!("{kind} {spec}: {error}"));
    }

    let closed = [
        (
            "EventBus",
            json!({"nats": {"native": {"auth": "basic"}}}),
            "spec.nats.native.auth",
        ),
        (
            "EventSource",
            json!({"resource": {"e": {"eventTypes": ["CHANGE"]}}}),
            "spec.resource.e.eventTypes[0]",
        ),
        (
            "EventSource",
            json!({"kafka": {"e": {"sasl": {"mechanism": "MAGIC"}}}}),
            "spec.kafka.e.sasl.mechanism",
        ),
        (
            "EventSource",
            json!({"sftp": {"e": {"address": "a"}}}),
            "spec.sftp.e.address",
        ),
        (
            "Sensor",
            json!({"dependencies": [{"filters": {"data": [{"comparator": "~"}]}}]}),
            "spec.dependencies[0].filters.data[0].comparator",
        ),
        (
            "Sensor",
            json!({"dependencies": [{"filters": {"dataLogicalOperator": "xor"}}], "triggers": "no"}),
            "spec.dependencies[0].filters.dataLogicalOperator",
        ),
    ];
    for (kind, spec, path) in closed {
        let error = create(&api(&client, kind), &object(kind, "closed", spec))
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains(path), "{path}: {error}");
    }
}
