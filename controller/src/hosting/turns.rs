//! Which of several processes runs what only one may run: a lease on the event bus, which every process reaches anyway,
//! so that pods need no permission in the API for it.
//!
//! ```text
//! no entry, or released ─▶ write own name ─▶ held: written again every 2 s
//! entry of another, unchanged for 10 s ─▶ write own name (only if still unchanged)
//! held, and no write has succeeded for 6 s ─▶ given up before anybody else can take it
//! ```
//!
//! Clocks of different machines are never compared. It does not know what the turn is for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::select_all;
use serde::{Deserialize, Serialize};
use tiphys_core::Tasks;
use tiphys_eventbus::{Bus, State, StateError};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::buses::Opened;
use super::host::Replicas;

/// Where leases are kept on the bus.
const BUCKET: &str = "tiphys-turns";
/// How often a lease is written again, or looked at.
const RENEW: Duration = Duration::from_secs(2);
/// A lease that nobody writes for so long is free.
const LEASE: Duration = Duration::from_secs(10);
/// A holder that could not write for so long stops: before the lease is free for others.
const SURE: Duration = Duration::from_secs(6);

type BusName = (String, String);

struct Stood {
    epoch: u64,
    mine: watch::Receiver<bool>,
    stop: CancellationToken,
}

/// The turns of one process, one for each bus that has something to take turns on.
pub(crate) struct Turns {
    replicas: Replicas,
    tasks: Tasks,
    stood: BTreeMap<BusName, Stood>,
}

impl Turns {
    pub(crate) fn new(replicas: Replicas, tasks: Tasks) -> Self {
        Self {
            replicas,
            tasks,
            stood: BTreeMap::new(),
        }
    }

    /// Whether it is this process's turn on a bus. The first question makes it stand for it.
    pub(crate) fn mine(&mut self, namespace: &str, bus_name: &str, opened: &Opened) -> bool {
        let Replicas::Several { identity, group } = &self.replicas else {
            return true;
        };
        let key = (namespace.to_owned(), bus_name.to_owned());
        if let Some(stood) = self.stood.get(&key) {
            if stood.epoch == opened.epoch {
                return *stood.mine.borrow();
            }
            stood.stop.cancel();
        }
        let (told, mine) = watch::channel(false);
        let stop = self.tasks.stop_token().child_token();
        let lease = Lease {
            bus: opened.bus.clone(),
            key: group.clone(),
            identity: identity.clone(),
            told,
            store: None,
            seen: None,
            sure: None,
        };
        self.tasks.spawn_job(
            format!("turn on bus {namespace}/{bus_name}"),
            lease.run(stop.clone()),
        );
        let epoch = opened.epoch;
        self.stood.insert(key, Stood { epoch, mine, stop });
        false
    }

    /// Waits until a turn has begun or ended, and says on which bus.
    pub(crate) async fn changed(&mut self) -> BusName {
        if self.stood.is_empty() {
            return std::future::pending().await;
        }
        let changes = self.stood.iter_mut().map(|(key, stood)| {
            async {
                if stood.mine.changed().await.is_err() {
                    // It stood until the bus was closed.
                    std::future::pending::<()>().await;
                }
                key.clone()
            }
            .boxed()
        });
        select_all(changes).await.0
    }

    /// Lets others have the turns at once.
    pub(crate) fn release(&self) {
        for stood in self.stood.values() {
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
    /// Since when the lease was certainly held.
    sure: Option<Instant>,
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
                Ok(Ok(true)) => self.sure = Some(tried),
                Ok(Ok(false)) => self.sure = None,
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
        if self.sure.take().is_some() {
            self.told.send_replace(false);
            let released = tokio::time::timeout(RENEW, self.write("")).await;
            if !matches!(released, Ok(Ok(_))) {
                tracing::debug!("a turn was not given back; others take it when its time is over");
            }
        }
    }

    fn tell(&self) {
        let mine = self.sure.is_some_and(|since| since.elapsed() < SURE);
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
    use super::*;
    use tiphys_eventbus::EmbeddedConfig;

    fn turns(identity: &str) -> Turns {
        let replicas = Replicas::Several {
            identity: identity.to_owned(),
            group: "pool".to_owned(),
        };
        Turns::new(replicas, Tasks::new())
    }

    #[tokio::test]
    async fn one_of_two_has_the_turn_and_the_other_follows_when_it_goes() {
        let folder = tempfile::tempdir().unwrap();
        let bus = Bus::embedded(EmbeddedConfig::new(folder.path())).unwrap();
        let opened = Opened { bus, epoch: 1 };
        let (mut one, mut two) = (turns("one"), turns("two"));
        assert!(!one.mine("ns", "default", &opened));
        assert_eq!(one.changed().await, ("ns".to_owned(), "default".to_owned()));
        assert!(one.mine("ns", "default", &opened));
        assert!(!two.mine("ns", "default", &opened));
        one.release();
        two.changed().await;
        assert!(two.mine("ns", "default", &opened));
        one.changed().await;
        assert!(!one.mine("ns", "default", &opened));
    }

    #[tokio::test(start_paused = true)]
    async fn a_holder_that_is_gone_loses_the_turn() {
        let folder = tempfile::tempdir().unwrap();
        let bus = Bus::embedded(EmbeddedConfig::new(folder.path())).unwrap();
        let store = bus.state(BUCKET).await.unwrap();
        let entry = Bytes::from_static(b"{\"holder\": \"killed\"}");
        store.put("pool", entry, None).await.unwrap();
        let opened = Opened { bus, epoch: 1 };
        let mut next = turns("next");
        assert!(!next.mine("ns", "default", &opened));
        next.changed().await;
        assert!(next.mine("ns", "default", &opened));
    }

    #[test]
    fn who_is_alone_always_has_the_turn() {
        let folder = tempfile::tempdir().unwrap();
        let bus = Bus::embedded(EmbeddedConfig::new(folder.path())).unwrap();
        let mut turns = Turns::new(Replicas::Alone, Tasks::new());
        assert!(turns.mine("ns", "default", &Opened { bus, epoch: 1 }));
    }
}
