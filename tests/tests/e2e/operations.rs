//! Every operation on Workflows: by commands on a local run, by commands on a real API server, and by a Sensor with
//! `args`. On the API server nobody runs Workflows, so the test writes their status as a controller would.

mod cluster;
mod local;
mod logs;
mod sensor;

use kube::Api;
use kube::api::DynamicObject;
use serde_json::{Value, json};
use tempfile::TempDir;
use tiphys_tests::argo_crds::argo;
use tiphys_tests::eventually;
use tiphys_tests::tiphys::TiphysOutput;

use crate::support::{LIMIT, LocalRun, NAMESPACE};

/// A Workflow of two steps: a gate, then a script.
fn gated(script: &str) -> Value {
    json!({
        "entrypoint": "main",
        "arguments": {"parameters": [{"name": "x", "value": "old"}]},
        "templates": [
            {"name": "main", "steps": [[{"name": "approve", "template": "gate"}], [{"name": "after", "template": "work"}]]},
            {"name": "gate", "suspend": {}},
            {"name": "work", "container": {"image": "busybox", "command": ["sh", "-c", script]}},
        ],
    })
}

fn plain(script: &str) -> Value {
    json!({
        "entrypoint": "main",
        "arguments": {"parameters": [{"name": "x", "value": "old"}]},
        "templates": [{"name": "main", "container": {"image": "busybox", "command": ["sh", "-c", script]}}],
    })
}

fn object(kind: &str, metadata: Value, spec: Value) -> Value {
    let mut object = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec});
    object["metadata"]["namespace"] = NAMESPACE.into();
    object
}

fn write(folder: &TempDir, name: &str, object: &Value) -> String {
    let path = folder.path().join(name);
    std::fs::write(&path, object.to_string()).unwrap();
    path.to_string_lossy().into_owned()
}

/// A run that was a success; what it said on standard output.
fn fine(output: &TiphysOutput) -> String {
    assert_eq!(output.code, Some(0), "{output:?}");
    output.stdout.clone()
}

/// A run that failed; what it said on standard error.
fn refused(output: &TiphysOutput) -> String {
    assert_eq!(output.code, Some(1), "{output:?}");
    // A note may come before.
    let said = output.stderr.lines().last().unwrap_or_default();
    assert!(said.starts_with("error: "), "{output:?}");
    output.stderr.clone()
}

impl LocalRun {
    async fn in_namespace(&self, args: &[&str]) -> TiphysOutput {
        self.tiphys(&[args, &["-n", NAMESPACE]].concat()).await
    }

    async fn until(&self, name: &str, what: &str, seen: impl Fn(&Value) -> bool) -> Value {
        let api = workflows(self.client());
        eventually(&format!("{name} to be {what}"), LIMIT, async || {
            let found = api.get_opt(name).await.unwrap()?;
            let found = serde_json::to_value(found).unwrap();
            seen(&found).then_some(found)
        })
        .await
    }

    /// Waits for a phase, or for `Waits`, which is a gate that has opened.
    async fn is(&self, name: &str, wanted: &str) -> Value {
        self.until(name, wanted, |workflow| match wanted {
            "Waits" => gate(workflow) == "Running",
            phase => workflow["status"]["phase"] == phase,
        })
        .await
    }
}

fn workflows(client: kube::Client) -> Api<DynamicObject> {
    Api::namespaced_with(client, NAMESPACE, &argo("Workflow"))
}

fn gate(workflow: &Value) -> &str {
    let nodes = workflow["status"]["nodes"].as_object();
    let mut nodes = nodes.into_iter().flat_map(|nodes| nodes.values());
    let gate = nodes.find(|node| node["displayName"] == "approve");
    gate.map_or("", |gate| gate["phase"].as_str().unwrap())
}
