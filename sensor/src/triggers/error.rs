//! How a firing ends: what it did, or why not, by what the runtime can do about it.

use serde::{Deserialize, Serialize};
use tiphys_core::SecretError;

/// What a firing did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Fired {
    /// An object is there.
    Created {
        /// Its group and version.
        api_version: String,
        /// Its kind.
        kind: String,
        /// Its namespace; empty for a cluster-wide object.
        namespace: String,
        /// Its name.
        name: String,
        /// Whether an earlier delivery of the same events had made it.
        existed: bool,
    },
    /// An object that was there before is as it should be now.
    Changed {
        /// What was done with it, as `updated`, `patched` or `deleted`.
        verb: String,
        /// Its group and version.
        api_version: String,
        /// Its kind.
        kind: String,
        /// Its namespace; empty for a cluster-wide object.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// A server has answered.
    Responded {
        /// The status.
        status: u16,
    },
    /// The log has it.
    Logged,
}

impl Fired {
    /// The object that is there afterwards: group and version, kind, namespace and name.
    pub(crate) fn object(&self) -> Option<[&str; 4]> {
        match self {
            Self::Created {
                api_version,
                kind,
                namespace,
                name,
                ..
            } => Some([api_version, kind, namespace, name]),
            Self::Changed {
                verb,
                api_version,
                kind,
                namespace,
                name,
            } if !verb.ends_with("deleted") => Some([api_version, kind, namespace, name]),
            Self::Changed { .. } | Self::Responded { .. } | Self::Logged => None,
        }
    }
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a firing failed.
#[derive(Debug, thiserror::Error)]
pub enum FireError {
    /// The target is away, slow or full: the same firing can succeed later.
    #[error("{what}")]
    Transient {
        /// What was being done.
        what: String,
        /// Why it failed.
        #[source]
        source: Option<Cause>,
    },
    /// The same firing fails again unless something is changed.
    #[error("{what}")]
    Permanent {
        /// What was being done.
        what: String,
        /// Why it failed.
        #[source]
        source: Option<Cause>,
    },
    /// This build cannot do it.
    #[error("{what} is not supported yet")]
    Unsupported {
        /// What.
        what: String,
    },
}

impl FireError {
    pub(crate) fn permanent(what: impl Into<String>) -> Self {
        Self::Permanent {
            what: what.into(),
            source: None,
        }
    }

    pub(crate) fn permanent_from(what: impl Into<String>, source: impl Into<Cause>) -> Self {
        Self::Permanent {
            what: what.into(),
            source: Some(source.into()),
        }
    }

    pub(crate) fn transient(what: impl Into<String>, source: impl Into<Cause>) -> Self {
        Self::Transient {
            what: what.into(),
            source: Some(source.into()),
        }
    }

    pub(crate) fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported { what: what.into() }
    }

    /// A secret or config map that is missing stays so until somebody makes it; one out of reach comes back.
    pub(crate) fn from_secret(error: SecretError) -> Self {
        let what = "failed to retrieve a secret or config map";
        match error {
            SecretError::Absent { .. } | SecretError::Missing { .. } => {
                Self::permanent_from(what, error)
            }
            SecretError::Unavailable { .. } => Self::transient(what, error),
        }
    }

    /// Whether the same firing can succeed later.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Transient { .. })
    }
}
