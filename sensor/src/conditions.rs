//! The state machine of a condition that needs several events: which ones are held, which fire together.
//! Pure: no bus, no clock. The runtime stores the state before it acts on it.
//!
//! ```text
//! on_event(dep, event) ─▶ Held       kept until the others come
//!                      ─▶ Replaced   the older event of the same dependency is given up
//!                      ─▶ Fire       all held events and this one; in `firing` until `done`
//!                      ─▶ Known      delivered before; nothing is left to do
//! ```
//!
//! A firing is written down before its effect, so that after a crash the event that caused it finds the same firing again,
//! and two replicas never use one held event twice.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tiphys_core::{Event, envelope};
use tiphys_lang::condition::Condition;

use crate::document::identity;
use crate::join::{Groups, Unmet};

/// How many events are remembered as used, so that a late delivery of one is recognised.
const REMEMBERED: usize = 1024;

/// An event that takes part in a condition.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Kept(pub(crate) Arc<Event>);

impl Kept {
    /// About how much room it takes.
    pub(crate) fn bytes(&self) -> usize {
        // The payload as base64, and the other members of the envelope.
        let payload = self.0.data.as_ref().map_or(0, bytes::Bytes::len);
        payload / 3 * 4 + 512
    }
}

impl Serialize for Kept {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes = envelope::encode(&self.0);
        serializer.serialize_str(&String::from_utf8_lossy(&bytes))
    }
}

impl<'de> Deserialize<'de> for Kept {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let event = envelope::decode(text.as_bytes()).map_err(serde::de::Error::custom)?;
        Ok(Self(Arc::new(event)))
    }
}

/// Events by dependency.
pub(crate) type KeptEvents = BTreeMap<String, Kept>;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Held {
    pub(crate) event: Kept,
    pub(crate) at: Timestamp,
}

/// A firing that has begun and has not ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Begun {
    by: String,
    events: KeptEvents,
}

/// What is held for one trigger.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct State {
    /// Names the spec that this state belongs to.
    spec: String,
    held: BTreeMap<String, Held>,
    /// What waits by key, where the trigger has a `join`.
    #[serde(default, skip_serializing_if = "Groups::is_empty")]
    groups: Groups,
    firing: Vec<Begun>,
    used: VecDeque<String>,
    /// Events that were taken from messages which may come again, with the places of those in the stream.
    #[serde(default)]
    open: BTreeMap<String, u64>,
}

/// What an event does to a condition.
#[derive(Debug, PartialEq)]
pub(crate) enum Step {
    /// It waits for the others.
    Held,
    /// It waits, and the older event of its dependency no longer does.
    Replaced(Arc<Event>),
    /// These fire. The name is for [`State::done`].
    Fire(String, KeptEvents),
    /// It was delivered before and its part is done.
    Known,
}

/// A name for an event under a dependency, short whatever ids senders choose.
fn key(dependency: &str, event: &Event) -> String {
    let mut text = crate::triggers::digest(&[dependency, &identity(event)]);
    text.truncate(20);
    text
}

impl State {
    /// Empty, for a spec.
    pub(crate) fn new(spec: &str) -> Self {
        Self {
            spec: spec.to_owned(),
            ..Self::default()
        }
    }

    /// Whether it has never held anything.
    pub(crate) fn is_new(&self) -> bool {
        *self == Self::new(&self.spec)
    }

    /// Whether it belongs to a spec.
    pub(crate) fn is_of(&self, spec: &str) -> bool {
        self.spec == spec
    }

    /// The distinct events that are held or firing.
    pub(crate) fn pending(&self) -> BTreeSet<String> {
        let held = self.held.values().map(|held| &held.event);
        let firing = self.firing.iter().flat_map(|begun| begun.events.values());
        let all = held.chain(firing).chain(self.groups.kept());
        all.map(|kept| identity(&kept.0)).collect()
    }

    /// The dependencies that have an event now.
    pub(crate) fn present(&self) -> BTreeSet<&str> {
        self.held.keys().map(String::as_str).collect()
    }

    /// The ids of the events that are held, by dependency.
    pub(crate) fn held_ids(&self) -> BTreeMap<String, String> {
        let held = self.held.iter();
        let mut ids: BTreeMap<String, String> = held
            .map(|(name, held)| (name.clone(), held.event.0.id.clone()))
            .collect();
        ids.extend(self.groups.ids());
        ids
    }

    /// The groups of a `join`.
    pub(crate) const fn groups(&self) -> &Groups {
        &self.groups
    }

    /// Gives up what has waited for its key since before a time.
    pub(crate) fn expire(&mut self, before: Timestamp) -> Vec<Unmet> {
        let unmet = self.groups.expire(before);
        for unmet in &unmet {
            self.forget(&unmet.dependency, &unmet.event.0);
        }
        unmet
    }

    /// Whether anything has waited for its key since before a time.
    pub(crate) fn has_waited(&self, before: Timestamp) -> bool {
        self.groups.oldest().is_some_and(|oldest| oldest < before)
    }

    /// Gives up what has waited longest, until the events that wait have no more than so many bytes.
    pub(crate) fn shrink(&mut self, bytes: usize) -> Vec<Unmet> {
        let unmet = self.groups.shrink(bytes);
        for unmet in &unmet {
            self.forget(&unmet.dependency, &unmet.event.0);
        }
        unmet
    }

