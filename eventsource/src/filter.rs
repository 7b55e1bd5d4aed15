//! The condition that events of a source must meet. It sees the event data and nothing else.

/// A compiled condition.
pub(crate) struct Filter;

/// Why a condition cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("`filter.expression` is not supported yet")]
pub(crate) struct FilterError;

impl FilterError {
    pub(crate) fn report(&self, problems: &mut tiphys_core::Problems) {
        problems.error(self.to_string());
    }
}

impl Filter {
    pub(crate) fn compile(_expression: &str) -> Result<Self, FilterError> {
        Err(FilterError)
    }

    pub(crate) fn passes(&self, _data: &[u8]) -> Result<bool, FilterError> {
        Err(FilterError)
    }
}
