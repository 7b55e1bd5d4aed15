//! Operations on Workflows that the engine runs: what each verb leads to, on real runs against the built-in API.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test ends where something is not as it must be"
)]

mod again;

use std::time::Duration;

use kube::runtime::wait::await_condition;
use kube::{Api, Client};
use serde_json::{Value, json};
use tiphys_cluster::{Cluster, kinds};
use tiphys_core::Tasks;
use tiphys_workflow::operations::{
    Actor, Create, Draft, Ended, NodeSelector, Operator, Origin, Selection, Shutdown, wait,
};
use tiphys_workflow::{Engine, EngineOptions, Workflow};

/// Far longer than any of these takes; it only ends a test that hangs.
const LIMIT: Duration = Duration::from_secs(60);

struct Fixture {
    client: Client,
    operator: Operator,
    folder: tempfile::TempDir,
    _tasks: Tasks,
}

impl Fixture {
    fn new() -> Self {
        let cluster = Cluster::in_memory(&[kinds::CORE, kinds::ARGO].concat()).unwrap();
        let client = cluster.client("default");
        let folder = tempfile::tempdir().unwrap();
        let options = EngineOptions {
            folder: folder.path().join("engine"),
            parallel: 4,
            program: None,
        };
        let tasks = Tasks::new();
        Engine::open(client.clone(), &options)
            .unwrap()
            .spawn(&tasks);
        let actor = Actor {
            subject: "ann".to_owned(),
        };
        Self {
            operator: Operator::new(client.clone(), "default").acting_as(actor),
            client,
            folder,
            _tasks: tasks,
        }
    }

    async fn submit(&self, name: &str, spec: Value) {
        let object = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"name": name}, "spec": spec});
        let mut draft = Draft::parse(object.to_string().as_bytes()).unwrap();
        self.operator.sign(&mut draft);
        self.operator
            .create(&draft, Create::default())
            .await
            .unwrap();
    }

    async fn until(&self, name: &str, what: impl Fn(&Value) -> bool) -> Value {
        let api = Api::<Workflow>::namespaced(self.client.clone(), "default");
        let seen = |object: Option<&Workflow>| {
            object.is_some_and(|object| what(&serde_json::to_value(object).unwrap()))
        };
        let found = tokio::time::timeout(LIMIT, await_condition(api, name, seen)).await;
        serde_json::to_value(found.unwrap().unwrap().unwrap()).unwrap()
    }

    async fn done(&self, name: &str) -> Value {
        self.until(name, |workflow| {
            ["Succeeded", "Failed", "Error"].contains(&phase(workflow))
        })
        .await
    }
}

fn phase(workflow: &Value) -> &str {
    workflow["status"]["phase"].as_str().unwrap_or_default()
}

fn node<'a>(workflow: &'a Value, name: &str) -> &'a Value {
    let nodes = workflow["status"]["nodes"].as_object();
    nodes
        .into_iter()
        .flat_map(|nodes| nodes.values())
        .find(|node| node["displayName"] == name)
        .unwrap_or(&Value::Null)
}

fn told(workflow: &Value, name: &str) -> (String, String) {
    let node = node(workflow, name);
    let text = |key: &str| node[key].as_str().unwrap_or_default().to_owned();
    (text("phase"), text("message"))
}

fn told_as(phase: &str, message: &str) -> (String, String) {
    (phase.to_owned(), message.to_owned())
}

fn shell(name: &str, script: &str) -> Value {
    json!({"name": name, "container": {"image": "busybox", "command": ["sh", "-c", script]}})
}

/// A gate between two steps.
fn gated() -> Value {
    json!({"entrypoint": "main", "templates": [
        {"name": "main", "steps": [[{"name": "approve", "template": "gate"}], [{"name": "after", "template": "say"}]]},
        {"name": "gate", "suspend": {}},
        shell("say", "echo hi"),
    ]})
}

#[tokio::test]
async fn a_step_that_waits_is_resumed() {
    let fixture = Fixture::new();
    fixture.submit("wf", gated()).await;
    fixture
        .until("wf", |workflow| told(workflow, "approve").0 == "Running")
        .await;
    let outcome = fixture.operator.resume("wf", None).await.unwrap();
    assert!(outcome.changed);
    let workflow = fixture.done("wf").await;
    assert_eq!(phase(&workflow), "Succeeded");
    assert_eq!(
        told(&workflow, "approve"),
        told_as("Succeeded", "Resumed by: map[User:ann]")
    );
    let again = fixture.operator.resume("wf", None).await.unwrap();
    assert!(!again.changed);
}

