//! The built-in Kubernetes API of the local shape.
//!
//! `tiphys run` needs an API server where there is none: this is one, in process, over an
//! embedded durable store. Everything else talks to it through [`kube::Client`] and cannot tell
//! it from a cluster. It serves objects; it runs no pods and schedules nothing.
//!
//! ```text
//! kube::Client ──(tower service)──┐
//!                                 ├─▶ api ─▶ request: path, query ─▶ verb
//! kubectl ──loopback──▶ serve ────┘            │
//!                                              ├─ get, list ─────▶ store: memory
//!                                              ├─ watch ─────────▶ store: ring of changes
//!                                              └─ create, update, patch, delete
//!                                                     │ objects, patch: what the verb means
//!                                                     ▼
//!                                                 store: writer thread ─▶ redb, fsync ─▶ memory
//! ```
//!
//! Start at [`Cluster`]. What the API serves is a table in [`kinds`], and whatever
//! `CustomResourceDefinition` objects add to it.
//!
//! ```
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use tiphys_cluster::{Cluster, kinds};
//!
//! let cluster = Cluster::in_memory(&[kinds::CORE, kinds::ARGO].concat())?;
//! let client = cluster.client("default");
//! # drop(client); Ok(()) }
//! ```
//!
//! Where it differs from Kubernetes: namespaces appear on first use; dependents of a deleted
//! owner go in the same transaction, whatever the propagation policy short of `Orphan`;
//! `generation` counts changes outside of `metadata` and `status`, also where a kind has no status
//! subresource; more field selectors are served; there is no schema validation and no protobuf.

pub mod kinds;

mod api;
mod cluster;
mod discovery;
mod list;
mod objects;
mod openapi;
mod patch;
mod registry;
mod request;
mod selector;
mod serve;
mod status;
mod store;
mod watch;

pub use cluster::{Cluster, PodLogs};
pub use kinds::{Kind, Names};
pub use store::OpenError;
