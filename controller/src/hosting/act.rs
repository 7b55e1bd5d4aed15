//! Makes the process do what one object says. When that is asked for is the reconciler's work.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tiphys_core::manifest::Document;
use tiphys_core::{Problems, Secrets};
use tiphys_eventbus::{EventBusSpec, Publish, Turn};
use tiphys_eventsource::{EventSourceSpec, Replicas};
use tiphys_sensor::{Sensor, SensorObject};

use super::buses::{NOT_READY, Opened};
use super::host::Ports;
use super::reconciler::Reconciler;
use super::sensors::CANNOT_SUBSCRIBE;
use super::state::{
    Kind, NOT_USED, ObjectKey, ObjectState, PARTLY, PARTLY_RUNNING, SECRET_MISSING,
};
use crate::check::{self, Checked};
use crate::pooled::ports;
use crate::secrets::{ApiSecrets, references};

/// How long looking for missing values may take; one that cannot be asked for is not missing.
const LOOK: Duration = Duration::from_secs(5);

/// The state of an object; the error is one that does not do its work.
type Acted = Result<ObjectState, ObjectState>;

impl Reconciler {
    pub(super) async fn act(&mut self, key: &ObjectKey, object: Value) -> Acted {
        if key.kind == Kind::EventBus && self.in_cluster() {
            // Whether its spec is good is for the controller to say; its status is what counts here.
            return self.follow_bus(key, &object).await;
        }
        let document = Document::from_object(object);
        let mut problems = Problems::default();
        let checked = match check::check(&document, &mut problems) {
            Some(checked) if !problems.has_errors() => checked,
            _ => {
                self.withdraw(key).await;
                return Err(ObjectState::not_ready("Invalid", problems.errors()));
            }
        };
        let object = &document.object;
        let acted = match checked {
            Checked::EventBus(spec) => return self.open_bus(key, &spec, object).await,
            // The ways of an object are long, and each step of the host would carry them otherwise.
            Checked::EventSource(spec) => Box::pin(self.start_source(key, *spec, object)).await,
            Checked::Sensor(sensor) => Box::pin(self.start_sensor(key, *sensor)).await,
            Checked::Workflow(_) | Checked::Other => return Ok(ObjectState::ready("")),
        };
        match acted {
            Ok(state) if state.ready || [PARTLY, PARTLY_RUNNING].contains(&&*state.reason) => {
                self.complete(key, object, state).await
            }
            acted => {
                // It does not run, which is more than a missing value.
                self.missing.remove(key);
                acted
            }
        }
    }

