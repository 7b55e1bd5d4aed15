//! Hosting: buses, sources and sensors as tasks of one process, kept in step with objects that it watches.
//!
//! ```text
//! watch ─▶ Reconciler ─┬─▶ OpenBuses     one bus for each EventBus
//!                      ├─▶ HostedSensors subscribed before any source accepts
//!                      ├─▶ HostedSources listening
//!                      └─▶ Snapshot ─▶ readiness, status
//! ```
//!
//! Files, the API and the command line are others' work.

mod buses;
mod gate;
mod host;
mod reconciler;
mod sensors;
mod sources;
mod state;
mod status;

pub use host::{Buses, Host, HostOptions};
pub use state::{Kind, ObjectKey, ObjectState, Snapshot};
