//! The turns of this process at what only one of several may run, one for each bus that has something of the kind.
//! How they agree is the bus's work ([`Turn`]); what runs then is the reconciler's.

use std::collections::BTreeMap;

use futures::FutureExt as _;
use futures::future::{join_all, select_all};
use tiphys_core::Tasks;
use tiphys_eventbus::Turn;
use tokio::sync::watch;

use super::buses::Opened;
use super::host::Replicas;

type BusName = (String, String);

struct Stood {
    epoch: u64,
    turn: Turn,
    changes: watch::Receiver<bool>,
}

/// The turns of one process.
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

    /// The turn on a bus. The first question makes the process stand for it.
    pub(crate) fn turn(&mut self, namespace: &str, bus_name: &str, opened: &Opened) -> Turn {
        // A bus in a folder has one process.
        if opened.bus.is_alone() {
            return Turn::alone();
        }
        self.stand(namespace, bus_name, opened)
    }

    fn stand(&mut self, namespace: &str, bus_name: &str, opened: &Opened) -> Turn {
        let Replicas::Several { identity, group } = &self.replicas else {
            return Turn::alone();
        };
        let key = (namespace.to_owned(), bus_name.to_owned());
        if let Some(stood) = self.stood.get(&key) {
            if stood.epoch == opened.epoch {
                return stood.turn.clone();
            }
            stood.turn.leave();
        }
        let turn = Turn::stand(opened.bus.clone(), group, identity, &self.tasks);
        if let Some(changes) = turn.changes() {
            let (epoch, turn) = (opened.epoch, turn.clone());
            self.stood.insert(
                key,
                Stood {
                    epoch,
                    turn,
                    changes,
                },
            );
        }
        turn
    }

    /// Waits until a turn has begun or ended, and says on which bus.
    pub(crate) async fn changed(&mut self) -> BusName {
        if self.stood.is_empty() {
            return std::future::pending().await;
        }
        let changes = self.stood.iter_mut().map(|(key, stood)| {
            async {
                if stood.changes.changed().await.is_err() {
                    // It stood until the bus was closed.
                    std::future::pending::<()>().await;
                }
                key.clone()
            }
            .boxed()
        });
        select_all(changes).await.0
    }

    /// Lets others have the turns, once what ran in them has ended.
    pub(crate) async fn release(&self) {
        join_all(self.stood.values().map(|stood| stood.turn.give_back())).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tiphys_eventbus::{Bus, EmbeddedConfig};

    fn turns(identity: &str) -> Turns {
        let replicas = Replicas::Several {
            identity: identity.to_owned(),
            group: "pool".to_owned(),
        };
        Turns::new(replicas, Tasks::new())
    }

    #[tokio::test]
    async fn the_host_hears_of_each_turn_that_begins_and_ends() {
        let folder = tempfile::tempdir().unwrap();
        let bus = Bus::embedded(EmbeddedConfig::new(folder.path())).unwrap();
        let opened = Opened { bus, epoch: 1 };
        let (mut one, mut two) = (turns("one"), turns("two"));
        one.stand("ns", "default", &opened);
        assert_eq!(one.changed().await, ("ns".to_owned(), "default".to_owned()));
        assert!(one.stand("ns", "default", &opened).is_mine());
        assert!(!two.stand("ns", "default", &opened).is_mine());
        one.release().await;
        two.changed().await;
        assert!(two.stand("ns", "default", &opened).is_mine());
        one.changed().await;
        assert!(!one.stand("ns", "default", &opened).is_mine());
    }

    #[test]
    fn whoever_is_alone_always_has_the_turn() {
        let folder = tempfile::tempdir().unwrap();
        let bus = Bus::embedded(EmbeddedConfig::new(folder.path())).unwrap();
        let opened = Opened { bus, epoch: 1 };
        let mut alone = Turns::new(Replicas::Alone, Tasks::new());
        assert!(alone.stand("ns", "default", &opened).is_mine());
        assert!(turns("one").turn("ns", "default", &opened).is_mine());
    }
}
