//! Whole Workflows against the built-in API: what the status says in the end, and what survives a restart.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it must be"
)]

use std::time::Duration;

use kube::api::{DeleteParams, PostParams};
use kube::runtime::wait::await_condition;
use kube::{Api, Client};
use serde_json::{Value, json};
use tiphys_cluster::{Cluster, kinds};
use tiphys_core::Tasks;
use tiphys_workflow::logs::Logs;
use tiphys_workflow::{Engine, EngineOptions, NodePhase, Workflow, WorkflowTemplate};

/// Far longer than any of these takes; it only ends a test that hangs.
const LIMIT: Duration = Duration::from_secs(60);

struct Fixture {
    client: Client,
    folder: tempfile::TempDir,
    tasks: Tasks,
    logs: Logs,
}

impl Fixture {
    fn new() -> Self {
        let cluster = Cluster::in_memory(&[kinds::CORE, kinds::ARGO].concat()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (tasks, logs) = engine(&cluster.client("default"), &folder);
        Self {
            client: cluster.client("default"),
            folder,
            tasks,
            logs,
        }
    }

    fn api(&self) -> Api<Workflow> {
        Api::namespaced(self.client.clone(), "default")
    }

    async fn create(&self, spec: Value) -> Workflow {
        let object = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"generateName": "wf-"}, "spec": spec});
        self.api()
            .create(
                &PostParams::default(),
                &serde_json::from_value(object).unwrap(),
            )
            .await
            .unwrap()
    }

    async fn until(&self, name: &str, what: impl Fn(&Workflow) -> bool) -> Workflow {
        let condition = |object: Option<&Workflow>| object.is_some_and(&what);
        let found = tokio::time::timeout(LIMIT, await_condition(self.api(), name, condition)).await;
        found.unwrap().unwrap().unwrap()
    }

    async fn run(&self, spec: Value) -> Workflow {
        let created = self.create(spec).await;
        self.until(&created.metadata.name.unwrap(), done).await
    }

    async fn log(&self, workflow: &Workflow, display_name: &str) -> String {
        let status = workflow.status.as_ref().unwrap();
        let node = status
            .nodes
            .values()
            .find(|node| node.display_name == display_name)
            .unwrap();
        let metadata = &workflow.metadata;
        let bytes = self
            .logs
            .read(
                "default",
                metadata.name.as_ref().unwrap(),
                metadata.uid.as_ref().unwrap(),
                &node.id,
            )
            .await;
        String::from_utf8(bytes.unwrap()).unwrap()
    }
}

fn engine(client: &Client, folder: &tempfile::TempDir) -> (Tasks, Logs) {
    let options = EngineOptions {
        folder: folder.path().to_owned(),
        parallel: 4,
        program: None,
    };
    let engine = Engine::open(client.clone(), &options).unwrap();
    let (tasks, logs) = (Tasks::new(), engine.logs());
    engine.spawn(&tasks);
    (tasks, logs)
}

fn done(workflow: &Workflow) -> bool {
    workflow
        .status
        .as_ref()
        .is_some_and(|status| status.phase.is_done())
}

fn phase(workflow: &Workflow) -> (NodePhase, &str) {
    let status = workflow.status.as_ref().unwrap();
    (status.phase, &status.message)
}

fn shell(name: &str, script: &str) -> Value {
    json!({"name": name, "inputs": {"parameters": [{"name": "text", "default": "none"}]},
           "container": {"image": "alpine", "command": ["sh", "-c"], "args": [script]}})
}

