//! Makes the process do what each object says, and notes how that went.
//! One bad object is reported on that object and changes nothing for the others.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use kube::api::DynamicObject;
use kube::runtime::watcher::{self, Event};
use kube::{Api, ResourceExt as _};
use tiphys_core::backoff::Backoff;
use tiphys_core::manifest::Document;
use tiphys_core::tasks::chain;
use tiphys_core::{Problems, Secrets, Tasks};
use tiphys_eventsource::SourceRuntime;
use tiphys_sensor::{RecordLimits, Recorder, SensorObject};
use tokio::sync::watch;
use tokio::time::Instant;

use super::buses::OpenBuses;
use super::gate::Gates;
use super::host::{Buses, HostOptions};
use super::sensors::{CANNOT_SUBSCRIBE, HostedSensors};
use super::sources::HostedSources;
use super::state::{Kind, ObjectKey, ObjectState, Snapshot};
use super::status::StatusWriter;
use crate::check::{self, Checked};
use crate::control::{self, Running};
use crate::secrets::ApiSecrets;

/// An object as the host needs it.
struct Known {
    /// As JSON text: thousands of objects are kept, and each is read only when something changes.
    object: Box<str>,
    generation: Option<i64>,
    /// A hash of the parts whose change matters, for telling a new spec from a written status.
    version: u64,
}

pub(crate) struct Reconciler {
    options: HostOptions,
    known: BTreeMap<ObjectKey, Known>,
    buses: OpenBuses,
    sensors: HostedSensors,
    sources: HostedSources,
    gates: Gates,
    records: Recorder,
    retries: HashMap<ObjectKey, (Instant, u32)>,
    status: StatusWriter,
    snapshot: Snapshot,
    report: watch::Sender<Snapshot>,
    backoff: Backoff,
    /// Kinds whose first listing is complete.
    listed: Vec<Kind>,
}

type Seen = (Kind, Result<Event<DynamicObject>, watcher::Error>);

impl Reconciler {
    pub(crate) fn new(
        options: HostOptions,
        report: watch::Sender<Snapshot>,
        tasks: &Tasks,
    ) -> Self {
        // Sources, sensors and buses outlive the signal to stop: they are drained in order by `run`.
        let runtime = Tasks::new();
        let running = Running::default();
        let Buses::Local { data_dir } = &options.buses;
        let records = records(data_dir, &runtime);
        control::spawn(data_dir, running.clone(), tasks);
        Self {
            buses: OpenBuses::new(
                options.buses.clone(),
                options.metrics.clone(),
                runtime.clone(),
            ),
            sensors: HostedSensors::new(
                options.target.clone(),
                options.metrics.clone(),
                records.clone(),
                running,
                runtime.clone(),
            ),
            records,
            sources: HostedSources::new(
                SourceRuntime::new(&runtime, options.ports.clone()),
                options.metrics.clone(),
            ),
            status: StatusWriter::spawn(options.objects.clone(), tasks),
            options,
            known: BTreeMap::new(),
            gates: Gates::default(),
            retries: HashMap::new(),
            snapshot: Snapshot::default(),
            report,
            backoff: Backoff::reconnect(),
            listed: Vec::new(),
        }
    }

