//! What every part of Tiphys shares: the event, problems with their paths, tasks, backoff, secrets by reference, metrics.
//!
//! ```text
//! YAML text ──manifest::parse──▶ Document ──typed::<Spec>──▶ Spec + Problems ──validate──▶ Problems
//! sender ──▶ Event ──envelope──▶ bytes on the bus ──envelope──▶ Event ──▶ sensor
//! ```
//!
//! This crate does no I/O: no network, no files, no environment.

pub mod backoff;
pub mod duration;
pub mod envelope;
pub mod event;
pub mod manifest;
pub mod metrics;
pub mod problems;
pub mod refs;
pub mod secret;
pub mod spec;
pub mod tasks;

pub use event::Event;
pub use problems::{Path, Problem, Problems, Segment, Severity};
pub use secret::{Secret, SecretError, Secrets};
pub use tasks::Tasks;
