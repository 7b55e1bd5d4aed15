//! The expression language of an EventSource's `filter.expression`: expr-lang, without type environment.
//! It never calls anything but its own functions, and every program has a budget of steps and memory.
//!
//! ```text
//!  "body.id == 4" ──Program::compile──▶ Program ──eval(environment(&event))──▶ Value
//!                                          └──────holds(…)──▶ bool
//! ```
//!
//! The language is that of expr 1.17 (Argo pins 1.15, a subset); all its functions are there, and
//! `asInt`, `asFloat`, `toJson`, `jsonpath` and `sprig.*` of Argo. What differs on purpose:
//! - Numbers of the event keep their digits: whole ones work where Go wants an `int` (`body.id % 2`,
//!   `take(list, body.n)`), compare exactly beyond 2^53, and print without exponent.
//! - Numbers inside maps are compared by value (`{a: 1} == {a: 1.0}`).
//! - `keys`, `values` and `toPairs` follow the order of the keys; sorting is stable.
//! - Names of functions do not hide members of the event.
//! - A slice of a text that cuts a character in two holds U+FFFD in its place.
//! - `sprig.env`, `sprig.expandenv` and `sprig.getHostByName` are withheld, as in templates.

mod access;
mod ast;
mod builtins;
mod closures;
mod environment;
mod eval;
mod lexer;
mod ops;
mod output;
mod parser;
mod postfix;
mod primary;
mod times;
mod value;

use crate::value::{Map, Value};

pub use environment::environment;

/// The longest expression.
pub const MAX_TEXT: usize = 64 << 10;

/// Why an expression does not compile, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} at line {line}, column {column}")]
pub struct CompileError {
    /// What was found or missing.
    pub what: String,
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
}

impl CompileError {
    fn at(text: &str, what: impl Into<String>, offset: usize) -> Self {
        let (line, column) = place(text, offset);
        Self {
            what: what.into(),
            line,
            column,
        }
    }
}

/// Line and column of a byte, both from 1.
fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before
        .chars()
        .rev()
        .take_while(|char| *char != '\n')
        .count()
        + 1;
    (line, column)
}

/// Why an expression has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// Operands of the wrong kind, an index out of range and the like.
    #[error("{what} at line {line}, column {column}")]
    Operation {
        /// What went wrong.
        what: String,
        /// The line, from 1.
        line: usize,
        /// The character in the line, from 1.
        column: usize,
    },
    /// More steps or memory than an expression may take.
    #[error("the expression takes too many {0}")]
    Budget(&'static str),
    /// A filter's result that is no boolean.
    #[error("the result is {0}, not a boolean")]
    NotBool(&'static str),
    /// A function, an infinity or a not-a-number as the result.
    #[error("the result is not a JSON value")]
    NotJson,
}

/// A compiled expression; evaluate it from as many threads as needed.
#[derive(Debug)]
pub struct Program {
    text: String,
    root: ast::Node,
    slots: usize,
}

impl Program {
    /// Reads an expression.
    ///
    /// # Errors
    /// For what the language does not know, a constant pattern that does not compile, and texts that are
    /// too long or too deep.
    pub fn compile(text: &str) -> Result<Self, CompileError> {
        if text.len() > MAX_TEXT {
            let what = format!("the expression is longer than {MAX_TEXT} bytes");
            return Err(CompileError {
                what,
                line: 1,
                column: 1,
            });
        }
        let (root, slots) = parser::parse(text, lexer::tokens(text)?)?;
        Ok(Self {
            text: text.to_owned(),
            root,
            slots,
        })
    }

    /// The value, with the members of the environment as names.
    ///
    /// # Errors
    /// When operands do not fit their operator, an index is out of range, the budget is used up or the
    /// result is no JSON value.
    pub fn eval(&self, environment: &Map) -> Result<Value, EvalError> {
        let value = eval::Evaluation::new(&self.text, environment, self.slots).run(&self.root)?;
        value.to_json().ok_or(EvalError::NotJson)
    }

    /// Whether the value is `true`, as a filter asks.
    ///
    /// # Errors
    /// As [`Program::eval`], and for a result that is no boolean.
    pub fn holds(&self, environment: &Map) -> Result<bool, EvalError> {
        match eval::Evaluation::new(&self.text, environment, self.slots).run(&self.root)? {
            value::V::Bool(truth) => Ok(truth),
            other => Err(EvalError::NotBool(other.type_name())),
        }
    }
}

#[cfg(test)]
mod tests;
