//! The Sensor: its resource, and what happens between an accepted event and its effect.
//!
//! ```text
//! Message ─▶ dependency ─▶ transform ─▶ filters ─▶ condition ─▶ parameters ─▶ trigger ─▶ effect ─▶ ack
//!            (pure: dependency, filters, conditions, parameters, payload)     (triggers)   (runtime)
//! ```
//!
//! The entry points are [`SensorSpec::validate`], [`dry_run()`] and [`SensorRuntime::start`]. Whether a trigger fires is
//! decided by pure code with no bus in the room; the runtime loads and stores its state and settles messages.

mod artifacts;
mod changed;
mod conditions;
mod cron;
mod dependency;
mod dialect;
mod document;
mod dry_run;
mod filters;
mod join;
mod lanes;
mod parameters;
mod payload;
mod prepared;
mod record;
mod runtime;
mod startable;
mod transform;

pub mod cases;
pub mod spec;
pub mod triggers;

#[cfg(test)]
mod model;
#[cfg(test)]
mod testing;

pub use document::{DocumentError, Events, Input, identity};
pub use dry_run::{DryRun, EventReport, FiringReport, Rehearsal, TriggerReport, dry_run};
pub use filters::{Detail, Leaf, Report, Verdict};
pub use parameters::{Applied, ParameterError, Resolved};
pub use record::{
    Decision, End, EventRef, Firing, Look, Parameter, Part, ReadError, RecordLimits, Recorder, Tail,
};
pub use runtime::{
    AgainError, Cleared, DeadEvent, DeadLetter, DeadLetters, Reach, Replay, Replayed,
    RunningSensor, Seat, SensorObject, SensorRuntime, StartError, Tenant,
};
pub use spec::{Sensor, SensorSpec};
pub use startable::{CannotRun, cannot_run};
pub use triggers::{FireError, Fired};
