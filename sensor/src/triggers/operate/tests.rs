//! Each operation of an `argoWorkflow` trigger on the built-in API, twice, because events come twice.

use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams, PostParams};
use serde_json::{Value, json};
use tiphys_core::tasks::chain;

use crate::triggers::Fired;
use crate::triggers::scene::Scene;

impl Scene {
    fn api(&self, kind: &str, plural: &str) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk("argoproj.io", "v1alpha1", kind);
        let kind = ApiResource::from_gvk_with_plural(&kind, plural);
        Api::namespaced_with(self.client.clone(), "ns", &kind)
    }

    async fn put(&self, kind: &str, plural: &str, mut object: Value) {
        object["apiVersion"] = "argoproj.io/v1alpha1".into();
        object["kind"] = kind.into();
        let object = serde_json::from_value(object).unwrap();
        self.api(kind, plural)
            .create(&PostParams::default(), &object)
            .await
            .unwrap();
    }

    async fn workflow(&self, name: &str) -> Value {
        let found = self.api("Workflow", "workflows").get(name).await.unwrap();
        serde_json::to_value(found).unwrap()
    }

    async fn names(&self) -> Vec<String> {
        let (api, params) = (self.api("Workflow", "workflows"), ListParams::default());
        let all = api.list(&params).await.unwrap();
        let mut names: Vec<_> = all
            .into_iter()
            .map(|item| item.metadata.name.unwrap())
            .collect();
        names.sort();
        names
    }

    async fn operate(&self, spec: &Value) -> Result<Fired, String> {
        let fired = self.fire("argoWorkflow", spec).await;
        fired.map_err(|error| chain(&error))
    }
}

fn operation(operation: &str, kind: &str, name: &str, args: &[&str]) -> Value {
    json!({
        "operation": operation,
        "source": {"resource": {"apiVersion": "argoproj.io/v1alpha1", "kind": kind, "metadata": {"name": name}}},
        "args": args,
    })
}

fn failed_workflow(name: &str) -> Value {
    json!({
        "metadata": {"name": name, "generateName": "wf-", "labels": {"team": "a", "workflows.argoproj.io/completed": "true"}},
        "spec": {"entrypoint": "main", "weight": 1, "arguments": {"parameters": [{"name": "x", "value": "old"}]}},
        "status": {"phase": "Failed", "nodes": {name: {"id": name, "name": name, "displayName": name, "type": "Pod", "phase": "Failed"}}},
    })
}

fn running_workflow(name: &str) -> Value {
    json!({
        "metadata": {"name": name, "labels": {"team": "a"}},
        "spec": {"entrypoint": "main"},
        "status": {"phase": "Running", "nodes": {"gate": {"id": "gate", "displayName": "gate", "type": "Suspend", "phase": "Running"}}},
    })
}

fn verb(fired: &Fired) -> &str {
    match fired {
        Fired::Changed { verb, .. } => verb,
        Fired::Created { existed: true, .. } => "found its own",
        Fired::Created { .. } => "created",
        _ => "else",
    }
}

#[tokio::test]
async fn submit_applies_its_args_and_creates_one_workflow() {
    let scene = Scene::new();
    let mut spec = operation(
        "submit",
        "Workflow",
        "",
        &[
            "-p",
            "x=y=z",
            "--entrypoint",
            "other",
            "-l",
            "a=b",
            "--generate-name",
            "new-",
            "--instanceid",
            "i",
        ],
    );
    spec["source"]["resource"]["metadata"] = json!({"generateName": "old-"});
    spec["source"]["resource"]["spec"] = json!({"arguments": {"parameters": [{"name": "n", "value": ""}, {"name": "x", "value": "old"}]}});
    spec["parameters"] = json!([{"src": {"dependencyName": "d", "dataKey": "n"}, "dest": "spec.arguments.parameters.0.value"}]);
    assert_eq!(verb(&scene.operate(&spec).await.unwrap()), "created");
    assert_eq!(verb(&scene.operate(&spec).await.unwrap()), "found its own");
    let names = scene.names().await;
    assert_eq!(names.len(), 1);
    let workflow = scene.workflow(&names[0]).await;
    assert!(names[0].starts_with("new-"));
    assert_eq!(
        workflow["spec"],
        json!({"entrypoint": "other", "arguments": {"parameters": [{"name": "x", "value": "y=z"}, {"name": "n", "value": "9007199254740993"}]}})
    );
    let labels = &workflow["metadata"]["labels"];
    assert_eq!(
        (&labels["a"], &labels["events.argoproj.io/sensor"]),
        (&json!("b"), &json!("s"))
    );
    assert_eq!(labels["workflows.argoproj.io/controller-instanceid"], "i");
}

