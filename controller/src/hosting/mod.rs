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

mod act;
mod buses;
mod gate;
mod host;
mod known;
mod reconciler;
mod sensors;
mod sources;
mod state;
mod status;
mod tidy;
mod turns;
mod watch;

pub(crate) use act::bus_name;
pub use host::{
    Buses, Host, HostOptions, Ports, Readiness, Replicas, Scope, StatusWriting, Tidying,
};
pub use state::{Kind, ObjectKey, ObjectState, Snapshot};
