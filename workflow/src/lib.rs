//! Workflows of the local shape: their resources, and a first engine that runs them as processes.
//!
//! ```text
//! kube::Client watch ─▶ driver ─one job per Workflow─▶ engine ─leaf─▶ exec (process or built-in) ─▶ log file
//!                                                        └── status patches ─▶ kube::Client
//! ```
//!
//! On a cluster, Argo's own workflow-controller does this work; this crate is never started there.

pub mod cowsay;
mod driver;
mod engine;
mod env;
mod exec;
pub mod logs;
pub mod names;
pub mod resource;
mod substitute;
mod support;
pub mod tree;

pub use driver::{Engine, EngineError, EngineOptions};
pub use resource::{
    ClusterWorkflowTemplate, Node, NodePhase, Workflow, WorkflowSpec, WorkflowStatus,
    WorkflowTemplate, WorkflowTemplateSpec,
};
