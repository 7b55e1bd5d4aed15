//! Tables of node graphs: what is left after a retry, and which pods go.

use serde_json::{Value, json};

use super::*;

fn options(restart: bool, selector: &str) -> RetryOptions {
    RetryOptions {
        restart_successful: restart,
        nodes: NodeSelector::parse(selector).unwrap(),
        parameters: Vec::new(),
    }
}

/// Nodes as `id type phase boundary children`, `-` for nothing; the root is `wf`.
fn workflow(phase: &str, nodes: &[&str]) -> Value {
    let mut map = Map::new();
    for line in nodes {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [id, kind, phase, boundary, children] = words.as_slice() else {
            panic!("{line}")
        };
        let children: Vec<&str> = children.split(',').filter(|id| *id != "-").collect();
        let boundary = if *boundary == "-" { "" } else { boundary };
        map.insert(
            (*id).to_owned(),
            json!({"id": id, "name": if *id == "wf" { "wf".to_owned() } else { format!("wf.{id}") }, "displayName": id,
                   "type": kind, "phase": phase, "boundaryID": boundary, "children": children, "message": "old", "templateName": "t"}),
        );
    }
    json!({
        "metadata": {"name": "wf", "labels": {"workflows.argoproj.io/completed": "true", "workflows.argoproj.io/workflow-archiving-status": "Pending", "workflows.argoproj.io/phase": phase}},
        "spec": {"shutdown": "Stop", "activeDeadlineSeconds": 0, "arguments": {"parameters": [{"name": "a", "value": "1"}, {"name": "message", "value": "x"}]}},
        "status": {"phase": phase, "message": "why", "finishedAt": "2026-01-01T00:00:00Z", "conditions": [{"type": "Completed", "status": "True"}, {"type": "PodRunning", "status": "False"}],
                   "storedWorkflowSpec": {"shutdown": "Stop", "arguments": {"parameters": [{"name": "message", "value": "x"}]}},
                   "nodes": map},
    })
}

fn run(workflow: &mut Value, options: &RetryOptions) -> Result<Vec<String>, OperationError> {
    let now = "2026-02-01T00:00:00Z".parse().unwrap();
    retry(workflow, options, &Actor::default(), now)
}

/// What is left as `id=phase`, and how many pods go.
fn left(phase: &str, nodes: &[&str], options: &RetryOptions) -> (String, usize) {
    let mut workflow = workflow(phase, nodes);
    let pods = run(&mut workflow, options).unwrap();
    let nodes = workflow["status"]["nodes"].as_object().unwrap();
    let mut left: Vec<_> = nodes
        .iter()
        .map(|(id, node)| format!("{id}={}", node["phase"].as_str().unwrap()))
        .collect();
    left.sort();
    for node in nodes.values() {
        for child in node["children"].as_array().unwrap() {
            assert!(
                nodes.contains_key(child.as_str().unwrap()),
                "{child} is gone"
            );
        }
    }
    (left.join(" "), pods.len())
}

#[test]
fn failed_and_chosen_nodes_go_and_what_is_above_them_runs_again() {
    let nested = [
        "wf DAG Failed - 1",
        "1 TaskGroup Succeeded wf 2,4",
        "2 TaskGroup Succeeded 1 3",
        "3 Pod Succeeded 2 -",
        "4 Pod Failed 1 -",
    ];
    let flat = [
        "wf DAG Failed - 1",
        "1 TaskGroup Succeeded wf 2,4",
        "2 Pod Succeeded 1 3",
        "3 Pod Succeeded 1 -",
        "4 Pod Failed 1 -",
    ];
    let done = [
        "wf DAG Succeeded - 1",
        "1 TaskGroup Succeeded wf 2,4",
        "2 TaskGroup Succeeded 1 3",
        "3 Pod Succeeded 2 -",
        "4 Pod Succeeded 1 -",
    ];
    let tolerated = [
        "wf DAG Failed - 1",
        "1 Pod Succeeded wf 2,4",
        "2 Pod Failed wf 3",
        "3 Pod Succeeded wf -",
        "4 Pod Failed wf 5",
        "5 Skipped Omitted wf -",
    ];
    let waits = [
        "wf DAG Succeeded - suspended,skipped",
        "suspended Pod Succeeded wf child",
        "child Skipped Skipped wf -",
        "skipped Skipped Skipped wf -",
    ];
    let steps = [
        "wf Steps Failed - g0",
        "g0 StepGroup Succeeded wf a",
        "a Pod Succeeded wf g1",
        "g1 StepGroup Failed wf b,c",
        "b Pod Failed wf -",
        "c Pod Succeeded wf -",
    ];
    let attempts = [
        "wf Steps Failed - g0",
        "g0 StepGroup Failed wf r",
        "r Retry Failed wf r0,r1",
        "r0 Pod Failed wf -",
        "r1 Pod Failed wf -",
    ];
    let containers = [
        "wf DAG Failed - p",
        "p Pod Failed wf c",
        "c Container Failed p -",
    ];
    let stopped = [
        "wf Steps Failed - g0",
        "g0 StepGroup Failed wf s",
        "s Suspend Failed wf -",
    ];
    for (name, phase, nodes, options, expected, pods) in [
        (
            "only a root",
            "Failed",
            &["wf DAG Failed - -"][..],
            options(false, ""),
            "wf=Running",
            0,
        ),
        (
            "a chosen leaf in a nested group",
            "Failed",
            &nested,
            options(true, "id=3"),
            "1=Running 2=Running wf=Running",
            2,
        ),
        (
            "no chosen leaf",
            "Failed",
            &flat,
            options(true, ""),
            "1=Running 2=Succeeded 3=Succeeded wf=Running",
            1,
        ),
        (
            "a succeeded workflow",
            "Succeeded",
            &done,
            options(true, "id=4"),
            "1=Running 2=Succeeded 3=Succeeded wf=Running",
            1,
        ),
        (
            "a failure that was tolerated stays",
            "Failed",
            &tolerated,
            options(false, ""),
            "1=Succeeded 2=Failed 3=Succeeded wf=Running",
            1,
        ),
        (
            "unless what followed is chosen",
            "Failed",
            &tolerated,
            options(true, "id=3"),
            "1=Succeeded wf=Running",
            3,
        ),
        (
            "skipped nodes stay skipped",
            "Succeeded",
            &waits,
            options(true, "id=suspended"),
            "skipped=Skipped wf=Running",
            1,
        ),
        (
            "earlier groups stay",
            "Failed",
            &steps,
            options(false, ""),
            "a=Succeeded c=Succeeded g0=Succeeded g1=Running wf=Running",
            1,
        ),
        (
            "attempts go and their node runs again",
            "Failed",
            &attempts,
            options(false, ""),
            "g0=Running r=Running wf=Running",
            2,
        ),
        (
            "a container takes its pod with it",
            "Failed",
            &containers,
            options(false, ""),
            "wf=Running",
            1,
        ),
        (
            "a step that waited and was stopped",
            "Failed",
            &stopped,
            options(false, ""),
            "g0=Running wf=Running",
            0,
        ),
    ] {
        let found = left(phase, nodes, &options);
        assert_eq!(found, (expected.to_owned(), pods), "{name}");
    }
}

