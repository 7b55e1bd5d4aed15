//! Which of several processes does what only one may do: a lease on the event bus, which every process reaches anyway,
//! so that pods need no permission in the API for it.
//!
//! ```text
//! no entry, or released ─▶ write own name ─▶ held: written again every 2 s
//! entry of another, unchanged for 10 s ─▶ write own name (only if still unchanged)
//! held, and no write has succeeded for 6 s ─▶ given up before anybody else can take it
//! ```
//!
//! Clocks of different machines are never compared. It does not know what the turn is for.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tiphys_core::Tasks;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::bus::{Bus, State, StateError};

/// Where leases are kept on the bus.
const BUCKET: &str = "tiphys-turns";
/// How often a lease is written again, or looked at.
const RENEW: Duration = Duration::from_secs(2);
/// A lease that nobody writes for so long is free.
const LEASE: Duration = Duration::from_secs(10);
/// A holder that could not write for so long stops: before the lease is free for others.
const SURE: Duration = Duration::from_secs(6);

/// Whether it is this process's turn. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Turn {
    /// None where nobody else could have it.
    stood: Option<Arc<Stood>>,
}

#[derive(Debug)]
struct Stood {
    mine: watch::Receiver<bool>,
    sure: Sure,
    stop: CancellationToken,
}

/// Since when the lease was certainly held.
type Sure = Arc<Mutex<Option<Instant>>>;

fn holds(sure: &Sure) -> bool {
    let since = *sure.lock().unwrap_or_else(PoisonError::into_inner);
    since.is_some_and(|since| since.elapsed() < SURE)
}

impl Turn {
    /// Of a process that is alone: it always has the turn.
    #[must_use]
    pub const fn alone() -> Self {
        Self { stood: None }
    }

    /// Stands for the turn that everybody on the bus calls `key`, until the tasks stop or it is given back.
    #[must_use]
    pub fn stand(bus: Bus, key: &str, identity: &str, tasks: &Tasks) -> Self {
        Self::stand_in(None, bus, key, identity, tasks)
    }

    /// As [`Turn::stand`], where the store is known already.
    fn stand_in(
        store: Option<Arc<dyn State>>,
        bus: Bus,
        key: &str,
        identity: &str,
        tasks: &Tasks,
    ) -> Self {
        let (told, mine) = watch::channel(false);
        let stop = tasks.stop_token().child_token();
        let sure = Sure::default();
        let lease = Lease {
            bus,
            key: key.to_owned(),
            identity: identity.to_owned(),
            told,
            store,
            seen: None,
            sure: sure.clone(),
        };
        tasks.spawn_job(format!("turn {key}"), lease.run(stop.clone()));
        Self {
            stood: Some(Arc::new(Stood { mine, sure, stop })),
        }
    }

    /// Whether it is certain that nobody else has it, now. A process that stood still knows at once that it is over.
    #[must_use]
    pub fn is_mine(&self) -> bool {
        self.stood.as_ref().is_none_or(|stood| holds(&stood.sure))
    }

    /// Waits until it is this process's turn; for ever where it was given back.
    pub async fn begins(&self) {
        loop {
            if !self.reaches(true).await {
                std::future::pending::<()>().await;
            }
            if self.is_mine() {
                return;
            }
            // It is over already, and that will be told in a moment.
            tokio::time::sleep(RENEW / 4).await;
        }
    }

    /// Waits until it is not this process's turn.
    pub async fn ends(&self) {
        self.reaches(false).await;
    }

    /// False where that can no longer be, as it was given back.
    async fn reaches(&self, wanted: bool) -> bool {
        let Some(stood) = &self.stood else {
            if !wanted {
                std::future::pending::<()>().await;
            }
            return true;
        };
        let mut mine = stood.mine.clone();
        // The end of the lease is told before it is over.
        mine.wait_for(|mine| *mine == wanted).await.is_ok()
    }

    /// Hears of each beginning and end; `None` where there is neither.
    #[must_use]
    pub fn changes(&self) -> Option<watch::Receiver<bool>> {
        self.stood.as_ref().map(|stood| stood.mine.clone())
    }

    /// Lets others have it at once. Returns when they can.
    pub async fn give_back(&self) {
        if let Some(stood) = &self.stood {
            stood.stop.cancel();
            let mut mine = stood.mine.clone();
            while mine.changed().await.is_ok() {}
        }
    }

    /// As [`Turn::give_back`], without waiting.
    pub fn leave(&self) {
        if let Some(stood) = &self.stood {
            stood.stop.cancel();
        }
    }
}

/// What is written.
#[derive(Serialize, Deserialize)]
struct Entry {
    /// Who holds it; empty after a release.
    holder: String,
}

struct Lease {
    bus: Bus,
    key: String,
    identity: String,
    told: watch::Sender<bool>,
    store: Option<Arc<dyn State>>,
    /// The revision that was seen last, and since when.
    seen: Option<(u64, Instant)>,
    sure: Sure,
}

