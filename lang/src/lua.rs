//! Sensor scripts in Lua 5.1: filters that answer `true`, transformations that return a table.
//! It never gives a script files, processes, the environment, the clock or a way to load code.
//!
//! ```text
//!  text ──Script::compile──▶ Script ──eval_filter(event)──▶ bool
//!                               └─────transform(event)────▶ Value
//! ```
//!
//! Scripts run in Luau, whose syntax and library contain those of Lua 5.1; every run has a fresh state and
//! ends after a second, 20 million steps or 64 MiB.
//! The call blocks for as long: asynchronous callers run it on a thread for blocking work.
//!
//! The event is the global `event`: objects and arrays are tables, arrays count from 1.
//! As in Argo, `null` is nil, so null members are absent and null elements are left out.
//! What a script returns becomes JSON as in Argo: a table with a positive whole key is an array up to the
//! largest such key, holes are null and other keys are dropped; any other table is an object, unless the
//! field `__is_array` of its metatable is true.
//!
//! What differs from Argo, on purpose:
//! - `os`, `io`, `debug`, `load`, `loadstring`, `dofile`, `require`, `collectgarbage` and `goto` are not there;
//!   `print` does nothing.
//! - Arrays inside arrays are kept, and an empty array that the script leaves alone stays an array.
//! - Numbers that stay where they were keep their digits; elsewhere they are floats.
//! - Tables that contain themselves are an error.

mod convert;
mod sandbox;

use std::time::Duration;

use crate::value::Value;

/// The longest script.
pub const MAX_TEXT: usize = 256 << 10;

/// Why a script does not compile or gives no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// The text is not Lua.
    #[error("{what} in line {line}")]
    Syntax {
        /// What was found or missing.
        what: String,
        /// The line, from 1.
        line: usize,
    },
    /// The script failed while it ran.
    #[error("{what}{}", line.map(|line| format!(" in line {line}")).unwrap_or_default())]
    Failed {
        /// The script's own error.
        what: String,
        /// The line, from 1, where it is known.
        line: Option<usize>,
    },
    /// More time, steps or memory than a script may take.
    #[error("the script takes too much {0}")]
    Budget(&'static str),
    /// The event is neither an object nor null.
    #[error("a script needs an object as event, not {0}")]
    Event(&'static str),
    /// A transformation that returns something else than a table.
    #[error("the script returns {0}, not a table")]
    NotTable(String),
    /// A table that has no JSON.
    #[error("the returned table has no JSON: {0}")]
    NotJson(String),
}

/// A compiled script; run it from as many threads as needed.
#[derive(Debug, Clone)]
pub struct Script {
    bytecode: Vec<u8>,
    /// The longest run.
    time: Duration,
    /// The most values in a result.
    values: usize,
}

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    /// For what is not Lua, and texts that are too long or too deep.
    pub fn compile(text: &str) -> Result<Self, ScriptError> {
        let bytecode = sandbox::compile(text)?;
        Ok(Self {
            bytecode,
            time: sandbox::MAX_TIME,
            values: convert::MAX_VALUES,
        })
    }

    /// Whether the last value that the script returns is the boolean `true`.
    ///
    /// # Errors
    /// When the event is not an object, the script fails or its budget is used up.
    pub fn eval_filter(&self, event: &Value) -> Result<bool, ScriptError> {
        sandbox::run(&self.bytecode, event, self.time, |last, _, _| {
            Ok(matches!(last, mlua::Value::Boolean(true)))
        })
    }

    /// The last table that the script returns, as JSON.
    ///
    /// # Errors
    /// As [`Script::eval_filter`], and when the result is no table or has no JSON.
    pub fn transform(&self, event: &Value) -> Result<Value, ScriptError> {
        sandbox::run(
            &self.bytecode,
            event,
            self.time,
            |last, origins, event| match last {
                mlua::Value::Table(table) => convert::to_json(&table, origins, event, self.values),
                mlua::Value::Integer(_) => Err(ScriptError::NotTable("number".to_owned())),
                other => Err(ScriptError::NotTable(other.type_name().to_owned())),
            },
        )
    }
}

#[cfg(test)]
mod tests;
