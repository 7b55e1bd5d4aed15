//! Sensors inside the test's own process, on a real bus and a real API: for tests that want many of them, or want to see
//! what no command shows. It asserts nothing.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use kube::Client;
use tempfile::TempDir;
use tiphys_cluster::{Cluster, kinds};
use tiphys_core::metrics::{Metrics, TriggerMetrics};
use tiphys_core::refs::KeyRef;
use tiphys_core::{Event, Secret, SecretError, Secrets, Tasks};
use tiphys_eventbus::{Bus, EmbeddedConfig, Health, JetStreamConfig, Publish as _};
use tiphys_sensor::{
    Decision, Reach, RecordLimits, Recorder, RunningSensor, Sensor, SensorObject, SensorRuntime,
    StartError,
};
use tiphys_tests::{Nats, NatsOptions, eventually, eventually_ok, temp_dir};

use crate::scene::Books;
use crate::support::LIMIT;

struct NoSecrets;

#[async_trait]
impl Secrets for NoSecrets {
    async fn secret(&self, at: &KeyRef) -> Result<Secret, SecretError> {
        let (name, key) = (at.name.clone(), at.key.clone());
        let kind = "secret";
        Err(SecretError::Missing { kind, name, key })
    }

    async fn config(&self, at: &KeyRef) -> Result<Bytes, SecretError> {
        let (name, key) = (at.name.clone(), at.key.clone());
        let kind = "config map";
        Err(SecretError::Missing { kind, name, key })
    }
}

/// A bus with everything that a Sensor needs around it.
pub(crate) struct Inside {
    pub(crate) bus: Bus,
    pub(crate) client: Client,
    pub(crate) metrics: Metrics,
    pub(crate) records: Recorder,
    pub(crate) tasks: Tasks,
    folder: TempDir,
    _cluster: Cluster,
}

impl Inside {
    fn around(folder: TempDir, tasks: Tasks, bus: Bus) -> Self {
        let cluster = Cluster::in_memory(&[kinds::CORE, kinds::ARGO].concat()).unwrap();
        let decisions = folder.path().join("decisions");
        Self {
            records: Recorder::open(&decisions, RecordLimits::default(), &tasks).unwrap(),
            client: cluster.client("default"),
            metrics: Metrics::try_new("0").unwrap(),
            bus,
            tasks,
            folder,
            _cluster: cluster,
        }
    }

    /// On an embedded bus of its own.
    pub(crate) fn embedded() -> Self {
        let folder = temp_dir();
        let bus = Bus::embedded(EmbeddedConfig::new(folder.path().join("bus"))).unwrap();
        Self::around(folder, Tasks::new(), bus)
    }

    /// On a server that is there.
    pub(crate) async fn on(nats: &Nats) -> Self {
        let tasks = Tasks::new();
        let config = JetStreamConfig {
            url: nats.url(),
            ..JetStreamConfig::default()
        };
        let bus = Bus::jetstream(config, Arc::new(NoSecrets), &tasks).unwrap();
        let health = bus.health();
        eventually("the bus to be connected", LIMIT, async || {
            (*health.borrow() == Health::Connected).then_some(())
        })
        .await;
        Self::around(temp_dir(), tasks, bus)
    }

    /// On a server of its own.
    pub(crate) async fn on_nats() -> (Nats, Self) {
        let nats = Nats::start(NatsOptions::default()).await;
        let inside = Self::on(&nats).await;
        (nats, inside)
    }

    pub(crate) async fn try_start(
        &self,
        object: SensorObject,
    ) -> Result<RunningSensor, StartError> {
        let (bus, client) = (self.bus.clone(), self.client.clone());
        let reach = Reach {
            client,
            secrets: Arc::new(NoSecrets),
            known_hosts: Arc::default(),
        };
        let (metrics, records) = (&self.metrics, &self.records);
        SensorRuntime::start(object, bus, reach, metrics, records, &self.tasks).await
    }

    pub(crate) async fn start(&self, object: SensorObject) -> RunningSensor {
        self.try_start(object).await.unwrap()
    }

    /// Stores an event, however long that takes.
    pub(crate) async fn publish(&self, event: &Event) -> u64 {
        let stored = eventually_ok("an event to be stored", LIMIT, async || {
            self.bus.publish(event).await
        });
        stored.await.seq
    }

    pub(crate) fn counters(&self, sensor: &str, trigger: &str) -> TriggerMetrics {
        self.metrics.trigger("default", sensor, trigger)
    }

    pub(crate) fn books(&self, sensor: &str, trigger: &str) -> Books {
        let counters = self.counters(sensor, trigger);
        Books {
            accepted: counters.accepted.get(),
            fired: counters.fired.get(),
            filtered: counters.filtered.get(),
            dead: counters.dead.get(),
            pending: u64::try_from(counters.pending.get()).unwrap_or(u64::MAX),
        }
    }

    /// Waits until the books of a trigger are so.
    pub(crate) async fn reaches(&self, sensor: &str, trigger: &str, wanted: Books) {
        let what = format!("{wanted:?} of {sensor}/{trigger}");
        eventually_ok(&what, LIMIT, async || {
            let books = self.books(sensor, trigger);
            if books == wanted {
                Ok(())
            } else {
                Err(format!("{books:?}"))
            }
        })
        .await;
    }

    /// Every decision so far, in the order in which they were taken.
    pub(crate) async fn decisions(&self) -> Vec<Decision> {
        self.records.flush().await;
        let folder = std::fs::read_dir(self.folder.path().join("decisions")).unwrap();
        let mut files: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let mut found = Vec::new();
        for file in files {
            let text = std::fs::read_to_string(file).unwrap();
            // Other lines are no decisions.
            found.extend(
                text.lines()
                    .filter_map(|line| serde_json::from_str(line).ok()),
            );
        }
        found
    }
}

/// A Sensor of namespace `default` from the YAML of its spec.
pub(crate) fn sensor(name: &str, spec: &str) -> SensorObject {
    let spec: serde_json::Value = tiphys_core::manifest::parse(spec).unwrap().remove(0).object;
    let object = serde_json::json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Sensor", "metadata": {"name": name}, "spec": spec});
    let sensor: Sensor = serde_json::from_value(object).unwrap();
    SensorObject::new(sensor, "default")
}

/// An event of EventSource `s`.
pub(crate) fn event(name: &str, id: &str, payload: &str) -> Event {
    let mut event = Event::new(
        "s",
        "webhook",
        name,
        Bytes::copy_from_slice(payload.as_bytes()),
    );
    event.id = id.to_owned();
    event
}
