//! Takes off the buses what Sensors that are gone have left there: those of pods go away without a word to the bus, and
//! some go while nobody runs at all.
//!
//! ```text
//! EventBus ready, Sensor gone or moved ─▶ schedule (pure) ─▶ visit: connect, compare, remove ─▶ schedule
//! ```
//!
//! No bus is connected to while there is nothing to look for, and a bus that cannot be reached delays nobody.

mod schedule;
mod visit;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use kube::Client;
use tiphys_eventbus::BusConfig;
use tokio::time::Instant;

use self::schedule::{Found, Schedule};
use self::visit::{Successor, Visit};
use super::cache::Cache;
use super::conditions::holds;
use super::known::Known;
use super::reconcile::bus_config;
use crate::hosting::{Kind, ObjectKey};

/// How many buses are looked at at once.
const AT_ONCE: usize = 4;

/// How often a bus whose object is gone is tried: its servers may have gone with it.
const FAREWELLS: u32 = 5;

type Visits = FuturesUnordered<BoxFuture<'static, (String, Result<Found, String>)>>;

/// One EventBus, by its uid.
struct Place {
    key: ObjectKey,
    config: BusConfig,
    /// Whether its servers outlive its object.
    exotic: bool,
    /// Whether its object is gone.
    gone: bool,
    /// Whether it has been told of that it cannot be looked at.
    told: bool,
}

/// See the module.
pub(super) struct Sweeper {
    client: Client,
    schedule: Schedule,
    places: HashMap<String, Place>,
    visits: Visits,
}

impl Sweeper {
    /// `after`: how long after the end of a Sensor its pods may still be at work.
    pub(super) fn new(client: Client, after: Duration) -> Self {
        Self {
            client,
            schedule: Schedule::new(after),
            places: HashMap::new(),
            visits: FuturesUnordered::new(),
        }
    }

    /// Takes in which EventBuses there are.
    pub(super) fn follow(&mut self, cache: &Cache) {
        let now = Instant::now();
        let mut seen = HashSet::new();
        for known in cache.of_kind(Kind::EventBus) {
            seen.insert(known.uid.clone());
            let config = bus_config(known).and_then(|config| BusConfig::from_status(&config).ok());
            let ready = config.is_some() && holds(known.status(), "Ready");
            if let Some(config) = config {
                let told = self.places.get(&known.uid).is_some_and(|place| place.told);
                let place = Place {
                    key: known.key.clone(),
                    config,
                    exotic: is_exotic(known),
                    gone: false,
                    told,
                };
                self.places.insert(known.uid.clone(), place);
            }
            if self.places.contains_key(&known.uid) {
                self.schedule.keep(&known.uid, ready, now);
            }
        }
        let ended = |(uid, place): &(&String, &mut Place)| !seen.contains(*uid) && !place.gone;
        let mut removed = Vec::new();
        for (uid, place) in self.places.iter_mut().filter(ended) {
            if place.exotic {
                place.gone = true;
                self.schedule.keep(uid, true, now);
                self.schedule.soon(uid, now);
            } else {
                removed.push(uid.clone());
            }
        }
        for uid in removed {
            self.forget(&uid);
        }
    }

    /// Takes in which EventBuses a Sensor has left.
    pub(super) fn left(&mut self, buses: &BTreeSet<ObjectKey>) {
        if buses.is_empty() {
            return;
        }
        let now = Instant::now();
        let places = self.places.iter();
        for (uid, _) in places.filter(|(_, place)| buses.contains(&place.key)) {
            self.schedule.soon(uid, now);
        }
    }

    /// Looks at buses when it is time. Dropping the future loses nothing.
    pub(super) async fn work(&mut self, cache: &Cache) -> Infallible {
        loop {
            while self.visits.len() < AT_ONCE
                && let Some(uid) = self.schedule.take(Instant::now())
            {
                self.visit(uid, cache);
            }
            let due = self.schedule.due().filter(|_| self.visits.len() < AT_ONCE);
            let due = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some((uid, looked)) = self.visits.next(), if !self.visits.is_empty() => self.done(&uid, looked),
                () = due => {}
            }
        }
    }

    fn visit(&mut self, uid: String, cache: &Cache) {
        let Some(place) = self.places.get(&uid) else {
            self.schedule.forget(&uid);
            return;
        };
        let (here, successor) = if place.gone {
            let successor = cache.object(&place.key);
            let config = successor.as_deref().and_then(bus_config);
            let config = config.and_then(|config| BusConfig::from_status(&config).ok());
            let successor = match config {
                None => Successor::None,
                Some(config) if config == place.config => Successor::SamePlace,
                Some(_) => Successor::OtherPlace,
            };
            (BTreeSet::new(), Some(successor))
        } else {
            let sensors = cache.on(&place.key);
            let sensors = sensors.filter(|known| known.key.kind == Kind::Sensor);
            (sensors.map(|known| known.key.name.clone()).collect(), None)
        };
        let visit = Visit {
            client: self.client.clone(),
            bus: place.key.clone(),
            uid: uid.clone(),
            config: place.config.clone(),
            here,
            successor,
        };
        self.visits.push(Box::pin(async move {
            let looked = AssertUnwindSafe(visit.run()).catch_unwind().await;
            let looked = looked.unwrap_or_else(|_| Err("the look has panicked".to_owned()));
            (uid, looked)
        }));
    }

    fn done(&mut self, uid: &str, looked: Result<Found, String>) {
        let Some(place) = self.places.get_mut(uid) else {
            self.schedule.forget(uid);
            return;
        };
        let (namespace, name) = (&place.key.namespace, &place.key.name);
        let found = match looked {
            Ok(found) => {
                if std::mem::take(&mut place.told) {
                    tracing::info!(namespace, name, "the event bus can be looked at again");
                }
                found
            }
            Err(error) if place.gone => {
                tracing::debug!(
                    namespace,
                    name,
                    error,
                    "cannot look at the servers of an EventBus that is gone"
                );
                Found::Failed
            }
            Err(error) => {
                if !std::mem::replace(&mut place.told, true) {
                    tracing::warn!(
                        namespace,
                        name,
                        error,
                        "cannot look at what Sensors that are gone have left on an event bus; trying again and again"
                    );
                }
                Found::Failed
            }
        };
        let failures = self.schedule.done(uid, found, Instant::now());
        if place.gone && (found == Found::Nothing || failures >= FAREWELLS) {
            self.forget(uid);
        }
    }

    fn forget(&mut self, uid: &str) {
        self.places.remove(uid);
        self.schedule.forget(uid);
    }
}

fn is_exotic(bus: &Known) -> bool {
    let spec = bus.spec();
    spec.get("jetstreamExotic").is_some() || spec.pointer("/nats/exotic").is_some()
}
