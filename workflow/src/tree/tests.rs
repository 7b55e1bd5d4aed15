//! Trees of every kind of node as text.

use expect_test::{Expect, expect};
use serde_json::json;

use super::*;

fn workflow(mut object: Value) -> Workflow {
    object["apiVersion"] = "argoproj.io/v1alpha1".into();
    object["kind"] = "Workflow".into();
    if object.get("spec").is_none() {
        object["spec"] = json!({});
    }
    serde_json::from_value(object).unwrap()
}

fn check(nodes: Value, shown: &Shown, expected: &Expect) {
    let workflow = workflow(
        json!({"metadata": {"name": "wf"}, "status": {"phase": "Running", "nodes": nodes}}),
    );
    let now = "2026-01-01T00:01:00Z".parse().unwrap();
    let status = workflow.status.as_ref().unwrap();
    expected.assert_eq(&draw::tree(&workflow, status, now, shown));
}

fn pod(name: &str, boundary: &str, phase: &str) -> Value {
    json!({"id": name, "name": format!("wf.{name}"), "displayName": name, "type": "Pod", "templateName": "say",
           "boundaryID": boundary, "phase": phase, "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:02Z"})
}

#[test]
fn steps_are_drawn_as_argo_draws_them() {
    let nodes = json!({
        "wf": {"id": "wf", "name": "wf", "displayName": "wf", "type": "Steps", "templateName": "main", "phase": "Succeeded"},
        "wf-0": {"id": "wf-0", "name": "wf[0]", "displayName": "[0]", "type": "StepGroup", "boundaryID": "wf", "children": ["a"]},
        "wf-1": {"id": "wf-1", "name": "wf[1]", "displayName": "[1]", "type": "StepGroup", "boundaryID": "wf", "children": ["b", "c"]},
        "a": {"id": "a", "name": "wf[0].a", "displayName": "a", "type": "Pod", "templateName": "say", "phase": "Succeeded", "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:02Z"},
        "b": {"id": "b", "name": "wf[1].b", "displayName": "b", "type": "Pod", "templateName": "say", "phase": "Failed", "message": "main: Error (exit code 1)"},
        "c": {"id": "c", "name": "wf[1].c", "displayName": "c", "type": "Pod", "templateRef": {"name": "t", "template": "say"}, "phase": "Running"}
    });
    check(
        nodes.clone(),
        &Shown::default(),
        &expect![[r#"
            STEP      TEMPLATE  PODNAME            DURATION  MESSAGE
             ✔ wf     main
             ├───✔ a  say       wf-say-3986212215  2s
             └─┬─✖ b  say       wf-say-2760215211            main: Error (exit code 1)
               └─● c  t/say     wf-say-2743437592
        "#]],
    );
    let shown = Shown {
        letters: true,
        status: Some("failed".into()),
        ..Shown::default()
    };
    check(
        nodes,
        &shown,
        &expect![[r#"
            STEP      TEMPLATE  PODNAME            DURATION  MESSAGE
             `-+-F b  say       wf-say-2760215211            main: Error (exit code 1)
        "#]],
    );
}

#[test]
fn tasks_attempts_waits_and_exit_handlers_are_drawn() {
    let mut again = pod("r(0)", "wf", "Failed");
    again["nodeFlag"] = json!({"retried": true});
    let mut fine = pod("r(1)", "wf", "Succeeded");
    fine["hostNodeName"] = "machine".into();
    let mut only = pod("once(0)", "wf", "Succeeded");
    only["outputs"] = json!({"artifacts": [{"name": "log"}]});
    only["resourcesDuration"] = json!({"cpu": 1, "memory": 4});
    let nodes = json!({
        "wf": {"id": "wf", "name": "wf", "displayName": "wf", "type": "DAG", "templateName": "main", "phase": "Running", "startedAt": "2026-01-01T00:00:00Z"},
        "a": pod("a", "wf", "Succeeded"),
        "left": {"id": "left", "name": "wf.left", "displayName": "left", "type": "Skipped", "boundaryID": "wf", "phase": "Omitted"},
        "skip": {"id": "skip", "name": "wf.skip", "displayName": "skip", "type": "Skipped", "boundaryID": "wf", "phase": "Skipped", "message": "when 'false'\nfalse", "startedAt": "2026-01-01T00:00:01Z"},
        "group": {"id": "group", "name": "wf.group", "displayName": "group", "type": "TaskGroup", "boundaryID": "wf", "phase": "Running"},
        "i10": {"id": "i10", "name": "wf.group(10:x)", "displayName": "group(10:x)", "type": "Pod", "boundaryID": "wf", "phase": "Pending", "startedAt": "2026-01-01T00:00:02Z"},
        "i2": {"id": "i2", "name": "wf.group(2:x)", "displayName": "group(2:x)", "type": "Pod", "boundaryID": "wf", "phase": "Pending", "startedAt": "2026-01-01T00:00:02Z"},
        "gate": {"id": "gate", "name": "wf.gate", "displayName": "gate", "type": "Suspend", "boundaryID": "wf", "phase": "Running", "startedAt": "2026-01-01T00:00:03Z"},
        "r": {"id": "r", "name": "wf.r", "displayName": "r", "type": "Retry", "boundaryID": "wf", "phase": "Succeeded", "children": ["r(0)", "r(1)"], "startedAt": "2026-01-01T00:00:04Z"},
        "r(0)": again, "r(1)": fine,
        "once": {"id": "once", "name": "wf.once", "displayName": "once", "type": "Retry", "boundaryID": "wf", "phase": "Succeeded", "children": ["once(0)"], "startedAt": "2026-01-01T00:00:05Z"},
        "once(0)": only,
        "bye": {"id": "bye", "name": "wf.onExit", "displayName": "wf.onExit", "type": "Pod", "templateName": "bye", "phase": "Error", "message": "no"},
    });
    let shown = Shown {
        columns: Columns::Wide,
        ..Shown::default()
    };
    check(
        nodes,
        &shown,
        &expect![[r#"
            STEP              TEMPLATE  PODNAME            DURATION  ARTIFACTS  RESOURCESDURATION             NODENAME  MESSAGE
             ● wf             main
             ├─✔ a            say       wf-say-2962115457  2s
             ├─○ skip                                                                                                   when 'false' false
             ├─◷ group(2:x)             wf-1825297660      58s
             ├─◷ group(10:x)            wf-4235640191      58s
             ├─ǁ gate
             ├─✔ r
             │ ├─✖ r(0)       say       wf-say-2279666923  2s
             │ └─✔ r(1)       say       wf-say-2883808302  2s                                                 machine
             └─✔ once(0)      say       wf-say-3394316818  2s        log        1s*(1 cpu),4s*(100Mi memory)

             ⚠ wf.onExit      bye       wf-bye-403321795                                                                no
        "#]],
    );
}

#[test]
fn links_in_a_circle_come_to_an_end() {
    let nodes = json!({
        "wf": {"id": "wf", "name": "wf", "displayName": "wf", "type": "DAG", "boundaryID": "b"},
        "b": {"id": "b", "name": "wf.b", "displayName": "b", "type": "DAG", "boundaryID": "wf"},
    });
    let workflow = workflow(
        json!({"metadata": {"name": "wf"}, "status": {"phase": "Running", "nodes": nodes}}),
    );
    assert!(describe(&workflow, Timestamp::UNIX_EPOCH).lines().count() < 300);
}

#[test]
fn the_header_says_what_argo_says() {
    let workflow = workflow(json!({
        "metadata": {"name": "wf", "namespace": "ns", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"suspend": true, "arguments": {"parameters": [{"name": "message", "value": "hi"}]}},
        "status": {"phase": "Running", "startedAt": "2026-01-01T00:00:01Z", "estimatedDuration": 63, "progress": "0/1",
                   "resourcesDuration": {"cpu": 1, "memory": 4}, "outputs": {"parameters": [{"name": "out", "value": "x"}]},
                   "conditions": [{"type": "PodRunning", "status": "True"}]},
    }));
    let now = "2026-01-01T00:01:00Z".parse().unwrap();
    expect![[r#"
        Name:                wf
        Namespace:           ns
        ServiceAccount:      unset (will run with the default ServiceAccount)
        Status:              Running (Suspended)
        Conditions:          
         PodRunning          True
        Created:             Thu Jan 01 00:00:00 +0000 (1 minute ago)
        Started:             Thu Jan 01 00:00:01 +0000 (59 seconds ago)
        Duration:            59 seconds
        EstimatedDuration:   1 minute 3 seconds
        Progress:            0/1
        ResourcesDuration:   1s*(1 cpu),4s*(100Mi memory)
        Parameters:          
          message:           hi
        Output Parameters:   
          out:               x
    "#]]
    .assert_eq(&describe(&workflow, now));
}

#[test]
fn the_state_tells_held_and_ended_apart() {
    for (spec, status, said) in [
        (json!({}), json!({}), "Pending"),
        (
            json!({"suspend": true}),
            json!({"phase": "Running"}),
            "Running (Suspended)",
        ),
        (
            json!({}),
            json!({"phase": "Running", "nodes": {"a": {"type": "Suspend", "phase": "Running"}}}),
            "Running (Suspended)",
        ),
        (
            json!({"shutdown": "Stop"}),
            json!({"phase": "Failed"}),
            "Failed (Terminated)",
        ),
        (json!({}), json!({"phase": "Error"}), "Error"),
    ] {
        let workflow =
            workflow(json!({"metadata": {"name": "wf"}, "spec": spec, "status": status}));
        assert_eq!(state(&workflow), said);
    }
}

#[test]
fn durations_have_at_most_two_units() {
    assert_eq!(
        (two_units(63), two_units(0), one_unit(7200)),
        ("1 minute 3 seconds".into(), "0 seconds".into(), "2h".into())
    );
}
