//! One object as a pod is given it: in its environment, as Argo's controller writes it, so that the pod needs no
//! permission to read objects. It reads text; the environment itself is the caller's.
//!
//! ```text
//! EVENTSOURCE_OBJECT or SENSOR_OBJECT   base64 of {metadata: {name, namespace}, spec}
//! EVENTBUS_CONFIG                       base64 of an EventBus's status.config
//! EVENTBUS_UID                          the uid of that EventBus; Argo's controller does not write it
//! ```

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tiphys_cluster::{Cluster, kinds};
use tiphys_core::Problems;
use tiphys_core::manifest::{self, Document};
use tiphys_core::refs::KeyRef;
use tiphys_eventbus::{BusConfig, BusStatusConfig};

use crate::check::{self, API_VERSION};
use crate::hosting::Kind;

/// What a pod was given.
#[derive(Debug, Clone)]
pub struct Given {
    /// Which kind of object.
    pub kind: Kind,
    /// The object.
    pub document: Document,
    /// Its namespace.
    pub namespace: String,
    /// Where the credentials of its bus come from.
    pub access: Option<KeyRef>,
    /// The uid of its EventBus, where that was given.
    pub bus_uid: Option<String>,
    bus_name: String,
    config: Value,
}

/// Why what a pod was given cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GivenError {
    /// It is not base64 of JSON.
    #[error("{variable} must be base64 of JSON, as the controller writes it: {reason}")]
    Unreadable {
        /// The environment variable.
        variable: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The object must change.
    #[error("the object in {variable} cannot run:\n{problems}")]
    Invalid {
        /// The environment variable.
        variable: &'static str,
        /// What is wrong, a line each.
        problems: String,
    },
    /// There is no bus to work with.
    #[error("EVENTBUS_CONFIG names no event bus that can be used: {0}")]
    Bus(String),
    /// The objects cannot be held.
    #[error("cannot hold the objects")]
    Hold(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The environment variable that has the object.
#[must_use]
pub const fn variable(kind: Kind) -> &'static str {
    match kind {
        Kind::EventSource => "EVENTSOURCE_OBJECT",
        Kind::Sensor | Kind::EventBus => "SENSOR_OBJECT",
    }
}

/// The environment variable that has the uid of the EventBus.
pub const BUS_UID: &str = "EVENTBUS_UID";

impl Given {
    /// The same with the uid of its EventBus.
    #[must_use]
    pub fn on_bus(self, bus_uid: Option<String>) -> Self {
        Self { bus_uid, ..self }
    }

    /// Reads the two texts.
    ///
    /// # Errors
    /// [`GivenError`], each with what must hold.
    pub fn read(kind: Kind, object: &str, config: &str) -> Result<Self, GivenError> {
        let variable = variable(kind);
        let given = decode(variable, object)?;
        let metadata = |member: &str| given.pointer(&format!("/metadata/{member}"));
        let text = |member: &str| metadata(member).and_then(Value::as_str);
        let namespace = text("namespace").filter(|namespace| !namespace.is_empty());
        let namespace = namespace.unwrap_or("default").to_owned();
        let document = Document::from_object(json!({
            "apiVersion": API_VERSION,
            "kind": kind.as_str(),
            "metadata": {
                "name": text("name").unwrap_or_default(),
                "namespace": namespace,
                "labels": metadata("labels").filter(|labels| labels.is_object()),
                "annotations": metadata("annotations").filter(|notes| notes.is_object()),
            },
            "spec": given.get("spec").unwrap_or(&Value::Null),
        }));
        let mut problems = Problems::default();
        let checked = check::check(&document, &mut problems);
        if checked.is_none() || problems.has_errors() {
            return Err(GivenError::Invalid {
                variable,
                problems: problems.errors(),
            });
        }
        let config = if config.trim().is_empty() {
            Value::Null
        } else {
            decode("EVENTBUS_CONFIG", config)?
        };
        let typed: Option<BusStatusConfig> =
            manifest::read(&config).map_err(|error| GivenError::Unreadable {
                variable: "EVENTBUS_CONFIG",
                reason: error.to_string(),
            })?;
        let typed = typed.unwrap_or_default();
        BusConfig::from_status(&typed).map_err(|problems| GivenError::Bus(problems.errors()))?;
        let nats = typed.nats.and_then(|nats| nats.access_secret);
        let jetstream = typed
            .jetstream
            .and_then(|jetstream| jetstream.access_secret);
        let bus_name = document.object.pointer("/spec/eventBusName");
        let bus_name = bus_name.and_then(Value::as_str).unwrap_or_default();
        Ok(Self {
            kind,
            namespace,
            access: nats.or(jetstream),
            bus_uid: None,
            bus_name: if bus_name.is_empty() {
                "default"
            } else {
                bus_name
            }
            .to_owned(),
            document,
            config,
        })
    }

    /// How its bus is reached.
    ///
    /// # Errors
    /// [`GivenError::Bus`].
    pub fn bus(&self) -> Result<BusConfig, GivenError> {
        let config = manifest::read(&self.config).unwrap_or_default();
        BusConfig::from_status(&config).map_err(|problems| GivenError::Bus(problems.errors()))
    }

    /// An API that holds the object and its EventBus, in memory.
    ///
    /// # Errors
    /// [`GivenError::Hold`].
    pub async fn hold(&self) -> Result<Client, GivenError> {
        let cluster = Cluster::in_memory(&[kinds::CORE, kinds::ARGO].concat())
            .map_err(|error| GivenError::Hold(error.into()))?;
        let client = cluster.client(&self.namespace);
        let bus = json!({
            "apiVersion": API_VERSION,
            "kind": Kind::EventBus.as_str(),
            "metadata": {"name": self.bus_name, "namespace": self.namespace},
            "spec": {},
        });
        let buses = self.create(&client, Kind::EventBus, &bus).await?;
        let status = json!({"status": {"config": self.config}});
        let written = buses
            .patch_status(
                &self.bus_name,
                &PatchParams::default(),
                &Patch::Merge(&status),
            )
            .await;
        written.map_err(|error| GivenError::Hold(error.into()))?;
        self.create(&client, self.kind, &self.document.object)
            .await?;
        Ok(client)
    }

    async fn create(
        &self,
        client: &Client,
        kind: Kind,
        object: &Value,
    ) -> Result<Api<DynamicObject>, GivenError> {
        let resource = kind.resource();
        let api = Api::namespaced_with(client.clone(), &self.namespace, &resource);
        let object: DynamicObject = serde_json::from_value(object.clone())
            .map_err(|error| GivenError::Hold(error.into()))?;
        let created = api.create(&PostParams::default(), &object).await;
        created.map_err(|error| GivenError::Hold(error.into()))?;
        Ok(api)
    }
}

fn decode(variable: &'static str, text: &str) -> Result<Value, GivenError> {
    let unreadable = |reason: String| GivenError::Unreadable { variable, reason };
    let bytes = STANDARD.decode(text.trim());
    let bytes = bytes.map_err(|error| unreadable(error.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|error| unreadable(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(value: &Value) -> String {
        STANDARD.encode(value.to_string())
    }

    fn sensor() -> Value {
        // As Go writes it: nothing of the type, and empty members.
        json!({
            "metadata": {"name": "s", "namespace": "ns", "creationTimestamp": null},
            "spec": {
                "eventBusName": "",
                "dependencies": [{"name": "d", "eventSourceName": "e", "eventName": "n"}],
                "triggers": [{"template": {"name": "t", "log": {}}}],
            },
            "status": {},
        })
    }

    fn config() -> Value {
        json!({"jetstream": {
            "url": "nats://eventbus-default-js-svc.ns.svc:4222",
            "accessSecret": {"name": "eventbus-default-js-client-auth", "key": "client-auth"},
            "streamConfig": "maxage: 168h\n",
        }})
    }

    #[tokio::test]
    async fn what_argos_controller_gives_a_pod_is_held() {
        let given = Given::read(Kind::Sensor, &encoded(&sensor()), &encoded(&config())).unwrap();
        assert_eq!(given.namespace, "ns");
        let access = given.access.clone().unwrap();
        assert_eq!(access.name, "eventbus-default-js-client-auth");
        let client = given.hold().await.unwrap();
        let resource = Kind::EventBus.resource();
        let buses: Api<DynamicObject> = Api::namespaced_with(client.clone(), "ns", &resource);
        let bus = buses.get("default").await.unwrap();
        assert_eq!(bus.data["status"]["config"], config());
        let resource = Kind::Sensor.resource();
        let sensors: Api<DynamicObject> = Api::namespaced_with(client, "ns", &resource);
        assert_eq!(
            sensors.get("s").await.unwrap().data["spec"],
            sensor()["spec"]
        );
    }

    #[test]
    fn what_cannot_be_used_says_which_variable_and_why() {
        let (good, bus) = (encoded(&sensor()), encoded(&config()));
        let no_triggers =
            encoded(&json!({"metadata": {"name": "s"}, "spec": {"dependencies": []}}));
        for (object, config, expected) in [
            ("%", bus.as_str(), "SENSOR_OBJECT must be base64 of JSON"),
            (
                &encoded(&json!("text")),
                &bus,
                "the object in SENSOR_OBJECT cannot run",
            ),
            (&no_triggers, &bus, "spec.triggers"),
            (
                &good,
                "",
                "EVENTBUS_CONFIG names no event bus that can be used",
            ),
            (
                &good,
                "e30=",
                "EVENTBUS_CONFIG names no event bus that can be used",
            ),
            (&good, "%", "EVENTBUS_CONFIG must be base64 of JSON"),
        ] {
            let error = Given::read(Kind::Sensor, object, config).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
