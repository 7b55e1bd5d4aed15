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
pub mod check;
pub mod control;
mod counted;
pub mod crds;
pub mod given;
mod hosting;
pub mod local;
pub mod migrate;
pub mod operator;
pub mod pooled;
pub mod rbac;
pub mod secrets;

pub use counted::client as counted_client;
pub use hosting::{
    Buses, Host, HostOptions, Kind, ObjectKey, ObjectState, Ports, Readiness, Replicas, Scope,
    Snapshot, StatusWriting, Tidying,
};
