//! `tiphys rbac` against a real API server: what `--discover` asks, that the printed objects can be applied as they are,
//! and what is said where nobody answers.

use std::path::Path;

use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};
use tiphys_tests::tiphys::TiphysOutput;
use tiphys_tests::{ApiServer, ApiServerOptions, Authorization, Tiphys, eventually_ok, temp_dir};

use super::make;
use crate::crds::{kubectl, said};
use crate::support::LIMIT;

/// Sensors as `kubectl get -o yaml` writes them: one that deletes an object of its own kind of cluster, and one that is
/// wrong.
fn sensors() -> Value {
    let sensor = |name: &str, spec: Value| {
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Sensor",
            "metadata": { "name": name, "namespace": "default" }, "spec": spec,
        })
    };
    let delete = |kind: &str| {
        let object = json!({ "apiVersion": "example.com/v1", "kind": kind, "metadata": { "name": "dolly" } });
        json!({ "template": { "name": kind.to_lowercase(), "k8s": { "operation": "delete", "source": { "resource": object } } } })
    };
    let herd = json!({
        "template": { "serviceAccountName": "shepherd" },
        "dependencies": [{ "name": "d", "eventSourceName": "s", "eventName": "e" }],
        "triggers": [delete("Sheep"), delete("Goat")],
    });
    json!({
        "apiVersion": "v1", "kind": "List",
        "items": [sensor("bad", json!({ "dependencies": [] })), sensor("herd", herd)],
    })
}

/// A kind whose plural nobody guesses, and whose objects are in no namespace.
fn sheep() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": "sheep.example.com" },
        "spec": {
            "group": "example.com", "scope": "Cluster",
            "names": { "kind": "Sheep", "plural": "sheep", "singular": "sheep" },
            "versions": [{ "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": {
                "type": "object", "x-kubernetes-preserve-unknown-fields": true,
            } } }],
        },
    })
}

async fn rbac(kubeconfig: &Path, args: &[&str]) -> TiphysOutput {
    let folder = temp_dir();
    let file = folder.path().join("sensors.json");
    std::fs::write(&file, sensors().to_string()).unwrap();
    let command = Tiphys::command(["rbac", file.to_str().unwrap()]).args(args);
    command.env("KUBECONFIG", kubeconfig).output(LIMIT).await
}

#[tokio::test]
async fn what_the_cluster_serves_is_asked_and_what_is_printed_can_be_applied() {
    let mut server = ApiServer::start().await;
    make(&server, &[sheep()]);
    let kubeconfig = server.kubeconfig_path();

    let guessed = rbac(&kubeconfig, &[]).await;
    assert!(guessed.stdout.contains("- sheeps\n"), "{}", guessed.stdout);
    assert!(
        !guessed.stdout.contains("ClusterRole"),
        "{}",
        guessed.stdout
    );

    let asked = eventually_ok("the definition to be served", LIMIT, async || {
        let asked = rbac(&kubeconfig, &["--discover"]).await;
        if asked.stderr.contains("no Sheep") || asked.stderr.contains("serve Sheep") {
            return Err(asked.stderr);
        }
        Ok(asked)
    })
    .await;
    // The wrong one is told, and the other has its rights all the same.
    assert_eq!(asked.code, Some(1), "{}", asked.stderr);
    let wrong = "error: Sensor default/bad is wrong, so its rights are not known:\n";
    assert!(asked.stderr.contains(wrong), "{}", asked.stderr);
    let note = "note: the cluster does not serve Goat of example.com/v1; its plural is guessed";
    assert!(asked.stderr.contains(note), "{}", asked.stderr);
    let applied = kubectl(&server, &["apply", "-f", "-"], &asked.stdout);
    assert!(applied.status.success(), "{}", said(&applied));
    let roles = Api::<ClusterRole>::all(server.client().await);
    let label = ListParams::default().labels("app.kubernetes.io/part-of=tiphys");
    let made = roles.list(&label).await.unwrap().items;
    assert_eq!(made.len(), 1, "{made:?}");
    let rules = serde_json::to_value(&made[0].rules).unwrap();
    assert_eq!(
        rules,
        json!([{ "apiGroups": ["example.com"], "resources": ["sheep"], "resourceNames": ["dolly"], "verbs": ["delete"] }])
    );

    server.kill();
    let away = rbac(&kubeconfig, &["--discover"]).await;
    assert_eq!((away.code, away.stdout.as_str()), (Some(1), ""));
    let says = "without --discover plurals are guessed";
    for part in ["cannot ask the cluster at", &server.url(), says] {
        assert!(away.stderr.contains(part), "{part}: {}", away.stderr);
    }
    let none = rbac(Path::new("/nonexistent"), &["--discover"]).await;
    assert_eq!((none.code, none.stdout.as_str()), (Some(1), ""));
    let says = "--discover needs a cluster, and none is known";
    assert!(none.stderr.contains(says), "{}", none.stderr);
}

#[tokio::test]
async fn who_may_not_ask_the_cluster_is_told_which_right_is_missing() {
    let server = ApiServer::start_with(ApiServerOptions {
        authorization: Authorization::Rbac,
        ..ApiServerOptions::default()
    })
    .await;
    // A fresh cluster lets everybody ask what it serves; careful ones do not.
    for binding in ["system:discovery", "system:basic-user"] {
        let deleted = kubectl(&server, &["delete", "clusterrolebinding", binding], "");
        assert!(deleted.status.success(), "{}", said(&deleted));
    }
    let poor = server.kubeconfig_as("poor");
    eventually_ok("the rights to be gone", LIMIT, async || {
        let output = rbac(&poor, &["--discover"]).await;
        if output.stdout.is_empty() && output.stderr.contains("poor") {
            return Ok(());
        }
        Err(output.stderr)
    })
    .await;
    let output = rbac(&poor, &["--discover"]).await;
    assert_eq!(output.code, Some(1), "{}", output.stderr);
    for part in [
        "cannot ask the cluster at",
        "you need the right to `get` /apis/example.com/v1, which the ClusterRole system:discovery gives",
        "without --discover plurals are guessed",
        "User \"poor\" cannot get path",
    ] {
        assert!(output.stderr.contains(part), "{part}: {}", output.stderr);
    }
}
