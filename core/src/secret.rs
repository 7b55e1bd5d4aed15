//! Secrets by reference: where a value is kept, and the value itself, which cannot be printed.
//! This module never reads one: that is the runtime's work.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::refs::KeyRef;

/// A secret value. It has no `Debug`, `Display` or `Serialize`, so it cannot reach a log.
#[derive(Clone)]
pub struct Secret(Bytes);

impl Secret {
    /// Wraps a value; one trailing newline goes, as editors add it.
    #[must_use]
    pub fn new(value: impl Into<Bytes>) -> Self {
        let value: Bytes = value.into();
        Self(match value.strip_suffix(b"\n") {
            Some(rest) => value.slice_ref(rest),
            None => value,
        })
    }

    /// The bytes, for the one place that needs them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The text, where it is UTF-8.
    #[must_use]
    pub fn expose_str(&self) -> Option<&str> {
        str::from_utf8(&self.0).ok()
    }

    /// Whether `other` is the same value; the time taken does not depend on where they differ.
    #[must_use]
    pub fn matches(&self, other: &[u8]) -> bool {
        // Digests have equal lengths, so neither content nor length shows in the time.
        use sha2::{Digest as _, Sha256};
        let (ours, theirs) = (Sha256::digest(&self.0), Sha256::digest(other));
        ours.iter()
            .zip(theirs.iter())
            .fold(0, |diff, (a, b)| diff | (a ^ b))
            == 0
    }
}

/// Why a secret or config map value could not be had.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SecretError {
    /// The object itself is not there; the spec or the cluster must change.
    #[error(
        "{kind} {name:?} does not exist (its key {key:?} is needed): create it, or mend the reference"
    )]
    Absent {
        /// `secret` or `config map`.
        kind: &'static str,
        /// The object's name.
        name: String,
        /// The key that is wanted of it.
        key: String,
    },
    /// The object has no such key; the spec or the cluster must change.
    #[error("{kind} {name:?} has no key {key:?}: create it, or mend the reference")]
    Missing {
        /// `secret` or `config map`.
        kind: &'static str,
        /// The object's name.
        name: String,
        /// The key in it.
        key: String,
    },
    /// The place where it is kept cannot be reached now.
    #[error("cannot read {kind} {name:?}")]
    Unavailable {
        /// `secret` or `config map`.
        kind: &'static str,
        /// The object's name.
        name: String,
        /// What the store said.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
}

/// Where secret and config map values of one namespace are read from.
///
/// They are read at each use, so that a rotated value works without a restart; implementations may cache for seconds.
#[async_trait]
pub trait Secrets: Send + Sync {
    /// The value of one key of a Secret.
    async fn secret(&self, at: &KeyRef) -> Result<Secret, SecretError>;
    /// The value of one key of a ConfigMap.
    async fn config(&self, at: &KeyRef) -> Result<Bytes, SecretError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_trailing_newline_goes() {
        assert_eq!(Secret::new("a\n\n").expose(), b"a\n");
        assert!(Secret::new("token\n").matches(b"token"));
        assert!(!Secret::new("token").matches(b"tokem"));
        assert!(!Secret::new("token").matches(b"toke"));
    }
}