#[tokio::test]
async fn submit_from_makes_one_workflow_of_each_kind_of_origin() {
    let scene = Scene::new();
    for (kind, plural, spec) in [
        (
            "WorkflowTemplate",
            "workflowtemplates",
            json!({"entrypoint": "main"}),
        ),
        (
            "CronWorkflow",
            "cronworkflows",
            json!({"schedule": "* * * * *", "workflowSpec": {"entrypoint": "main"}}),
        ),
    ] {
        let name = kind.to_lowercase();
        let spec_of_trigger = operation("submit-from", kind, &name, &["-p", "x=1"]);
        let missing = scene.operate(&spec_of_trigger).await.unwrap_err();
        assert!(
            missing.contains(&format!("{plural}.argoproj.io \"{name}\" not found")),
            "{missing}"
        );
        scene
            .put(
                kind,
                plural,
                json!({"metadata": {"name": name}, "spec": spec}),
            )
            .await;
        let Fired::Created {
            name: made,
            existed: false,
            ..
        } = scene.operate(&spec_of_trigger).await.unwrap()
        else {
            panic!("nothing was created");
        };
        assert_eq!(
            verb(&scene.operate(&spec_of_trigger).await.unwrap()),
            "found its own"
        );
        let workflow = scene.workflow(&made).await;
        assert_eq!(
            workflow["spec"]["arguments"]["parameters"],
            json!([{"name": "x", "value": "1"}])
        );
        assert_eq!(
            workflow["metadata"]["labels"]["events.argoproj.io/trigger"],
            "t"
        );
    }
    assert_eq!(scene.names().await.len(), 2);
}

#[tokio::test]
async fn resubmit_makes_one_workflow_for_each_that_is_meant() {
    let scene = Scene::new();
    scene
        .put("Workflow", "workflows", failed_workflow("one"))
        .await;
    scene
        .put("Workflow", "workflows", failed_workflow("two"))
        .await;
    let single = operation(
        "resubmit",
        "Workflow",
        "one",
        &["--memoized", "-p", "x=new"],
    );
    assert_eq!(verb(&scene.operate(&single).await.unwrap()), "created");
    assert_eq!(
        verb(&scene.operate(&single).await.unwrap()),
        "found its own"
    );
    let made: Vec<_> = scene
        .names()
        .await
        .into_iter()
        .filter(|name| name.starts_with("wf-"))
        .collect();
    assert_eq!(made.len(), 1);
    let workflow = scene.workflow(&made[0]).await;
    assert_eq!(
        workflow["spec"]["arguments"]["parameters"][0]["value"],
        "new"
    );
    assert_eq!(
        workflow["metadata"]["labels"]["workflows.argoproj.io/resubmitted-from-workflow"],
        "one"
    );
    assert!(
        workflow["status"]["nodes"].get(&made[0]).is_some(),
        "{workflow}"
    );
    scene
        .api("Workflow", "workflows")
        .delete(&made[0], &kube::api::DeleteParams::default())
        .await
        .unwrap();
    let selected = operation("resubmit", "Workflow", "", &["-l", "team=a"]);
    scene.operate(&selected).await.unwrap();
    scene.operate(&selected).await.unwrap();
    assert_eq!(scene.names().await.len(), 4);
}

#[tokio::test]
async fn what_goes_on_is_changed_once() {
    for (word, args, past) in [
        ("suspend", &[][..], "suspended"),
        ("resume", &[], "resumed"),
        (
            "resume",
            &["--node-field-selector", "displayName=gate"],
            "resumed",
        ),
        ("stop", &[], "stopped"),
        (
            "stop",
            &["--node-field-selector=id=gate", "--message", "no"],
            "stopped",
        ),
        ("terminate", &[], "terminated"),
        ("stop", &["-l", "team=a"], "stopped"),
    ] {
        let scene = Scene::new();
        scene
            .put("Workflow", "workflows", running_workflow("wf"))
            .await;
        let spec = operation(word, "Workflow", "wf", args);
        assert_eq!(
            verb(&scene.operate(&spec).await.unwrap()),
            past,
            "{word} {args:?}"
        );
        let after = scene.workflow("wf").await;
        assert_eq!(
            verb(&scene.operate(&spec).await.unwrap()),
            format!("found already {past}"),
            "{word} {args:?}"
        );
        assert_eq!(scene.workflow("wf").await, after);
        let node = &after["status"]["nodes"]["gate"];
        match (word, args.is_empty()) {
            ("suspend", _) => assert_eq!(after["spec"]["suspend"], true),
            ("resume", _) => assert_eq!(node["phase"], "Succeeded"),
            ("stop", false) if args[0].starts_with("--node") => assert_eq!(
                (&node["phase"], &node["message"]),
                (&json!("Failed"), &json!("no"))
            ),
            ("stop", _) => assert_eq!(after["spec"]["shutdown"], "Stop"),
            _ => assert_eq!(after["spec"]["shutdown"], "Terminate"),
        }
    }
}

