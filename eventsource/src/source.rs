//! What a kind of source is: a spec that can check itself and build the running half, of a closed set of shapes.
//! Loops, listeners, retries and counters belong to the drivers, never to a kind.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use jiff::Timestamp;
use tiphys_core::Problems;
use tiphys_core::refs::KeyRef;

use crate::http::pattern::Pattern;

/// How many replicas of a kind may run at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replicas {
    /// Many: the sender or the system behind shares the work out.
    Many,
    /// One: every replica would see every event.
    One,
}

/// One entry under `spec.<kind>` of an EventSource.
pub trait SourceSpec: Send + Sync + 'static {
    /// The key under `spec`; also the metric label.
    const KIND: &'static str;
    /// The CloudEvents type, where Argo writes it differently from the key.
    const TYPE: &'static str = Self::KIND;
    /// Many where the system behind shares the work out, One where every replica sees every event.
    const REPLICAS: Replicas;

    /// Reports everything wrong. Pure: no network, no files, no clock.
    fn validate(&self, problems: &mut Problems);

    /// The condition that events must meet, if there is one.
    fn filter(&self) -> Option<&str> {
        None
    }

    /// Makes the running half. Must not connect.
    ///
    /// # Errors
    /// Kinds without a running half say so; so do specs that [`SourceSpec::validate`] finds wrong.
    fn build(&self) -> Result<Source, BuildError> {
        Err(BuildError::Unsupported { kind: Self::KIND })
    }
}

/// Any [`SourceSpec`] behind one face.
pub(crate) trait AnySource: Send + Sync {
    fn kind(&self) -> &'static str;
    fn event_type(&self) -> &'static str;
    fn replicas(&self) -> Replicas;
    fn validate(&self, problems: &mut Problems);
    fn filter(&self) -> Option<&str>;
    fn build(&self) -> Result<Source, BuildError>;
}

impl<S: SourceSpec> AnySource for S {
    fn kind(&self) -> &'static str {
        S::KIND
    }

    fn event_type(&self) -> &'static str {
        S::TYPE
    }

    fn replicas(&self) -> Replicas {
        S::REPLICAS
    }

    fn validate(&self, problems: &mut Problems) {
        SourceSpec::validate(self, problems);
    }

    fn filter(&self) -> Option<&str> {
        SourceSpec::filter(self)
    }

    fn build(&self) -> Result<Source, BuildError> {
        SourceSpec::build(self)
    }
}

/// Why a source cannot run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// Its running half does not exist yet; the spec may stay as it is.
    #[error("EventSource kind `{kind}` is not supported yet")]
    Unsupported {
        /// The key under `spec`.
        kind: &'static str,
    },
    /// The spec must change.
    #[error("the spec is not complete: {0}")]
    Spec(String),
}

/// A running half, by shape: the shape decides who owns the loop.
pub enum Source {
    /// Receives HTTP on the listener of its port, which it shares with every other hook of the process.
    Hook {
        /// Where and to whom it answers.
        at: HookAt,
        /// What it makes of a request.
        hook: Box<dyn Hook>,
    },
}

/// Where a hook is served and what a request must bring before the hook sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct HookAt {
    /// The port as the spec says it.
    pub port: u16,
    /// Which paths.
    pub pattern: Pattern,
    /// The only method; `None` for any.
    pub method: Option<Method>,
    /// Certificate and key for HTTPS.
    pub tls: Option<(KeyRef, KeyRef)>,
    /// The bearer token that a request must show.
    pub auth: Option<KeyRef>,
    /// The longest body, in bytes.
    pub max_payload: u64,
}

impl HookAt {
    /// Whether another hook of the same port asks for the same endpoint and method.
    #[must_use]
    pub fn takes_the_same(&self, other: &Self) -> bool {
        let any = self.method.is_none() || other.method.is_none();
        self.pattern == other.pattern && (any || self.method == other.method)
    }
}

/// Turns a request into events.
pub trait Hook: Send + Sync {
    /// Checks that a request is genuine and makes events of it.
    ///
    /// The driver has checked path, method, token and size before, and filters, publishes and answers after.
    ///
    /// # Errors
    /// What the sender is told; nothing is stored then.
    fn accept(&self, request: &Request<Bytes>) -> Result<Accepted, Rejection>;
}

/// What a hook makes of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Accepted {
    /// One event.
    One(Draft),
    /// Several, of which the sender gets success only when all are stored.
    Many(Vec<Draft>),
}

/// An event before the driver has given it source, subject and, mostly, id and time.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// The event data, JSON.
    pub data: Bytes,
    /// What the sender said about the event, where it sent a CloudEvent.
    pub sender: Option<Box<Attributes>>,
}

/// The context attributes that a sender gave its CloudEvent.
#[derive(Debug, Clone, PartialEq)]
pub struct Attributes {
    /// The id, unique for its source only.
    pub id: String,
    /// The sender's own source.
    pub source: String,
    /// The sender's own subject.
    pub subject: Option<String>,
    /// The type.
    pub kind: String,
    /// When it happened.
    pub time: Option<Timestamp>,
    /// Extension attributes, as text.
    pub extensions: BTreeMap<String, String>,
}

/// Why a request becomes no event: the status and the words that its sender gets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Rejection {
    /// The status of the response.
    pub status: StatusCode,
    /// What is wrong, for people.
    pub message: String,
}

impl Rejection {
    /// The request cannot be understood.
    #[must_use]
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            message: message.into(),
        }
    }
}
