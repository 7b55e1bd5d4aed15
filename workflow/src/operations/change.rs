//! Suspend, resume, stop and terminate as changes of a Workflow's object. Pure.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::labels::{Actor, PREFIX, edit, label};
use super::submit::whole;
use super::{NodeSelector, OperationError};

/// How a Workflow that goes on is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// Exit handlers still run.
    Stop,
    /// Nothing runs any more.
    Terminate,
}

impl Shutdown {
    /// The word in `spec.shutdown` and of the action.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "Stop",
            Self::Terminate => "Terminate",
        }
    }
}

/// A change that was made to an object, or none because there was nothing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Done {
    Changed,
    Nothing,
}

/// Holds the Workflow: what runs goes on, and nothing new begins.
pub(super) fn suspend(workflow: &mut Value, actor: &Actor) -> Result<Done, OperationError> {
    if label(workflow, &format!("{PREFIX}completed")) == Some("true") {
        return Err(OperationError::refused(
            "cannot suspend completed workflows",
        ));
    }
    if workflow.pointer("/spec/suspend") == Some(&Value::Bool(true)) {
        return Ok(Done::Nothing);
    }
    top(workflow, "spec", |spec| {
        spec.insert("suspend".to_owned(), Value::Bool(true));
    });
    act(workflow, actor, "Suspend");
    Ok(Done::Changed)
}

/// Lets the Workflow go on; with a selector only the steps that wait and match.
pub(super) fn resume(
    workflow: &mut Value,
    nodes: Option<&NodeSelector>,
    actor: &Actor,
    now: Timestamp,
) -> Result<Done, OperationError> {
    let told = format!("Resumed by: {}", actor.details());
    let finish = |node: &mut Map<String, Value>| -> Result<(), OperationError> {
        supply_defaults(node)?;
        let before = node
            .get("message")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let message = if before.is_empty() {
            told.clone()
        } else {
            format!("{before}; {told}")
        };
        end(node, "Succeeded", &message, now);
        Ok(())
    };
    let mut changed = waiting(workflow, nodes, finish)?;
    if nodes.is_none() && workflow.pointer("/spec/suspend") == Some(&Value::Bool(true)) {
        top(workflow, "spec", |spec| {
            spec.remove("suspend");
        });
        changed = Done::Changed;
    }
    if changed == Done::Changed {
        act(workflow, actor, "Resume");
    }
    Ok(changed)
}

/// Ends the Workflow; with a selector only the steps that wait and match.
pub(super) fn shut_down(
    workflow: &mut Value,
    how: Shutdown,
    nodes: Option<&NodeSelector>,
    message: &str,
    actor: &Actor,
    now: Timestamp,
) -> Result<Done, OperationError> {
    if let Some(nodes) = nodes {
        waiting(workflow, Some(nodes), |node| {
            end(node, "Failed", message, now);
            Ok(())
        })?;
        act(workflow, actor, how.as_str());
        return Ok(Done::Changed);
    }
    let phase = workflow.pointer("/status/phase").and_then(Value::as_str);
    if matches!(phase, Some("Succeeded" | "Failed" | "Error")) {
        let text = |key| {
            let found = workflow.pointer(key).and_then(Value::as_str);
            found.unwrap_or_default().to_owned()
        };
        return Err(OperationError::refused(format!(
            "cannot shutdown a completed workflow: workflow: {:?}, namespace: {:?}",
            text("/metadata/name"),
            text("/metadata/namespace")
        )));
    }
    let before = workflow.pointer("/spec/shutdown").and_then(Value::as_str);
    if before == Some(how.as_str()) {
        return Ok(Done::Nothing);
    }
    top(workflow, "spec", |spec| {
        spec.insert("shutdown".to_owned(), how.as_str().into());
    });
    act(workflow, actor, how.as_str());
    Ok(Done::Changed)
}

