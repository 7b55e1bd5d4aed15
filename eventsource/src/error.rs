//! Why an event is not being listened for, and what may be done about it. Values that can be cloned into a status.

use std::io;
use std::sync::Arc;

use tiphys_core::Problems;

pub use crate::http::tls::TlsError;
use crate::source::BuildError;

/// Why a port is not open.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ListenError {
    /// Another process has it.
    #[error(
        "port {port} is in use by another process: stop it, or listen elsewhere with --publish HOST:{spec}"
    )]
    InUse {
        /// The port that was tried.
        port: u16,
        /// The port in the spec.
        spec: u16,
    },
    /// The system lets only privileged users have it.
    #[error("port {port} needs privileges that this process does not have: listen elsewhere with --publish {}:{spec}", free(*spec))]
    Privileged {
        /// The port that was tried.
        port: u16,
        /// The port in the spec.
        spec: u16,
    },
    /// Anything else that the system says.
    #[error("port {port} cannot be opened")]
    Io {
        /// The port that was tried.
        port: u16,
        /// What the system says.
        #[source]
        source: Arc<io::Error>,
    },
}

/// A port that anyone may open and that resembles `spec`.
fn free(spec: u16) -> u16 {
    spec.saturating_add(8000)
}

impl ListenError {
    pub(crate) fn new(error: io::Error, port: u16, spec: u16) -> Self {
        match error.kind() {
            io::ErrorKind::AddrInUse => Self::InUse { port, spec },
            io::ErrorKind::PermissionDenied => Self::Privileged { port, spec },
            _ => Self::Io {
                port,
                source: Arc::new(error),
            },
        }
    }
}

/// Why one event of an EventSource is not being listened for. The others are not concerned.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EventError {
    /// The spec must change, or the kind has no running half yet.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The filter cannot be compiled.
    #[error("the filter cannot be used: {0}")]
    Filter(String),
    /// Another event was there first; this one takes over when that one goes.
    #[error(
        "{what} on port {port} is already used by event {event:?} of EventSource {namespace}/{name}: choose another endpoint, method or port"
    )]
    Taken {
        /// Method and endpoint.
        what: String,
        /// The port in the spec.
        port: u16,
        /// Who has it.
        namespace: String,
        /// Who has it.
        name: String,
        /// Who has it.
        event: String,
    },
    /// One port cannot speak HTTP and HTTPS, or show two certificates.
    #[error(
        "port {port} is already used by EventSource {namespace}/{name} with {theirs}: use the same serverCertSecret and serverKeySecret, or another port"
    )]
    OtherTls {
        /// The port in the spec.
        port: u16,
        /// Who has it.
        namespace: String,
        /// Who has it.
        name: String,
        /// `HTTP` or `another certificate`.
        theirs: &'static str,
    },
    /// The port is not open. It is tried again and again.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The port has no certificate. It is tried again and again.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Why an EventSource was not taken. What ran under its name before goes on running.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ApplyError {
    /// The spec must change.
    #[error("the EventSource cannot run:\n{}", .0.errors())]
    Invalid(Problems),
    /// The process is about to end.
    #[error("the sources are stopping")]
    Stopping,
}
