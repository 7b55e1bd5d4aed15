//! The buses of this process: one for each EventBus, shared by all who name it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::select_all;
use serde_json::Value;
use tiphys_core::manifest;
use tiphys_core::metrics::Metrics;
use tiphys_core::tasks::chain;
use tiphys_core::{Secrets, Tasks};
use tiphys_eventbus::{Bus, BusConfig, EventBusSpec, EventBusStatus, Health};
use tokio::sync::watch;

use super::host::Buses;
use super::state::ObjectState;

type Name = (String, String);

/// The reason of whoever waits for a bus.
pub(crate) const NOT_READY: &str = "EventBusNotReady";

/// No request in hand takes longer to store its events.
const RETIRED: Duration = Duration::from_secs(10);

/// How long a bus is waited for that is new in a place where events come already.
const SETTLE: Duration = Duration::from_secs(5);

/// A bus, and which one of that name it is: it is another one after its object has changed.
#[derive(Clone)]
pub(crate) struct Opened {
    pub(crate) bus: Bus,
    pub(crate) epoch: u64,
}

struct Open {
    config: BusConfig,
    opened: Opened,
    health: watch::Receiver<Health>,
}

pub(crate) struct OpenBuses {
    policy: Buses,
    metrics: Metrics,
    tasks: Tasks,
    open: BTreeMap<Name, Open>,
    /// Buses that no object asks for, made because a laptop needs none.
    implicit: BTreeSet<Name>,
    /// Buses that others took the place of, until nobody uses them.
    retired: Vec<Bus>,
    epoch: u64,
}

impl OpenBuses {
    pub(crate) fn new(policy: Buses, metrics: Metrics, tasks: Tasks) -> Self {
        Self {
            policy,
            metrics,
            tasks,
            open: BTreeMap::new(),
            implicit: BTreeSet::new(),
            retired: Vec::new(),
            epoch: 0,
        }
    }

    /// What opens the bus of an object.
    pub(crate) fn config(
        &self,
        namespace: &str,
        name: &str,
        spec: &EventBusSpec,
        object: &Value,
    ) -> Result<BusConfig, ObjectState> {
        let config = match &self.policy {
            Buses::Local { data_dir } => BusConfig::local(spec, namespace, name, data_dir),
            Buses::Cluster => {
                let status = object.get("status").map(manifest::read);
                let status: EventBusStatus = status.and_then(Result::ok).unwrap_or_default();
                let Some(config) = &status.config else {
                    return Err(ObjectState::not_ready(NOT_READY, waits_for(name, &status)));
                };
                BusConfig::from_status(config)
            }
        };
        let annotations = object.pointer("/metadata/annotations").cloned();
        let annotations = annotations.and_then(|map| serde_json::from_value(map).ok());
        config
            .map(|config| config.annotated(&annotations.unwrap_or_default()))
            .map_err(|problems| ObjectState::not_ready("NotSupported", problems.errors()))
    }

    /// Whether [`OpenBuses::open`] would have to close the bus that is open now before it opens another: two embedded
    /// logs cannot share a folder.
    pub(crate) fn must_close(&self, namespace: &str, name: &str, config: &BusConfig) -> bool {
        let open = self.open.get(&key(namespace, name));
        open.is_some_and(|open| {
            open.config != *config && matches!(open.config, BusConfig::Embedded(_))
        })
    }

    /// Opens a bus as its object says. Whoever uses one that must be closed has stopped before; whoever uses one that
    /// goes on has until [`OpenBuses::close_retired`].
    pub(crate) async fn open(
        &mut self,
        namespace: &str,
        name: &str,
        config: BusConfig,
        secrets: Arc<dyn Secrets>,
    ) -> Result<ObjectState, ObjectState> {
        let key = key(namespace, name);
        if self.must_close(namespace, name, &config) {
            self.remove(namespace, name).await;
        }
        self.implicit.remove(&key);
        let known = self.open.get(&key);
        if known.is_none_or(|open| open.config != config) {
            let others = known.is_some();
            let bus = self.connect(config.clone(), secrets).await?;
            if others {
                settle(&bus).await;
            }
            self.keep(key.clone(), config, bus);
        }
        let state = self.open.get(&key).map(|open| self.state(&key, open));
        Ok(state.unwrap_or_else(|| ObjectState::not_ready("Closed", "the bus is closed")))
    }

    fn keep(&mut self, key: Name, config: BusConfig, bus: Bus) {
        self.epoch += 1;
        let open = Open {
            config,
            health: bus.health(),
            opened: Opened {
                bus,
                epoch: self.epoch,
            },
        };
        if let Some(before) = self.open.insert(key, open) {
            self.retired.push(before.opened.bus);
        }
    }

    async fn connect(
        &self,
        config: BusConfig,
        secrets: Arc<dyn Secrets>,
    ) -> Result<Bus, ObjectState> {
        let tasks = self.tasks.clone();
        // An embedded bus reads its files, which must not hold up everything else.
        let opened = tokio::task::spawn_blocking(move || Bus::open(config, secrets, &tasks)).await;
        let failed =
            |error: &dyn std::error::Error| ObjectState::not_ready("CannotOpen", error.to_string());
        opened
            .map_err(|error| failed(&error))?
            .map_err(|error| ObjectState::not_ready("CannotOpen", chain(&error)))
    }

    /// The bus of that name, if it is open.
    pub(crate) fn opened(&self, namespace: &str, name: &str) -> Option<Opened> {
        let open = self.open.get(&key(namespace, name))?;
        Some(open.opened.clone())
    }

