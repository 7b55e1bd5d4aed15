//! The rate limit of a trigger: evenly spaced and exact, without slots saved for bursts. One process fires at a time; until
//! when its firings are spent is on the bus before it fires, so that whoever comes after it, or it itself after a crash,
//! begins no earlier. It keeps no event.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tiphys_eventbus::{Bus, State, StateError, SubscribeError};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::spec::RateLimitSpec;

/// Where it is written, by the names of consumers.
const BUCKET: &str = "tiphys-rates";

/// So much more than a slot is spent ahead, so that fast triggers write once a second.
const AHEAD: Duration = Duration::from_secs(1);

/// A timer that is late by no more keeps the next slot where it was.
const LATE: Duration = Duration::from_millis(5);

/// Between two tries to write where the bus is away.
const AGAIN: Duration = Duration::from_millis(500);

/// Spaces firings.
pub(super) struct Limit {
    /// For people, as `3 per Minute`.
    pub(super) text: String,
    spacing: Duration,
    bus: Bus,
    key: String,
    slots: Mutex<Slots>,
}

#[derive(Default)]
struct Slots {
    /// When the next firing may begin.
    next: Option<Instant>,
    /// Until when nobody else begins to fire, as is written on the bus.
    spent: Option<Instant>,
    store: Option<Arc<dyn State>>,
    revision: Option<u64>,
}

/// What is written. The clocks of machines are compared here, as far as one slot.
#[derive(Serialize, Deserialize)]
struct Spent {
    until: Timestamp,
}

impl Limit {
    pub(super) fn new(spec: &RateLimitSpec, bus: &Bus, key: &str) -> Self {
        let unit = match spec.unit.as_str() {
            "Minute" => 60,
            "Hour" => 3600,
            _ => 1,
        };
        // Validation refuses anything below 1.
        let times = u32::try_from(spec.requests_per_unit).unwrap_or(1).max(1);
        let name = match spec.unit.as_str() {
            "" => "Second",
            name => name,
        };
        Self {
            text: format!("{times} per {name}"),
            spacing: Duration::from_secs(unit) / times,
            bus: bus.clone(),
            key: key.to_owned(),
            slots: Mutex::default(),
        }
    }

    /// Begins where whoever fired before has ended; waits for the bus.
    pub(super) async fn resume(&self) {
        let mut slots = self.slots.lock().await;
        loop {
            *slots = Slots::default();
            match self.read(&mut slots).await {
                Ok(wait) => {
                    slots.next = wait.map(|wait| Instant::now() + wait);
                    return;
                }
                Err(error) => {
                    tracing::debug!(%error, "when the next firing may begin is not known yet");
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }

    /// Waits for its turn. Nothing is spent by a wait that is given up before.
    pub(super) async fn wait(&self) {
        let mut slots = self.slots.lock().await;
        let now = Instant::now();
        let at = slots.next.map_or(now, |next| next.max(now));
        tokio::time::sleep_until(at).await;
        let covered = |slots: &Slots| {
            let end = Instant::now() + self.spacing;
            slots.spent.is_some_and(|spent| spent >= end)
        };
        while !covered(&slots) {
            if let Err(error) = self.write(&mut slots).await {
                if matches!(error, StateError::Conflict) {
                    // Whoever wrote it fires no longer, or this process is about to hear that it may not.
                    drop(self.read(&mut slots).await);
                    continue;
                }
                tracing::debug!(%error, "a firing waits for the event bus, which keeps the rate");
                tokio::time::sleep(AGAIN).await;
            }
        }
        let begun = Instant::now();
        let slot = if begun.duration_since(at) <= LATE {
            at
        } else {
            begun
        };
        slots.next = Some(slot + self.spacing);
    }

    async fn store<'a>(&self, slots: &'a mut Slots) -> Result<&'a Arc<dyn State>, StateError> {
        let store = match slots.store.take() {
            Some(store) => store,
            None => self.bus.state(BUCKET).await?,
        };
        Ok(slots.store.insert(store))
    }

    /// How long is spent still.
    async fn read(&self, slots: &mut Slots) -> Result<Option<Duration>, StateError> {
        let entry = self.store(slots).await?.get(&self.key).await?;
        slots.revision = entry.as_ref().map(|entry| entry.revision);
        Ok(entry.map(|entry| {
            let whole = self.spacing + AHEAD;
            let Ok(Spent { until }) = serde_json::from_slice(&entry.value) else {
                return whole;
            };
            // In the past there is nothing to wait for; a clock that was set back costs one slot at most.
            let left = until.duration_since(Timestamp::now());
            Duration::try_from(left).unwrap_or_default().min(whole)
        }))
    }

    async fn write(&self, slots: &mut Slots) -> Result<(), StateError> {
        let whole = self.spacing + AHEAD;
        let spent = Instant::now() + whole;
        let until = Timestamp::now().checked_add(whole);
        let until = until.unwrap_or(Timestamp::MAX);
        let value = serde_json::to_vec(&Spent { until }).unwrap_or_default();
        let revision = slots.revision;
        let store = self.store(slots).await?;
        let written = store.put(&self.key, Bytes::from(value), revision).await?;
        slots.revision = Some(written);
        slots.spent = Some(spent);
        Ok(())
    }

    /// Removes what a trigger has left that is gone.
    pub(super) async fn forget(bus: &Bus, key: &str) -> Result<(), SubscribeError> {
        let gone = match bus.known_state(BUCKET).await {
            Ok(Some(store)) => store.delete(key).await,
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        gone.map_err(|error| SubscribeError::Unavailable {
            reason: error.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tiphys_eventbus::EmbeddedConfig;

    fn three_a_minute(bus: &Bus) -> Limit {
        let spec = RateLimitSpec {
            unit: "Minute".to_owned(),
            requests_per_unit: 3,
        };
        Limit::new(&spec, bus, "t")
    }

    #[tokio::test(start_paused = true)]
    async fn three_a_minute_are_never_more() {
        let folder = tempfile::tempdir().unwrap();
        let bus = Bus::embedded(EmbeddedConfig::new(folder.path())).unwrap();
        let limit = three_a_minute(&bus);
        limit.resume().await;
        let start = Instant::now();
        for firing in 0..7_u64 {
            limit.wait().await;
            // The timer of a paused clock rounds up to a millisecond.
            assert_eq!(start.elapsed().as_secs(), firing * 20);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_comes_after_a_firing_waits_for_the_rest_of_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let bus = Bus::embedded(EmbeddedConfig::new(folder.path())).unwrap();
        let one = three_a_minute(&bus);
        one.resume().await;
        // The clock of the test stands still, the one on the wall does not.
        let began = Timestamp::now();
        one.wait().await;
        let other = three_a_minute(&bus);
        let start = Instant::now();
        other.resume().await;
        other.wait().await;
        let passed = Timestamp::now().duration_since(began).as_secs();
        let least = Duration::from_secs(20).saturating_sub(Duration::from_secs(
            u64::try_from(passed).unwrap_or_default(),
        ));
        assert!(start.elapsed() >= least, "{:?}", start.elapsed());
        assert!(start.elapsed() <= Duration::from_secs(22));

        // A trigger that is gone leaves nothing behind.
        Limit::forget(&bus, "t").await.unwrap();
        let anew = three_a_minute(&bus);
        let start = Instant::now();
        anew.resume().await;
        anew.wait().await;
        assert!(start.elapsed() < Duration::from_secs(1));
    }
}