    pub(crate) async fn run(mut self, stop: tokio_util::sync::CancellationToken) {
        let mut events = self.watch();
        loop {
            let next = self.retries.values().map(|(at, _)| *at).min();
            let retry = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some((kind, event)) = events.next() => self.on_event(kind, event).await,
                changed = self.sources.changed() => self.on_source(changed),
                (namespace, name, state) = self.sensors.failed() => self.on_failed_sensor(namespace, name, state),
                () = self.buses.changed() => self.on_bus_health(),
                () = retry => self.retry_due().await,
            }
            self.publish();
        }
        self.snapshot.synced = false;
        self.publish();
        self.sources.drain().await;
        self.sensors.stop_all().await;
        self.records.flush().await;
        self.buses.close_all().await;
    }

    fn watch(&self) -> BoxStream<'static, Seen> {
        let streams = Kind::ALL.map(|kind| {
            let api =
                Api::<DynamicObject>::all_with(self.options.objects.clone(), &kind.resource());
            watcher::watcher(api, watcher::Config::default())
                .map(move |event| (kind, event))
                .boxed()
        });
        stream::select_all(streams).boxed()
    }

    async fn on_event(&mut self, kind: Kind, event: Result<Event<DynamicObject>, watcher::Error>) {
        match event {
            Ok(Event::Apply(object) | Event::InitApply(object)) => {
                let key = key_of(kind, &object);
                if self.learn(&key, object) && self.snapshot.synced {
                    self.changed(&key).await;
                }
            }
            Ok(Event::Delete(object)) => self.gone(&key_of(kind, &object)).await,
            Ok(Event::Init) => {}
            Ok(Event::InitDone) => {
                if !self.listed.contains(&kind) {
                    self.listed.push(kind);
                }
                if self.listed.len() == Kind::ALL.len() && !self.snapshot.synced {
                    self.start_all().await;
                }
            }
            // The watcher tries again by itself; a server that is away is not a reason to stop what runs.
            Err(error) => {
                tracing::debug!(kind = kind.as_str(), error = %chain(&error), "watch interrupted");
            }
        }
    }

    /// Takes in an object; false where nothing that matters has changed.
    fn learn(&mut self, key: &ObjectKey, object: DynamicObject) -> bool {
        let generation = object.metadata.generation;
        let Ok(object) = serde_json::to_value(&object) else {
            return false;
        };
        let relevant = serde_json::json!({
            "uid": object.pointer("/metadata/uid"),
            "annotations": object.pointer("/metadata/annotations"),
            "spec": object.get("spec"),
        });
        let mut hasher = DefaultHasher::new();
        relevant.to_string().hash(&mut hasher);
        let version = hasher.finish();
        if self
            .known
            .get(key)
            .is_some_and(|known| known.version == version)
        {
            return false;
        }
        let known = Known {
            object: object.to_string().into(),
            generation,
            version,
        };
        self.known.insert(key.clone(), known);
        true
    }

    /// Buses, then sensors, then sources: whatever a source accepts finds its sensors subscribed.
    async fn start_all(&mut self) {
        let mut keys: Vec<_> = self.known.keys().cloned().collect();
        keys.sort();
        for key in keys {
            self.reconcile(&key).await;
        }
        self.snapshot.synced = true;
    }

    async fn changed(&mut self, key: &ObjectKey) {
        self.reconcile(key).await;
        if key.kind == Kind::EventBus {
            self.reconcile_users(key).await;
        }
    }

    async fn reconcile_users(&mut self, bus: &ObjectKey) {
        let users: Vec<_> = self
            .known
            .keys()
            .filter(|key| key.kind != Kind::EventBus && key.namespace == bus.namespace)
            .cloned()
            .collect();
        for key in users {
            self.reconcile(&key).await;
        }
    }

    async fn gone(&mut self, key: &ObjectKey) {
        self.known.remove(key);
        self.retries.remove(key);
        self.snapshot.objects.remove(key);
        match key.kind {
            Kind::EventSource => self.sources.remove(&key.namespace, &key.name).await,
            Kind::Sensor => {
                self.gates.settled(&key.namespace, &key.name);
                self.sensors.remove(&key.namespace, &key.name).await;
            }
            Kind::EventBus => {
                self.sensors.stop_on_bus(&key.namespace, &key.name).await;
                self.buses.remove(&key.namespace, &key.name).await;
                self.reconcile_users(key).await;
            }
        }
    }

    async fn retry_due(&mut self) {
        let now = Instant::now();
        let mut due: Vec<_> = self
            .retries
            .iter()
            .filter(|(_, (at, _))| *at <= now)
            .map(|(key, _)| key.clone())
            .collect();
        due.sort();
        for key in due {
            self.reconcile(&key).await;
        }
    }

    /// Makes the process do what one object says, and says how that went.
    async fn reconcile(&mut self, key: &ObjectKey) {
        let Some(known) = self.known.get(key) else {
            return;
        };
        let mut problems = Problems::default();
        // It was written from a value a moment ago.
        let object = serde_json::from_str(&known.object).unwrap_or_default();
        let checked = check::check(&Document::from_object(object), &mut problems);
        let state = match checked {
            Some(checked) if !problems.has_errors() => self.host(key, checked).await,
            _ => {
                self.withdraw(key).await;
                Err(ObjectState::not_ready("Invalid", problems.errors()))
            }
        };
        let again = matches!(&state, Err(state) if state.reason != "Invalid" && state.reason != "NotSupported");
        let state = state.unwrap_or_else(|state| state);
        if again {
            self.try_again(key);
        } else {
            self.retries.remove(key);
        }
        self.note(key, state);
    }

    /// Stops what an object that is no longer valid has started.
    async fn withdraw(&mut self, key: &ObjectKey) {
        match key.kind {
            Kind::EventSource => self.sources.remove(&key.namespace, &key.name).await,
            Kind::Sensor => {
                self.gates.settled(&key.namespace, &key.name);
                self.sensors.stop(&key.namespace, &key.name).await;
            }
            // A bus that serves others goes on as it was until its object is mended.
            Kind::EventBus => {}
        }
    }

    async fn host(
        &mut self,
        key: &ObjectKey,
        checked: Checked,
    ) -> Result<ObjectState, ObjectState> {
        match checked {
            Checked::EventBus(spec) => {
                if self.buses.needs_reopen(&key.namespace, &key.name, &spec) {
                    self.sensors.stop_on_bus(&key.namespace, &key.name).await;
                }
                let secrets = self.secrets(&key.namespace);
                self.buses
                    .open(&key.namespace, &key.name, &spec, secrets)
                    .await
            }
            Checked::EventSource(spec) => {
                let bus_name = bus_name(&spec.event_bus_name);
                let secrets = self.secrets(&key.namespace);
                let defined = self.has_bus(&key.namespace, bus_name);
                let bus = self
                    .buses
                    .get(&key.namespace, bus_name, defined, secrets.clone())
                    .await?;
                let bus = self.gates.publisher(&key.namespace, bus_name, bus);
                self.sources
                    .apply(&key.namespace, &key.name, *spec, bus, secrets)
                    .await
            }
            Checked::Sensor(sensor) => {
                let bus_name = bus_name(&sensor.spec.event_bus_name).to_owned();
                let secrets = self.secrets(&key.namespace);
                let defined = self.has_bus(&key.namespace, &bus_name);
                let bus = self
                    .buses
                    .get(&key.namespace, &bus_name, defined, secrets.clone())
                    .await?;
                let object = SensorObject::new(*sensor, &key.namespace);
                let applied = self.sensors.apply(object, &bus_name, bus, secrets).await;
                match &applied {
                    Err(state) if state.reason == CANNOT_SUBSCRIBE => {
                        let connected = self.buses.connected(&key.namespace, &bus_name);
                        self.gates
                            .failed(&key.namespace, &bus_name, &key.name, connected);
                    }
                    _ => self.gates.settled(&key.namespace, &key.name),
                }
                applied
            }
            Checked::Workflow(_) | Checked::Other => Ok(ObjectState::ready("")),
        }
    }

    fn has_bus(&self, namespace: &str, name: &str) -> bool {
        let key = ObjectKey {
            kind: Kind::EventBus,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        self.known.contains_key(&key)
    }

    fn secrets(&self, namespace: &str) -> Arc<dyn Secrets> {
        match &self.options.secrets {
            Some(secrets) => secrets.clone(),
            None => Arc::new(ApiSecrets::new(self.options.objects.clone(), namespace)),
        }
    }

    fn on_source(&mut self, changed: Vec<(String, String, ObjectState)>) {
        for (namespace, name, state) in changed {
            self.note(
                &ObjectKey {
                    kind: Kind::EventSource,
                    namespace,
                    name,
                },
                state,
            );
        }
    }

    /// A Sensor that ended unasked is started again, later and later.
    fn on_failed_sensor(&mut self, namespace: String, name: String, state: ObjectState) {
        let key = ObjectKey {
            kind: Kind::Sensor,
            namespace,
            name,
        };
        self.try_again(&key);
        self.note(&key, state);
    }

    fn try_again(&mut self, key: &ObjectKey) {
        let attempt = self
            .retries
            .get(key)
            .map_or(1, |(_, attempt)| attempt.saturating_add(1));
        let wait = self
            .backoff
            .wait_after(attempt)
            .unwrap_or(Duration::from_secs(10));
        self.retries
            .insert(key.clone(), (Instant::now() + wait, attempt));
    }

    fn on_bus_health(&mut self) {
        for (namespace, name, state) in self.buses.states() {
            let key = ObjectKey {
                kind: Kind::EventBus,
                namespace,
                name,
            };
            if state.ready {
                self.retry_now(&key.namespace);
            }
            if self.known.contains_key(&key) {
                self.note(&key, state);
            }
        }
    }

    /// Whoever waited for a bus need not wait out a pause that has grown long meanwhile.
    fn retry_now(&mut self, namespace: &str) {
        let now = Instant::now();
        let waiting = self.retries.iter_mut();
        for (_, retry) in waiting.filter(|(key, _)| key.namespace == namespace) {
            *retry = (now, 0);
        }
    }

    /// Remembers a state, logs its change, writes it to the object.
    fn note(&mut self, key: &ObjectKey, state: ObjectState) {
        let before = self.snapshot.objects.insert(key.clone(), state.clone());
        if before.as_ref() == Some(&state) {
            return;
        }
        let (kind, namespace, name) = (key.kind.as_str(), &key.namespace, &key.name);
        if state.ready {
            tracing::info!(kind, namespace, name, "ready: {}", state.message);
        } else if before
            .is_none_or(|before| before.reason != state.reason || before.message != state.message)
        {
            tracing::warn!(
                kind,
                namespace,
                name,
                reason = state.reason,
                "not ready: {}",
                state.message
            );
        }
        let generation = self.known.get(key).and_then(|known| known.generation);
        self.status.write(key.clone(), state, generation);
    }

    fn publish(&mut self) {
        self.snapshot.addresses = self.sources.addresses();
        self.report.send_if_modified(|snapshot| {
            let differs = *snapshot != self.snapshot;
            if differs {
                snapshot.clone_from(&self.snapshot);
            }
            differs
        });
    }
}

fn bus_name(name: &str) -> &str {
    if name.is_empty() { "default" } else { name }
}

fn key_of(kind: Kind, object: &DynamicObject) -> ObjectKey {
    ObjectKey {
        kind,
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
    }
}

/// Decisions are written beside the events; a folder that cannot be used stops no event.
fn records(data_dir: &Path, tasks: &Tasks) -> Recorder {
    let folder = data_dir.join("decisions");
    let opened = Recorder::open(&folder, RecordLimits::default(), tasks);
    opened.unwrap_or_else(|error| {
        tracing::warn!(folder = %folder.display(), %error, "no decision record: `tiphys why` will know nothing");
        Recorder::off()
    })
}
