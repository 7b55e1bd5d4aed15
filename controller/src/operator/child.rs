//! What the controller has made, as it sees it: whose it is, whether it is as it was left, how its pods do. Pure.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use kube::api::DynamicObject;
use serde_json::Value;

use super::wanted::Made;
use super::workload::controller_label;
use crate::hosting::Kind;

/// Which object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ChildKey {
    pub(crate) made: Made,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// The object that controls another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) uid: String,
}

/// An object that has been made.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Child {
    pub(crate) key: ChildKey,
    pub(crate) uid: String,
    pub(crate) owner: Owner,
    /// The API server's word for this state of it.
    pub(crate) version: String,
    /// A hash of everything that is not status.
    pub(crate) fingerprint: u64,
    /// Seconds; of two that do the same work the older one stays.
    pub(crate) created: i64,
    pub(crate) rollout: Option<Rollout>,
    /// The whole of it, of kinds that are few.
    pub(crate) object: Option<Arc<Value>>,
}

/// How the pods of a Deployment or StatefulSet do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rollout {
    /// Whether the rest speaks of the newest spec.
    pub(crate) current: bool,
    pub(crate) wanted: i64,
    /// Of the newest spec.
    pub(crate) updated: i64,
    pub(crate) ready: i64,
    /// Whether all of them were ready once.
    pub(crate) settled: bool,
    /// Why no more pods come.
    pub(crate) failing: Option<String>,
}

/// What one apply has left behind: while both stay, there is nothing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settled {
    /// A hash of what was wanted.
    pub(crate) wanted: u64,
    /// What the object looked like after it.
    pub(crate) fingerprint: u64,
}

/// An object after an apply, and its version before that; none where it was not there.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settlement {
    pub(crate) child: Child,
    pub(crate) settled: Settled,
    pub(crate) before: Option<String>,
}

impl Child {
    /// Reads an object; none where it is not controlled by one of ours.
    pub(crate) fn read(made: Made, object: &DynamicObject) -> Option<Self> {
        let metadata = &object.metadata;
        let owner = owner(object)?;
        let labels = metadata.labels.as_ref()?;
        if labels.get("controller").map(String::as_str) != Some(controller_label(owner.kind)) {
            return None;
        }
        let version = metadata.resource_version.clone().unwrap_or_default();
        Some(Self {
            key: ChildKey {
                made,
                namespace: metadata.namespace.clone().unwrap_or_default(),
                name: metadata.name.clone()?,
            },
            uid: metadata.uid.clone().unwrap_or_default(),
            owner,
            fingerprint: if made.is_watched_whole() {
                fingerprint(object)
            } else {
                hash(&version)
            },
            version,
            created: metadata
                .creation_timestamp
                .as_ref()
                .map_or(0, |time| time.0.as_second()),
            rollout: rollout(made, object),
            object: (made == Made::StatefulSet)
                .then(|| serde_json::to_value(object).ok().map(Arc::new))
                .flatten(),
        })
    }
}

/// The object's controller, if that is one of ours.
pub(crate) fn owner(object: &DynamicObject) -> Option<Owner> {
    let references = object.metadata.owner_references.as_ref()?;
    let controller = references
        .iter()
        .find(|reference| reference.controller == Some(true))?;
    let kind = Kind::ALL
        .into_iter()
        .find(|kind| kind.as_str() == controller.kind)?;
    controller
        .api_version
        .starts_with("argoproj.io/")
        .then(|| Owner {
            kind,
            name: controller.name.clone(),
            uid: controller.uid.clone(),
        })
}

pub(crate) fn hash(value: &impl std::hash::Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Everything of an object that somebody may have changed: not its status, and not what the server counts.
fn fingerprint(object: &DynamicObject) -> u64 {
    let metadata = &object.metadata;
    let none = BTreeMap::new();
    let mut hasher = DefaultHasher::new();
    metadata.uid.hash(&mut hasher);
    metadata.labels.as_ref().unwrap_or(&none).hash(&mut hasher);
    for (key, value) in metadata.annotations.as_ref().unwrap_or(&none) {
        // It counts the roll-outs and is written by another controller.
        if key != "deployment.kubernetes.io/revision" {
            (key, value).hash(&mut hasher);
        }
    }
    let owners = metadata.owner_references.as_deref().unwrap_or_default();
    serde_json::to_string(owners)
        .unwrap_or_default()
        .hash(&mut hasher);
    for (key, value) in object.data.as_object().into_iter().flatten() {
        if key != "status" {
            key.hash(&mut hasher);
            value.to_string().hash(&mut hasher);
        }
    }
    hasher.finish()
}

fn rollout(made: Made, object: &DynamicObject) -> Option<Rollout> {
    if !matches!(made, Made::Deployment | Made::StatefulSet) {
        return None;
    }
    let number = |path: &str| object.data.pointer(path).and_then(Value::as_i64);
    let condition = |kind: &str| {
        let conditions = object.data.pointer("/status/conditions")?.as_array()?;
        conditions
            .iter()
            .find(|condition| condition.get("type").and_then(Value::as_str) == Some(kind))
    };
    let text = |condition: Option<&Value>, key: &str| {
        condition
            .and_then(|condition| condition.get(key))
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let (progressing, failure) = (condition("Progressing"), condition("ReplicaFailure"));
    let stuck = text(progressing, "status").as_deref() == Some("False");
    let refused = text(failure, "status").as_deref() == Some("True");
    let failing = if refused {
        text(failure, "message")
    } else if stuck {
        text(progressing, "message")
    } else {
        None
    };
    Some(Rollout {
        current: number("/status/observedGeneration") >= object.metadata.generation,
        wanted: number("/spec/replicas").unwrap_or(1),
        updated: number("/status/updatedReplicas").unwrap_or(0),
        ready: number("/status/readyReplicas").unwrap_or(0),
        settled: text(progressing, "reason").as_deref() == Some("NewReplicaSetAvailable"),
        failing,
    })
}
