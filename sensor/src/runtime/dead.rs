//! Events that were given up, kept beside the stream with the reason until somebody brings them again or they are too
//! old or too many. It never decides what is dead.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tiphys_core::{Event, envelope};
use tiphys_eventbus::{Bus, StateError};
use tokio::sync::Mutex;

use super::short;
use crate::document::Events;
use crate::record::Labels;

/// Where they are kept.
const BUCKET: &str = "tiphys-dead";

/// How many are kept on a bus.
const MOST: usize = 1000;
/// How many bytes of them.
const BYTES: u64 = 64 << 20;
/// For how long.
const AGE: Duration = Duration::from_secs(30 * 24 * 3600);

/// Events that were given up together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetter {
    /// Its name among the dead.
    #[serde(default)]
    pub id: String,
    /// When they were given up.
    pub at: Timestamp,
    /// The sensor's namespace.
    pub namespace: String,
    /// The sensor.
    pub sensor: String,
    /// The trigger.
    pub trigger: String,
    /// Why.
    pub reason: String,
    /// How often the trigger was tried.
    pub attempts: u32,
    /// The events.
    pub events: Vec<DeadEvent>,
}

/// One event that was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadEvent {
    /// The dependency; empty for a message that is no event.
    pub dependency: String,
    /// Its id; of a message that is no event, what can be read of it or made of its place.
    pub id: String,
    /// The place on the bus of a message that is no event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// Where a message that is no event came from, as SOURCE/NAME.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Its envelope as base64; absent where it was too large to be kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envelope: Option<String>,
}

/// What is given up.
pub(super) enum Letter<'a> {
    /// A firing by its name.
    Firing { id: &'a str, events: &'a Events },
    /// A message that is no event.
    Poison {
        seq: u64,
        /// What can be read of it.
        event: &'a Event,
        raw: &'a Bytes,
    },
}

/// The dead of a bus.
pub struct DeadLetters {
    bus: Bus,
    /// What is kept, by the part of a key that names the firing; read from the bus once.
    known: Mutex<Option<HashMap<String, Key>>>,
    /// Whether somebody was told that there are too many.
    full: AtomicBool,
}

/// A key: when, how large, what, whose. Keys sort by time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    at: i64,
    bytes: u64,
    name: String,
    /// Short for the trigger; empty in keys of earlier versions.
    owner: String,
}

impl Key {
    fn text(&self) -> String {
        let Self {
            at,
            bytes,
            name,
            owner,
        } = self;
        match owner.as_str() {
            "" => format!("{at:013}-{bytes}-{name}"),
            owner => format!("{at:013}-{bytes}-{name}-{owner}"),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(4, '-');
        Some(Self {
            at: parts.next()?.parse().ok()?,
            bytes: parts.next()?.parse().ok()?,
            name: parts.next()?.to_owned(),
            owner: parts.next().unwrap_or_default().to_owned(),
        })
    }
}

impl DeadLetters {
    /// Those of a bus.
    #[must_use]
    pub fn new(bus: Bus) -> Self {
        Self {
            bus,
            known: Mutex::new(None),
            full: AtomicBool::new(false),
        }
    }

    /// Everything that is kept, oldest first.
    ///
    /// # Errors
    /// When the bus cannot be reached.
    pub async fn list(&self) -> Result<Vec<DeadLetter>, StateError> {
        let store = self.bus.state(BUCKET).await?;
        let mut letters = Vec::new();
        for key in store.keys("").await? {
            let Some(parsed) = Key::parse(&key) else {
                continue;
            };
            let Some(entry) = store.get(&key).await? else {
                continue;
            };
            let Ok(letter) = serde_json::from_slice::<DeadLetter>(&entry.value) else {
                continue;
            };
            letters.push(DeadLetter {
                id: parsed.name,
                ..letter
            });
        }
        Ok(letters)
    }

