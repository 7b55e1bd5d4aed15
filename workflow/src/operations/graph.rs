//! The nodes of a Workflow as a graph: what is below a node and what is above it. Pure, and safe with any links.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Map, Value};

/// Nodes and their links.
pub(super) struct Graph<'a> {
    nodes: BTreeMap<&'a str, &'a Value>,
    parents: BTreeMap<&'a str, &'a str>,
}

impl<'a> Graph<'a> {
    pub(super) fn new(nodes: &'a Map<String, Value>) -> Self {
        let nodes: BTreeMap<&str, &Value> =
            nodes.iter().map(|(id, node)| (id.as_str(), node)).collect();
        let mut parents = BTreeMap::new();
        // By sorted ids, so that the one parent that counts is the same each time.
        for (id, node) in &nodes {
            for child in links(node, "children") {
                parents.insert(child, *id);
            }
        }
        Self { nodes, parents }
    }

    /// A node by its id.
    pub(super) fn get(&self, id: &str) -> Option<&'a Value> {
        self.nodes.get(id).copied()
    }

    /// All nodes by their ids.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'a str, &'a Value)> {
        self.nodes.iter().map(|(id, node)| (*id, *node))
    }

    /// The node that a node hangs under.
    pub(super) fn parent(&self, id: &str) -> Option<&'a str> {
        self.parents.get(id).copied()
    }

    /// A node and all below it, breadth first.
    pub(super) fn reachable(&self, id: &str) -> Vec<&'a str> {
        let Some((id, _)) = self.nodes.get_key_value(id) else {
            return Vec::new();
        };
        let mut seen = BTreeSet::from([*id]);
        let mut order = Vec::new();
        let mut queue = VecDeque::from([*id]);
        while let Some(id) = queue.pop_front() {
            order.push(id);
            let Some(node) = self.nodes.get(id) else {
                continue;
            };
            for child in links(node, "children") {
                if self.nodes.contains_key(child) && seen.insert(child) {
                    queue.push_back(child);
                }
            }
        }
        order
    }

    /// All below a node, without itself.
    pub(super) fn below(&self, id: &str) -> Vec<&'a str> {
        let mut all = self.reachable(id);
        if !all.is_empty() {
            all.remove(0);
        }
        all
    }

    /// Whether something below a node has succeeded; those in `but` do not count.
    pub(super) fn succeeded_below(&self, id: &str, but: &BTreeSet<&str>) -> bool {
        let succeeded = |id: &&str| {
            !but.contains(id)
                && self
                    .get(id)
                    .is_some_and(|node| text(node, "phase") == "Succeeded")
        };
        self.below(id).iter().any(succeeded)
    }
}

/// A member that is text; empty where it is not.
pub(super) fn text<'a>(node: &'a Value, key: &str) -> &'a str {
    node.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn links<'a>(node: &'a Value, key: &str) -> Vec<&'a str> {
    let links = node.get(key).and_then(Value::as_array);
    links
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// The ids under `key` of a node.
pub(super) fn list<'a>(node: &'a Map<String, Value>, key: &str) -> Vec<&'a str> {
    let links = node.get(key).and_then(Value::as_array);
    links
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// The id that a node says it has, else the one that it is kept under.
pub(super) fn id_of<'a>(key: &'a str, node: &'a Map<String, Value>) -> &'a str {
    node.get("id").and_then(Value::as_str).unwrap_or(key)
}

/// Takes ids out of all links.
pub(super) fn unlink(nodes: &mut Map<String, Value>, gone: &BTreeSet<String>) {
    for node in nodes.values_mut() {
        for key in ["children", "outboundNodes"] {
            if let Some(links) = node.get_mut(key).and_then(Value::as_array_mut) {
                links.retain(|link| link.as_str().is_none_or(|id| !gone.contains(id)));
            }
        }
    }
}
