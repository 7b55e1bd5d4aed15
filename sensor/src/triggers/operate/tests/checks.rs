//! What is said before anything is done: dry runs, and problems of specs.

use serde_json::{Value, json};
use tiphys_core::Problems;

use super::{Scene, operation};
use crate::spec::SensorSpec;

#[tokio::test]
async fn a_dry_run_names_the_operation_its_target_and_its_args() {
    let scene = Scene::new();
    let spec = operation("stop", "Workflow", "wf", &["--message", "bye"]);
    let effect = scene.effect("argoWorkflow", &spec, &[]).unwrap();
    assert_eq!(effect.says(), "stop Workflow ns/wf --message bye");
    let shown: Value = serde_json::from_slice(&effect.show()).unwrap();
    assert_eq!(
        shown,
        json!({"operation": "stop", "kind": "Workflow", "namespace": "ns", "name": "wf", "args": ["--message", "bye"]})
    );
    let spec = operation(
        "submit-from",
        "WorkflowTemplate",
        "t",
        &["--name", "wf", "-n", "other"],
    );
    let effect = scene.effect("argoWorkflow", &spec, &[]).unwrap();
    assert_eq!(
        effect.says(),
        "submit-from WorkflowTemplate other/t --name wf -n other"
    );
    let shown: Value = serde_json::from_slice(&effect.show()).unwrap();
    assert_eq!(
        (&shown["metadata"]["name"], &shown["metadata"]["namespace"]),
        (&json!("wf"), &json!("other"))
    );
    assert_eq!(shown["spec"], json!({"workflowTemplateRef": {"name": "t"}}));
}

#[test]
fn a_spec_is_checked_before_anything_fires() {
    let check = |argo: &Value, parameters: &Value| {
        let spec: SensorSpec = serde_json::from_value(json!({
            "dependencies": [{"name": "d", "eventSourceName": "e", "eventName": "n"}],
            "triggers": [{"template": {"name": "t", "argoWorkflow": argo}, "parameters": parameters}],
        }))
        .unwrap();
        let mut problems = Problems::default();
        spec.validate(&mut problems);
        problems.to_string()
    };
    let none = json!([]);
    let from_args =
        json!([{"src": {"dependencyName": "d", "dataKey": "x"}, "dest": "argoWorkflow.args.1"}]);
    for (argo, parameters, part) in [
        (
            operation("sumbit", "Workflow", "x", &[]),
            &none,
            "argoWorkflow.operation: must be one of submit, submit-from, resubmit, retry, resume, suspend, stop, terminate",
        ),
        (
            operation("retry", "Workflow", "x", &["--memoized"]),
            &none,
            "argoWorkflow.args[0]: unknown flag --memoized of retry",
        ),
        (
            operation("submit", "Workflow", "x", &["-p", "odd"]),
            &none,
            "argoWorkflow.args[0]: flag -p: expected parameter of the form",
        ),
        (
            operation("submit", "Workflow", "x", &["--loglevel", "debug"]),
            &none,
            "--loglevel has no effect",
        ),
        (
            operation("submit-from", "Pod", "x", &[]),
            &none,
            "source.resource.kind: is wrong for submit-from",
        ),
        (
            operation("stop", "Workflow", "", &[]),
            &none,
            "source.resource.metadata.name: must be set to the name of what stop is done with",
        ),
    ] {
        let said = check(&argo, parameters);
        assert!(said.contains(part), "{said}");
    }
    for (argo, parameters) in [
        (
            operation("submit", "Workflow", "x", &["-p", "a=b", "--wait"]),
            &none,
        ),
        (
            operation("submit", "Workflow", "x", &["-p", ""]),
            &from_args,
        ),
        (
            operation("submit-from", "ClusterWorkflowTemplate", "x", &[]),
            &none,
        ),
    ] {
        assert_eq!(check(&argo, parameters), "");
    }
}