    /// Takes one out.
    ///
    /// # Errors
    /// When the bus cannot be reached.
    pub async fn remove(&self, id: &str) -> Result<(), StateError> {
        let store = self.bus.state(BUCKET).await?;
        for key in store.keys("").await? {
            if Key::parse(&key).is_some_and(|key| key.name == id) {
                store.delete(&key).await?;
            }
        }
        // Another process may have changed it too.
        *self.known.lock().await = None;
        Ok(())
    }

    /// Keeps what is given up; the same firing again replaces what is kept of it.
    pub(super) async fn put(
        &self,
        labels: &Labels,
        letter: Letter<'_>,
        reason: &str,
        attempts: u32,
    ) -> Result<(), StateError> {
        let (name, events) = match letter {
            Letter::Firing { id, events } => {
                let event = |(dependency, input): (&String, &crate::document::Input)| DeadEvent {
                    dependency: dependency.clone(),
                    id: input.event().id.clone(),
                    seq: None,
                    from: None,
                    envelope: Some(STANDARD.encode(envelope::encode(input.event()))),
                };
                (
                    id.chars().take(12).collect::<String>(),
                    events.iter().map(event).collect(),
                )
            }
            Letter::Poison { seq, event, raw } => {
                let event = DeadEvent {
                    dependency: String::new(),
                    id: event.id.clone(),
                    seq: Some(seq),
                    from: Some(format!("{}/{}", event.source, event.subject)),
                    envelope: Some(STANDARD.encode(raw)),
                };
                let Labels {
                    namespace,
                    sensor,
                    trigger,
                    ..
                } = labels;
                let name = short(&[namespace, sensor, trigger, &seq.to_string()], 12);
                (name, vec![event])
            }
        };
        let mut letter = DeadLetter {
            id: String::new(),
            at: Timestamp::now(),
            namespace: labels.namespace.clone(),
            sensor: labels.sensor.clone(),
            trigger: labels.trigger.clone(),
            reason: reason.chars().take(4096).collect(),
            attempts,
            events,
        };
        let Err(error) = self.store(&name, &letter).await else {
            return Ok(());
        };
        tracing::debug!(%error, "dead events cannot be kept whole; trying without their payload");
        for event in &mut letter.events {
            event.envelope = None;
        }
        self.store(&name, &letter).await
    }