#[tokio::test]
async fn a_step_waits_for_its_time_and_its_outputs_take_their_defaults() {
    let fixture = Fixture::new();
    let spec = json!({"entrypoint": "main", "templates": [
        {"name": "main", "steps": [[{"name": "pause", "template": "gate"}], [{"name": "use", "template": "say",
            "arguments": {"parameters": [{"name": "x", "value": "{{steps.pause.outputs.parameters.choice}}"}]}}]]},
        {"name": "gate", "suspend": {"duration": "0s"}, "outputs": {"parameters": [{"name": "choice", "valueFrom": {"supplied": {}, "default": "blue"}}]}},
        {"name": "say", "inputs": {"parameters": [{"name": "x"}]}, "container": {"image": "busybox", "command": ["sh", "-c", "test {{inputs.parameters.x}} = blue"]}},
    ]});
    fixture.submit("wf", spec).await;
    let workflow = fixture.done("wf").await;
    assert_eq!(phase(&workflow), "Succeeded", "{workflow}");
}

#[tokio::test]
async fn one_of_several_steps_that_wait_is_chosen() {
    let fixture = Fixture::new();
    let spec = json!({"entrypoint": "main", "templates": [
        {"name": "main", "steps": [[{"name": "a", "template": "gate"}, {"name": "b", "template": "gate"}]]},
        {"name": "gate", "suspend": {}},
    ]});
    fixture.submit("wf", spec).await;
    fixture
        .until("wf", |workflow| {
            ["a", "b"]
                .iter()
                .all(|name| told(workflow, name).0 == "Running")
        })
        .await;
    let select = |text| NodeSelector::parse(text).unwrap();
    let operator = &fixture.operator;
    let none = operator
        .resume("wf", select("displayName=c").as_ref())
        .await
        .unwrap_err();
    assert!(
        none.to_string().contains("no suspend nodes matching"),
        "{none}"
    );
    operator
        .resume("wf", select("displayName=a").as_ref())
        .await
        .unwrap();
    let workflow = fixture
        .until("wf", |workflow| told(workflow, "a").0 == "Succeeded")
        .await;
    assert_eq!(told(&workflow, "b").0, "Running");
    operator
        .shut_down(
            "wf",
            Shutdown::Stop,
            select("displayName=b").as_ref(),
            "not today",
        )
        .await
        .unwrap();
    let workflow = fixture.done("wf").await;
    assert_eq!(told(&workflow, "b"), told_as("Failed", "not today"));
    assert_eq!(phase(&workflow), "Failed");
}

#[tokio::test]
async fn a_workflow_that_is_held_begins_nothing_new() {
    let fixture = Fixture::new();
    let go = fixture.folder.path().join("go");
    let script = format!("until test -e {}; do sleep 0.05; done", go.display());
    let spec = json!({"entrypoint": "main", "templates": [
        {"name": "main", "steps": [[{"name": "first", "template": "wait"}], [{"name": "second", "template": "say"}]]},
        shell("wait", &script),
        shell("say", "echo hi"),
    ]});
    fixture.submit("wf", spec).await;
    fixture
        .until("wf", |workflow| told(workflow, "first").0 == "Running")
        .await;
    fixture.operator.suspend("wf").await.unwrap();
    assert!(!fixture.operator.suspend("wf").await.unwrap().changed);
    std::fs::write(&go, "").unwrap();
    let held = fixture
        .until("wf", |workflow| told(workflow, "first").0 == "Succeeded")
        .await;
    assert_eq!(
        (phase(&held), told(&held, "second").0.as_str()),
        ("Running", "")
    );
    fixture.operator.resume("wf", None).await.unwrap();
    assert_eq!(phase(&fixture.done("wf").await), "Succeeded");
    let error = fixture.operator.suspend("wf").await.unwrap_err();
    assert_eq!(error.to_string(), "cannot suspend completed workflows");
}

#[tokio::test]
async fn a_workflow_may_be_held_from_the_start() {
    let fixture = Fixture::new();
    let spec = json!({"entrypoint": "main", "suspend": true, "templates": [shell("main", "true")]});
    fixture.submit("wf", spec).await;
    let held = fixture
        .until("wf", |workflow| phase(workflow) == "Running")
        .await;
    assert!(held["status"].get("nodes").is_none(), "{held}");
    fixture.operator.resume("wf", None).await.unwrap();
    assert_eq!(phase(&fixture.done("wf").await), "Succeeded");
}

