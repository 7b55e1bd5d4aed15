//! Retry: the same Workflow goes on from what went wrong. Pure: what pods are to be deleted is said and not done.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::change::top;
use super::graph::{Graph, text, unlink};
use super::labels::{Actor, PREFIX, annotation, edit};
use super::submit::whole;
use super::{NodeSelector, OperationError, Parameter};
use crate::names::{node_id, pod_name};

/// What a retry may change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RetryOptions {
    /// Whether steps that succeeded and match the selector run again.
    pub restart_successful: bool,
    /// Which steps those are.
    pub nodes: Option<NodeSelector>,
    /// Parameters that replace those of the Workflow.
    pub parameters: Vec<Parameter>,
}

/// Makes the Workflow go on, and gives the names of the pods that are to be deleted before.
pub(super) fn retry(
    workflow: &mut Value,
    options: &RetryOptions,
    actor: &Actor,
    now: Timestamp,
) -> Result<Vec<String>, OperationError> {
    let phase = workflow.pointer("/status/phase").and_then(Value::as_str);
    match phase.unwrap_or_default() {
        "Failed" | "Error" => {}
        "Succeeded" if options.restart_successful && options.nodes.is_some() => {}
        "Succeeded" => {
            return Err(OperationError::refused(
                "To retry a succeeded workflow, set the options restartSuccessful and nodeFieldSelector",
            ));
        }
        phase => {
            let phase = if phase.is_empty() { "Pending" } else { phase };
            return Err(OperationError::refused(format!(
                "Cannot retry a workflow in phase {phase}"
            )));
        }
    }
    let pods = nodes(workflow, options, now);
    head(workflow, options, now);
    super::change::act(workflow, actor, "Retry");
    Ok(pods)
}

fn head(workflow: &mut Value, options: &RetryOptions, now: Timestamp) {
    top(workflow, "metadata", |metadata| {
        edit(metadata, "labels", |labels| {
            labels.remove(&format!("{PREFIX}completed"));
            labels.remove(&format!("{PREFIX}workflow-archiving-status"));
            labels.insert(format!("{PREFIX}phase"), "Running".into());
        });
    });
    top(workflow, "status", |status| {
        status.insert("phase".to_owned(), "Running".into());
        status.insert("message".to_owned(), "".into());
        status.insert("startedAt".to_owned(), whole(now).into());
        status.insert("finishedAt".to_owned(), Value::Null);
        let conditions = status.entry("conditions").or_insert_with(|| json!([]));
        if let Value::Array(conditions) = conditions {
            conditions.retain(|condition| text(condition, "type") != "Completed");
            conditions.push(json!({"type": "Completed", "status": "False"}));
        }
        if status
            .get("persistentVolumeClaims")
            .is_some_and(|claims| !claims.is_null())
        {
            status.insert("persistentVolumeClaims".to_owned(), json!([]));
        }
        if let Some(Value::Object(stored)) = status.get_mut("storedWorkflowSpec") {
            stored.remove("shutdown");
            override_parameters(stored, &options.parameters);
        }
        if let Some(Value::Object(stored)) = status.get_mut("storedWorkflowTemplateSpec") {
            stored.remove("shutdown");
            override_parameters(stored, &options.parameters);
        }
    });
    top(workflow, "spec", |spec| {
        spec.remove("shutdown");
        if spec.get("activeDeadlineSeconds") == Some(&json!(0)) {
            spec.remove("activeDeadlineSeconds");
        }
        override_parameters(spec, &options.parameters);
    });
}

/// Given parameters first, then the others as they are.
fn override_parameters(spec: &mut Map<String, Value>, given: &[Parameter]) {
    if given.is_empty() {
        return;
    }
    edit(spec, "arguments", |arguments| {
        let old = match arguments.remove("parameters") {
            Some(Value::Array(old)) => old,
            _ => Vec::new(),
        };
        let others = old
            .into_iter()
            .filter(|old| !given.iter().any(|given| given.name == text(old, "name")));
        let parameters: Vec<Value> = given
            .iter()
            .map(|Parameter { name, value }| json!({"name": name, "value": value}))
            .chain(others)
            .collect();
        arguments.insert("parameters".to_owned(), parameters.into());
    });
}

