//! Keeps the process in step with the objects: what changes is acted on, what fails is tried again, and every state is
//! noted. One bad object is reported on that object and changes nothing for the others.
//! What is done for one object is in `act`.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use tiphys_core::Tasks;
use tiphys_core::backoff::Backoff;
use tiphys_eventsource::SourceRuntime;
use tiphys_sensor::{RecordLimits, Recorder};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::buses::OpenBuses;
use super::gate::Gates;
use super::host::{Buses, HostOptions, Ports, StatusWriting};
use super::known::{KnownObjects, News};
use super::sensors::{HostedSensors, Records};
use super::sources::HostedSources;
use super::state::{Kind, NOT_USED, ObjectKey, ObjectState, PARTLY, SECRET_MISSING, Snapshot};
use super::status::StatusWriter;
use super::turns::Turns;
use super::watch::{Seen, kinds, watch};
use crate::control::{self, Running};

pub(crate) struct Reconciler {
    pub(super) options: HostOptions,
    pub(super) known: KnownObjects,
    pub(super) buses: OpenBuses,
    pub(super) sensors: HostedSensors,
    pub(super) sources: HostedSources,
    pub(super) gates: Gates,
    pub(super) turns: Turns,
    /// What is missing for objects that run all the same.
    pub(super) missing: BTreeMap<ObjectKey, String>,
    retries: HashMap<ObjectKey, (Instant, u32)>,
    status: Option<StatusWriter>,
    pub(super) snapshot: Snapshot,
    report: watch::Sender<Snapshot>,
    backoff: Backoff,
}