#[tokio::test]
async fn stop_and_terminate_end_what_runs() {
    let fixture = Fixture::new();
    for (name, how, word) in [
        ("stopped", Shutdown::Stop, "Stop"),
        ("terminated", Shutdown::Terminate, "Terminate"),
    ] {
        let spec = json!({"entrypoint": "main", "templates": [
            {"name": "main", "steps": [[{"name": "long", "template": "wait"}, {"name": "gate", "template": "gate"}], [{"name": "never", "template": "wait"}]]},
            shell("wait", "sleep 1000"),
            {"name": "gate", "suspend": {}},
        ]});
        fixture.submit(name, spec).await;
        fixture
            .until(name, |workflow| {
                ["long", "gate"]
                    .iter()
                    .all(|node| told(workflow, node).0 == "Running")
            })
            .await;
        fixture
            .operator
            .shut_down(name, how, None, "")
            .await
            .unwrap();
        let workflow = fixture.done(name).await;
        assert_eq!(phase(&workflow), "Failed");
        assert_eq!(
            workflow["status"]["message"],
            format!("Stopped with strategy '{word}'")
        );
        assert_eq!(
            told(&workflow, "long"),
            told_as(
                "Failed",
                &format!("workflow shutdown with strategy:  {word}")
            )
        );
        assert_eq!(
            told(&workflow, "gate"),
            told_as("Failed", &format!("Stopped with strategy '{word}'"))
        );
        assert_eq!(node(&workflow, "never"), &Value::Null);
        let error = fixture
            .operator
            .shut_down(name, how, None, "")
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "cannot shutdown a completed workflow: workflow: \"{name}\", namespace: \"default\""
            )
        );
    }
}

#[tokio::test]
async fn a_template_runs_under_a_new_name() {
    let fixture = Fixture::new();
    let error = fixture
        .operator
        .draft_from(Origin::WorkflowTemplate, "hello")
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "workflowtemplates.argoproj.io \"hello\" not found in namespace \"default\""
    );
    let template = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "WorkflowTemplate", "metadata": {"name": "hello"},
        "spec": {"entrypoint": "main", "templates": [shell("main", "true")]}});
    let api =
        Api::<tiphys_workflow::WorkflowTemplate>::namespaced(fixture.client.clone(), "default");
    api.create(
        &kube::api::PostParams::default(),
        &serde_json::from_value(template).unwrap(),
    )
    .await
    .unwrap();
    let mut draft = fixture
        .operator
        .draft_from(Origin::WorkflowTemplate, "hello")
        .await
        .unwrap();
    draft.derive_name("0123456789abcdef");
    fixture.operator.sign(&mut draft);
    fixture
        .operator
        .create(&draft, Create::default())
        .await
        .unwrap();
    assert_eq!(phase(&fixture.done("hello-0123456789").await), "Succeeded");
}

#[tokio::test]
async fn names_selectors_and_ends_are_found() {
    let fixture = Fixture::new();
    let error = fixture.operator.get("@latest").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "workflows.argoproj.io \"@latest\" not found in namespace \"default\""
    );
    fixture
        .submit(
            "one",
            json!({"entrypoint": "main", "templates": [shell("main", "exit 1")]}),
        )
        .await;
    let ended = wait(&fixture.client, "default", "one").await.unwrap();
    assert!(matches!(ended, Ended::Done { phase, .. } if phase == "Failed"));
    assert_eq!(
        wait(&fixture.client, "default", "none").await.unwrap(),
        Ended::Gone
    );
    let labels = Selection {
        labels: Some("workflows.argoproj.io/phase=Failed".into()),
        fields: None,
    };
    assert_eq!(fixture.operator.list(&labels).await.unwrap().len(), 1);
    assert_eq!(
        fixture.operator.get("@latest").await.unwrap()["metadata"]["name"],
        "one"
    );
    let other = fixture.operator.clone().with_instance_id("other");
    let error = other.suspend("one").await.unwrap_err();
    assert!(
        error.to_string().starts_with("'one' is not managed by"),
        "{error}"
    );
    assert_eq!(fixture.operator.delete("one", false).await.unwrap(), "one");
    assert!(fixture.operator.delete("one", false).await.is_err());
    assert!(fixture.operator.get("../secrets").await.is_err());
}
