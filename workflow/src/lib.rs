//! Workflows: their resources, the operations on them, and an engine that runs them as processes.
//!
//! ```text
//! commands, sensors ─▶ operations ──changes of objects──▶ kube::Client
//!
//! kube::Client watch ─▶ driver ─one job per Workflow─▶ engine ─leaf─▶ exec (process or built-in) ─▶ log file
//!                                                        └── status patches ─▶ kube::Client
//! ```
//!
//! On a cluster, Argo's own workflow-controller runs Workflows and the engine is never started; the feature `engine`
//! keeps it out of crates that only operate on Workflows.

#[cfg(feature = "engine")]
pub mod cowsay;
#[cfg(feature = "engine")]
mod driver;
#[cfg(feature = "engine")]
mod engine;
#[cfg(feature = "engine")]
mod env;
#[cfg(feature = "engine")]
mod exec;
pub mod logs;
pub mod names;
pub mod operations;
pub mod resource;
#[cfg(feature = "engine")]
mod substitute;
#[cfg(feature = "engine")]
mod support;
pub mod tree;

#[cfg(feature = "engine")]
pub use driver::{Engine, EngineError, EngineOptions};
pub use resource::{
    ClusterWorkflowTemplate, Node, NodePhase, Workflow, WorkflowSpec, WorkflowStatus,
    WorkflowTemplate, WorkflowTemplateSpec,
};