    async fn store(&self, name: &str, letter: &DeadLetter) -> Result<(), StateError> {
        let value = serde_json::to_vec(letter).map_err(|error| StateError::Unavailable {
            reason: error.to_string(),
        })?;
        let store = self.bus.state(BUCKET).await?;
        let mut guard = self.known.lock().await;
        let mut known = match guard.take() {
            Some(known) => known,
            None => {
                let keys = store.keys("").await?;
                let keys = keys.iter().filter_map(|key| Key::parse(key));
                keys.map(|key| (key.name.clone(), key)).collect()
            }
        };
        if let Some(older) = known.remove(name) {
            store.delete(&older.text()).await?;
        }
        let key = Key {
            at: letter.at.as_millisecond(),
            bytes: u64::try_from(value.len()).unwrap_or(u64::MAX),
            name: name.to_owned(),
            owner: short(&[&letter.namespace, &letter.sensor, &letter.trigger], 8),
        };
        store.put(&key.text(), Bytes::from(value), None).await?;
        known.insert(name.to_owned(), key);
        for key in surplus(&known, letter.at) {
            // The first time is news; a trigger that fails at each event would say it at each.
            if self.full.swap(true, Ordering::Relaxed) {
                tracing::debug!(letter = key.name, "a dead event is no longer kept");
            } else {
                tracing::warn!(
                    letter = key.name,
                    "too many dead events: the oldest of the trigger that has the most are no longer kept"
                );
            }
            store.delete(&key.text()).await?;
            known.remove(&key.name);
        }
        *guard = Some(known);
        Ok(())
    }
}

/// What has to go, so that the rest keeps the limits: what is too old, then the oldest of the trigger that has the most,
/// so that one which fails at each event takes no room from the others.
fn surplus(known: &HashMap<String, Key>, now: Timestamp) -> Vec<Key> {
    let age = i64::try_from(AGE.as_millis()).unwrap_or(i64::MAX);
    let oldest = now.as_millisecond().saturating_sub(age);
    let mut gone: Vec<Key> = Vec::new();
    let mut kept: BTreeMap<&str, BTreeSet<&Key>> = BTreeMap::new();
    for key in known.values() {
        if key.at < oldest {
            gone.push(key.clone());
        } else {
            kept.entry(&key.owner).or_default().insert(key);
        }
    }
    loop {
        let size = |keys: &BTreeSet<&Key>| keys.iter().map(|key| key.bytes).sum::<u64>();
        let many = kept.values().map(BTreeSet::len).sum::<usize>() > MOST;
        let large = kept.values().map(size).sum::<u64>() > BYTES;
        let most = match (many, large) {
            (false, false) => return gone,
            (true, _) => kept.values_mut().max_by_key(|keys| keys.len()),
            (false, true) => kept.values_mut().max_by_key(|keys| size(keys)),
        };
        let Some(key) = most.and_then(BTreeSet::pop_first) else {
            return gone;
        };
        gone.push(key.clone());
    }
}

impl DeadEvent {
    /// The bytes of its envelope, where they are kept.
    #[must_use]
    pub fn bytes(&self) -> Option<Vec<u8>> {
        STANDARD.decode(self.envelope.as_ref()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(list: &[(i64, u64)]) -> HashMap<String, Key> {
        let key = |(index, (at, bytes)): (usize, &(i64, u64))| Key {
            at: *at,
            bytes: *bytes,
            name: format!("k{index}"),
            owner: String::new(),
        };
        let keys = list.iter().enumerate().map(key);
        keys.map(|key| (key.name.clone(), key)).collect()
    }

    #[test]
    fn the_oldest_go_when_they_are_too_many_too_large_or_too_old() {
        let now = Timestamp::from_millisecond(100 * 24 * 3_600_000).unwrap();
        let today = now.as_millisecond();
        let many: Vec<_> = (0..1002).map(|index| (today - 2000 + index, 1)).collect();
        for (list, gone) in [
            (vec![(today, 1), (today, 1)], vec![]),
            (many, vec![today - 2000, today - 1999]),
            (vec![(today - 2, BYTES), (today - 1, 1)], vec![today - 2]),
            (vec![(1, 1), (today, 1)], vec![1]),
        ] {
            let at: Vec<_> = surplus(&keys(&list), now)
                .iter()
                .map(|key| key.at)
                .collect();
            assert_eq!(at, gone);
        }
    }

    #[test]
    fn a_key_keeps_its_parts() {
        let key = Key {
            at: 17,
            bytes: 3,
            name: "ab".to_owned(),
            owner: "o".to_owned(),
        };
        assert_eq!(Key::parse(&key.text()), Some(key.clone()));
        let owner = String::new();
        let earlier = Key { owner, ..key };
        assert_eq!(earlier.text(), "0000000000017-3-ab");
        assert_eq!(Key::parse(&earlier.text()), Some(earlier));
        assert_eq!(Key::parse("x"), None);
    }

    #[test]
    fn a_trigger_with_many_dead_events_takes_no_room_from_the_others() {
        let now = Timestamp::now();
        let today = now.as_millisecond();
        let list: Vec<_> = (0..1002).map(|index| (today - 2000 + index, 1)).collect();
        let mut known = keys(&list);
        for key in known.values_mut() {
            let first = key.at < today - 1995;
            key.owner = if first { "calm" } else { "loud" }.to_owned();
        }
        let gone = surplus(&known, now);
        let at: Vec<_> = gone.iter().map(|key| key.at).collect();
        assert_eq!(at, [today - 1995, today - 1994]);
    }
}
