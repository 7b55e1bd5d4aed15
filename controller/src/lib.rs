//! The runtime that hosts buses, sources and sensors as tasks, from objects that it watches.
//!
//! ```text
//! kube::Client watch ─▶ Host ─┬─▶ Bus (embedded, JetStream)
//!   EventBus                  ├─▶ SourceRuntime ─publish─▶ Bus
//!   EventSource               └─▶ RunningSensor ◀─subscribe─ Bus
//!   Sensor                         └─▶ status, metrics, readiness
//! ```
//!
//! The local shape and the pooled shape are the same host over another API server.
//! It never prints and never reads the environment; `cli` does.

pub mod admin;
pub mod admission;
pub mod apply;
mod buses;
pub mod check;
pub mod control;
pub mod crds;
mod gate;
mod host;
pub mod local;
mod reconciler;
pub mod secrets;
mod sensors;
mod sources;
mod state;
mod status;

pub use host::{Buses, Host, HostOptions};
pub use state::{Kind, ObjectKey, ObjectState, Snapshot};
