//! The buses of this process: one for each EventBus, shared by all who name it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::select_all;
use tiphys_core::metrics::Metrics;
use tiphys_core::tasks::chain;
use tiphys_core::{Secrets, Tasks};
use tiphys_eventbus::{Bus, BusConfig, EventBusSpec, Health};
use tokio::sync::watch;

use super::host::Buses;
use super::state::ObjectState;

type Name = (String, String);

struct Open {
    spec: EventBusSpec,
    bus: Bus,
    health: watch::Receiver<Health>,
}

pub(crate) struct OpenBuses {
    policy: Buses,
    metrics: Metrics,
    tasks: Tasks,
    open: BTreeMap<Name, Open>,
    /// Buses that no object asks for, made because a laptop needs none.
    implicit: BTreeSet<Name>,
}

impl OpenBuses {
    pub(crate) fn new(policy: Buses, metrics: Metrics, tasks: Tasks) -> Self {
        Self {
            policy,
            metrics,
            tasks,
            open: BTreeMap::new(),
            implicit: BTreeSet::new(),
        }
    }

    fn data_dir(&self) -> &PathBuf {
        match &self.policy {
            Buses::Local { data_dir } => data_dir,
        }
    }

    /// Whether [`OpenBuses::open`] would close a bus that is open now.
    pub(crate) fn needs_reopen(&self, namespace: &str, name: &str, spec: &EventBusSpec) -> bool {
        self.open
            .get(&key(namespace, name))
            .is_some_and(|open| open.spec != *spec)
    }

    /// Opens a bus as its object says. Whoever uses the one that is open must have stopped before.
    pub(crate) async fn open(
        &mut self,
        namespace: &str,
        name: &str,
        spec: &EventBusSpec,
        secrets: Arc<dyn Secrets>,
    ) -> Result<ObjectState, ObjectState> {
        let key = key(namespace, name);
        if self.needs_reopen(namespace, name, spec) {
            self.remove(namespace, name).await;
        }
        self.implicit.remove(&key);
        if !self.open.contains_key(&key) {
            let bus = self.connect(namespace, name, spec, secrets).await?;
            self.open.insert(
                key.clone(),
                Open {
                    spec: spec.clone(),
                    health: bus.health(),
                    bus,
                },
            );
        }
        let state = self.open.get(&key).map(|open| self.state(&key, open));
        Ok(state.unwrap_or_else(|| ObjectState::not_ready("Closed", "the bus is closed")))
    }

    async fn connect(
        &self,
        namespace: &str,
        name: &str,
        spec: &EventBusSpec,
        secrets: Arc<dyn Secrets>,
    ) -> Result<Bus, ObjectState> {
        let config = BusConfig::local(spec, namespace, name, self.data_dir());
        let config =
            config.map_err(|problems| ObjectState::not_ready("NotSupported", problems.errors()))?;
        let tasks = self.tasks.clone();
        // An embedded bus reads its files, which must not hold up everything else.
        let opened = tokio::task::spawn_blocking(move || Bus::open(config, secrets, &tasks)).await;
        let failed =
            |error: &dyn std::error::Error| ObjectState::not_ready("CannotOpen", error.to_string());
        opened
            .map_err(|error| failed(&error))?
            .map_err(|error| ObjectState::not_ready("CannotOpen", chain(&error)))
    }

    /// The bus that a source or sensor names.
    pub(crate) async fn get(
        &mut self,
        namespace: &str,
        name: &str,
        defined: bool,
        secrets: Arc<dyn Secrets>,
    ) -> Result<Bus, ObjectState> {
        let key = key(namespace, name);
        if let Some(open) = self.open.get(&key) {
            return Ok(open.bus.clone());
        }
        if defined {
            return Err(ObjectState::not_ready(
                "EventBusNotReady",
                format!("EventBus {name:?} is not open"),
            ));
        }
        if name != "default" {
            let message = format!(
                "there is no EventBus {name:?} in namespace {namespace:?}: create it, or leave eventBusName out"
            );
            return Err(ObjectState::not_ready("EventBusNotFound", message));
        }
        // On a laptop nobody should have to write an EventBus only to say nothing in it.
        let spec = EventBusSpec::default();
        let bus = self.connect(namespace, name, &spec, secrets).await?;
        tracing::info!(
            namespace,
            "no EventBus \"default\" is defined: using an embedded one"
        );
        self.open.insert(
            key.clone(),
            Open {
                spec,
                health: bus.health(),
                bus: bus.clone(),
            },
        );
        self.implicit.insert(key);
        Ok(bus)
    }

    fn state(&self, key: &Name, open: &Open) -> ObjectState {
        let (kind, durability) = (open.bus.kind(), open.bus.durability().as_str());
        let gauge = self.metrics.bus_up(&key.0, &key.1, kind, durability);
        match &*open.health.borrow() {
            Health::Connected => {
                gauge.set(1);
                ObjectState::ready(format!("{kind} bus, durability {durability}"))
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

    pub(crate) async fn remove(&mut self, namespace: &str, name: &str) {
        let key = key(namespace, name);
        self.implicit.remove(&key);
        if let Some(open) = self.open.remove(&key) {
            open.bus.close().await;
        }
    }

    pub(crate) async fn close_all(&mut self) {
        for (_, open) in std::mem::take(&mut self.open) {
            open.bus.close().await;
        }
    }
}

fn key(namespace: &str, name: &str) -> Name {
    (namespace.to_owned(), name.to_owned())
}
