//! A Workflow as `argo get` prints it: header and tree (reference `workflow-engine.md`, section 4.1). Pure text.

use jiff::Timestamp;
use kube::ResourceExt as _;

use crate::names::pod_name;
use crate::resource::{Node, NodePhase, Workflow, WorkflowStatus};

/// The header block and the tree.
#[must_use]
pub fn describe(workflow: &Workflow, now: Timestamp) -> String {
    let mut out = String::new();
    let status = workflow.status.clone().unwrap_or_default();
    let mut line = |key: &str, value: &str| out.push_str(&format!("{key:<20} {value}\n"));
    line("Name:", &workflow.name_any());
    line("Namespace:", &workflow.namespace().unwrap_or_default());
    let account = workflow.spec.service_account_name.as_deref();
    line(
        "ServiceAccount:",
        account.unwrap_or("unset (will run with the default ServiceAccount)"),
    );
    line(
        "Status:",
        if status.phase == NodePhase::None {
            "Pending"
        } else {
            status.phase.as_str()
        },
    );
    if !status.message.is_empty() {
        line("Message:", &status.message);
    }
    if !status.conditions.is_empty() {
        line("Conditions:", "");
        for condition in &status.conditions {
            let value = if condition.message.is_empty() {
                &condition.status
            } else {
                &condition.message
            };
            line(&format!(" {}", condition.kind), value);
        }
    }
    if let Some(created) = workflow.creation_timestamp() {
        line("Created:", &when(created.0, now));
    }
    let started = time(status.started_at.as_ref());
    let finished = time(status.finished_at.as_ref());
    if let Some(started) = started {
        line("Started:", &when(started, now));
    }
    if let Some(finished) = finished {
        line("Finished:", &when(finished, now));
    }
    if let Some(started) = started {
        line(
            "Duration:",
            &two_units(finished.unwrap_or(now).as_second() - started.as_second()),
        );
    }
    if !status.progress.is_empty() {
        line("Progress:", &status.progress);
    }
    if !workflow.spec.arguments.parameters.is_empty() {
        line("Parameters:", "");
        for parameter in &workflow.spec.arguments.parameters {
            let value = parameter
                .value
                .as_ref()
                .map_or("", |value| value.0.as_str());
            let key = format!("{}:", parameter.name);
            out.push_str(&format!(
                "  {key:<18} {value}
"
            ));
        }
    }
    if !status.nodes.is_empty() {
        out.push('\n');
        out.push_str(&tree(&workflow.name_any(), &status, now));
    }
    out
}

/// The tree of nodes as a table.
#[must_use]
pub fn tree(workflow: &str, status: &WorkflowStatus, now: Timestamp) -> String {
    let mut rows = vec![["STEP", "TEMPLATE", "PODNAME", "DURATION", "MESSAGE"].map(str::to_owned)];
    if let Some(root) = status.nodes.get(workflow) {
        let view = View {
            workflow,
            status,
            now,
        };
        view.row(root, " ", &mut rows);
        view.below(root, " ", &mut rows);
    }
    let mut widths = [0; 5];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            let pad = width - cell.chars().count() + 2;
            line.push_str(cell);
            line.push_str(&" ".repeat(pad));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

struct View<'a> {
    workflow: &'a str,
    status: &'a WorkflowStatus,
    now: Timestamp,
}

impl View<'_> {
    fn row(&self, node: &Node, prefix: &str, rows: &mut Vec<[String; 5]>) {
        let icon = match node.phase {
            NodePhase::None | NodePhase::Pending => '◷',
            NodePhase::Running => '●',
            NodePhase::Succeeded => '✔',
            NodePhase::Skipped | NodePhase::Omitted => '○',
            NodePhase::Failed => '✖',
            NodePhase::Error => '⚠',
        };
        let template = match &node.template_ref {
            Some(reference) => format!("{}/{}", reference.name, reference.template),
            None => node.template_name.clone(),
        };
        let (mut pod, mut duration) = (String::new(), String::new());
        if node.kind == "Pod" {
            let name = node
                .template_ref
                .as_ref()
                .map_or(&node.template_name, |reference| &reference.template);
            pod = pod_name(self.workflow, &node.name, name);
            if let Some(started) = time(node.started_at.as_ref()) {
                let ended = time(node.finished_at.as_ref()).unwrap_or(self.now);
                duration = one_unit(ended.as_second() - started.as_second());
            }
        }
        rows.push([
            format!("{prefix}{icon} {}", node.display_name),
            template,
            pod,
            duration,
            node.message.clone(),
        ]);
    }

    /// The groups of a Steps node in order, each with its steps.
    fn below(&self, node: &Node, prefix: &str, rows: &mut Vec<[String; 5]>) {
        if node.kind != "Steps" {
            return;
        }
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
            .map(|group| self.steps(group))
            .filter(|steps| !steps.is_empty())
            .collect();
        let last_group = groups.len().saturating_sub(1);
        for (at, steps) in groups.iter().enumerate() {
            let (mark, gap) = if at == last_group {
                ("└─", "  ")
            } else {
                ("├─", "│ ")
            };
            let last_step = steps.len() - 1;
            for (index, step) in steps.iter().enumerate() {
                let own = match (index, last_step) {
                    (0, 0) => format!("{mark}──"),
                    (0, _) => format!("{mark}┬─"),
                    (index, last) if index == last => format!("{gap}└─"),
                    _ => format!("{gap}├─"),
                };
                self.row(step, &format!("{prefix}{own}"), rows);
                let deeper = if index == last_step { "  " } else { "│ " };
                self.below(step, &format!("{prefix}{gap}{deeper}"), rows);
            }
        }
    }

    fn steps(&self, group: &Node) -> Vec<&Node> {
        let mut steps: Vec<_> = group
            .children
            .iter()
            .filter_map(|id| self.status.nodes.get(id))
            .collect();
        steps.sort_by(|a, b| {
            (&a.started_at, &a.display_name).cmp(&(&b.started_at, &b.display_name))
        });
        steps
    }
}