/// Changes each step that waits to be resumed and matches. With a selector, none is an error.
fn waiting(
    workflow: &mut Value,
    selector: Option<&NodeSelector>,
    mut change: impl FnMut(&mut Map<String, Value>) -> Result<(), OperationError>,
) -> Result<Done, OperationError> {
    let mut done = Done::Nothing;
    if let Some(nodes) = workflow
        .pointer_mut("/status/nodes")
        .and_then(Value::as_object_mut)
    {
        for node in nodes.values_mut() {
            let is = |key: &str, value: &str| node.get(key).and_then(Value::as_str) == Some(value);
            let waits = is("type", "Suspend") && is("phase", "Running");
            if !waits || selector.is_some_and(|selector| !selector.matches(node)) {
                continue;
            }
            if let Value::Object(node) = node {
                change(node)?;
                done = Done::Changed;
            }
        }
    }
    match selector {
        Some(selector) if done == Done::Nothing => Err(OperationError::refused(format!(
            "currently, set only targets suspend nodes: no suspend nodes matching nodeFieldSelector: {}",
            selector.text()
        ))),
        _ => Ok(done),
    }
}

/// Gives each output that nobody supplied its default.
fn supply_defaults(node: &mut Map<String, Value>) -> Result<(), OperationError> {
    let parameters = node
        .get_mut("outputs")
        .and_then(|outputs| outputs.get_mut("parameters"))
        .and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        let Some(from) = parameter.get("valueFrom") else {
            continue;
        };
        if from.get("supplied").is_none_or(Value::is_null)
            || parameter.get("value").is_some_and(|value| !value.is_null())
        {
            continue;
        }
        let Some(default) = from
            .get("default")
            .filter(|value| !value.is_null())
            .cloned()
        else {
            let name = parameter.get("name").and_then(Value::as_str);
            return Err(OperationError::refused(format!(
                "raw output parameter '{}' has not been set and does not have a default value",
                name.unwrap_or_default()
            )));
        };
        if let Value::Object(parameter) = parameter {
            parameter.insert("value".to_owned(), default);
            parameter.remove("valueFrom");
        }
    }
    Ok(())
}

fn end(node: &mut Map<String, Value>, phase: &str, message: &str, now: Timestamp) {
    node.insert("phase".to_owned(), phase.into());
    node.insert("message".to_owned(), message.into());
    node.insert("finishedAt".to_owned(), json!(whole(now)));
}

/// Says in the labels who did what.
pub(super) fn act(workflow: &mut Value, actor: &Actor, action: &str) {
    top(workflow, "metadata", |metadata| {
        edit(metadata, "labels", |labels| actor.acts(labels, action));
    });
}