    /// Takes an event that passed the filters of a dependency and has a key.
    pub(crate) fn on_keyed(
        &mut self,
        condition: &Condition,
        dependency: &str,
        group: &str,
        event: &Arc<Event>,
        at: Timestamp,
    ) -> Step {
        let key = key(dependency, event);
        if let Some(step) = self.again(&key, dependency, event) {
            return step;
        }
        let held = Held {
            event: Kept(Arc::clone(event)),
            at,
        };
        match self.groups.add(condition, group, dependency, held) {
            None => Step::Held,
            Some(events) => self.begin(key, events),
        }
    }

    /// Takes an event that passed the filters of a dependency.
    pub(crate) fn on_event(
        &mut self,
        condition: &Condition,
        dependency: &str,
        event: &Arc<Event>,
        at: Timestamp,
    ) -> Step {
        let key = key(dependency, event);
        if let Some(step) = self.again(&key, dependency, event) {
            return step;
        }
        let kept = Kept(Arc::clone(event));
        if condition.holds(|name| name == dependency || self.held.contains_key(name)) {
            let held = std::mem::take(&mut self.held).into_iter();
            let mut events: KeptEvents = held.map(|(name, held)| (name, held.event)).collect();
            if let Some(older) = events.insert(dependency.to_owned(), kept) {
                self.forget(dependency, &older.0);
            }
            return self.begin(key, events);
        }
        let held = Held { event: kept, at };
        match self.held.insert(dependency.to_owned(), held) {
            None => Step::Held,
            Some(older) => {
                self.forget(dependency, &older.event.0);
                Step::Replaced(older.event.0)
            }
        }
    }

    /// What an event does that was delivered before, if it was.
    fn again(&self, key: &str, dependency: &str, event: &Event) -> Option<Step> {
        if let Some(begun) = self.firing.iter().find(|begun| begun.by == key) {
            return Some(Step::Fire(key.to_owned(), begun.events.clone()));
        }
        let same = |kept: &Kept| identity(&kept.0) == identity(event);
        let held = self.held.get(dependency);
        let waits =
            held.is_some_and(|held| same(&held.event)) || self.groups.holds(dependency, same);
        let fires = |begun: &Begun| begun.events.get(dependency).is_some_and(same);
        let known = waits
            || self.used.iter().any(|used| used == key)
            || self.open.contains_key(key)
            || self.firing.iter().any(fires);
        known.then_some(Step::Known)
    }

    fn begin(&mut self, by: String, events: KeptEvents) -> Step {
        self.firing.push(Begun {
            by: by.clone(),
            events: events.clone(),
        });
        Step::Fire(by, events)
    }

    /// Remembers an event that was just taken until its message is settled for good, however many come after it.
    pub(crate) fn opened(&mut self, dependency: &str, event: &Event, seq: u64) {
        self.open.insert(key(dependency, event), seq);
        while self.open.len() > REMEMBERED {
            let oldest = self.open.iter().min_by_key(|(_, seq)| **seq);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else {
                return;
            };
            self.open.remove(&oldest);
        }
    }

    /// These messages never come again. Returns those that it was waiting to hear of.
    pub(crate) fn settled(&mut self, messages: &BTreeSet<u64>) -> BTreeSet<u64> {
        let mut heard = BTreeSet::new();
        self.open.retain(|_, seq| {
            let settled = messages.contains(seq);
            if settled {
                heard.insert(*seq);
            }
            !settled
        });
        heard
    }

    /// A firing has ended, well or not: its events are used.
    pub(crate) fn done(&mut self, by: &str) {
        let (ended, going): (Vec<_>, Vec<_>) = std::mem::take(&mut self.firing)
            .into_iter()
            .partition(|begun| begun.by == by);
        self.firing = going;
        for begun in ended {
            for (dependency, kept) in begun.events {
                self.forget(&dependency, &kept.0);
            }
        }
    }

    /// Drops events that have been held since before a time, and gives them.
    pub(crate) fn reset(&mut self, before: Timestamp) -> Vec<Unmet> {
        let mut gone = self.expire(before);
        let (stale, fresh): (BTreeMap<_, _>, BTreeMap<_, _>) = std::mem::take(&mut self.held)
            .into_iter()
            .partition(|(_, held)| held.at < before);
        self.held = fresh;
        for (dependency, held) in stale {
            self.forget(&dependency, &held.event.0);
            gone.push(Unmet {
                key: String::new(),
                dependency,
                event: held.event,
            });
        }
        gone
    }

    /// Everything that is held or firing, by dependency.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&String, &Kept)> {
        let held = self.held.iter().map(|(name, held)| (name, &held.event));
        let firing = self.firing.iter().flat_map(|begun| &begun.events);
        held.chain(firing).chain(self.groups.by_dependency())
    }

    fn forget(&mut self, dependency: &str, event: &Event) {
        self.used.push_back(key(dependency, event));
        while self.used.len() > REMEMBERED {
            self.used.pop_front();
        }
    }
}

#[cfg(test)]
mod tests;
