//! A decision on its way to the disk: what the runner has at hand, shared and not copied. The line is made by the writer.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use tiphys_core::Event;

use super::alike::Brief;
use super::redact::{hidden, hides};
#[cfg(test)]
use super::{Decision, EventRef};
use super::{End, Firing, Part, cut, shown};
use crate::dependency::Dependency;
use crate::document::REPLAY;
use crate::filters::{Leaf, Verdict};

/// What all decisions of a trigger have in common.
#[derive(Debug, Serialize)]
pub(crate) struct Labels {
    pub(crate) namespace: String,
    pub(crate) sensor: String,
    pub(crate) trigger: String,
    pub(crate) condition: String,
    /// The only dependency, where there is one and it names one kind of event.
    #[serde(skip)]
    pub(crate) only: Option<Only>,
    /// What every line has, it begins with it: an object without its end.
    #[serde(skip)]
    head: String,
}

/// A dependency that all events of a trigger meet.
#[derive(Debug)]
pub(crate) struct Only {
    pub(crate) name: String,
    pub(crate) source: String,
    pub(crate) event: String,
}

impl Labels {
    /// `names`: the namespace, the sensor, the trigger.
    pub(crate) fn new(names: [&str; 3], condition: String, dependencies: &[Dependency]) -> Self {
        let [namespace, sensor, trigger] = names;
        let mut labels = Self {
            namespace: namespace.to_owned(),
            sensor: sensor.to_owned(),
            trigger: trigger.to_owned(),
            condition,
            only: match dependencies {
                [only] if only.source != "*" && only.event != "*" => Some(Only {
                    name: only.name.clone(),
                    source: only.source.clone(),
                    event: only.event.clone(),
                }),
                _ => None,
            },
            head: String::new(),
        };
        labels.head = serde_json::to_string(&labels).unwrap_or_default();
        labels.head.pop();
        labels
    }
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

/// The line without its labels, as [`Decision`] reads it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    at: Timestamp,
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
        out.extend_from_slice(self.labels.head.as_bytes());
        let joint = out.len();
        if serde_json::to_writer(&mut *out, &line).is_err() {
            out.truncate(before);
            return;
        }
        // Two objects become one where the second begins.
        if let Some(brace) = out.get_mut(joint) {
            *brace = b',';
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

impl Firing {
    /// What it did, where that is all there is to say of it.
    pub(crate) fn brief(&self) -> Option<Brief> {
        let all = self.attempts == 1 && self.parameters.is_empty() && self.events.is_empty();
        let effect = self
            .effect
            .as_ref()
            .filter(|_| all && self.error.is_none() && self.dlq.is_none());
        effect.and_then(Brief::new)
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
            (Verdict::Filtered, Some(leaf)) => {
                let (dependency, path) = (&self.dependency, &leaf.path);
                Some(format!("{dependency}: {path} {}", leaf.said()))
            }
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
