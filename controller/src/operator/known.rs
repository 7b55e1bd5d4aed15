//! A user's object, as the watches have seen it. It decides nothing.

use std::collections::BTreeMap;

use kube::api::DynamicObject;
use serde_json::Value;

use crate::hosting::{Kind, ObjectKey, bus_name};

/// A user's object.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) key: ObjectKey,
    pub(crate) uid: String,
    pub(crate) generation: i64,
    pub(crate) version: String,
    /// Whether it goes away as soon as nobody holds it.
    pub(crate) deleting: bool,
    pub(crate) finalizers: Vec<String>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
    /// The whole of it.
    pub(crate) object: Value,
}

impl Known {
    pub(crate) fn read(kind: Kind, object: &DynamicObject) -> Option<Self> {
        let metadata = &object.metadata;
        Some(Self {
            key: ObjectKey {
                kind,
                namespace: metadata.namespace.clone().unwrap_or_default(),
                name: metadata.name.clone()?,
            },
            uid: metadata.uid.clone().unwrap_or_default(),
            generation: metadata.generation.unwrap_or(0),
            version: metadata.resource_version.clone().unwrap_or_default(),
            deleting: metadata.deletion_timestamp.is_some(),
            finalizers: metadata.finalizers.clone().unwrap_or_default(),
            labels: metadata.labels.clone().unwrap_or_default(),
            annotations: metadata.annotations.clone().unwrap_or_default(),
            object: serde_json::to_value(object).ok()?,
        })
    }

    pub(crate) fn spec(&self) -> &Value {
        self.object.get("spec").unwrap_or(&Value::Null)
    }

    pub(crate) fn status(&self) -> &Value {
        self.object.get("status").unwrap_or(&Value::Null)
    }

    /// The EventBus that an EventSource or Sensor names.
    pub(crate) fn bus(&self) -> ObjectKey {
        ObjectKey {
            kind: Kind::EventBus,
            namespace: self.key.namespace.clone(),
            name: self.bus_name().to_owned(),
        }
    }

    /// The name of that.
    pub(crate) fn bus_name(&self) -> &str {
        let named = self.spec().get("eventBusName").and_then(Value::as_str);
        bus_name(named.unwrap_or_default())
    }
}
