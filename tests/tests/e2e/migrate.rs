//! `tiphys migrate check` as somebody who comes from Argo Events uses it: on files and on a real API server with Argo's
//! objects in it, and what it says where there is none to read. The objects are in `migrate/objects.yaml`.

mod left;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tiphys_tests::argo_crds::apply_crds;
use tiphys_tests::tiphys::TiphysOutput;
use tiphys_tests::{ApiServer, ApiServerOptions, Authorization, Tiphys, eventually_ok};

use crate::crds::{kubectl, said};
use crate::support::LIMIT;

/// What no object of ours shows, as it depends on what this build runs.
const BY_BUILD: [&str; 2] = ["trigger-not-built", "source-not-built"];

const LEFTOVERS: &str = "`tiphys migrate leftovers` names what Argo's leave on the bus";

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn objects() -> PathBuf {
    repository("tests/tests/e2e/migrate/objects.yaml")
}

/// Runs the command, against a cluster where there is one.
async fn check(kubeconfig: Option<&Path>, args: &[&str]) -> TiphysOutput {
    let command = Tiphys::command(["migrate", "check"]).args(args);
    let command = command.env(
        "KUBECONFIG",
        kubeconfig.unwrap_or_else(|| Path::new("/nonexistent")),
    );
    command.output(LIMIT).await
}

/// `id kind name path detail` of every finding, in the order of the names.
fn findings(output: &TiphysOutput) -> BTreeSet<String> {
    let lines = output.stdout.lines();
    lines
        .map(|line| {
            let finding: Value = serde_json::from_str(line).unwrap();
            let texts = ["id", "kind", "name", "path", "detail"];
            texts
                .map(|key| finding[key].as_str().unwrap().to_owned())
                .join(" ")
        })
        .collect()
}

