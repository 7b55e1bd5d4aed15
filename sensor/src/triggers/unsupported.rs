//! A kind that this build does not run. Its firings fail with that reason, so each of its events has a recorded end and
//! can be driven again by a build that runs it. It never does anything else.

use super::{Action, Effect, FireError, Firing};

/// Fails each time.
pub(crate) struct Unsupported {
    what: String,
}

impl Unsupported {
    /// For what cannot be done.
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into() }
    }
}

impl Action for Unsupported {
    fn plan(
        &self,
        _firing: &Firing<'_>,
        _fetched: Option<&[u8]>,
    ) -> Result<Box<dyn Effect>, FireError> {
        Err(FireError::unsupported(self.what.clone()))
    }
}