fn time(text: Option<&String>) -> Option<Timestamp> {
    text?.parse().ok()
}

fn when(at: Timestamp, now: Timestamp) -> String {
    let text = at.strftime("%a %b %d %H:%M:%S +0000");
    let ago = now.as_second() - at.as_second();
    if ago <= 0 {
        format!("{text} (now)")
    } else {
        format!("{text} ({} ago)", one_unit_long(ago))
    }
}

const UNITS: [(i64, &str, &str); 4] = [
    (86_400, "d", "day"),
    (3_600, "h", "hour"),
    (60, "m", "minute"),
    (1, "s", "second"),
];

/// `2s`, `1m`, `3h`.
#[must_use]
pub fn one_unit(secs: i64) -> String {
    let secs = secs.max(0);
    let unit = UNITS.iter().find(|(size, ..)| secs >= *size);
    unit.map_or_else(
        || "0s".to_owned(),
        |(size, short, _)| format!("{}{short}", secs / size),
    )
}

fn long(count: i64, name: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {name}{plural}")
}

fn one_unit_long(secs: i64) -> String {
    let unit = UNITS.iter().find(|(size, ..)| secs >= *size);
    unit.map_or_else(
        || "0 seconds".to_owned(),
        |(size, _, name)| long(secs / size, name),
    )
}

/// `1 minute 3 seconds`.
fn two_units(secs: i64) -> String {
    let mut left = secs.max(0);
    let mut parts = Vec::new();
    for (size, _, name) in UNITS {
        if left >= size && parts.len() < 2 {
            parts.push(long(left / size, name));
            left %= size;
        }
    }
    if parts.is_empty() {
        "0 seconds".to_owned()
    } else {
        parts.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn the_tree_is_drawn_as_argo_draws_it() {
        let status: WorkflowStatus = serde_json::from_value(serde_json::json!({"nodes": {
            "wf": {"id": "wf", "name": "wf", "displayName": "wf", "type": "Steps", "templateName": "main", "phase": "Succeeded"},
            "wf-0": {"id": "wf-0", "name": "wf[0]", "displayName": "[0]", "type": "StepGroup", "boundaryID": "wf", "children": ["a"]},
            "wf-1": {"id": "wf-1", "name": "wf[1]", "displayName": "[1]", "type": "StepGroup", "boundaryID": "wf", "children": ["b", "c"]},
            "a": {"id": "a", "name": "wf[0].a", "displayName": "a", "type": "Pod", "templateName": "say", "phase": "Succeeded", "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:02Z"},
            "b": {"id": "b", "name": "wf[1].b", "displayName": "b", "type": "Pod", "templateName": "say", "phase": "Failed", "message": "main: Error (exit code 1)"},
            "c": {"id": "c", "name": "wf[1].c", "displayName": "c", "type": "Pod", "templateRef": {"name": "t", "template": "say"}, "phase": "Running"}
        }})).unwrap();
        let now = "2026-01-01T00:01:00Z".parse().unwrap();
        expect![[r#"
            STEP      TEMPLATE  PODNAME            DURATION  MESSAGE
             ✔ wf     main
             ├───✔ a  say       wf-say-3986212215  2s
             └─┬─✖ b  say       wf-say-2760215211            main: Error (exit code 1)
               └─● c  t/say     wf-say-2743437592
        "#]]
        .assert_eq(&tree("wf", &status, now));
    }

    #[test]
    fn durations_have_at_most_two_units() {
        assert_eq!(
            (two_units(63), two_units(0), one_unit(7200)),
            ("1 minute 3 seconds".into(), "0 seconds".into(), "2h".into())
        );
    }
}
