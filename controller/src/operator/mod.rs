//! The controller of the cluster shape: makes servers, pods and Services of EventBuses, EventSources and Sensors.
//!
//! ```text
//! watches ─▶ cache ─▶ queue ─▶ worker ─▶ plan (pure) ─▶ apply ─▶ status, Event
//! EventBus, EventSource, Sensor        eventbus/      server-side
//! what it has made                     workload/
//! Secrets and ConfigMaps (names only)
//! ```
//!
//! What must exist is decided by pure functions; only this folder's other half speaks to the API. One object that is
//! wrong, or whose work panics, is reported on itself and delays nobody. At rest nothing is asked and nothing written.

pub(crate) mod eventbus;
pub mod settings;
pub(crate) mod wanted;

use kube::Client;
use tiphys_core::metrics::Metrics;

pub use settings::{JetStreamVersion, Scope, Settings, SettingsError};

/// What a controller needs.
#[derive(Clone)]
pub struct OperatorOptions {
    /// The API server.
    pub client: Client,
    /// Images, versions and which namespaces.
    pub settings: Settings,
    /// Where counters go.
    pub metrics: Metrics,
}
