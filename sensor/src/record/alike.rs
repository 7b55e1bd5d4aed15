//! Events that fired alike while decisions come faster than anybody reads: one line tells of many, at little cost for each.
//! It is read as one decision an event.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::draft::Labels;
use super::{Decision, End, EventRef, Firing, Part};
use crate::filters::Verdict;
use crate::triggers::Fired;

/// How many events one line tells of at most.
const MOST: usize = 512;

/// How a line begins that tells of several events.
pub(super) const HEAD: &str = "{\"alike\":";

/// An event that its trigger's only dependency let through, and that fired at once and alone.
#[derive(Debug)]
pub(crate) struct Plain {
    pub(crate) labels: Arc<Labels>,
    /// The id alone: the event itself is given back where it came from, which is cheaper than in another thread.
    pub(crate) id: Box<str>,
    pub(crate) seq: u64,
    pub(crate) effect: Brief,
}

/// What such an event did, in so few bytes that it costs nothing to hand over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Brief {
    Logged,
    Responded { status: u16 },
}

impl Brief {
    pub(crate) const fn new(fired: &Fired) -> Option<Self> {
        match fired {
            Fired::Logged => Some(Self::Logged),
            Fired::Responded { status } => Some(Self::Responded { status: *status }),
            _ => None,
        }
    }

    const fn fired(self) -> Fired {
        match self {
            Self::Logged => Fired::Logged,
            Self::Responded { status } => Fired::Responded { status },
        }
    }
}

/// The line.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line<Id, Name> {
    /// The id of each event, and its place on the bus.
    alike: Vec<(Id, u64)>,
    at: Timestamp,
    namespace: Name,
    sensor: Name,
    trigger: Name,
    condition: Name,
    dependency: Name,
    source: Name,
    name: Name,
    effect: Fired,
}

/// Those that can share a line, in order.
pub(super) fn runs(plain: &[Plain]) -> impl Iterator<Item = &[Plain]> {
    let same = |a: &Plain, b: &Plain| Arc::ptr_eq(&a.labels, &b.labels) && a.effect == b.effect;
    plain.chunk_by(same).flat_map(|run| run.chunks(MOST))
}

/// Writes the line of such events.
pub(super) fn write(run: &[Plain], at: Timestamp, out: &mut Vec<u8>) {
    let Some(first) = run.first() else { return };
    let Some(only) = &first.labels.only else {
        return;
    };
    let line = Line {
        alike: run.iter().map(|one| (&*one.id, one.seq)).collect(),
        at,
        namespace: first.labels.namespace.as_str(),
        sensor: &first.labels.sensor,
        trigger: &first.labels.trigger,
        condition: &first.labels.condition,
        dependency: &only.name,
        source: &only.source,
        name: &only.event,
        effect: first.effect.fired(),
    };
    let before = out.len();
    match serde_json::to_writer(&mut *out, &line) {
        Ok(()) => out.push(b'\n'),
        Err(_) => out.truncate(before),
    }
}

/// The decisions of a line.
pub(super) fn read(line: &str) -> Vec<Decision> {
    let Ok(line) = serde_json::from_str::<Line<String, String>>(line) else {
        return Vec::new();
    };
    let Line {
        alike,
        at,
        namespace,
        sensor,
        trigger,
        condition,
        dependency,
        source,
        name,
        effect,
    } = line;
    let decision = |(id, seq)| Decision {
        at,
        namespace: namespace.clone(),
        sensor: sensor.clone(),
        trigger: trigger.clone(),
        condition: condition.clone(),
        event: Some(EventRef {
            id,
            source: source.clone(),
            name: name.clone(),
            seq,
        }),
        delivery: 1,
        replay: None,
        end: End::Fired,
        reason: None,
        parts: vec![Part {
            dependency: dependency.clone(),
            verdict: Verdict::Passed,
            leaves: Vec::new(),
            end: End::Fired,
            note: None,
            firing: Some(Firing {
                attempts: 1,
                effect: Some(effect.clone()),
                ..Firing::default()
            }),
        }],
        held: BTreeMap::new(),
        missing: Vec::new(),
    };
    alike.into_iter().map(decision).collect()
}
