//! Every operation of a Sensor, with `args`, on Workflows that run.

use serde_json::{Value, json};
use tiphys_tests::{eventually, temp_dir};

use super::{gate, gated, object};
use crate::scene::plain_source;
use crate::support::{LIMIT, LocalRun};

/// A Sensor that does one operation when an event says its name.
fn on(operation: &str, kind: &str, name: &str, spec: Option<&Value>, args: &[&str]) -> String {
    let mut resource =
        json!({"apiVersion": "argoproj.io/v1alpha1", "kind": kind, "metadata": {"name": name}});
    if let Some(spec) = spec {
        resource["spec"] = spec.clone();
    }
    let filter = json!({"path": "body.message", "type": "string", "value": [operation]});
    let sensor = object(
        "Sensor",
        json!({"name": operation}),
        json!({
            "dependencies": [{"name": "in", "eventSourceName": "in", "eventName": "in", "filters": {"data": [filter]}}],
            "triggers": [{"template": {"name": "act", "argoWorkflow": {"operation": operation, "source": {"resource": resource}, "args": args}}}],
        }),
    );
    format!("{sensor}\n")
}

#[tokio::test]
async fn a_sensor_does_every_operation_with_its_args() {
    let folder = temp_dir();
    let mend = folder.path().join("mend");
    let mut run = LocalRun::empty();
    run.write("source.yaml", &plain_source());
    let work = gated(&format!("test -e {}", mend.display()));
    run.write(
        "template.yaml",
        &format!(
            "{}\n",
            object("WorkflowTemplate", json!({"name": "gated"}), work.clone())
        ),
    );
    for (operation, text) in [
        (
            "submit",
            on(
                "submit",
                "Workflow",
                "first",
                Some(&work),
                &["--name", "wf", "-p", "x=1", "-l", "team=a"],
            ),
        ),
        ("suspend", on("suspend", "Workflow", "wf", None, &[])),
        ("resume", on("resume", "Workflow", "@latest", None, &[])),
        ("retry", on("retry", "Workflow", "wf", None, &["-p", "x=2"])),
        ("resubmit", on("resubmit", "Workflow", "wf", None, &[])),
        (
            "stop",
            on(
                "stop",
                "Workflow",
                "",
                None,
                &["-l", "workflows.argoproj.io/resubmitted-from-workflow=wf"],
            ),
        ),
        (
            "submit-from",
            on(
                "submit-from",
                "WorkflowTemplate",
                "gated",
                None,
                &["--name", "from-template"],
            ),
        ),
        (
            "terminate",
            on("terminate", "Workflow", "from-template", None, &[]),
        ),
    ] {
        run.write(&format!("{operation}.yaml"), &text);
    }
    run.start().await;
    let fire = async |operation: &str| {
        let (status, _) = run.send(operation).await.unwrap();
        assert_eq!(status, 200);
    };

    fire("submit").await;
    let made = run.is("wf", "Waits").await;
    assert_eq!(made["spec"]["arguments"]["parameters"][0]["value"], "1");
    assert_eq!(made["metadata"]["labels"]["team"], "a");
    assert_eq!(
        made["metadata"]["labels"]["events.argoproj.io/sensor"],
        "submit"
    );
    fire("suspend").await;
    run.until("wf", "suspended", |workflow| {
        workflow["spec"]["suspend"] == true
    })
    .await;
    fire("resume").await;
    let failed = run.is("wf", "Failed").await;
    assert_eq!(gate(&failed), "Succeeded");
    std::fs::write(&mend, "").unwrap();
    fire("retry").await;
    let retried = run.is("wf", "Succeeded").await;
    assert_eq!(retried["spec"]["arguments"]["parameters"][0]["value"], "2");
    fire("resubmit").await;
    let again = eventually("a resubmission that waits", LIMIT, async || {
        let all = run.workflows().await;
        let made = |workflow: &&Value| {
            workflow["metadata"]["labels"]["workflows.argoproj.io/resubmitted-from-workflow"]
                == "wf"
                && gate(workflow) == "Running"
        };
        all.iter().find(made).cloned()
    })
    .await;
    fire("stop").await;
    let stopped = run
        .is(again["metadata"]["name"].as_str().unwrap(), "Failed")
        .await;
    assert_eq!(stopped["spec"]["shutdown"], "Stop");
    fire("submit-from").await;
    let made = run.is("from-template", "Waits").await;
    assert_eq!(made["spec"]["workflowTemplateRef"]["name"], "gated");
    fire("terminate").await;
    let ended = run.is("from-template", "Failed").await;
    assert_eq!(ended["spec"]["shutdown"], "Terminate");
    assert_eq!(run.workflows().await.len(), 3);
}