#[tokio::test]
async fn steps_run_in_order_and_hand_results_on() {
    let fixture = Fixture::new();
    let workflow = fixture
        .run(json!({
            "entrypoint": "main",
            "arguments": {"parameters": [{"name": "greeting", "value": 7}]},
            "templates": [
                {"name": "main", "steps": [
                    [{"name": "first", "template": "say", "arguments": {"parameters": [{"name": "text", "value": "{{workflow.parameters.greeting}}"}]}}],
                    [
                        {"name": "a", "template": "say", "arguments": {"parameters": [{"name": "text", "value": "a {{steps.first.outputs.result}}"}]}},
                        {"name": "b", "template": "script"}
                    ]
                ]},
                shell("say", "echo \"said {{inputs.parameters.text}}\""),
                {"name": "script", "script": {"image": "alpine", "command": ["sh"], "source": "echo in {{workflow.name}}\necho to stderr >&2"}}
            ]
        }))
        .await;
    assert_eq!(phase(&workflow), (NodePhase::Succeeded, ""));
    assert_eq!(fixture.log(&workflow, "a").await, "said a said 7\n");
    assert!(fixture.log(&workflow, "b").await.contains("to stderr"));
    let status = workflow.status.as_ref().unwrap();
    assert_eq!(status.progress, "3/3");
    let name = workflow.metadata.name.as_ref().unwrap();
    let root = &status.nodes[name];
    assert_eq!(
        (
            root.kind.as_str(),
            root.children.len(),
            root.outbound_nodes.len()
        ),
        ("Steps", 1, 2)
    );
    let first = status
        .nodes
        .values()
        .find(|node| node.display_name == "first")
        .unwrap();
    assert_eq!(
        first.outputs.as_ref().unwrap().result.as_deref(),
        Some("said 7")
    );
    assert_eq!(
        workflow.metadata.labels.as_ref().unwrap()["workflows.argoproj.io/completed"],
        "true"
    );
}

#[tokio::test]
async fn a_failed_step_fails_its_group_and_nothing_later_runs() {
    let fixture = Fixture::new();
    let workflow = fixture
        .run(json!({"entrypoint": "main", "templates": [
            {"name": "main", "steps": [[{"name": "bad", "template": "bad"}, {"name": "good", "template": "good"}], [{"name": "later", "template": "good"}]]},
            shell("bad", "exit 3"), shell("good", "true")
        ]}))
        .await;
    let status = workflow.status.as_ref().unwrap();
    let node = |name: &str| status.nodes.values().find(|node| node.display_name == name);
    let bad = node("bad").unwrap();
    assert_eq!(
        (bad.phase, bad.message.as_str()),
        (NodePhase::Failed, "main: Error (exit code 3)")
    );
    assert_eq!(
        bad.outputs.as_ref().unwrap().exit_code.as_deref(),
        Some("3")
    );
    assert_eq!(node("good").unwrap().phase, NodePhase::Succeeded);
    assert!(node("later").is_none());
    assert_eq!(
        phase(&workflow),
        (
            NodePhase::Failed,
            format!("child '{}' failed", bad.id).as_str()
        )
    );
}

#[tokio::test]
async fn what_cannot_run_is_refused_with_its_path() {
    let fixture = Fixture::new();
    for (spec, expected) in [
        (
            json!({"entrypoint": "a", "templates": [{"name": "a", "dag": {"tasks": []}}]}),
            "spec.templates[0].dag: is not supported by the local engine yet",
        ),
        (
            json!({"entrypoint": "nope", "templates": [shell("a", "true")]}),
            "spec.entrypoint: names the template \"nope\"",
        ),
        (
            json!({"entrypoint": "a", "arguments": {"parameters": [{"name": "x"}]}, "templates": [shell("a", "true")]}),
            "spec.arguments.x.value or spec.arguments.x.valueFrom is required",
        ),
        (
            json!({"workflowTemplateRef": {"name": "none"}}),
            "WorkflowTemplate \"none\" not found",
        ),
    ] {
        let workflow = fixture.run(spec).await;
        let (phase, message) = phase(&workflow);
        assert_eq!(phase, NodePhase::Failed);
        assert!(message.contains(expected), "{message}");
    }
    let missing = fixture.run(json!({"entrypoint": "a", "templates": [{"name": "a", "container": {"image": "nginx"}}]})).await;
    assert!(phase(&missing).1.contains("set `command`"), "{missing:?}");
    let unresolved = fixture
        .run(json!({"entrypoint": "a", "templates": [shell("a", "{{inputs.parameters.nope}}")]}))
        .await;
    assert_eq!(
        phase(&unresolved),
        (
            NodePhase::Error,
            "failed to resolve {{inputs.parameters.nope}}"
        )
    );
}

