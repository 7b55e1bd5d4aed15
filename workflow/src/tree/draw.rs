//! The tree of nodes as a table: who is drawn under whom, and with which lines. Pure.

use std::cell::Cell;

use jiff::Timestamp;
use kube::ResourceExt as _;
use serde_json::Value;

use super::{Columns, Shown, one_unit, resources, time, waits};
use crate::names::pod_name;
use crate::resource::{Node, NodePhase, Workflow, WorkflowStatus};

/// The tree as a table.
pub(super) fn tree(
    workflow: &Workflow,
    status: &WorkflowStatus,
    now: Timestamp,
    shown: &Shown,
) -> String {
    let name = workflow.name_any();
    let format = workflow
        .annotations()
        .get("workflows.argoproj.io/pod-name-format");
    let picture = Picture {
        by_id: format.map(String::as_str) == Some("v1"),
        workflow: &name,
        status,
        now,
        shown,
        // Nodes may be linked in any way, and no tree has more rows than nodes.
        left: Cell::new(status.nodes.len() + 2),
    };
    let mut heads = vec!["STEP", "TEMPLATE", "PODNAME", "DURATION", "MESSAGE"];
    match shown.columns {
        Columns::Usual => {}
        Columns::Wide => heads
            .splice(4..4, ["ARTIFACTS", "RESOURCESDURATION", "NODENAME"])
            .for_each(drop),
        Columns::Short => heads.splice(4..4, ["NODENAME"]).for_each(drop),
    }
    let mut rows = vec![heads.into_iter().map(str::to_owned).collect::<Vec<_>>()];
    if let Some(root) = status.nodes.get(&name) {
        picture.node(root, " ", " ", &mut rows);
    }
    let handler = format!("{name}.onExit");
    if let Some(root) = status.nodes.values().find(|node| node.name == handler) {
        rows.push(vec![String::new()]);
        picture.node(root, " ", " ", &mut rows);
    }
    table(&rows)
}

fn table(rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        for (at, cell) in row.iter().enumerate() {
            let width = cell.chars().count();
            match widths.get_mut(at) {
                Some(known) => *known = (*known).max(width),
                None => widths.push(width),
            }
        }
    }
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let pad = width - cell.chars().count() + 2;
            line.push_str(cell);
            line.push_str(&" ".repeat(pad));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

struct Picture<'a> {
    workflow: &'a str,
    status: &'a WorkflowStatus,
    now: Timestamp,
    shown: &'a Shown,
    /// Whether pods are called as their nodes.
    by_id: bool,
    /// How many nodes may still be drawn.
    left: Cell<usize>,
}

impl<'a> Picture<'a> {
    /// A node and all below it.
    fn node(&self, node: &'a Node, prefix: &str, below: &str, rows: &mut Vec<Vec<String>>) {
        let Some(left) = self.left.get().checked_sub(1) else {
            return;
        };
        self.left.set(left);
        if self.is_asked_for(node) {
            self.row(node, prefix, rows);
        }
        match node.kind.as_str() {
            "Steps" => self.steps(node, below, rows),
            "DAG" => self.list(&self.tasks(node), below, rows),
            "Retry" => self.list(&self.attempts(node), below, rows),
            _ => {}
        }
    }

    /// Siblings one under the other.
    fn list(&self, nodes: &[&'a Node], prefix: &str, rows: &mut Vec<Vec<String>>) {
        let last = nodes.len().saturating_sub(1);
        for (index, node) in nodes.iter().enumerate() {
            let (mark, deeper) = if index == last {
                (self.line("└─"), "  ")
            } else {
                (self.line("├─"), self.line("│ "))
            };
            let (row, below) = (format!("{prefix}{mark}"), format!("{prefix}{deeper}"));
            self.node(self.stands_for(node), &row, &below, rows);
        }
    }

    /// The groups of a Steps node in order, each with its steps. The groups themselves are not drawn.
    fn steps(&self, node: &Node, prefix: &str, rows: &mut Vec<Vec<String>>) {
        let mut groups: Vec<_> = self
            .status
            .nodes
            .values()
            .filter(|group| group.kind == "StepGroup" && group.boundary_id == node.id)
            .collect();
        groups.sort_by_key(|group| {
            group
                .display_name
                .trim_matches(['[', ']'])
                .parse::<usize>()
                .unwrap_or(0)
        });
        let groups: Vec<_> = groups
            .into_iter()
            .map(|group| {
                self.drawn(
                    group
                        .children
                        .iter()
                        .filter_map(|id| self.status.nodes.get(id)),
                )
            })
            .filter(|steps| !steps.is_empty())
            .collect();
        let last_group = groups.len().saturating_sub(1);
        for (at, steps) in groups.iter().enumerate() {
            let (mark, gap) = if at == last_group {
                (self.line("└─"), "  ")
            } else {
                (self.line("├─"), self.line("│ "))
            };
            let last = steps.len().saturating_sub(1);
            for (index, step) in steps.iter().enumerate() {
                let own = match index {
                    0 if last == 0 => format!("{mark}{}", self.line("──")),
                    0 => format!("{mark}{}", self.line("┬─")),
                    index if index == last => format!("{gap}{}", self.line("└─")),
                    _ => format!("{gap}{}", self.line("├─")),
                };
                let deeper = if index == last {
                    "  "
                } else {
                    self.line("│ ")
                };
                let (row, below) = (format!("{prefix}{own}"), format!("{prefix}{gap}{deeper}"));
                self.node(self.stands_for(step), &row, &below, rows);
            }
        }
    }

    /// The tasks of a DAG: all in its boundary but for what is drawn elsewhere.
    fn tasks(&self, dag: &Node) -> Vec<&'a Node> {
        let all = self.status.nodes.values();
        let attempts: Vec<&str> = all
            .clone()
            .filter(|node| node.kind == "Retry" && node.boundary_id == dag.id)
            .flat_map(|retry| self.attempts(retry))
            .map(|attempt| attempt.id.as_str())
            .collect();
        let tasks = all.filter(|node| {
            node.boundary_id == dag.id && node.id != dag.id && !attempts.contains(&node.id.as_str())
        });
        self.drawn(tasks)
    }