#[test]
fn an_exit_handler_and_its_pods_go() {
    let mut workflow = workflow("Failed", &["wf Pod Succeeded - -"]);
    let id = node_id("wf", "wf.onExit");
    workflow["status"]["nodes"][&id] = json!({"id": id, "name": "wf.onExit", "type": "Pod", "phase": "Failed", "templateName": "bye"});
    let pods = run(&mut workflow, &options(false, "")).unwrap();
    assert_eq!(pods, [pod_name("wf", "wf.onExit", "bye")]);
    assert_eq!(workflow["status"]["nodes"].as_object().unwrap().len(), 1);
}

#[test]
fn an_attempt_counts_with_its_siblings() {
    let mut workflow = workflow(
        "Failed",
        &[
            "wf DAG Failed - r,x",
            "r Retry Succeeded wf r0,r1",
            "r0 Pod Failed wf -",
            "r1 Pod Succeeded wf -",
            "x Pod Failed wf -",
        ],
    );
    workflow["status"]["nodes"]["r0"]["nodeFlag"] = json!({"retried": true});
    run(&mut workflow, &options(false, "")).unwrap();
    let nodes = workflow["status"]["nodes"].as_object().unwrap();
    assert!(
        nodes.contains_key("r0") && !nodes.contains_key("x"),
        "{nodes:?}"
    );
}

#[test]
fn the_workflow_itself_runs_again() {
    let mut workflow = workflow("Failed", &["wf Pod Failed - -"]);
    let mut options = options(false, "");
    options.parameters = vec![Parameter {
        name: "message".into(),
        value: "modified".into(),
    }];
    let pods = run(&mut workflow, &options).unwrap();
    assert_eq!(pods, ["wf"]);
    assert_eq!(
        workflow,
        json!({
            "metadata": {"name": "wf", "labels": {"workflows.argoproj.io/phase": "Running", "workflows.argoproj.io/action": "Retry"}},
            "spec": {"arguments": {"parameters": [{"name": "message", "value": "modified"}, {"name": "a", "value": "1"}]}},
            "status": {"phase": "Running", "message": "", "startedAt": "2026-02-01T00:00:00Z", "finishedAt": null,
                       "conditions": [{"type": "PodRunning", "status": "False"}, {"type": "Completed", "status": "False"}],
                       "storedWorkflowSpec": {"arguments": {"parameters": [{"name": "message", "value": "modified"}]}},
                       "nodes": {}},
        })
    );
}

#[test]
fn parameters_make_loops_expand_again() {
    let mut workflow = workflow(
        "Failed",
        &[
            "wf DAG Failed - g",
            "g TaskGroup Failed wf a,b",
            "a Pod Succeeded wf -",
            "b Pod Failed wf -",
        ],
    );
    let mut options = options(false, "");
    options.parameters = vec![Parameter {
        name: "message".into(),
        value: "m".into(),
    }];
    assert_eq!(run(&mut workflow, &options).unwrap().len(), 2);
    assert_eq!(workflow["status"]["nodes"].as_object().unwrap().len(), 2);
}

#[test]
fn what_may_not_be_retried_says_why() {
    for (phase, options, part) in [
        (
            "Running",
            options(false, ""),
            "Cannot retry a workflow in phase Running",
        ),
        (
            "",
            options(false, ""),
            "Cannot retry a workflow in phase Pending",
        ),
        (
            "Succeeded",
            options(true, ""),
            "To retry a succeeded workflow",
        ),
        (
            "Succeeded",
            options(false, "id=x"),
            "To retry a succeeded workflow",
        ),
    ] {
        let error = run(&mut workflow(phase, &["wf Pod Succeeded - -"]), &options).unwrap_err();
        assert!(error.to_string().starts_with(part), "{error}");
    }
}

#[test]
fn links_that_go_in_a_circle_come_to_an_end() {
    let circle = [
        "wf DAG Failed a a",
        "a TaskGroup Failed b b",
        "b Pod Failed a a,wf",
    ];
    left("Failed", &circle, &options(false, ""));
}
