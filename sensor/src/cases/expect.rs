//! What is expected of a trigger in a case, and whether a report has it. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::compare::subset;
use crate::dry_run::{EventReport, TriggerReport};
use crate::filters::Verdict;

/// What one trigger must do.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Expect {
    pub(super) trigger: String,
    /// How often it fires; once for each of `objects`, else once.
    firings: Option<usize>,
    /// The ids of the events of each firing, by dependency.
    #[serde(default)]
    events: Vec<BTreeMap<String, String>>,
    /// Contained in what the first firing makes.
    object: Option<Value>,
    /// Contained in what each firing makes.
    #[serde(default)]
    objects: Vec<Value>,
    /// It must not fire, with a reason that holds this text.
    none: Option<String>,
    /// The ids of the events that it holds in the end, by dependency.
    held: Option<BTreeMap<String, String>>,
    /// It must fire, and what it makes must fail with a message that holds this text.
    fails: Option<String>,
}

impl Expect {
    pub(super) fn judge(
        &self,
        trigger: &TriggerReport,
        events: &[EventReport],
        failures: &mut Vec<String>,
    ) {
        let name = &trigger.trigger;
        let mut fail = |text: String| failures.push(format!("trigger {name:?} {text}"));
        if let Some(held) = &self.held
            && *held != trigger.held
        {
            fail(format!("must hold {held:?}; it holds {:?}", trigger.held));
        }
        if let Some(text) = &self.none {
            let reasons = reasons(trigger, events);
            if !trigger.firings.is_empty() {
                fail(format!(
                    "must not fire; it fires {} times",
                    trigger.firings.len()
                ));
            } else if !reasons.iter().any(|reason| reason.contains(text)) {
                fail(format!(
                    "does not fire, and the reason must hold {text:?}; it is:\n  {}",
                    reasons.join("\n  ")
                ));
            }
            return;
        }
        if trigger.firings.is_empty() {
            fail(format!(
                "must fire; it does not:\n  {}",
                reasons(trigger, events).join("\n  ")
            ));
            return;
        }
        let wanted: Vec<&Value> = self.object.iter().chain(&self.objects).collect();
        let count = self
            .firings
            .unwrap_or_else(|| wanted.len().max(self.events.len()).max(1));
        if trigger.firings.len() != count {
            fail(format!(
                "must fire {count} times; it fires {} times",
                trigger.firings.len()
            ));
        }
        for (index, firing) in trigger.firings.iter().enumerate() {
            if let Some(ids) = self.events.get(index)
                && firing.events != *ids
            {
                fail(format!(
                    "firing {}: its events must be {ids:?}; they are {:?}",
                    index + 1,
                    firing.events
                ));
            }
            match (&firing.effect, &self.fails) {
                (Ok(_), Some(text)) => fail(format!(
                    "firing {}: must fail with {text:?}; it does not",
                    index + 1
                )),
                (Err(error), Some(text)) if error.contains(text) => {}
                (Err(error), _) => fail(format!("firing {}: {error}", index + 1)),
                (Ok(effect), None) => {
                    let Some(want) = wanted.get(index) else {
                        continue;
                    };
                    let made = serde_json::from_str(effect)
                        .unwrap_or_else(|_| Value::String(effect.clone()));
                    let mut differences = Vec::new();
                    subset("", want, &made, &mut differences);
                    if !differences.is_empty() {
                        fail(format!(
                            "firing {} makes something else:\n{}",
                            index + 1,
                            differences.join("\n")
                        ));
                    }
                }
            }
        }
    }
}

/// Why a trigger does not fire.
fn reasons(trigger: &TriggerReport, events: &[EventReport]) -> Vec<String> {
    let mut reasons = Vec::new();
    for event in events {
        let dependency = &event.dependency;
        match &event.verdict {
            Verdict::Passed => continue,
            Verdict::Failed(why) => reasons.push(format!("{dependency}: a filter failed: {why}")),
            Verdict::Filtered => reasons.push(format!("{dependency}: filtered")),
        }
        for leaf in event.leaves.iter().filter(|leaf| !leaf.verdict.passed()) {
            reasons.push(format!("{dependency}: {} {}", leaf.path, leaf.said()));
        }
    }
    reasons.extend(trigger.error.clone());
    let sets: Vec<String> = trigger
        .missing
        .iter()
        .map(|set| set.join(" and "))
        .collect();
    if !sets.is_empty() {
        reasons.push(format!("waits for {}", sets.join(", or ")));
    }
    reasons
}