    /// The attempts of a Retry node.
    fn attempts(&self, retry: &Node) -> Vec<&'a Node> {
        let begin = format!("{}(", retry.name);
        let children = retry
            .children
            .iter()
            .filter_map(|id| self.status.nodes.get(id));
        self.drawn(children.filter(|child| child.name.starts_with(&begin)))
    }

    /// A Retry node with one attempt is drawn as the attempt.
    fn stands_for(&self, node: &'a Node) -> &'a Node {
        if node.kind != "Retry" {
            return node;
        }
        match self.attempts(node).as_slice() {
            [only] => only,
            _ => node,
        }
    }

    /// Those that are drawn at all, in order.
    fn drawn(&self, nodes: impl Iterator<Item = &'a Node>) -> Vec<&'a Node> {
        let hidden = ["StepGroup", "TaskGroup", "Container"];
        let mut drawn: Vec<_> = nodes
            .filter(|node| {
                !hidden.contains(&node.kind.as_str()) && node.phase != NodePhase::Omitted
            })
            .collect();
        drawn.sort_by(|a, b| {
            let key = |node: &Node| {
                (
                    node.started_at.clone(),
                    index(&node.display_name),
                    node.display_name.clone(),
                )
            };
            key(a).cmp(&key(b))
        });
        drawn
    }

    fn is_asked_for(&self, node: &Node) -> bool {
        let status = self.shown.status.as_ref();
        let selector = self.shown.nodes.as_ref();
        status.is_none_or(|status| status.eq_ignore_ascii_case(node.phase.as_str()))
            && selector.is_none_or(|selector| {
                serde_json::to_value(node).is_ok_and(|node| selector.matches(&node))
            })
    }

    fn row(&self, node: &Node, prefix: &str, rows: &mut Vec<Vec<String>>) {
        let template = match &node.template_ref {
            Some(reference) => format!("{}/{}", reference.name, reference.template),
            None => node.template_name.clone(),
        };
        let (mut pod, mut duration) = (String::new(), String::new());
        if node.kind == "Pod" {
            pod = self.pod(node);
            if let Some(started) = time(node.started_at.as_ref()) {
                let ended = time(node.finished_at.as_ref()).unwrap_or(self.now);
                duration = one_unit(ended.as_second() - started.as_second());
            }
        }
        let mut row = vec![
            format!("{prefix}{} {}", self.icon(node), node.display_name),
            template,
            pod,
            duration,
        ];
        let text = |key: &str| {
            let found = node.other.get(key).and_then(Value::as_str);
            found.unwrap_or_default().to_owned()
        };
        match self.shown.columns {
            Columns::Usual => {}
            Columns::Wide => row.extend([
                artifacts(node),
                resources(node.other.get("resourcesDuration")).unwrap_or_default(),
                text("hostNodeName"),
            ]),
            Columns::Short => row.push(text("hostNodeName")),
        }
        // A message of several lines would break the table.
        row.push(node.message.replace('\n', " "));
        rows.push(row);
    }

    fn pod(&self, node: &Node) -> String {
        if self.by_id {
            return node.id.clone();
        }
        let reference = node.template_ref.as_ref();
        let template = reference.map_or(&node.template_name, |reference| &reference.template);
        pod_name(self.workflow, &node.name, template)
    }

    fn icon(&self, node: &Node) -> char {
        let (picture, letter) = match node.phase {
            _ if waits(node) => ('ǁ', 'U'),
            NodePhase::None | NodePhase::Pending => ('◷', 'P'),
            NodePhase::Running => ('●', 'R'),
            NodePhase::Succeeded => ('✔', 'S'),
            NodePhase::Skipped | NodePhase::Omitted => ('○', 'O'),
            NodePhase::Failed => ('✖', 'F'),
            NodePhase::Error => ('⚠', 'E'),
        };
        if self.shown.letters { letter } else { picture }
    }

    fn line<'l>(&self, drawn: &'l str) -> &'l str {
        if !self.shown.letters {
            return drawn;
        }
        match drawn {
            "├─" => "|-",
            "└─" => "`-",
            "──" => "--",
            "┬─" => "+-",
            _ => "| ",
        }
    }
}

/// The number in `name(3:value)`.
fn index(name: &str) -> Option<u64> {
    let (_, rest) = name.rsplit_once('(')?;
    rest.split([':', ')']).next()?.parse().ok()
}

fn artifacts(node: &Node) -> String {
    let outputs = node
        .outputs
        .as_ref()
        .and_then(|outputs| outputs.other.get("artifacts"));
    let names = outputs.and_then(Value::as_array).into_iter().flatten();
    let names: Vec<_> = names
        .filter_map(|artifact| artifact.get("name")?.as_str())
        .collect();
    names.join(",")
}