/// Takes the failed and the chosen nodes away and makes what is above them run again.
fn nodes(workflow: &mut Value, options: &RetryOptions, now: Timestamp) -> Vec<String> {
    let name = workflow.pointer("/metadata/name").and_then(Value::as_str);
    let name = name.unwrap_or_default().to_owned();
    let by_id = annotation(workflow, &format!("{PREFIX}pod-name-format")) == Some("v1");
    let Some(nodes) = workflow.pointer("/status/nodes").and_then(Value::as_object) else {
        return Vec::new();
    };
    let graph = Graph::new(nodes);
    let mut plan = Plan::new(&graph);
    plan.make(&name, options);
    let Plan {
        gone: mut deleted,
        again: reset,
        ..
    } = plan;
    let handler = format!("{name}.onExit");
    let mut pods: BTreeSet<&str> = deleted.iter().copied().collect();
    pods.extend(graph.reachable(&node_id(&name, &handler)));
    for (id, node) in graph.iter() {
        if text(node, "name").starts_with(&handler) {
            deleted.insert(id);
        }
    }
    let pods = pods.into_iter().filter_map(|id| {
        let node = graph.get(id)?;
        (text(node, "type") == "Pod").then(|| pod(&name, id, node, by_id))
    });
    let pods: BTreeSet<String> = pods.collect();
    let deleted: BTreeSet<String> = deleted.into_iter().map(str::to_owned).collect();
    let reset: BTreeSet<String> = reset.into_iter().map(str::to_owned).collect();
    if let Some(nodes) = workflow
        .pointer_mut("/status/nodes")
        .and_then(Value::as_object_mut)
    {
        nodes.retain(|id, _| !deleted.contains(id));
        for id in &reset {
            if let Some(Value::Object(node)) = nodes.get_mut(id) {
                begin_again(node, now);
            }
        }
        unlink(nodes, &deleted);
    }
    pods.into_iter().collect()
}

/// The name of a leaf's pod.
fn pod(workflow: &str, id: &str, node: &Value, by_id: bool) -> String {
    if by_id {
        return id.to_owned();
    }
    let referred = node
        .pointer("/templateRef/template")
        .and_then(Value::as_str);
    pod_name(
        workflow,
        text(node, "name"),
        referred.unwrap_or_else(|| text(node, "templateName")),
    )
}

fn begin_again(node: &mut Map<String, Value>, now: Timestamp) {
    if node.get("phase").and_then(Value::as_str) != Some("Skipped") {
        node.insert("phase".to_owned(), "Running".into());
    }
    node.remove("message");
    node.insert("startedAt".to_owned(), whole(now).into());
    node.insert("finishedAt".to_owned(), Value::Null);
    if node.get("type").and_then(Value::as_str) != Some("Suspend") {
        return;
    }
    let outputs = node.get_mut("outputs");
    let parameters = outputs.and_then(|outputs| outputs.get_mut("parameters"));
    for parameter in parameters
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        *parameter = json!({"name": text(parameter, "name"), "valueFrom": {"supplied": {}}});
    }
}

struct Plan<'a> {
    graph: &'a Graph<'a>,
    gone: BTreeSet<&'a str>,
    again: BTreeSet<&'a str>,
}

impl<'a> Plan<'a> {
    const fn new(graph: &'a Graph<'a>) -> Self {
        Self {
            graph,
            gone: BTreeSet::new(),
            again: BTreeSet::new(),
        }
    }

