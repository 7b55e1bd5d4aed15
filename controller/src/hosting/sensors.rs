//! The Sensors of this process: from object to running Sensor. What a Sensor does is the crate `sensor`'s work.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::PathBuf;
use std::sync::Arc;

use futures::future::join_all;
use kube::Client;
use tiphys_core::metrics::Metrics;
use tiphys_core::tasks::chain;
use tiphys_core::{Secrets, Tasks};
use tiphys_eventbus::{Bus, SubscribeError, Turn};
use tiphys_sensor::{
    Reach, RecordLimits, Recorder, RunningSensor, SensorObject, SensorRuntime, StartError, Tenant,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::buses::Opened;
use super::host::Tidying;
use super::state::{ObjectState, PARTLY_RUNNING};
use super::tidy;
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
    /// Ends the jobs of this one: the one that waits for a failure, the one that enters it on its bus.
    watch: CancellationToken,
    /// Under which name the bus knows it.
    tenant: Option<Tenant>,
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
    known_hosts: Arc<[PathBuf]>,
    metrics: Metrics,
    records: Records,
    /// Of buses that keep decisions, with which bus of that name it is.
    on_buses: BTreeMap<Name, (u64, Recorder)>,
    running: Running,
    tasks: Tasks,
    hosted: BTreeMap<Name, Hosted>,
    /// The triggers that each Sensor was counted with, also where it does not run.
    counted: BTreeMap<Name, Vec<String>>,
    tidying: Tidying,
    failed: mpsc::UnboundedSender<(Name, String)>,
    failures: mpsc::UnboundedReceiver<(Name, String)>,
}

impl HostedSensors {
    pub(crate) fn new(
        client: Client,
        known_hosts: Arc<[PathBuf]>,
        metrics: Metrics,
        records: Records,
        running: Running,
        tidying: Tidying,
        tasks: Tasks,
    ) -> Self {
        let (failed, failures) = mpsc::unbounded_channel();
        Self {
            client,
            known_hosts,
            metrics,
            records,
            on_buses: BTreeMap::new(),
            running,
            tasks,
            hosted: BTreeMap::new(),
            counted: BTreeMap::new(),
            tidying,
            failed,
            failures,
        }
    }

    /// Starts a Sensor, or replaces the one of that name if it has changed. What was in hand is finished first.
    pub(crate) async fn apply(
        &mut self,
        object: SensorObject,
        bus_name: &str,
        (on, turn): (Opened, Turn),
        secrets: Arc<dyn Secrets>,
    ) -> Result<ObjectState, ObjectState> {
        let key = (object.namespace.clone(), object.name.clone());
        if let Some(hosted) = self.hosted.get(&key)
            && hosted.version == version(&object)
            && hosted.bus_name == bus_name
            && hosted.on.epoch == on.epoch
        {
            return Ok(subscribed(hosted.triggers, hosted.running.cannot_run()));
        }
        let moves = |hosted: &Hosted| hosted.bus_name != bus_name;
        if self.hosted.get(&key).is_some_and(moves) {
            // Nobody comes back to the place that it had there.
            self.remove(&key.0, &key.1).await;
        }
        self.stop(&key.0, &key.1).await;
        self.count(&key, &object);
        let (version, triggers) = (version(&object), object.spec.triggers.len());
        let records = self.records(&key.0, bus_name, &on);
        let started = SensorRuntime::start(
            object,
            (on.bus.clone(), turn.clone()),
            Reach {
                client: self.client.clone(),
                secrets,
                known_hosts: Arc::clone(&self.known_hosts),
            },
            &self.metrics,
            &records,
            &self.tasks,
        );
        let running = started.await.map_err(|error| match &error {
            StartError::Invalid(_) => ObjectState::not_ready("Invalid", chain(&error)),
            StartError::Trigger { .. } => ObjectState::not_ready("NotSupported", chain(&error)),
            StartError::Bus { .. } => ObjectState::not_ready(CANNOT_SUBSCRIBE, chain(&error)),
        })?;
        let cannot = running.cannot_run();
        let watch = self.watch(&key, running.clone());
        self.running.add(&key.0, &key.1, running.clone());
        if matches!(self.records, Records::OnBuses) {
            let names = [key.0.as_str(), key.1.as_str()];
            let whose = (on.bus.clone(), turn);
            control::spawn_on_bus(whose, names, self.running.clone(), &watch, &self.tasks);
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
                tenant: None,
            },
        );
        Ok(subscribed(triggers, cannot))
    }

    /// Notes which triggers are counted from now on; what those before them had in hand never comes back.
    fn count(&mut self, key: &Name, object: &SensorObject) {
        let templates = object.spec.triggers.iter();
        let templates = templates.filter_map(|trigger| trigger.template.as_ref());
        let names: Vec<String> = templates.map(|template| template.name.clone()).collect();
        let before = self.counted.insert(key.clone(), names.clone());
        let mut gone = before.unwrap_or_default();
        gone.retain(|name| !names.contains(name));
        SensorRuntime::close_account(&self.metrics, &key.0, &key.1, &gone);
    }

    /// Has a Sensor that runs here known on its bus, so that what it leaves there can be found once it is gone.
    pub(crate) fn enter(&mut self, namespace: &str, name: &str, landlord: Option<String>) {
        let key = (namespace.to_owned(), name.to_owned());
        let Some(hosted) = self.hosted.get_mut(&key) else {
            return;
        };
        let tenant = landlord.map(|landlord| Tenant {
            namespace: key.0.clone(),
            sensor: key.1.clone(),
            landlord,
        });
        if hosted.tenant == tenant {
            return;
        }
        hosted.tenant.clone_from(&tenant);
        if let Some(tenant) = tenant {
            let entered = tidy::enter(hosted.on.bus.clone(), tenant, hosted.watch.clone());
            self.tasks
                .spawn_job(format!("entry of sensor {namespace}/{name}"), entered);
        }
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

    /// Stops a Sensor whose object is gone, and takes its consumers and held events off the bus. Says whether it ran and
    /// that was done.
    pub(crate) async fn remove(&mut self, namespace: &str, name: &str) -> bool {
        let key = (namespace.to_owned(), name.to_owned());
        let hosted = self.hosted.get(&key);
        let place = hosted.map(|hosted| (hosted.on.bus.clone(), hosted.tenant.clone()));
        self.stop(namespace, name).await;
        if let Some(triggers) = self.counted.remove(&key) {
            SensorRuntime::close_account(&self.metrics, namespace, name, &triggers);
        }
        let removed = match place {
            None => return false,
            Some((bus, None)) => SensorRuntime::forget(&bus, namespace, name)
                .await
                .map(|_| ()),
            Some((bus, Some(tenant))) => self.clear(&bus, &tenant).await,
        };
        if let Err(error) = &removed {
            tracing::warn!(namespace, sensor = name, error = %chain(error), "a sensor that is gone has left consumers on the event bus");
        }
        removed.is_ok()
    }

    async fn clear(&self, bus: &Bus, tenant: &Tenant) -> Result<(), SubscribeError> {
        tidy::clear(bus, tenant).await?;
        if self.tidying.is_last() {
            tenant.leave(bus).await?;
        }
        Ok(())
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

fn subscribed(triggers: usize, cannot: Vec<String>) -> ObjectState {
    let plural = if triggers == 1 { "" } else { "s" };
    let subscribed = format!("{triggers} trigger{plural} subscribed");
    if cannot.is_empty() {
        return ObjectState::ready(subscribed);
    }
    let mut message = cannot;
    message.push(subscribed);
    ObjectState::not_ready(PARTLY_RUNNING, message.join("; "))
}