    /// The bus of whoever names one that has no object.
    pub(crate) async fn without_object(
        &mut self,
        namespace: &str,
        name: &str,
        secrets: Arc<dyn Secrets>,
    ) -> Result<Opened, ObjectState> {
        let key = key(namespace, name);
        let absent = |remedy: &str| {
            let message = format!(
                "there is no EventBus {name:?} in namespace {namespace:?}: create it, or {remedy}"
            );
            ObjectState::not_ready("EventBusNotFound", message)
        };
        let Buses::Local { data_dir } = &self.policy else {
            return Err(absent("name another in eventBusName"));
        };
        if name != "default" {
            return Err(absent("leave eventBusName out"));
        }
        // On a laptop nobody should have to write an EventBus only to say nothing in it.
        let config = BusConfig::local(&EventBusSpec::default(), namespace, name, data_dir);
        let config =
            config.map_err(|problems| ObjectState::not_ready("NotSupported", problems.errors()))?;
        let bus = self.connect(config.clone(), secrets).await?;
        tracing::info!(
            namespace,
            "no EventBus \"default\" is defined: using an embedded one"
        );
        self.keep(key.clone(), config, bus.clone());
        self.implicit.insert(key);
        let epoch = self.epoch;
        Ok(Opened { bus, epoch })
    }

    fn state(&self, key: &Name, open: &Open) -> ObjectState {
        let bus = &open.opened.bus;
        let (kind, durability) = (bus.kind(), bus.durability().as_str());
        let gauge = self.metrics.bus_up(&key.0, &key.1, kind, durability);
        match &*open.health.borrow() {
            Health::Connected => {
                gauge.set(1);
                let lost = bus.discarded();
                let counted = self.metrics.bus_lost(&key.0, &key.1);
                counted.set(i64::try_from(lost).unwrap_or(i64::MAX));
                let losses = match lost {
                    0 => String::new(),
                    1 => "; 1 event was removed by its limits before a sensor had it".to_owned(),
                    lost => {
                        format!(
                            "; {lost} events were removed by its limits before a sensor had them"
                        )
                    }
                };
                ObjectState::ready(format!("{kind} bus, durability {durability}{losses}"))
            }
            Health::Unavailable { reason } => {
                gauge.set(0);
                ObjectState::not_ready(
                    "Unavailable",
                    format!("{kind} bus cannot be reached: {reason}"),
                )
            }
        }
    }

    /// Waits until the health of any bus has changed.
    pub(crate) async fn changed(&mut self) {
        if self.open.is_empty() {
            return std::future::pending().await;
        }
        let changes = self.open.values_mut().map(|open| {
            async {
                if open.health.changed().await.is_err() {
                    // The bus is closed; it is taken out by whoever closed it.
                    std::future::pending::<()>().await;
                }
            }
            .boxed()
        });
        select_all(changes).await;
    }

    /// Waits a moment for all that are open to be reached.
    pub(crate) async fn settle(&self) {
        let buses = self.open.values().map(|open| settle(&open.opened.bus));
        futures::future::join_all(buses).await;
    }

    /// Whether a bus can be reached now.
    pub(crate) fn connected(&self, namespace: &str, name: &str) -> bool {
        let open = self.open.get(&key(namespace, name));
        open.is_some_and(|open| *open.health.borrow() == Health::Connected)
    }

    /// The state of every bus that an object asks for.
    pub(crate) fn states(&self) -> Vec<(String, String, ObjectState)> {
        let asked = self
            .open
            .iter()
            .filter(|(key, _)| !self.implicit.contains(*key));
        asked
            .map(|(key, open)| (key.0.clone(), key.1.clone(), self.state(key, open)))
            .collect()
    }

    /// Every bus that is open.
    pub(crate) fn all(&self) -> Vec<(Name, Bus)> {
        let open = self.open.iter();
        open.map(|(name, open)| (name.clone(), open.opened.bus.clone()))
            .collect()
    }

    pub(crate) async fn remove(&mut self, namespace: &str, name: &str) {
        let key = key(namespace, name);
        self.implicit.remove(&key);
        if let Some(open) = self.open.remove(&key) {
            open.opened.bus.close().await;
        }
    }

    /// Closes what nobody has been given any more, once the requests that were given it are through.
    pub(crate) fn close_retired(&mut self) {
        for bus in std::mem::take(&mut self.retired) {
            let stop = self.tasks.stop_token();
            self.tasks.spawn_job("retired bus", async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(RETIRED) => {}
                }
                bus.close().await;
            });
        }
    }

    pub(crate) async fn close_all(&mut self) {
        for bus in std::mem::take(&mut self.retired) {
            bus.close().await;
        }
        for (_, open) in std::mem::take(&mut self.open) {
            open.opened.bus.close().await;
        }
    }
}

/// Gives a bus the time to be there, so that no request meets it before it is.
async fn settle(bus: &Bus) {
    let mut health = bus.health();
    let connected = health.wait_for(|health| *health == Health::Connected);
    if !matches!(tokio::time::timeout(SETTLE, connected).await, Ok(Ok(_))) {
        tracing::debug!("going on although an event bus cannot be reached yet");
    }
}

/// Why an EventBus tells nobody yet where its servers are.
fn waits_for(name: &str, status: &EventBusStatus) -> String {
    let wrong = status
        .conditions
        .iter()
        .find(|condition| condition.status == "False" && !condition.message.is_empty());
    match wrong {
        Some(condition) => format!("EventBus {name:?} is not ready: {}", condition.message),
        None => format!(
            "EventBus {name:?} is not ready: its status says nothing of a server yet; is the controller running?"
        ),
    }
}

fn key(namespace: &str, name: &str) -> Name {
    (namespace.to_owned(), name.to_owned())
}
