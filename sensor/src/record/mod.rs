//! The decision record: what became of each event at each trigger, and why. It never decides, and never delays who does.
//!
//! ```text
//! Runner ──Draft──▶ bounded queue ──▶ writer ─▶ ring of files, or journal of the bus ──▶ Tail ─▶ `tiphys why`, `tiphys events`
//! ```
//!
//! A full queue drops records and counts them. Values are cut short, and what looks like a credential is left out.
//! After a power cut or SIGKILL the records of the last moments may be missing; a torn line at the end is skipped.

mod alike;
mod draft;
mod on_bus;
mod reader;
mod redact;
mod ring;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::filters::{Leaf, Verdict};
use crate::triggers::Fired;

pub(crate) use alike::Plain;
pub(crate) use draft::{Draft, Labels};
pub use reader::{Look, ReadError, Tail};
pub(crate) use redact::{cut, hides, shown};
pub use writer::{RecordLimits, Recorder};

/// What became of one event at one trigger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// When it was decided.
    pub at: Timestamp,
    /// The sensor's namespace.
    pub namespace: String,
    /// The sensor.
    pub sensor: String,
    /// The trigger.
    pub trigger: String,
    /// The trigger's condition.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub condition: String,
    /// The event; absent where the trigger has only begun to wait, or the message was no event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<EventRef>,
    /// Which delivery it was, counted from 1.
    #[serde(default)]
    pub delivery: u64,
    /// The replay that brought the event again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<String>,
    /// How it ended.
    pub end: End,
    /// Why it did not fire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What each dependency that the event is meant for made of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
    /// The ids of the events that the condition holds now, by dependency.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub held: BTreeMap<String, String>,
    /// The smallest sets of dependencies that would make the trigger fire.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Vec<String>>,
}

/// Which event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRef {
    /// Its id.
    pub id: String,
    /// The EventSource.
    pub source: String,
    /// The event's name.
    pub name: String,
    /// Its place on the bus.
    pub seq: u64,
}

/// How a decision ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum End {
    /// The trigger waits for events: it has just been started.
    Waiting,
    /// No dependency let the event through.
    Filtered,
    /// It waits: for other events, or for a target that is away.
    Pending,
    /// The effect is there.
    Fired,
    /// Given up.
    Dead,
}

impl End {
    /// The word for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Filtered => "filtered",
            Self::Pending => "pending",
            Self::Fired => "fired",
            Self::Dead => "dead",
        }
    }
}

/// What one dependency made of an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// The dependency.
    pub dependency: String,
    /// Whether its filters let the event through.
    pub verdict: Verdict,
    /// Every filter that was looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leaves: Vec<Leaf>,
    /// How it ended for this dependency.
    pub end: End,
    /// What else there is to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The firing, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firing: Option<Firing>,
}

/// One firing.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Firing {
    /// The ids of its events by dependency.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub events: BTreeMap<String, String>,
    /// What parameters resolved to, cut short, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<Parameter>,
    /// How often it was tried.
    pub attempts: u32,
    /// What it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<Fired>,
    /// What the last attempt said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The dlqTrigger that fired instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dlq: Option<String>,
}

/// A resolved parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameter {
    /// Where it was written to.
    pub dest: String,
    /// What was written, cut short.
    pub value: String,
}

/// A line of the record that is no decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Dropped {
    /// So many decisions are missing before this line, because they could not be written.
    pub(crate) dropped: u64,
}
