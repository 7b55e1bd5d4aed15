//! A new Workflow like one that has been, with or without what went well. Pure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::draft::Draft;
use super::graph::{Graph, id_of, list, text};
use super::labels::{Actor, PREFIX, edit};
use super::submit::whole;
use super::{OperationError, Parameter};
use crate::names::node_id;

/// What a resubmission may change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResubmitOptions {
    /// Whether the steps that went well are kept.
    pub memoized: bool,
    /// Parameters that replace those of the old Workflow.
    pub parameters: Vec<Parameter>,
}

/// Labels of the old Workflow that say nothing of the new one.
const LEFT_BEHIND: [&str; 6] = [
    "creator",
    "creator-email",
    "creator-preferred-username",
    "phase",
    "completed",
    "workflow-archiving-status",
];

/// The new Workflow. `json` is the old one, `expanded` the same with its nodes in their plain place,
/// and `name` names the new one by what its name begins with.
pub(super) fn resubmitted(
    json: &[u8],
    expanded: &Value,
    options: &ResubmitOptions,
    name: impl FnOnce(&str) -> String,
    actor: &Actor,
    now: Timestamp,
) -> Result<Draft, OperationError> {
    let phase = expanded.pointer("/status/phase").and_then(Value::as_str);
    if options.memoized && !matches!(phase, Some("Failed" | "Error")) {
        return Err(OperationError::refused(
            "workflow must be Failed/Error to resubmit in memoized mode",
        ));
    }
    let mut old = Draft::parse(json)?;
    let old_name = old.name().to_owned();
    let prefix = match old.generate_name() {
        "" => format!("{old_name}-"),
        prefix => prefix.to_owned(),
    };
    let namespace = old.namespace().to_owned();
    let kept: Vec<(String, Value)> = ["labels", "annotations", "ownerReferences"]
        .into_iter()
        .filter_map(|key| Some((key.to_owned(), old.metadata().get(key)?.clone())))
        .collect();
    let mut spec = old.into_spec();
    spec.remove("shutdown");
    let no_deadline = spec
        .get("activeDeadlineSeconds")
        .is_some_and(|raw| raw.get().trim() == "0");
    if no_deadline {
        spec.remove("activeDeadlineSeconds");
    }
    let mut draft = Draft::workflow(spec);
    draft.metadata().extend(kept);
    edit(draft.metadata(), "labels", |labels| {
        for label in LEFT_BEHIND {
            labels.remove(&format!("{PREFIX}{label}"));
        }
    });
    draft.set_metadata("namespace", &namespace);
    draft.set_metadata("generateName", &prefix);
    draft.override_parameters(&options.parameters)?;
    draft.sign(actor, None);
    draft.label(&format!("{PREFIX}resubmitted-from-workflow"), &old_name);
    let name = name(&prefix);
    draft.set_metadata("name", &name);
    if options.memoized {
        draft.set_top("status", &memoized(expanded, &old_name, &name, now));
    }
    Ok(draft)
}

