//! A decision on its way to the disk: what the runner has at hand, shared and not copied. The line is made by the writer.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use tiphys_core::Event;

use super::redact::{hidden, hides};
#[cfg(test)]
use super::{Decision, EventRef};
use super::{End, Part, cut, shown};
use crate::document::REPLAY;
use crate::filters::{Leaf, Verdict};

/// What all decisions of a trigger have in common.
#[derive(Debug)]
pub(crate) struct Labels {
    pub(crate) namespace: String,
    pub(crate) sensor: String,
    pub(crate) trigger: String,
    pub(crate) condition: String,
}

/// A decision as the runner hands it over.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) labels: Arc<Labels>,
    pub(crate) at: Timestamp,
    pub(crate) event: Option<Arc<Event>>,
    pub(crate) seq: u64,
    pub(crate) delivery: u64,
    pub(crate) end: End,
    pub(crate) reason: Option<String>,
    pub(crate) parts: Vec<Part>,
    pub(crate) held: BTreeMap<String, String>,
    pub(crate) missing: Vec<Vec<String>>,
}

/// The line, as [`Decision`] reads it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    at: Timestamp,
    namespace: &'a str,
    sensor: &'a str,
    trigger: &'a str,
    condition: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<EventLine<'a>>,
    delivery: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    replay: Option<&'a str>,
    end: End,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "<[Part]>::is_empty")]
    parts: &'a [Part],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    held: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "<[Vec<String>]>::is_empty")]
    missing: &'a [Vec<String>],
}

#[derive(Serialize)]
struct EventLine<'a> {
    id: &'a str,
    source: &'a str,
    name: &'a str,
    seq: u64,
}

impl Draft {
    /// Writes the line and its end.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let line = Line {
            at: self.at,
            namespace: &self.labels.namespace,
            sensor: &self.labels.sensor,
            trigger: &self.labels.trigger,
            condition: &self.labels.condition,
            event: self.event.as_deref().map(|event| EventLine {
                id: &event.id,
                source: &event.source,
                name: &event.subject,
                seq: self.seq,
            }),
            delivery: self.delivery,
            replay: self.replay(),
            end: self.end,
            reason: self.reason.as_deref(),
            parts: &self.parts,
            held: &self.held,
            missing: &self.missing,
        };
        let before = out.len();
        if serde_json::to_writer(&mut *out, &line).is_err() {
            out.truncate(before);
            return;
        }
        out.push(b'\n');
    }

    fn replay(&self) -> Option<&str> {
        let event = self.event.as_ref()?;
        event.extensions.get(REPLAY).map(String::as_str)
    }

    /// What its line is read as.
    #[cfg(test)]
    pub(crate) fn decision(&self) -> Decision {
        Decision {
            at: self.at,
            namespace: self.labels.namespace.clone(),
            sensor: self.labels.sensor.clone(),
            trigger: self.labels.trigger.clone(),
            condition: self.labels.condition.clone(),
            event: self.event.as_deref().map(|event| EventRef {
                id: event.id.clone(),
                source: event.source.clone(),
                name: event.subject.clone(),
                seq: self.seq,
            }),
            delivery: self.delivery,
            replay: self.replay().map(str::to_owned),
            end: self.end,
            reason: self.reason.clone(),
            parts: self.parts.clone(),
            held: self.held.clone(),
            missing: self.missing.clone(),
        }
    }
}

impl Part {
    /// What a dependency made of an event, before anything fires.
    pub(crate) fn new(dependency: &str, verdict: Verdict, leaves: Vec<Leaf>, end: End) -> Self {
        Self {
            dependency: dependency.to_owned(),
            verdict,
            leaves: leaves.into_iter().map(tidy).collect(),
            end,
            note: None,
            firing: None,
        }
    }

    /// Why it did not fire, in one line.
    pub(crate) fn reason(&self) -> Option<String> {
        if let Some(error) = self.firing.as_ref().and_then(|firing| firing.error.clone()) {
            return Some(error);
        }
        if let Some(note) = &self.note {
            return Some(note.clone());
        }
        let mut failed = self.leaves.iter().filter(|leaf| !leaf.verdict.passed());
        match (&self.verdict, failed.next()) {
            (Verdict::Passed, _) => None,
            (Verdict::Failed(error), _) => Some(cut(error)),
            (Verdict::Filtered, Some(leaf)) => Some(format!(
                "{}: {} wants {}, has {}",
                self.dependency, leaf.path, leaf.expected, leaf.actual
            )),
            (Verdict::Filtered, None) => {
                Some(format!("{}: its filters do not pass", self.dependency))
            }
        }
    }
}

fn tidy(leaf: Leaf) -> Leaf {
    let actual = if hides(&leaf.expected) {
        hidden()
    } else {
        shown(&leaf.actual)
    };
    Leaf {
        expected: cut(&leaf.expected),
        actual,
        ..leaf
    }
}
