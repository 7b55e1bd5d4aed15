//! The EventSource: its resource with every kind of Argo's, and the runtime of the kinds that run.
//!
//! ```text
//! EventSourceSpec ──validate──▶ Problems
//!        │
//! SourceRuntime::apply ──▶ claims ──▶ one listener for each port
//!                                           │
//! POST ──▶ route ──▶ hook ──▶ filter ──▶ Publish::publish ──▶ 200 success
//! ```
//!
//! It never sees a Sensor, and knows no subject of the bus: [`SourceRuntime`] is the entry point.

mod claims;
mod context;
mod error;
mod filter;
mod form;
mod headers;
mod http;
mod json;
mod listeners;
mod placing;
mod runtime;
mod source;
mod sources;
mod spec;
mod state;

pub use context::{DEFAULT_MAX_PAYLOAD, WebhookContext};
pub use error::{ApplyError, EventError, ListenError, TlsError};
pub use http::limits::Limits;
pub use http::pattern::{Pattern, PatternError};
pub use runtime::SourceRuntime;
pub use source::{
    Accepted, Attributes, BuildError, Draft, Hook, HookAt, Rejection, Replicas, Source, SourceSpec,
};
pub use sources::webhook::Webhook;
pub use spec::{EventSource, EventSourceSpec, FilterSpec, ServiceSpec};
pub use state::{Applied, EventState, ObjectName, PortMap, SourceObject, States};

#[cfg(test)]
mod tests;