/// The status of a Workflow whose steps that went well need not run again.
fn memoized(old: &Value, old_name: &str, new_name: &str, now: Timestamp) -> Value {
    let nodes = old.pointer("/status/nodes").and_then(Value::as_object);
    let empty = Map::new();
    let nodes = nodes.unwrap_or(&empty);
    let graph = Graph::new(nodes);
    let handler = format!("{old_name}.onExit");
    let renamed = |name: &str| match name.strip_prefix(old_name) {
        Some(rest) => format!("{new_name}{rest}"),
        None => name.to_owned(),
    };
    let mut ids: BTreeMap<&str, String> = BTreeMap::new();
    for (id, node) in nodes {
        let name = text(node, "name");
        if !name.starts_with(&handler) {
            ids.insert(id, node_id(new_name, &renamed(name)));
        }
    }
    let mut new_nodes = Map::new();
    let mut dropped = BTreeSet::new();
    for (id, node) in nodes {
        let (Some(new_id), Some(node)) = (ids.get(id.as_str()), node.as_object()) else {
            continue;
        };
        let mut node = node.clone();
        let is = |key: &str, value: &str| node.get(key).and_then(Value::as_str) == Some(value);
        let failed = is("phase", "Failed") || is("phase", "Error");
        let pod = is("type", "Pod");
        let skipped = is("type", "Skipped");
        let name = renamed(node.get("name").and_then(Value::as_str).unwrap_or_default());
        if failed && pod {
            node.insert("startedAt".to_owned(), Value::Null);
            node.insert("finishedAt".to_owned(), Value::Null);
        } else {
            node.insert("startedAt".to_owned(), json!(whole(now)));
            node.insert("finishedAt".to_owned(), json!(whole(now)));
        }
        if pod && !failed {
            node.insert("phase".to_owned(), "Skipped".into());
            node.insert("type".to_owned(), "Skipped".into());
            let message = format!("original pod: {}", id_of(id, &node));
            node.insert("message".to_owned(), message.into());
        } else if skipped && !graph.succeeded_below(id, &BTreeSet::new()) {
            dropped.insert(new_id.clone());
            continue;
        } else {
            node.insert("phase".to_owned(), "Pending".into());
            node.insert("message".to_owned(), "".into());
        }
        let new = |old: &str| ids.get(old).cloned();
        let boundary = node.get("boundaryID").and_then(Value::as_str).and_then(new);
        if let Some(boundary) = boundary {
            node.insert("boundaryID".to_owned(), boundary.into());
        }
        for key in ["children", "outboundNodes"] {
            if node.contains_key(key) {
                let known = list(&node, key)
                    .into_iter()
                    .filter_map(new)
                    .collect::<Vec<_>>();
                node.insert(key.to_owned(), known.into());
            }
        }
        if is_own(&node, "displayName", old_name) {
            node.insert("displayName".to_owned(), new_name.into());
        }
        node.insert("id".to_owned(), new_id.clone().into());
        node.insert("name".to_owned(), name.into());
        new_nodes.insert(new_id.clone(), Value::Object(node));
    }
    super::graph::unlink(&mut new_nodes, &dropped);
    let mut status = Map::new();
    let blank = json!({
        "phase": "",
        "startedAt": null,
        "finishedAt": null,
        "conditions": [{"type": "Completed", "status": "False"}],
        "nodes": new_nodes,
    });
    if let Value::Object(blank) = blank {
        status.extend(blank);
    }
    let stored = old.pointer("/status/storedTemplates");
    if let Some(stored) = stored.filter(|stored| !stored.is_null()) {
        status.insert("storedTemplates".to_owned(), stored.clone());
    }
    Value::Object(status)
}