pub(super) fn top(workflow: &mut Value, key: &str, change: impl FnOnce(&mut Map<String, Value>)) {
    if let Value::Object(workflow) = workflow {
        edit(workflow, key, change);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    fn actor() -> Actor {
        Actor {
            subject: "system:serviceaccount:a:b".into(),
        }
    }

    fn waits() -> Value {
        json!({
            "metadata": {"name": "wf", "namespace": "ns"},
            "spec": {"suspend": true},
            "status": {"phase": "Running", "nodes": {
                "a": {"displayName": "a", "type": "Suspend", "phase": "Running", "message": "old",
                      "outputs": {"parameters": [{"name": "x", "valueFrom": {"supplied": {}, "default": "d"}}]}},
                "b": {"displayName": "b", "type": "Suspend", "phase": "Running"},
                "c": {"displayName": "c", "type": "Pod", "phase": "Running"},
            }},
        })
    }

    #[test]
    fn suspend_holds_once_and_never_what_has_ended() {
        let mut workflow = json!({"metadata": {"name": "wf"}, "spec": {}});
        assert_eq!(suspend(&mut workflow, &actor()).unwrap(), Done::Changed);
        assert_eq!(workflow["spec"]["suspend"], true);
        let labels = &workflow["metadata"]["labels"];
        assert_eq!(
            labels["workflows.argoproj.io/actor"],
            "system-serviceaccount-a-b"
        );
        assert_eq!(labels["workflows.argoproj.io/action"], "Suspend");
        assert_eq!(suspend(&mut workflow, &actor()).unwrap(), Done::Nothing);
        workflow["metadata"]["labels"]["workflows.argoproj.io/completed"] = "true".into();
        let error = suspend(&mut workflow, &actor()).unwrap_err();
        assert_eq!(error.to_string(), "cannot suspend completed workflows");
    }

    #[test]
    fn resume_ends_the_steps_that_wait() {
        let mut workflow = waits();
        assert_eq!(
            resume(&mut workflow, None, &actor(), now()).unwrap(),
            Done::Changed
        );
        assert_eq!(workflow["spec"], json!({}));
        let nodes = &workflow["status"]["nodes"];
        assert_eq!(
            nodes["a"]["message"],
            "old; Resumed by: map[User:system:serviceaccount:a:b]"
        );
        assert_eq!(
            nodes["a"]["outputs"]["parameters"],
            json!([{"name": "x", "value": "d"}])
        );
        assert_eq!(
            (&nodes["b"]["phase"], &nodes["b"]["finishedAt"]),
            (&json!("Succeeded"), &json!("2026-01-01T00:00:00Z"))
        );
        assert_eq!(nodes["c"]["phase"], "Running");
        assert_eq!(
            resume(&mut workflow, None, &actor(), now()).unwrap(),
            Done::Nothing
        );
    }

    #[test]
    fn a_selector_chooses_the_steps_and_must_match_one() {
        let mut workflow = waits();
        let selector = NodeSelector::parse("displayName=b").unwrap();
        resume(&mut workflow, selector.as_ref(), &actor(), now()).unwrap();
        assert_eq!(workflow["spec"]["suspend"], true);
        assert_eq!(workflow["status"]["nodes"]["a"]["phase"], "Running");
        let error = resume(&mut workflow, selector.as_ref(), &actor(), now()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "currently, set only targets suspend nodes: no suspend nodes matching nodeFieldSelector: displayName=b"
        );
        let selector = NodeSelector::parse("displayName=a").unwrap();
        shut_down(
            &mut workflow,
            Shutdown::Stop,
            selector.as_ref(),
            "no",
            &actor(),
            now(),
        )
        .unwrap();
        let node = &workflow["status"]["nodes"]["a"];
        assert_eq!(
            (&node["phase"], &node["message"]),
            (&json!("Failed"), &json!("no"))
        );
        assert!(workflow["spec"].get("shutdown").is_none());
    }

    #[test]
    fn an_output_without_value_and_default_keeps_the_step_waiting() {
        let mut workflow = waits();
        workflow["status"]["nodes"]["a"]["outputs"]["parameters"][0]["valueFrom"] =
            json!({"supplied": {}});
        let error = resume(&mut workflow, None, &actor(), now()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "raw output parameter 'x' has not been set and does not have a default value"
        );
    }

    #[test]
    fn stop_and_terminate_are_for_what_goes_on() {
        let mut workflow = waits();
        for (how, done) in [
            (Shutdown::Stop, Done::Changed),
            (Shutdown::Stop, Done::Nothing),
            (Shutdown::Terminate, Done::Changed),
        ] {
            assert_eq!(
                shut_down(&mut workflow, how, None, "", &actor(), now()).unwrap(),
                done
            );
            assert_eq!(workflow["spec"]["shutdown"], how.as_str());
        }
        let mut ended =
            json!({"metadata": {"name": "succeeded-wf"}, "status": {"phase": "Succeeded"}});
        let error = shut_down(&mut ended, Shutdown::Stop, None, "", &actor(), now()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot shutdown a completed workflow: workflow: \"succeeded-wf\", namespace: \"\""
        );
    }
}