    fn make(&mut self, workflow: &str, options: &RetryOptions) {
        let graph = self.graph;
        let root = graph
            .iter()
            .find(|(_, node)| text(node, "name") == workflow);
        let Some((root, _)) = root else { return };
        let mut chosen = BTreeSet::new();
        if let (true, Some(selector)) = (options.restart_successful, &options.nodes) {
            let matching = graph.iter().filter(|(_, node)| selector.matches(node));
            chosen.extend(matching.map(|(id, _)| id));
        }
        let failed = graph.iter().filter(|(id, node)| {
            let below = if node.pointer("/nodeFlag/retried") == Some(&Value::Bool(true)) {
                graph.parent(id).unwrap_or(id)
            } else {
                id
            };
            is_failed(node) && is_leaf(node) && !graph.succeeded_below(below, &chosen)
        });
        let mut seeds = chosen.clone();
        seeds.extend(failed.map(|(id, _)| id));
        for id in graph.reachable(root) {
            if seeds.contains(id) && !self.gone.contains(id) {
                self.delete(id);
                self.climb(id);
            }
        }
        if seeds.is_empty() {
            // What failed was no leaf, as an expression between steps: the groups themselves begin again.
            let groups = graph.iter().filter(|(_, node)| is_failed(node));
            self.again.extend(groups.map(|(id, _)| id));
        }
        if !options.parameters.is_empty() {
            // Loops are made of parameters, so they are made again.
            for id in self.again.clone() {
                let kind = graph.get(id).map(|node| text(node, "type"));
                if matches!(kind, Some("TaskGroup" | "StepGroup")) {
                    self.gone.extend(graph.below(id));
                }
            }
        }
        for id in &self.gone {
            self.again.remove(id);
        }
    }

    fn delete(&mut self, id: &'a str) {
        self.gone.extend(self.graph.reachable(id));
    }

    fn kind(&self, id: &str) -> &'a str {
        self.graph.get(id).map_or("", |node| text(node, "type"))
    }

    /// Resets what is above a node that is taken away.
    fn climb(&mut self, seed: &'a str) {
        if self.kind(seed) == "Container" {
            self.enclosing_pod(seed);
        }
        let mut seen = BTreeSet::from([seed]);
        let mut at = self.graph.parent(seed);
        while let Some(id) = at.filter(|id| seen.insert(id)) {
            match self.kind(id) {
                "DAG" | "TaskGroup" | "Steps" | "StepGroup" => {
                    self.again.insert(id);
                    self.boundaries(id);
                    return;
                }
                "Retry" if self.graph.get(id).is_some_and(is_failed) => {
                    self.again.insert(id);
                }
                "Container" => self.enclosing_pod(id),
                _ => {}
            }
            at = self.graph.parent(id);
        }
    }

    /// Resets the groups around a group, up to the root.
    fn boundaries(&mut self, group: &'a str) {
        let mut seen = BTreeSet::new();
        let mut at = group;
        while seen.insert(at) {
            let parent = self.graph.parent(at);
            if let Some(parent) = parent.filter(|parent| self.kind(parent) == "Retry") {
                self.again.insert(parent);
                at = parent;
            }
            let parent = self.graph.parent(at);
            let grouped = |parent: &&str| matches!(self.kind(parent), "StepGroup" | "TaskGroup");
            if let Some(parent) = parent.filter(grouped) {
                self.again.insert(parent);
            }
            let boundary = self
                .graph
                .get(at)
                .map_or("", |node| text(node, "boundaryID"));
            let Some((boundary, _)) = self.graph.iter().find(|(id, _)| *id == boundary) else {
                return;
            };
            self.again.insert(boundary);
            at = boundary;
        }
    }

    /// A container runs in a pod with others, and the pod runs again as a whole.
    fn enclosing_pod(&mut self, container: &'a str) {
        let mut seen = BTreeSet::from([container]);
        let mut at = self.graph.parent(container);
        while let Some(id) = at.filter(|id| seen.insert(id)) {
            if self.kind(id) == "Pod" {
                self.delete(id);
                return;
            }
            at = self.graph.parent(id);
        }
    }
}

fn is_failed(node: &Value) -> bool {
    matches!(text(node, "phase"), "Failed" | "Error")
}

/// Whether a node does work of its own: also a step that waited and was stopped, and one that could not begin.
fn is_leaf(node: &Value) -> bool {
    matches!(
        text(node, "type"),
        "Container" | "Pod" | "HTTP" | "Plugin" | "Suspend" | "Skipped"
    )
}

#[cfg(test)]
mod tests;