impl Reconciler {
    pub(crate) fn new(
        options: HostOptions,
        report: watch::Sender<Snapshot>,
        tasks: &Tasks,
    ) -> Self {
        // Sources, sensors and buses outlive the signal to stop: they are drained in order by `run`.
        let runtime = Tasks::new();
        let running = Running::default();
        let records = match &options.data_dir {
            Some(data_dir) => {
                control::spawn(data_dir, running.clone(), tasks);
                Records::Here(records(data_dir, &runtime))
            }
            None => Records::OnBuses,
        };
        let ports = match &options.ports {
            Ports::AsSpecified(ports) | Ports::Allotted(ports) => ports.clone(),
        };
        let metrics = options.metrics.clone();
        let snapshot = Snapshot {
            readiness: options.readiness,
            ..Snapshot::default()
        };
        Self {
            buses: OpenBuses::new(options.buses.clone(), metrics.clone(), runtime.clone()),
            sensors: HostedSensors::new(
                options.target.clone(),
                Arc::clone(&options.known_hosts),
                metrics.clone(),
                records,
                running,
                options.tidying.clone(),
                runtime.clone(),
            ),
            sources: HostedSources::new(SourceRuntime::new(&runtime, ports), metrics),
            status: (options.status == StatusWriting::Host)
                .then(|| StatusWriter::spawn(options.objects.clone(), tasks)),
            turns: Turns::new(options.replicas.clone(), runtime),
            known: KnownObjects::new(kinds(&options.scope)),
            options,
            gates: Gates::default(),
            missing: BTreeMap::new(),
            retries: HashMap::new(),
            snapshot,
            report,
            backoff: Backoff::reconnect(),
        }
    }

    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut events = watch(&self.options.objects, &self.options.scope);
        self.serve(&mut events, stop.cancelled()).await;
        self.snapshot.synced = false;
        self.snapshot.unread = vec!["the process is stopping".to_owned()];
        self.publish();
        let linger = self.options.linger;
        if !linger.is_zero() {
            tracing::info!(
                seconds = linger.as_secs(),
                "requests are still taken until everybody knows that this process stops"
            );
            self.serve(&mut events, tokio::time::sleep(linger)).await;
        }
        self.sources.drain().await;
        self.sensors.stop_all().await;
        // Whoever is next must not begin before this one has ended.
        self.turns.release().await;
        self.sensors.flush().await;
        self.buses.close_all().await;
    }

    /// Acts on what happens until `end`.
    async fn serve(
        &mut self,
        events: &mut (impl futures::Stream<Item = Seen> + Unpin),
        end: impl Future<Output = ()>,
    ) {
        tokio::pin!(end);
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
                () = &mut end => return,
                Some((kind, event)) = events.next() => {
                    let news = self.known.take(kind, event);
                    self.on_news(news).await;
                }
                changed = self.sources.changed() => self.on_source(changed),
                (namespace, name, state) = self.sensors.failed() => self.on_failed_sensor(namespace, name, state),
                () = self.buses.changed() => self.on_bus_health().await,
                (namespace, _) = self.turns.changed() => self.on_turn(&namespace).await,
                () = retry => self.retry_due().await,
            }
            self.publish();
        }
    }

    async fn on_news(&mut self, news: News) {
        match news {
            News::Nothing => {}
            News::Changed(key) if self.snapshot.synced => self.changed(&key).await,
            // It is started with all the others.
            News::Changed(_) => {}
            News::Gone(keys) => {
                for key in keys {
                    self.gone(&key).await;
                }
            }
            News::Listed => self.start_all().await,
        }
        if !self.snapshot.synced {
            self.snapshot.unread = self.known.unread();
        }
    }

    /// Buses, then sensors, then sources: whatever a source accepts finds its sensors subscribed.
    async fn start_all(&mut self) {
        let keys: Vec<_> = self.known.keys().cloned().collect();
        if self.in_cluster() {
            // All connections at once, so that the first request meets a bus that is there.
            for key in keys.iter().filter(|key| key.kind != Kind::EventBus) {
                self.open_bus_of(key).await;
            }
            self.buses.settle().await;
        }
        for key in keys {
            self.reconcile(&key).await;
        }
        self.snapshot.synced = true;
        self.tidy(None).await;
    }

    async fn changed(&mut self, key: &ObjectKey) {
        self.reconcile(key).await;
        if key.kind == Kind::EventBus {
            self.reconcile_users(key).await;
            self.buses.close_retired();
        }
    }

    async fn reconcile_users(&mut self, bus: &ObjectKey) {
        let users = self
            .known
            .keys()
            .filter(|key| key.kind != Kind::EventBus && key.namespace == bus.namespace);
        for key in users.cloned().collect::<Vec<_>>() {
            self.reconcile(&key).await;
        }
    }

    async fn gone(&mut self, key: &ObjectKey) {
        self.retries.remove(key);
        self.missing.remove(key);
        self.snapshot.objects.remove(key);
        let (kind, namespace, name) = (key.kind.as_str(), &key.namespace, &key.name);
        tracing::info!(kind, namespace, name, "gone");
        match key.kind {
            Kind::EventSource => self.sources.remove(namespace, name).await,
            Kind::Sensor => {
                self.gates.settled(namespace, name);
                if !self.sensors.remove(namespace, name).await {
                    // One that did not run, as it was not valid or its bus was away, may have left something as well.
                    self.tidy(Some(namespace)).await;
                }
            }
            Kind::EventBus => {
                self.sensors.stop_on_bus(namespace, name).await;
                self.buses.remove(namespace, name).await;
                self.reconcile_users(key).await;
            }
        }
    }

    async fn retry_due(&mut self) {
        let now = Instant::now();
        let due = self.retries.iter().filter(|(_, (at, _))| *at <= now);
        let mut due: Vec<_> = due.map(|(key, _)| key.clone()).collect();
        due.sort();
        for key in due {
            if self.still_misses(&key).await {
                self.try_again(&key);
            } else {
                self.reconcile(&key).await;
            }
        }
    }

    /// Makes the process do what one object says, and says how that went.
    async fn reconcile(&mut self, key: &ObjectKey) {
        let Some(object) = self.known.object(key) else {
            return;
        };
        let state = self.act(key, object).await;
        let again = matches!(&state, Err(state) if state.reason != "Invalid" && state.reason != "NotSupported");
        let state = state.unwrap_or_else(|state| state);
        if again {
            self.try_again(key);
        } else {
            self.retries.remove(key);
        }
        self.note(key, state);
    }

    fn on_source(&mut self, changed: Vec<(String, String, ObjectState)>) {
        for (namespace, name, mut state) in changed {
            let key = ObjectKey {
                kind: Kind::EventSource,
                namespace,
                name,
            };
            if let Some(missing) = self.missing.get(&key)
                && (state.ready || state.reason == PARTLY)
            {
                state = ObjectState::not_ready(SECRET_MISSING, missing);
            }
            self.note(&key, state);
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

    /// What only one process may run begins or ends here.
    async fn on_turn(&mut self, namespace: &str) {
        let sources = self
            .known
            .keys()
            .filter(|key| key.kind == Kind::EventSource && key.namespace == namespace);
        for key in sources.cloned().collect::<Vec<_>>() {
            self.reconcile(&key).await;
        }
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

    async fn on_bus_health(&mut self) {
        for (namespace, name, state) in self.buses.states() {
            let key = ObjectKey {
                kind: Kind::EventBus,
                namespace,
                name,
            };
            if state.ready {
                self.retry_now(&key.namespace);
            }
            if self.known.contains(&key) {
                self.note(&key, state);
            }
        }
        if self.snapshot.synced {
            // What could not be looked at while a bus was away.
            self.tidy(None).await;
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
    pub(super) fn note(&mut self, key: &ObjectKey, state: ObjectState) {
        let before = self.snapshot.objects.insert(key.clone(), state.clone());
        if before.as_ref() == Some(&state) {
            return;
        }
        let (kind, namespace, name) = (key.kind.as_str(), &key.namespace, &key.name);
        let (reason, message) = (&state.reason, &state.message);
        if state.ready {
            tracing::info!(kind, namespace, name, "ready: {message}");
        } else if reason == NOT_USED {
            tracing::debug!(kind, namespace, name, reason, "{message}");
        } else {
            tracing::warn!(kind, namespace, name, reason, "not ready: {message}");
        }
        if let Some(status) = &self.status {
            status.write(key.clone(), state, self.known.generation(key));
        }
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

    /// Whether buses are those that a controller has made.
    pub(super) const fn in_cluster(&self) -> bool {
        matches!(self.options.buses, Buses::Cluster)
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