    /// Stops what an object that is no longer valid has started.
    async fn withdraw(&mut self, key: &ObjectKey) {
        self.missing.remove(key);
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

    async fn open_bus(&mut self, key: &ObjectKey, spec: &EventBusSpec, object: &Value) -> Acted {
        let (namespace, name) = (&key.namespace, &key.name);
        let config = self.buses.config(namespace, name, spec, object)?;
        if self.buses.must_close(namespace, name, &config) {
            self.sensors.stop_on_bus(namespace, name).await;
        }
        let secrets = self.secrets(namespace);
        self.buses.open(namespace, name, config, secrets).await
    }

    /// A bus of the cluster is opened by whoever needs it first, and follows its status from then on.
    async fn follow_bus(&mut self, key: &ObjectKey, object: &Value) -> Acted {
        if self.buses.opened(&key.namespace, &key.name).is_some() {
            return self.open_bus(key, &EventBusSpec::default(), object).await;
        }
        // Whoever needs it comes next, and says so.
        Ok(ObjectState::not_ready(NOT_USED, "nothing here uses it yet"))
    }

    /// The bus that a source or sensor names.
    async fn bus(
        &mut self,
        namespace: &str,
        name: &str,
        secrets: Arc<dyn Secrets>,
    ) -> Result<Opened, ObjectState> {
        if let Some(opened) = self.buses.opened(namespace, name) {
            return Ok(opened);
        }
        let key = ObjectKey {
            kind: Kind::EventBus,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        let Some(object) = self.known.object(&key) else {
            return self.buses.without_object(namespace, name, secrets).await;
        };
        if !self.in_cluster() {
            let state = self.snapshot.objects.get(&key);
            let why = state.map_or("it is not open", |state| state.message.as_str());
            let message = format!("EventBus {name:?} is not open: {why}");
            return Err(ObjectState::not_ready(NOT_READY, message));
        }
        let state = self.open_bus(&key, &EventBusSpec::default(), &object).await;
        match state {
            Ok(state) => self.note(&key, state),
            Err(state) => {
                let message = format!("EventBus {name:?} is not open: {}", state.message);
                let again = ObjectState::not_ready(NOT_READY, message);
                return Err(if state.reason == NOT_READY {
                    state
                } else {
                    again
                });
            }
        }
        let absent = || ObjectState::not_ready(NOT_READY, format!("EventBus {name:?} is closed"));
        self.buses.opened(namespace, name).ok_or_else(absent)
    }

    /// Begins to connect the bus of an object; what is wrong with it is said when the object is acted on.
    pub(super) async fn open_bus_of(&mut self, key: &ObjectKey) {
        let object = self.known.object(key).unwrap_or_default();
        let name = object.pointer("/spec/eventBusName");
        let name = bus_name(name.and_then(Value::as_str).unwrap_or_default());
        let secrets = self.secrets(&key.namespace);
        if let Err(state) = self.bus(&key.namespace, name, secrets).await {
            tracing::debug!(
                namespace = key.namespace,
                name,
                why = state.message,
                "no event bus yet"
            );
        }
    }

    async fn start_source(
        &mut self,
        key: &ObjectKey,
        spec: EventSourceSpec,
        object: &Value,
    ) -> Acted {
        let (namespace, name) = (&key.namespace, &key.name);
        let bus_name = bus_name(&spec.event_bus_name).to_owned();
        let secrets = self.secrets(namespace);
        let opened = self.bus(namespace, &bus_name, secrets.clone()).await?;
        if spec.replicas_of_kinds() == Replicas::One
            && !self.turns.turn(namespace, &bus_name, &opened).is_mine()
        {
            self.sources.remove(namespace, name).await;
            return Ok(ObjectState::ready(
                "another replica runs it, as only one may",
            ));
        }
        let ports = match self.options.ports {
            Ports::AsSpecified(_) => BTreeMap::new(),
            Ports::Allotted(_) => allotted(&spec, object)?,
        };
        let publisher: Arc<dyn Publish> = if self.in_cluster() {
            Arc::new(opened.bus)
        } else {
            Arc::new(self.gates.publisher(namespace, &bus_name, opened.bus))
        };
        self.sources
            .apply(namespace, name, spec, &ports, publisher, secrets)
            .await
    }

    async fn start_sensor(&mut self, key: &ObjectKey, sensor: Sensor) -> Acted {
        let (namespace, name) = (&key.namespace, &key.name);
        let bus_name = bus_name(&sensor.spec.event_bus_name).to_owned();
        let secrets = self.secrets(namespace);
        let opened = self.bus(namespace, &bus_name, secrets.clone()).await?;
        let object = SensorObject::new(sensor, namespace);
        let turn = if object.spec.has_singletons() {
            self.turns.turn(namespace, &bus_name, &opened)
        } else {
            Turn::alone()
        };
        let place = (opened, turn);
        let landlord = self.landlord(namespace, &bus_name, &place.0.bus);
        let applied = self.sensors.apply(object, &bus_name, place, secrets).await;
        if applied.is_ok() {
            self.sensors.enter(namespace, name, landlord);
        }
        match &applied {
            Err(state) if state.reason == CANNOT_SUBSCRIBE => {
                let connected = self.buses.connected(namespace, &bus_name);
                self.gates.failed(namespace, &bus_name, name, connected);
            }
            _ => self.gates.settled(namespace, name),
        }
        applied
    }

    /// The state of an object that runs: it needs the values that it refers to as well.
    async fn complete(&mut self, key: &ObjectKey, object: &Value, state: ObjectState) -> Acted {
        let secrets = self.secrets(&key.namespace);
        let mut missing = missing(object, &*secrets).await;
        if missing.is_empty() {
            self.missing.remove(key);
            return Ok(state);
        }
        if !state.ready {
            missing = format!("{missing}; {}", state.message);
        }
        self.missing.insert(key.clone(), missing.clone());
        Err(ObjectState::not_ready(SECRET_MISSING, missing))
    }

    /// Whether an object that runs still misses what it missed before: then there is nothing to start anew.
    pub(super) async fn still_misses(&mut self, key: &ObjectKey) -> bool {
        let Some(before) = self.missing.get(key).cloned() else {
            return false;
        };
        let Some(object) = self.known.object(key) else {
            return false;
        };
        let secrets = self.secrets(&key.namespace);
        missing(&object, &*secrets).await == before
    }

    fn secrets(&self, namespace: &str) -> Arc<dyn Secrets> {
        match &self.options.secrets {
            Some(secrets) => secrets.clone(),
            None => Arc::new(ApiSecrets::new(self.options.objects.clone(), namespace)),
        }
    }
}

/// What is missing of that which an object refers to; empty where nothing is.
async fn missing(object: &Value, secrets: &dyn Secrets) -> String {
    let spec = object.get("spec").unwrap_or(&Value::Null);
    let missing = tokio::time::timeout(LOOK, references::missing(spec, secrets)).await;
    missing.unwrap_or_default().join("; ")
}

/// The ports that stand for those of the spec, as the leader of the pool has written them down.
fn allotted(spec: &EventSourceSpec, object: &Value) -> Result<BTreeMap<u16, u16>, ObjectState> {
    let written = ports::written(object.get("status").unwrap_or(&Value::Null));
    match spec.ports().iter().find(|port| !written.contains_key(port)) {
        None => Ok(written),
        Some(port) => Err(ObjectState::not_ready(
            "NoPort",
            format!("port {port} has no port of the pool yet: the leader gives it one"),
        )),
    }
}

/// The EventBus that an object names.
pub(crate) fn bus_name(name: &str) -> &str {
    if name.is_empty() { "default" } else { name }
}