impl Lease {
    async fn run(mut self, stop: CancellationToken) {
        loop {
            let tried = Instant::now();
            let step = tokio::select! {
                () = stop.cancelled() => break,
                step = tokio::time::timeout(RENEW, self.step()) => step,
            };
            match step {
                Ok(Ok(true)) => self.settle(Some(tried)),
                Ok(Ok(false)) => self.settle(None),
                // Somebody else was faster, or the bus is away: what was sure stays so for a while.
                Ok(Err(error)) => tracing::debug!(%error, "the turn was not settled"),
                Err(_) => tracing::debug!("the turn was not settled in time"),
            }
            self.tell();
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(RENEW) => {}
            }
            self.tell();
        }
        let held = *self.sure.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_some() {
            self.settle(None);
            self.tell();
            let released = tokio::time::timeout(RENEW, self.write("")).await;
            if !matches!(released, Ok(Ok(_))) {
                tracing::debug!("a turn was not given back; others take it when its time is over");
            }
        }
    }

    fn settle(&self, since: Option<Instant>) {
        *self.sure.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    fn tell(&self) {
        let mine = holds(&self.sure);
        self.told.send_if_modified(|told| {
            let changed = *told != mine;
            *told = mine;
            changed
        });
    }

    /// Renews, takes, or only looks; true while the lease is held.
    async fn step(&mut self) -> Result<bool, StateError> {
        let entry = self.store().await?.get(&self.key).await?;
        let Some(entry) = entry else {
            self.seen = None;
            self.write(&self.identity.clone()).await?;
            return Ok(true);
        };
        let holder = serde_json::from_slice::<Entry>(&entry.value);
        let holder = holder.map(|entry| entry.holder).unwrap_or_default();
        let since = match self.seen {
            Some((revision, since)) if revision == entry.revision => since,
            _ => Instant::now(),
        };
        self.seen = Some((entry.revision, since));
        let free = holder.is_empty() || holder == self.identity || since.elapsed() >= LEASE;
        if free {
            self.write(&self.identity.clone()).await?;
        }
        Ok(free)
    }

    async fn write(&mut self, holder: &str) -> Result<(), StateError> {
        let entry = Entry {
            holder: holder.to_owned(),
        };
        let value = Bytes::from(serde_json::to_vec(&entry).unwrap_or_default());
        let expected = self.seen.map(|(revision, _)| revision);
        let store = self.store().await?;
        let revision = store.put(&self.key, value, expected).await?;
        self.seen = Some((revision, Instant::now()));
        Ok(())
    }

    async fn store(&mut self) -> Result<Arc<dyn State>, StateError> {
        if let Some(store) = &self.store {
            return Ok(store.clone());
        }
        let store = self.bus.state(BUCKET).await?;
        self.store = Some(store.clone());
        Ok(store)
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use futures::FutureExt as _;

    use super::*;
    use crate::bus::Entry as Stored;
    use crate::embedded::EmbeddedConfig;

    /// One value that is written at once: whoever waits for a thread lets a paused clock run ahead of it.
    #[derive(Default)]
    struct AtOnce(Mutex<Option<Stored>>);

    #[async_trait]
    impl State for AtOnce {
        async fn get(&self, _: &str) -> Result<Option<Stored>, StateError> {
            Ok(self.0.lock().unwrap().clone())
        }

        async fn put(&self, _: &str, value: Bytes, of: Option<u64>) -> Result<u64, StateError> {
            let mut there = self.0.lock().unwrap();
            if there.as_ref().map(|there| there.revision) != of {
                return Err(StateError::Conflict);
            }
            let revision = of.unwrap_or_default() + 1;
            *there = Some(Stored { value, revision });
            Ok(revision)
        }

        async fn delete(&self, _: &str) -> Result<(), StateError> {
            *self.0.lock().unwrap() = None;
            Ok(())
        }

        async fn keys(&self, _: &str) -> Result<Vec<String>, StateError> {
            Ok(Vec::new())
        }

        fn most(&self) -> usize {
            usize::MAX
        }
    }

    fn bus(folder: &tempfile::TempDir) -> Bus {
        Bus::embedded(EmbeddedConfig::new(folder.path())).unwrap()
    }

    #[tokio::test]
    async fn one_of_two_has_the_turn_and_the_other_follows_when_it_goes() {
        let folder = tempfile::tempdir().unwrap();
        let (bus, tasks) = (bus(&folder), Tasks::new());
        let one = Turn::stand(bus.clone(), "pool", "one", &tasks);
        one.begins().await;
        assert!(one.is_mine());
        let two = Turn::stand(bus, "pool", "two", &tasks);
        assert!(!two.is_mine());
        one.give_back().await;
        assert!(!one.is_mine());
        one.ends().await;
        two.begins().await;
        assert!(two.is_mine() && !one.is_mine());
    }

    #[tokio::test(start_paused = true)]
    async fn a_holder_that_is_gone_loses_the_turn() {
        let folder = tempfile::tempdir().unwrap();
        let (store, tasks) = (Arc::new(AtOnce::default()), Tasks::new());
        let entry = Bytes::from_static(b"{\"holder\": \"killed\"}");
        store.put("pool", entry, None).await.unwrap();
        let next = Turn::stand_in(Some(store), bus(&folder), "pool", "next", &tasks);
        let began = Instant::now();
        next.begins().await;
        assert!(next.is_mine());
        assert!(began.elapsed() >= LEASE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_holder_that_stood_still_knows_at_once_that_it_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let (store, tasks) = (Arc::new(AtOnce::default()), Tasks::new());
        let turn = Turn::stand_in(Some(store), bus(&folder), "pool", "one", &tasks);
        turn.begins().await;
        assert!(turn.is_mine());
        // The clock moves, and nothing else does.
        assert!(tokio::time::advance(SURE).now_or_never().is_none());
        assert!(!turn.is_mine());
    }

    #[tokio::test]
    async fn who_is_alone_always_has_the_turn() {
        let turn = Turn::alone();
        turn.begins().await;
        assert!(turn.is_mine() && turn.changes().is_none());
    }
}