/// The names of `docs/differences.md` that an object can show: those in bold.
fn detectable() -> BTreeSet<String> {
    let page = std::fs::read_to_string(repository("docs/differences.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_suffix("** |"));
    let names = rows.filter_map(|line| line.rsplit_once("| **"));
    let names = names.map(|(_, name)| name.to_owned());
    names
        .filter(|name| !BY_BUILD.contains(&name.as_str()))
        .collect()
}

#[tokio::test]
async fn every_difference_is_found_in_files_with_its_line() {
    let file = objects();
    let file = file.to_str().unwrap();
    let output = check(None, &[file, "--all", "-o", "json"]).await;
    assert_eq!(output.code, Some(1), "{}", output.stderr);
    let found = findings(&output);
    let ids: BTreeSet<String> = found
        .iter()
        .filter_map(|line| line.split(' ').next().map(str::to_owned))
        .collect();
    let missed: Vec<_> = detectable().difference(&ids).cloned().collect();
    assert!(missed.is_empty(), "{missed:?} in {found:#?}");
    for line in output.stdout.lines() {
        let finding: Value = serde_json::from_str(line).unwrap();
        assert_ne!(finding["name"], "plain", "{finding}");
        assert!(finding["line"].as_u64() > Some(2), "{finding}");
    }

    let text = check(None, &[file]).await;
    for part in [
        "stops [template-environment], 1 place\n    Argo Events: ",
        "objects.yaml:",
        ": Sensor build: spec.triggers[2].template.http.payload[0].src.dataTemplate: calls env\n",
    ] {
        assert!(text.stdout.contains(part), "{part}: {}", text.stdout);
    }
    assert!(!text.stdout.contains("safer ["), "{}", text.stdout);
    let summary = "10 objects looked at (and 1 object of other kinds passed over): ";
    assert!(text.stderr.starts_with(summary), "{}", text.stderr);
    // The Sensors here are on a bus of NATS Streaming, where Argo's leave nothing that is known.
    assert!(!text.stderr.contains(LEFTOVERS), "{}", text.stderr);
    let calm = ", 1 can be moved as they are; ";
    assert!(text.stderr.contains(calm), "{}", text.stderr);
}

#[tokio::test]
async fn a_cluster_is_read_as_files_are() {
    let server = ApiServer::start().await;
    apply_crds(&server.client().await).await;
    let file = objects();
    for (namespace, file) in [("old", file.to_str().unwrap()), ("calm", "-")] {
        server.create_namespace(namespace).await;
        let args = ["apply", "-n", namespace, "-f", file];
        let made = kubectl(&server, &args, CALM);
        assert!(made.status.success(), "{}", said(&made));
    }
    server.create_namespace("empty").await;
    let kubeconfig = server.kubeconfig_path();
    let live = async |args: &[&str]| check(Some(&kubeconfig), args).await;

    let of_file = check(None, &[file.to_str().unwrap(), "--all", "-o", "json"]).await;
    let of_cluster = live(&["-n", "old", "--all", "-o", "json"]).await;
    assert_eq!(of_cluster.code, Some(1), "{}", of_cluster.stderr);
    assert_eq!(findings(&of_cluster), findings(&of_file));

    // As `kubectl get -o yaml` writes them, status and all.
    let folder = tiphys_tests::temp_dir();
    let dump = folder.path().join("dump.yaml");
    let kinds = "eventbus,eventsources,sensors";
    let got = kubectl(&server, &["get", kinds, "-n", "old", "-o", "yaml"], "");
    assert!(got.status.success(), "{}", said(&got));
    std::fs::write(&dump, &got.stdout).unwrap();
    let of_dump = check(None, &[dump.to_str().unwrap(), "--all", "-o", "json"]).await;
    assert_eq!(findings(&of_dump), findings(&of_file));

    let everywhere = live(&["-A"]).await;
    assert_eq!(everywhere.code, Some(1));
    let place = "Sensor old/build: spec.triggers[2]";
    assert!(everywhere.stdout.contains(place), "{}", everywhere.stdout);
    assert!(
        everywhere.stderr.contains(LEFTOVERS),
        "{}",
        everywhere.stderr
    );
    let place = "Sensor calm/calm: spec.triggers[0]";
    assert!(everywhere.stdout.contains(place), "{}", everywhere.stdout);
    assert!(
        everywhere.stderr.starts_with("11 objects looked at: "),
        "{}",
        everywhere.stderr
    );

    // What only differs is no failure, unless that is asked for.
    for (args, code) in [
        (["-n", "calm"].as_slice(), 0),
        (&["-n", "calm", "--strict"], 1),
        (&["-n", "empty", "--strict"], 0),
    ] {
        let output = live(args).await;
        assert_eq!(output.code, Some(code), "{args:?}: {}", output.stderr);
    }
    let empty = live(&["-n", "empty"]).await;
    let says = "there is no EventBus, EventSource or Sensor in namespace \"empty\"";
    assert!(empty.stderr.contains(says), "{}", empty.stderr);
    assert_eq!(empty.stdout, "");
}

/// A Sensor that only behaves differently.
const CALM: &str = "
apiVersion: argoproj.io/v1alpha1
kind: Sensor
metadata: {name: calm}
spec:
  dependencies: [{name: d, eventSourceName: s, eventName: e}]
  triggers: [{template: {name: t, http: {url: 'http://a', method: POST}}}]
";

#[tokio::test]
async fn what_cannot_be_read_is_told_with_the_reason() {
    let mut server = ApiServer::start_with(ApiServerOptions {
        authorization: Authorization::Rbac,
        ..ApiServerOptions::default()
    })
    .await;
    let kubeconfig = server.kubeconfig_path();
    let refused = async |kubeconfig: Option<&Path>, args: &[&str], says: &[&str]| {
        let output = check(kubeconfig, args).await;
        assert_eq!(output.code, Some(1), "{args:?}: {}", output.stderr);
        assert_eq!(output.stdout, "", "{args:?}");
        for part in says {
            assert!(output.stderr.contains(part), "{part}: {}", output.stderr);
        }
    };
    refused(
        Some(&kubeconfig),
        &["-A"],
        &[
            &server.url(),
            "has no EventBuses, EventSources and Sensors: their definitions are not installed there",
        ],
    )
    .await;

    apply_crds(&server.client().await).await;
    let poor = server.kubeconfig_as("poor");
    for (args, place) in [
        (["-A"].as_slice(), "in all namespaces"),
        (&["-n", "default"], "in namespace \"default\""),
    ] {
        let says = ["cannot list eventbus.argoproj.io", place, "`list`", "poor"];
        refused(Some(&poor), args, &says).await;
    }

    let url = server.url();
    server.kill();
    refused(
        Some(&kubeconfig),
        &[],
        &["cannot reach the cluster at", &url],
    )
    .await;
    refused(None, &[], &["no cluster is known", "KUBECONFIG"]).await;

    let folder = tiphys_tests::temp_dir();
    let other = folder.path().join("pod.yaml");
    std::fs::write(&other, "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n").unwrap();
    let says = ["there is no EventBus, EventSource or Sensor in these files"];
    refused(None, &[other.to_str().unwrap()], &says).await;
    std::fs::write(&other, "a: {{ .Values.b }}\n").unwrap();
    refused(None, &[other.to_str().unwrap()], &["pod.yaml", "not YAML"]).await;
}
