//! What the host says of its objects: which they are, whether they do their work, and why not. Values only.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use kube::core::{ApiResource, GroupVersionKind};

/// A hosted kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Opened first.
    EventBus,
    /// Subscribed before any source accepts an event.
    Sensor,
    /// Started last.
    EventSource,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::EventBus, Self::Sensor, Self::EventSource];

    /// The kind as objects write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EventBus => "EventBus",
            Self::Sensor => "Sensor",
            Self::EventSource => "EventSource",
        }
    }

    pub(crate) fn resource(self) -> ApiResource {
        let gvk = GroupVersionKind::gvk("argoproj.io", "v1alpha1", self.as_str());
        let plural = match self {
            Self::EventBus => "eventbus",
            Self::Sensor => "sensors",
            Self::EventSource => "eventsources",
        };
        ApiResource::from_gvk_with_plural(&gvk, plural)
    }
}

/// Which object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// Whether an object does its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectState {
    /// It does.
    pub ready: bool,
    /// One word for programs.
    pub reason: String,
    /// One sentence for people.
    pub message: String,
}

impl ObjectState {
    pub(crate) fn ready(message: impl Into<String>) -> Self {
        Self {
            ready: true,
            reason: "Running".to_owned(),
            message: message.into(),
        }
    }

    pub(crate) fn not_ready(reason: &str, message: impl Into<String>) -> Self {
        Self {
            ready: false,
            reason: reason.to_owned(),
            message: message.into(),
        }
    }
}

/// What the host knows at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// Whether every object that was there at the start has been looked at.
    pub synced: bool,
    /// Each object.
    pub objects: BTreeMap<ObjectKey, ObjectState>,
    /// Where EventSources listen.
    pub addresses: Vec<SocketAddr>,
}

impl Snapshot {
    /// Why this process should get no traffic; empty when it should.
    #[must_use]
    pub fn not_ready(&self) -> Vec<String> {
        if !self.synced {
            return vec!["objects are still being read".to_owned()];
        }
        let waiting = self.objects.iter().filter(|(_, state)| {
            !state.ready && !matches!(state.reason.as_str(), "Invalid" | "NotSupported")
        });
        waiting
            .map(|(key, state)| {
                format!(
                    "{} {}/{}: {}",
                    key.kind.as_str(),
                    key.namespace,
                    key.name,
                    state.message
                )
            })
            .collect()
    }
}
