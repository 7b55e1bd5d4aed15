//! Go's `text/template` with the Sprig v3 functions: compiled once, rendered many times.
//! It never reads the environment, a file or the network, and no template or input can make it panic.
//!
//! ```text
//!  text ──lexer──▶ tokens ──parser──▶ tree ──exec──▶ text
//!                              │                │
//!                            funcs: names     value, printf: Go's types as Go prints them
//! ```
//!
//! What differs from Go: JSON numbers keep their digits and answer to both integer and float uses;
//! `env`, `expandenv` and `getHostByName` are withheld; depth, steps, memory and output are bounded.

mod ast;
mod builtins;
mod call;
mod cx;
mod differences;
mod exec;
mod funcs;
mod lexer;
mod literal;
mod methods;
mod parser;
mod printf;
mod single;
mod value;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

pub use cx::Limits;
pub use differences::{DIFFERENCES, function_names};
pub(crate) use single::{Datum, Sprig};

use crate::go::quote;
use crate::value::Value;
use cx::{Cx, Regexes};
use value::{MapRef, Val};

/// A compiled template.
///
/// ```
/// use tiphys_lang::gotemplate::Template;
///
/// let template = Template::compile("Hello {{ .Input.name | title }}!").unwrap();
/// let input = tiphys_lang::json::parse(br#"{"name":"ada"}"#).unwrap();
/// assert_eq!(template.render(&input).unwrap(), "Hello Ada!");
/// ```
#[derive(Clone)]
pub struct Template(Arc<Inner>);

struct Inner {
    text: Box<str>,
    program: ast::Program,
    regexes: Regexes,
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Template").field(&self.0.text).finish()
    }
}

/// Why a text is not a template, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct CompileError {
    /// From 1.
    pub line: usize,
    /// In bytes, from 1.
    pub column: usize,
    /// What is wrong there.
    pub message: String,
}

/// Why a template cannot be rendered with an input, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct RenderError {
    /// From 1.
    pub line: usize,
    /// In bytes, from 1.
    pub column: usize,
    /// What went wrong there.
    pub message: String,
}

impl Template {
    /// Compiles a text; functions are resolved, so an unknown one is an error here.
    ///
    /// # Errors
    /// Where Go refuses the text, and where it nests beyond 200 levels.
    pub fn compile(text: &str) -> Result<Self, CompileError> {
        match parser::parse(text) {
            Ok(program) => {
                let regexes = Regexes::default();
                Ok(Self(Arc::new(Inner {
                    text: text.into(),
                    program,
                    regexes,
                })))
            }
            Err(parser::ParseError { pos, message }) => {
                let (line, column) = line_and_column(text, pos);
                Err(CompileError {
                    line,
                    column,
                    message,
                })
            }
        }
    }

    /// The text it was compiled from.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// Renders with `input` as `.Input`, within the default limits.
    ///
    /// # Errors
    /// Where Go's execution fails, and where a limit is reached.
    pub fn render(&self, input: &Value) -> Result<String, RenderError> {
        self.render_within(input, &Limits::default())
    }

    /// Renders with `input` as `.Input`.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn render_within(&self, input: &Value, limits: &Limits) -> Result<String, RenderError> {
        self.run(&Val::Map(MapRef::Input(input)), limits)
    }

    /// Renders with `dot` as the root.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn render_root(&self, dot: &Value, limits: &Limits) -> Result<String, RenderError> {
        self.run(&Val::from_json(dot), limits)
    }

    fn run<'a>(&'a self, dot: &Val<'a>, limits: &'a Limits) -> Result<String, RenderError> {
        let Inner {
            text,
            program,
            regexes,
        } = &*self.0;
        let cx = Cx::new(limits, regexes);
        // A nil at the root is no value, as Go's `reflect.ValueOf(nil)`.
        let dot = if matches!(dot, Val::Nil) {
            &Val::Missing
        } else {
            dot
        };
        let mut runner = exec::Runner::new(&cx, program);
        match runner.run(dot) {
            Ok(()) => Ok(quote::to_string(runner.out)),
            Err(exec::Stop { pos, message }) => {
                let (line, column) = line_and_column(text, pos as usize);
                Err(RenderError {
                    line,
                    column,
                    message,
                })
            }
        }
    }
}

fn line_and_column(text: &str, pos: usize) -> (usize, usize) {
    let bytes = text.as_bytes();
    let before = bytes.get(..pos).unwrap_or(bytes);
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let start = before
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    (line, before.len() - start + 1)
}