#[tokio::test]
async fn a_retry_is_done_once_for_a_firing() {
    let scene = Scene::new();
    scene
        .put("Workflow", "workflows", failed_workflow("wf"))
        .await;
    let spec = operation("retry", "Workflow", "@latest", &["-p", "x=new"]);
    assert_eq!(verb(&scene.operate(&spec).await.unwrap()), "retried");
    let workflow = scene.workflow("wf").await;
    assert_eq!(
        (
            &workflow["status"]["phase"],
            &workflow["spec"]["arguments"]["parameters"][0]["value"]
        ),
        (&json!("Running"), &json!("new"))
    );
    assert_eq!(
        verb(&scene.operate(&spec).await.unwrap()),
        "found already retried"
    );
}

#[tokio::test]
async fn waiting_tells_how_the_workflow_has_ended() {
    let scene = Scene::new();
    let mut spec = operation("submit", "Workflow", "wf", &["--wait"]);
    spec["source"]["resource"]["status"] = json!({"phase": "Failed", "message": "no luck"});
    let error = scene.operate(&spec).await.unwrap_err();
    assert_eq!(
        error,
        "workflow ns/wf, which the trigger waits for, is Failed: no luck"
    );
    spec["source"]["resource"]["metadata"]["name"] = "good".into();
    spec["source"]["resource"]["status"] = json!({"phase": "Succeeded"});
    assert_eq!(verb(&scene.operate(&spec).await.unwrap()), "created");
}

#[tokio::test]
async fn what_cannot_be_done_says_why() {
    let scene = Scene::new();
    scene
        .put("Workflow", "workflows", failed_workflow("wf"))
        .await;
    for (spec, part) in [
        (
            operation("stop", "Workflow", "wf", &[]),
            "cannot shutdown a completed workflow: workflow: \"wf\", namespace: \"ns\"",
        ),
        (
            operation("suspend", "Workflow", "wf", &[]),
            "cannot suspend completed workflows",
        ),
        (
            operation("resume", "Workflow", "none", &[]),
            "workflows.argoproj.io \"none\" not found in namespace \"ns\"",
        ),
        (
            operation("retry", "Workflow", "", &[]),
            "failed to execute the workflow retry operation, no name is given",
        ),
        (
            operation("submit", "Workflow", "", &[]),
            "neither name nor generateName is given",
        ),
        (
            operation("submit-from", "Pod", "x", &[]),
            "invalid kind \"Pod\"",
        ),
        (
            operation("resume", "Workflow", "wf", &["--foo", "--bar"]),
            "args[0]: unknown flag --foo of resume",
        ),
        (
            operation("retry", "Workflow", "../x", &[]),
            "is not the name of an object",
        ),
    ] {
        let error = scene.operate(&spec).await.unwrap_err();
        assert!(error.contains(part), "{error}");
    }
}

#[tokio::test]
async fn parameter_files_are_read_and_an_event_does_not_choose_them() {
    let scene = Scene::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("values.yaml");
    std::fs::write(&file, "x: from file\nage: 2\n").unwrap();
    let path = file.to_string_lossy().into_owned();
    let spec = operation("submit", "Workflow", "wf", &["-f", &path, "-p", "x=given"]);
    let error = scene
        .effect("argoWorkflow", &spec, &[])
        .map(|_| ())
        .unwrap_err()
        .to_string();
    assert!(error.contains("an event does not choose it"), "{error}");
    scene.operate(&spec).await.unwrap();
    let workflow = scene.workflow("wf").await;
    assert_eq!(
        workflow["spec"]["arguments"]["parameters"],
        json!([{"name": "age", "value": "2"}, {"name": "x", "value": "given"}])
    );
}

mod checks;
