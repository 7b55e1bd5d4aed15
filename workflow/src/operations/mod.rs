//! Operations on Workflows as the `argo` program knows them, made as changes of native objects.
//!
//! ```text
//! args, flags ──▶ options ──▶ draft | change | retry | resubmit (pure) ──▶ Operator ──▶ kube::Client
//! ```
//!
//! The commands and the `argoWorkflow` trigger use the same code, against a cluster and against the local shape.
//! What a Workflow does afterwards is its controller's work, or the local engine's: nothing here runs a step.

mod args;
mod change;
mod draft;
mod graph;
mod labels;
mod members;
mod operator;
mod parameters;
mod resubmit;
mod retry;
mod selector;
mod stored;
mod submit;
mod wait;

use jiff::Timestamp;

pub use args::{ArgProblem, OperationArgs, Verb};
pub use change::Shutdown;
pub use draft::Draft;
pub use labels::{Actor, belongs_to};
pub use operator::{Create, Operator, Outcome, Selection};
pub use parameters::{label_pairs, parameter, parameters_of_file};
pub use resubmit::ResubmitOptions;
pub use retry::RetryOptions;
pub use selector::NodeSelector;
#[cfg(feature = "engine")]
pub(crate) use stored::difference;
pub use submit::{Origin, from_cron};
pub use wait::{Ended, wait};

/// A parameter that is given beside the object. Its value is always text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// What a submission changes of the object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SubmitOptions {
    /// `metadata.name`.
    pub name: Option<String>,
    /// `metadata.generateName`.
    pub generate_name: Option<String>,
    /// `spec.entrypoint`.
    pub entrypoint: Option<String>,
    /// `spec.serviceAccountName`.
    pub service_account: Option<String>,
    /// Further labels.
    pub labels: Vec<(String, String)>,
    /// Further annotations.
    pub annotations: Vec<(String, String)>,
    /// Parameters, before those that the object has.
    pub parameters: Vec<Parameter>,
    /// `spec.priority`.
    pub priority: Option<i32>,
    /// The time that the Workflow is taken to be made for.
    pub scheduled_time: Option<String>,
}

/// Why an operation was not done, by what can be done about it.
#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    /// The object or the options do not allow it.
    #[error("{why}")]
    Refused {
        /// Why.
        why: String,
    },
    /// The object is not there.
    #[error("{kind}.argoproj.io {name:?} not found in namespace {namespace:?}")]
    Missing {
        /// The plural of its kind.
        kind: String,
        /// Its name.
        name: String,
        /// Where it was looked for.
        namespace: String,
    },
    /// Somebody else has an object of that name.
    #[error("workflows.argoproj.io {name:?} already exists in namespace {namespace:?}")]
    Exists {
        /// Its name.
        name: String,
        /// Its namespace.
        namespace: String,
    },
    /// Others change the object faster than this operation can.
    #[error("workflow {name:?} is changed by others all the time")]
    Contended {
        /// Its name.
        name: String,
        /// The last conflict.
        #[source]
        source: Box<kube::Error>,
    },
    /// The API has not done its part.
    #[error("{what}")]
    Api {
        /// What was asked.
        what: String,
        /// What it said.
        #[source]
        source: Box<kube::Error>,
    },
}

impl OperationError {
    pub(crate) fn refused(why: impl Into<String>) -> Self {
        Self::Refused { why: why.into() }
    }
}

/// Checks a time as `--scheduled-time` takes it.
///
/// # Errors
/// When it is not RFC 3339.
pub fn time(text: &str) -> Result<Timestamp, OperationError> {
    text.parse().map_err(|_| {
        OperationError::refused(format!(
            "{text:?} is not a time as RFC 3339 writes it, like 2026-01-31T12:00:00Z"
        ))
    })
}
