//! What the host says of its objects: which they are, whether they do their work, and why not. Values only.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use kube::core::{ApiResource, GroupVersionKind};

use super::host::Readiness;

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

    /// Where the API has it.
    #[must_use]
    pub fn resource(self) -> ApiResource {
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
    /// What has not been read yet, and why, before `synced`.
    pub unread: Vec<String>,
    /// What makes the process ready.
    pub readiness: Readiness,
}

/// Reasons of objects that only a change of them would mend.
const FINAL: [&str; 2] = ["Invalid", "NotSupported"];

/// The reason of an object that runs, but for what needs a value that is not there.
pub(crate) const SECRET_MISSING: &str = "SecretMissing";

/// The reason of an EventSource some of whose events this program cannot run, while the others run.
pub(crate) const PARTLY: &str = "PartlyListening";

/// The reason of a Sensor some of whose triggers this program cannot run, while the others run.
pub(crate) const PARTLY_RUNNING: &str = "PartlyRunning";

/// The reason of an EventBus that nothing of this process has asked for.
pub(crate) const NOT_USED: &str = "NotUsed";

impl Snapshot {
    /// Why this process should get no traffic; empty when it should.
    #[must_use]
    pub fn not_ready(&self) -> Vec<String> {
        if !self.synced {
            let mut why = self.unread.clone();
            if why.is_empty() {
                why.push("objects are still being read".to_owned());
            }
            return why;
        }
        let waits = |state: &ObjectState| {
            let reason = state.reason.as_str();
            let counts = match self.readiness {
                Readiness::Process => false,
                Readiness::Runnable => !FINAL.contains(&reason),
                Readiness::Each => true,
            };
            // What runs but for one of its events or triggers goes on taking the others.
            counts
                && !state.ready
                && !matches!(reason, SECRET_MISSING | NOT_USED | PARTLY | PARTLY_RUNNING)
        };
        let waiting = self.objects.iter().filter(|(_, state)| waits(state));
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