fn is_own(node: &Map<String, Value>, key: &str, value: &str) -> bool {
    node.get(key).and_then(Value::as_str) == Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn old(phase: &str) -> Value {
        json!({
            "metadata": {
                "name": "wf-abcde", "namespace": "ns", "generateName": "wf-", "uid": "u", "resourceVersion": "5",
                "labels": {
                    "workflows.argoproj.io/controller-instanceid": "i",
                    "workflows.argoproj.io/workflow-template": "t",
                    "workflows.argoproj.io/creator": "x",
                    "workflows.argoproj.io/phase": phase,
                    "workflows.argoproj.io/completed": "true",
                    "workflows.argoproj.io/workflow-archiving-status": "Pending",
                },
                "annotations": {"a": "b"},
                "ownerReferences": [{"name": "o"}],
            },
            "spec": {"entrypoint": "main", "suspend": true, "shutdown": "Stop", "activeDeadlineSeconds": 0,
                     "arguments": {"parameters": [{"name": "a", "value": "1"}]}},
            "status": {"phase": phase, "storedTemplates": {"x": {}}, "nodes": {
                "wf-abcde": {"id": "wf-abcde", "name": "wf-abcde", "displayName": "wf-abcde", "type": "Steps", "phase": phase,
                             "children": ["wf-abcde-108230077"], "outboundNodes": ["ok"]},
                "ok": {"id": "ok", "name": "wf-abcde[0].ok", "displayName": "ok", "type": "Pod", "phase": "Succeeded", "boundaryID": "wf-abcde"},
                "bad": {"id": "bad", "name": "wf-abcde[0].bad", "displayName": "bad", "type": "Pod", "phase": "Failed", "boundaryID": "wf-abcde", "message": "no"},
                "left": {"id": "left", "name": "wf-abcde[1].left", "displayName": "left", "type": "Skipped", "phase": "Omitted", "boundaryID": "wf-abcde"},
                "exit": {"id": "exit", "name": "wf-abcde.onExit", "displayName": "exit", "type": "Pod", "phase": "Succeeded"},
            }},
        })
    }

    fn made(old: &Value, options: &ResubmitOptions) -> Result<Value, OperationError> {
        let name = |prefix: &str| format!("{prefix}new");
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let json = old.to_string();
        let draft = resubmitted(json.as_bytes(), old, options, name, &Actor::default(), now)?;
        Ok(serde_json::from_slice(&draft.to_json().unwrap()).unwrap())
    }

    #[test]
    fn the_new_one_has_the_spec_and_knows_where_it_is_from() {
        let options = ResubmitOptions {
            parameters: vec![Parameter {
                name: "a".into(),
                value: "81861780812".into(),
            }],
            ..ResubmitOptions::default()
        };
        let new = made(&old("Succeeded"), &options).unwrap();
        assert_eq!(
            new,
            json!({
                "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow",
                "metadata": {
                    "name": "wf-new", "generateName": "wf-", "namespace": "ns",
                    "labels": {
                        "workflows.argoproj.io/controller-instanceid": "i",
                        "workflows.argoproj.io/workflow-template": "t",
                        "workflows.argoproj.io/resubmitted-from-workflow": "wf-abcde",
                    },
                    "annotations": {"a": "b"},
                    "ownerReferences": [{"name": "o"}],
                },
                "spec": {"entrypoint": "main", "suspend": true,
                         "arguments": {"parameters": [{"name": "a", "value": "81861780812"}]}},
            })
        );
    }

    #[test]
    fn memoized_keeps_what_went_well_under_new_ids() {
        let options = ResubmitOptions {
            memoized: true,
            ..ResubmitOptions::default()
        };
        assert!(
            made(&old("Succeeded"), &options)
                .unwrap_err()
                .to_string()
                .contains("must be Failed/Error")
        );
        let new = made(&old("Failed"), &options).unwrap();
        let nodes = new["status"]["nodes"].as_object().unwrap();
        assert_eq!(nodes.len(), 3, "{nodes:?}");
        let id = |name: &str| node_id("wf-new", name);
        let ok = &nodes[&id("wf-new[0].ok")];
        assert_eq!(
            (&ok["phase"], &ok["type"], &ok["message"]),
            (
                &json!("Skipped"),
                &json!("Skipped"),
                &json!("original pod: ok")
            )
        );
        assert_eq!(ok["boundaryID"], "wf-new");
        let bad = &nodes[&id("wf-new[0].bad")];
        assert_eq!(
            (&bad["phase"], &bad["message"], &bad["startedAt"]),
            (&json!("Pending"), &json!(""), &Value::Null)
        );
        let root = &nodes["wf-new"];
        assert_eq!(
            (&root["phase"], &root["displayName"]),
            (&json!("Pending"), &json!("wf-new"))
        );
        assert_eq!(root["outboundNodes"], json!([id("wf-new[0].ok")]));
        assert_eq!(new["status"]["phase"], "");
        assert_eq!(new["status"]["storedTemplates"], json!({"x": {}}));
    }
}