#[tokio::test]
async fn templates_of_other_objects_are_run() {
    let fixture = Fixture::new();
    let object = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "WorkflowTemplate", "metadata": {"name": "shared"},
        "spec": {"entrypoint": "say", "templates": [shell("say", "echo {{inputs.parameters.text}}")]}});
    let templates = Api::<WorkflowTemplate>::namespaced(fixture.client.clone(), "default");
    templates
        .create(
            &PostParams::default(),
            &serde_json::from_value(object).unwrap(),
        )
        .await
        .unwrap();
    let workflow = fixture
        .run(
            json!({"entrypoint": "main", "templates": [{"name": "main", "steps": [[{
            "name": "far", "templateRef": {"name": "shared", "template": "say"},
            "arguments": {"parameters": [{"name": "text", "value": "hi"}]}}]]}]}),
        )
        .await;
    assert_eq!(phase(&workflow).0, NodePhase::Succeeded);
    assert_eq!(fixture.log(&workflow, "far").await, "hi\n");
    let whole = fixture
        .run(json!({"workflowTemplateRef": {"name": "shared"}}))
        .await;
    assert_eq!(phase(&whole).0, NodePhase::Succeeded);
}

#[tokio::test]
async fn a_restart_goes_on_with_what_is_not_done() {
    let fixture = Fixture::new();
    let gate = fixture.folder.path().join("gate");
    let count = fixture.folder.path().join("count");
    let created = fixture
        .create(json!({"entrypoint": "main", "templates": [
            {"name": "main", "steps": [[{"name": "once", "template": "once"}], [{"name": "wait", "template": "wait"}]]},
            shell("once", &format!("echo x >> {}", count.display())),
            shell("wait", &format!("until [ -e {} ]; do sleep 0.05; done", gate.display()))
        ]}))
        .await;
    let name = created.metadata.name.unwrap();
    let waiting = |workflow: &Workflow| {
        let nodes = workflow.status.as_ref().map(|status| &status.nodes);
        nodes.is_some_and(|nodes| {
            nodes
                .values()
                .any(|node| node.display_name == "wait" && node.phase == NodePhase::Running)
        })
    };
    fixture.until(&name, waiting).await;
    fixture.tasks.stop(LIMIT).await.unwrap();
    std::fs::write(&gate, "").unwrap();
    let (tasks, _) = engine(&fixture.client, &fixture.folder);
    let workflow = fixture.until(&name, done).await;
    assert_eq!(phase(&workflow), (NodePhase::Succeeded, ""));
    assert_eq!(std::fs::read_to_string(&count).unwrap(), "x\n");
    tasks.stop(LIMIT).await.unwrap();
}

#[tokio::test]
async fn a_deleted_workflow_stops_and_a_finished_one_goes_after_its_time() {
    let fixture = Fixture::new();
    let created = fixture
        .create(json!({"entrypoint": "a", "templates": [shell("a", "sleep 1000")]}))
        .await;
    let name = created.metadata.name.unwrap();
    fixture
        .until(&name, |workflow| {
            workflow
                .status
                .as_ref()
                .is_some_and(|status| !status.nodes.is_empty())
        })
        .await;
    fixture
        .api()
        .delete(&name, &DeleteParams::background())
        .await
        .unwrap();
    let folder = fixture
        .logs
        .workflow("default", &name, created.metadata.uid.as_ref().unwrap());
    let short = fixture
        .create(json!({"entrypoint": "a", "ttlStrategy": {"secondsAfterCompletion": 1}, "templates": [shell("a", "true")]}))
        .await;
    let short = short.metadata.name.unwrap();
    let gone = await_condition(fixture.api(), &short, |object: Option<&Workflow>| {
        object.is_none()
    });
    tokio::time::timeout(LIMIT, gone).await.unwrap().unwrap();
    fixture.tasks.stop(LIMIT).await.unwrap();
    assert!(!folder.join("pid").exists());
}
