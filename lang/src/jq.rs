//! jq filters for transformations: compiled once, run many times, in bounds of time, memory and depth.
//! It never sees files, other inputs, the environment or a way to end the process.
//!
//! ```text
//!  ".a += 1" ──Filter::compile──▶ Filter ──transform(event)──▶ object
//!                                    ├─────first(input)──────▶ Option<Value>
//!                                    └─────all(input, limit)─▶ Vec<Value>
//! ```
//!
//! The engine is `jaq`. It has no limits of its own, so every filter is rewritten before it is compiled:
//! each call of a definition, each stage of a pipe and each element of an array asks a budget of steps,
//! bytes and time, and looks how much stack is left; arrays and objects are measured as they are made.
//! Runs have a thread with a large stack of their own; the caller waits for it, at most a little over a second.
//! What is not bounded by steps: one call of a function of the library, such as `test` or `sort`, on a value
//! that is itself bounded. Time is looked at before and after it, not within.
//!
//! What differs from Argo's gojq, on purpose:
//! - Numbers keep their digits until something is computed from them.
//! - `env` and `$ENV` are empty; `input`, `inputs`, `halt` and modules are not there; `debug` and `stderr`
//!   do nothing.
//! - Error texts are jaq's.

mod bounded;
mod budget;
mod convert;
mod natives;
mod paths;
mod prelude;
mod rewrite;

use std::time::Duration;

use crate::value::Value;

/// The longest filter.
pub const MAX_TEXT: usize = 64 << 10;

/// Why a filter does not compile or gives no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JqError {
    /// The text is not jq, or names what is not there.
    #[error("{what} at byte {offset}")]
    Compile {
        /// What was found or missing.
        what: String,
        /// Bytes from the start of the text.
        offset: usize,
    },
    /// The filter raised an error.
    #[error("{0}")]
    Failed(String),
    /// More time, steps, memory or depth than a filter may take.
    #[error("the filter takes too {0}")]
    Budget(&'static str),
    /// An event that is neither an object nor null.
    #[error("a transformation needs an object, not {0}")]
    Input(&'static str),
    /// A transformation without output.
    #[error("the filter has no output")]
    NoOutput,
    /// A transformation whose first output is not an object.
    #[error("the filter returns {0}, not an object")]
    NotObject(&'static str),
    /// An infinity, a not-a-number or bytes in the output.
    #[error("the output has no JSON: {0}")]
    NotJson(&'static str),
}

/// A compiled filter; run it from as many threads as needed.
pub struct Filter {
    program: bounded::Program,
    /// The longest run.
    time: Duration,
}

impl std::fmt::Debug for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Filter").finish_non_exhaustive()
    }
}

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    /// For what is not jq, unknown functions and variables, and texts that are too long or too deep.
    pub fn compile(text: &str) -> Result<Self, JqError> {
        let program = bounded::compile(text)?;
        Ok(Self {
            program,
            time: budget::MAX_TIME,
        })
    }

    /// The first output, if there is any.
    ///
    /// # Errors
    /// When the filter fails before its first output, or its budget is used up.
    pub fn first(&self, input: &Value) -> Result<Option<Value>, JqError> {
        Ok(bounded::run(&self.program, input, 1, self.time)?
            .into_iter()
            .next())
    }

    /// The outputs, `limit` of them at most.
    ///
    /// # Errors
    /// When the filter fails before that, or its budget is used up.
    pub fn all(&self, input: &Value, limit: usize) -> Result<Vec<Value>, JqError> {
        bounded::run(&self.program, input, limit, self.time)
    }

    /// The first output for an event, as a sensor's transformation asks: an object from an object or null.
    ///
    /// # Errors
    /// As [`Filter::first`], and when input or output is no object.
    pub fn transform(&self, event: &Value) -> Result<Value, JqError> {
        if !matches!(event, Value::Object(_) | Value::Null) {
            return Err(JqError::Input(event.kind()));
        }
        match self.first(event)? {
            Some(object @ Value::Object(_)) => Ok(object),
            Some(other) => Err(JqError::NotObject(other.kind())),
            None => Err(JqError::NoOutput),
        }
    }
}

#[cfg(test)]
mod tests;
