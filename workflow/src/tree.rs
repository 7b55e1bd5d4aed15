//! A Workflow as `argo get` prints it: header and tree (reference `workflow-engine.md`, section 4.1). Pure text.

mod draw;

use jiff::Timestamp;
use kube::ResourceExt as _;
use serde_json::Value;

use crate::operations::NodeSelector;
use crate::resource::{Node, NodePhase, Workflow};

/// What of a tree is shown, and how.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    /// The columns.
    pub columns: Columns,
    /// Only steps of this status.
    pub status: Option<String>,
    /// Only steps with these fields.
    pub nodes: Option<NodeSelector>,
    /// With letters instead of pictures.
    pub letters: bool,
}

/// Which columns a tree has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Columns {
    /// Step, template, pod, duration and message.
    #[default]
    Usual,
    /// Artifacts, resources and machine too.
    Wide,
    /// The machine too, and nothing above the tree.
    Short,
}

/// The status of a Workflow as people are told it.
#[must_use]
pub fn state(workflow: &Workflow) -> String {
    let status = workflow.status.as_ref();
    let phase = status.map_or(NodePhase::None, |status| status.phase);
    let waits = status.is_some_and(|status| status.nodes.values().any(waits));
    let suspended = workflow.spec.suspend == Some(true) || waits;
    let shutdown = workflow.spec.shutdown.as_ref();
    match phase {
        NodePhase::None => "Pending".to_owned(),
        NodePhase::Running if suspended => "Running (Suspended)".to_owned(),
        NodePhase::Failed if shutdown.is_some_and(|how| !how.is_empty()) => {
            "Failed (Terminated)".to_owned()
        }
        phase => phase.as_str().to_owned(),
    }
}

/// Whether a node waits to be resumed.
fn waits(node: &Node) -> bool {
    node.kind == "Suspend" && node.phase == NodePhase::Running
}

/// The header block and the tree.
#[must_use]
pub fn describe(workflow: &Workflow, now: Timestamp) -> String {
    picture(workflow, now, &Shown::default())
}

/// The header block and the tree, as asked for.
#[must_use]
pub fn picture(workflow: &Workflow, now: Timestamp, shown: &Shown) -> String {
    let mut out = if shown.columns == Columns::Short {
        String::new()
    } else {
        header(workflow, now)
    };
    let status = workflow.status.as_ref();
    if let Some(status) = status.filter(|status| !status.nodes.is_empty()) {
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(&draw::tree(workflow, status, now, shown));
    }
    out
}

fn header(workflow: &Workflow, now: Timestamp) -> String {
    let mut out = String::new();
    let status = workflow.status.clone().unwrap_or_default();
    let mut line = |key: &str, value: &str| out.push_str(&format!("{key:<20} {value}\n"));
    line("Name:", &workflow.name_any());
    line("Namespace:", &workflow.namespace().unwrap_or_default());
    let account = workflow.spec.service_account_name.as_deref();
    let unset = if workflow.spec.workflow_template_ref.is_some() {
        "unset"
    } else {
        "unset (will run with the default ServiceAccount)"
    };
    line("ServiceAccount:", account.unwrap_or(unset));
    line("Status:", &state(workflow));
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
    if let (Some(secs), None) = (number(status.other.get("estimatedDuration")), finished) {
        line("EstimatedDuration:", &two_units(secs));
    }
    if !status.progress.is_empty() {
        line("Progress:", &status.progress);
    }
    if let Some(used) = resources(status.other.get("resourcesDuration")) {
        line("ResourcesDuration:", &used);
    }
    let given = workflow.spec.arguments.parameters.iter();
    let given = given.map(|parameter| (parameter.name.clone(), parameter.value.as_ref()));
    let given =
        given.map(|(name, value)| (name, value.map_or(String::new(), |value| value.0.clone())));
    pairs("Parameters:", given.collect(), &mut out);
    let outputs = |key: &str| {
        let outputs = status.other.get("outputs")?.get(key)?.as_array()?;
        let text = |item: &Value, key: &str| match item.get(key) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Null) | None => String::new(),
            Some(other) => other.to_string(),
        };
        Some(
            outputs
                .iter()
                .map(|item| (text(item, "name"), text(item, "value")))
                .collect(),
        )
    };
    pairs(
        "Output Parameters:",
        outputs("parameters").unwrap_or_default(),
        &mut out,
    );
    pairs(
        "Output Artifacts:",
        outputs("artifacts").unwrap_or_default(),
        &mut out,
    );
    out
}

fn pairs(title: &str, pairs: Vec<(String, String)>, out: &mut String) {
    if pairs.is_empty() {
        return;
    }
    out.push_str(&format!("{title:<20} \n"));
    for (name, value) in pairs {
        let key = format!("{name}:");
        out.push_str(&format!("  {key:<18} {value}\n"));
    }
}

fn number(value: Option<&Value>) -> Option<i64> {
    value.and_then(Value::as_i64).filter(|number| *number > 0)
}

/// As `1s*(1 cpu),4s*(100Mi memory)`.
fn resources(value: Option<&Value>) -> Option<String> {
    let used = value?.as_object()?;
    let unit = |name: &str| match name {
        "memory" => "100Mi memory".to_owned(),
        name => format!("1 {name}"),
    };
    let used = used.iter().map(|(name, secs)| {
        let secs = secs.as_i64().unwrap_or_default();
        format!("{}*({})", one_unit(secs), unit(name))
    });
    let used = used.collect::<Vec<_>>().join(",");
    (!used.is_empty()).then_some(used)
}

/// A time of the status.
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
mod tests;
