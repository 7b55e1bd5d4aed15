//! The expression language of a sensor's `filters.exprs`: govaluate, compiled once, evaluated many times.
//! It never sees more than the variables that the caller hands it, and has no functions.
//!
//! ```text
//!  "a == 'x' && n > 2" ──Expression::compile──▶ Expression ──holds(|name| value)──▶ bool
//!                                                   └───────eval(|name| value)──▶ Value
//! ```
//!
//! What differs from the Go library, on purpose:
//! - JSON numbers and plain numerals keep their digits: whole ones beyond 2^53 compare exactly, and
//!   joining them to text prints the digits (`"n" + 1000000` is `n1000000`, not `n1e+06`).
//! - Text is at most 64 KiB, 100 parentheses deep, and a joined text at most 16 MiB.
//! - What makes the library panic (comparing arrays with `in`, a backslash at the end) is an error.

mod dates;
mod eval;
mod lexer;
mod operand;
mod parser;

use std::collections::HashMap;
use std::sync::Mutex;

use regex::bytes::Regex;

use crate::value::Value;

pub use eval::EvalError;

/// The longest expression.
pub const MAX_TEXT: usize = 64 << 10;

/// Why an expression does not compile, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {offset}")]
pub struct CompileError {
    /// What was found or missing.
    pub what: String,
    /// Bytes from the start of the text.
    pub offset: usize,
}

/// A compiled expression; evaluate it from as many threads as needed.
#[derive(Debug)]
pub struct Expression {
    root: parser::Node,
    variables: Vec<String>,
    dates: Vec<String>,
    /// Patterns that come from variables, kept because an event repeats them.
    patterns: Mutex<HashMap<String, Regex>>,
}

impl Expression {
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
                offset: MAX_TEXT,
            });
        }
        let tokens = lexer::tokens(text)?;
        let mut variables: Vec<String> = Vec::new();
        let mut dates: Vec<String> = Vec::new();
        for token in &tokens {
            if let lexer::Kind::Time { text, .. } = &token.kind {
                dates.push(text.clone());
            }
            if let lexer::Kind::Variable(name) = &token.kind
                && !variables.contains(name)
            {
                variables.push(name.clone());
            }
        }
        let root = parser::parse(tokens)?;
        Ok(Self {
            root,
            variables,
            dates,
            patterns: Mutex::default(),
        })
    }

    /// The names it asks for, each once, in order of first appearance.
    #[must_use]
    pub fn variables(&self) -> &[String] {
        &self.variables
    }

    /// The texts in quotes that are dates, and so numbers of seconds.
    #[must_use]
    pub fn dates(&self) -> &[String] {
        &self.dates
    }

    /// The value for these variables.
    ///
    /// # Errors
    /// When operands do not fit their operator, a variable is missing, or the result is no JSON value
    /// (division by zero gives an infinity).
    pub fn eval<'a>(
        &self,
        variables: impl Fn(&str) -> Option<&'a Value>,
    ) -> Result<Value, EvalError> {
        eval::Evaluation {
            variables: &variables,
            patterns: &self.patterns,
        }
        .run(&self.root)?
        .into_value()
    }

    /// Whether the value is the boolean `true`, as a filter asks.
    ///
    /// # Errors
    /// When operands do not fit their operator or a variable is missing.
    pub fn holds<'a>(
        &self,
        variables: impl Fn(&str) -> Option<&'a Value>,
    ) -> Result<bool, EvalError> {
        let evaluation = eval::Evaluation {
            variables: &variables,
            patterns: &self.patterns,
        };
        Ok(evaluation.run(&self.root)?.is_true())
    }
}

#[cfg(test)]
mod tests;
