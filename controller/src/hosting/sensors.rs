//! The Sensors of this process: from object to running Sensor. What a Sensor does is the crate `sensor`'s work.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use futures::future::join_all;
use kube::Client;
use tiphys_core::metrics::Metrics;
use tiphys_core::tasks::chain;
use tiphys_core::{Secrets, Tasks};
use tiphys_sensor::{
    RecordLimits, Recorder, RunningSensor, SensorObject, SensorRuntime, StartError,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::buses::Opened;
use super::state::ObjectState;
use crate::control::{self, Running};

type Name = (String, String);

/// The reason of a Sensor that waits for its bus.
pub(crate) const CANNOT_SUBSCRIBE: &str = "CannotSubscribe";

struct Hosted {
    running: RunningSensor,
    bus_name: String,
    on: Opened,
    /// A hash of the object, for telling whether it has changed.
    version: u64,
    triggers: usize,
    /// Ends the job that waits for a failure.
    watch: CancellationToken,
}

/// Where decisions are recorded, and questions answered.
pub(crate) enum Records {
    /// In the data folder of this process.
    Here(Recorder),
    /// On the bus of each Sensor, for all of a cluster.
    OnBuses,
}

pub(crate) struct HostedSensors {
    client: Client,
    metrics: Metrics,
    records: Records,
    /// Of buses that keep decisions, with which bus of that name it is.
    on_buses: BTreeMap<Name, (u64, Recorder)>,
    running: Running,
    tasks: Tasks,
    hosted: BTreeMap<Name, Hosted>,
    failed: mpsc::UnboundedSender<(Name, String)>,
    failures: mpsc::UnboundedReceiver<(Name, String)>,
}

impl HostedSensors {
    pub(crate) fn new(
        client: Client,
        metrics: Metrics,
        records: Records,
        running: Running,
        tasks: Tasks,
    ) -> Self {
        let (failed, failures) = mpsc::unbounded_channel();
        Self {
            client,
            metrics,
            records,
            on_buses: BTreeMap::new(),
            running,
            tasks,
            hosted: BTreeMap::new(),
            failed,
            failures,
        }
    }

    /// Starts a Sensor, or replaces the one of that name if it has changed. What was in hand is finished first.
    pub(crate) async fn apply(
        &mut self,
        object: SensorObject,
        bus_name: &str,
        on: Opened,
        secrets: Arc<dyn Secrets>,
    ) -> Result<ObjectState, ObjectState> {
        let key = (object.namespace.clone(), object.name.clone());
        if let Some(hosted) = self.hosted.get(&key)
            && hosted.version == version(&object)
            && hosted.bus_name == bus_name
            && hosted.on.epoch == on.epoch
        {
            return Ok(ready(hosted.triggers));
        }
        self.stop(&key.0, &key.1).await;
        let (version, triggers) = (version(&object), object.spec.triggers.len());
        let records = self.records(&key.0, bus_name, &on);
        let started = SensorRuntime::start(
            object,
            on.bus.clone(),
            self.client.clone(),
            secrets,
            &self.metrics,
            &records,
            &self.tasks,
        );
        let running = started.await.map_err(|error| match &error {
            StartError::Invalid(_) => ObjectState::not_ready("Invalid", chain(&error)),
            StartError::Trigger { .. } => ObjectState::not_ready("NotSupported", chain(&error)),
            StartError::Bus { .. } => ObjectState::not_ready(CANNOT_SUBSCRIBE, chain(&error)),
        })?;
        let watch = self.watch(&key, running.clone());
        self.running.add(&key.0, &key.1, running.clone());
        if matches!(self.records, Records::OnBuses) {
            let names = [key.0.as_str(), key.1.as_str()];
            control::spawn_on_bus(&on.bus, names, self.running.clone(), &watch, &self.tasks);
        }
        self.hosted.insert(
            key,
            Hosted {
                running,
                bus_name: bus_name.to_owned(),
                on,
                version,
                triggers,
                watch,
            },
        );
        Ok(ready(triggers))
    }

    /// The record of whoever is on a bus.
    fn records(&mut self, namespace: &str, bus_name: &str, on: &Opened) -> Recorder {
        if let Records::Here(records) = &self.records {
            return records.clone();
        }
        let key = (namespace.to_owned(), bus_name.to_owned());
        if let Some((epoch, records)) = self.on_buses.get(&key)
            && *epoch == on.epoch
        {
            return records.clone();
        }
        let records = Recorder::on_bus(&on.bus, RecordLimits::default(), &self.tasks);
        self.on_buses.insert(key, (on.epoch, records.clone()));
        records
    }

    /// Waits until every decision is written.
    pub(crate) async fn flush(&self) {
        if let Records::Here(records) = &self.records {
            records.flush().await;
        }
        join_all(self.on_buses.values().map(|(_, records)| records.flush())).await;
    }

    fn watch(&self, key: &Name, running: RunningSensor) -> CancellationToken {
        let watch = self.tasks.stop_token().child_token();
        let (ended, failed, key) = (watch.clone(), self.failed.clone(), key.clone());
        self.tasks
            .spawn_job(format!("watch of sensor {}/{}", key.0, key.1), async move {
                tokio::select! {
                    () = ended.cancelled() => {}
                    failure = running.failed() => {
                        if failed.send((key, failure.to_string())).is_err() {
                            tracing::debug!("the host has ended");
                        }
                    }
                }
            });
        watch
    }

    /// Waits for a Sensor that ended unasked, and takes it out.
    pub(crate) async fn failed(&mut self) -> (String, String, ObjectState) {
        let Some((key, reason)) = self.failures.recv().await else {
            return std::future::pending().await;
        };
        self.stop(&key.0, &key.1).await;
        (key.0, key.1, ObjectState::not_ready("Failed", reason))
    }

    /// Stops a Sensor whose object is gone, and takes its consumers and held events off the bus.
    pub(crate) async fn remove(&mut self, namespace: &str, name: &str) {
        let bus = self
            .hosted
            .get(&(namespace.to_owned(), name.to_owned()))
            .map(|hosted| hosted.on.bus.clone());
        self.stop(namespace, name).await;
        if let Some(bus) = bus
            && let Err(error) = SensorRuntime::forget(&bus, namespace, name).await
        {
            tracing::warn!(namespace, sensor = name, error = %chain(&error), "a deleted sensor has left consumers on the bus");
        }
    }

    /// Stops a Sensor that may come back; its place on the bus stays.
    pub(crate) async fn stop(&mut self, namespace: &str, name: &str) {
        if let Some(hosted) = self.hosted.remove(&(namespace.to_owned(), name.to_owned())) {
            hosted.watch.cancel();
            self.running.remove(namespace, name);
            hosted.running.stop().await;
        }
    }

    /// Stops all Sensors of a bus that is about to close.
    pub(crate) async fn stop_on_bus(&mut self, namespace: &str, bus: &str) {
        let on_bus =
            |(key, hosted): &(&Name, &Hosted)| key.0 == namespace && hosted.bus_name == bus;
        let keys: Vec<_> = self
            .hosted
            .iter()
            .filter(on_bus)
            .map(|(key, _)| key.clone())
            .collect();
        for (namespace, name) in keys {
            self.stop(&namespace, &name).await;
        }
    }

    pub(crate) async fn stop_all(&mut self) {
        let all = std::mem::take(&mut self.hosted);
        join_all(all.into_values().map(|hosted| {
            hosted.watch.cancel();
            hosted.running.stop()
        }))
        .await;
    }
}

fn version(object: &SensorObject) -> u64 {
    let mut hasher = DefaultHasher::new();
    object.annotations.hash(&mut hasher);
    // Maps are sorted, so equal specs give equal text.
    serde_json::to_string(&object.spec)
        .unwrap_or_default()
        .hash(&mut hasher);
    hasher.finish()
}

fn ready(triggers: usize) -> ObjectState {
    ObjectState::ready(format!(
        "{triggers} trigger{} subscribed",
        if triggers == 1 { "" } else { "s" }
    ))
}
