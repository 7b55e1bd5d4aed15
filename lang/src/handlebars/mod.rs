//! Handlebars templates: the second template dialect, chosen by `templateEngine: handlebars`, never guessed.
//! It never escapes for HTML, never fills a gap with nothing, and is bounded in depth, steps and output.
//!
//! The data is one object, `{"Input": …}`, so `{{Input.body.message}}` is the field that a Go template calls
//! `{{ .Input.body.message }}`. All of Handlebars' blocks are there: `if`, `unless`, `each`, `with`, `lookup`,
//! the comparisons `eq ne gt gte lt lte and or not`, `len`, and `{{json Input.x}}`, which writes JSON.
//!
//! # Numbers
//!
//! A number that a 64-bit integer or float holds with all its digits is a number.
//! Any other (`1.50`, `1e3`, 30 digits) is given to the template as the text of its digits, so that they are
//! printed as they came; `{{json}}` writes it as a number again. Zero is always a number, so that it is false.
//!
//! # What differs from Handlebars
//!
//! - Strict: a path that leads nowhere is an error, not an empty text. In `if`, `unless`, `and`, `or` and `not`
//!   too: compare with `lookup` or give the field a default upstream.
//! - No partials, decorators or `log`: a template is one text and prints into its result only.
//! - Blocks nest [`MAX_DEPTH`] deep, loops turn [`MAX_STEPS`] times, the output ends at [`MAX_OUTPUT`] bytes.
//!
//! ```
//! use tiphys_lang::{handlebars::Template, json};
//! let input = json::parse(br#"{"body": {"user": "ada", "ids": [1, 2.50]}}"#).unwrap();
//! let template = Template::compile("{{Input.body.user}}: {{#each Input.body.ids}}<{{this}}>{{/each}}").unwrap();
//! assert_eq!(template.render(&input).unwrap(), "ada: <1><2.50>");
//! ```

mod data;
mod helpers;
mod output;
mod scan;

#[cfg(test)]
mod tests;

use std::fmt;

use handlebars::{Handlebars, RenderErrorReason, TemplateErrorReason};

use crate::Value;

/// The deepest nesting of blocks, and of brackets within a tag.
pub const MAX_DEPTH: usize = 64;

/// The most turns of all loops together.
pub const MAX_STEPS: u64 = 1_000_000;

/// The most bytes that a template writes.
pub const MAX_OUTPUT: usize = 16 * 1024 * 1024;

/// The longest template.
pub const MAX_LENGTH: usize = 1024 * 1024;

/// A place in a template, both numbers from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Why a text is not a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// It does not parse.
    #[error("{place}: {message}")]
    Syntax {
        /// What is wrong.
        message: String,
        /// Where.
        place: Place,
    },
    /// It nests beyond [`MAX_DEPTH`].
    #[error("{place}: blocks and brackets nest at most {MAX_DEPTH} deep")]
    TooDeep {
        /// Where it goes too deep.
        place: Place,
    },
    /// It asks for another template.
    #[error("{place}: partials and decorators are not supported")]
    Partial {
        /// Where.
        place: Place,
    },
    /// It is longer than [`MAX_LENGTH`].
    #[error("template is longer than {MAX_LENGTH} bytes")]
    TooLong,
}

/// Why a template gave no text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// A path leads nowhere.
    #[error("{place}: there is no {path:?} in the input")]
    Missing {
        /// The path as written.
        path: String,
        /// Where in the template.
        place: Place,
    },
    /// A helper does not exist or cannot use what it was given.
    #[error("{place}: {message}")]
    Failed {
        /// What is wrong.
        message: String,
        /// Where in the template.
        place: Place,
    },
    /// More than [`MAX_OUTPUT`] bytes.
    #[error("output is longer than {MAX_OUTPUT} bytes")]
    TooLarge,
    /// More than [`MAX_STEPS`] turns of loops.
    #[error("loops turn more than {MAX_STEPS} times")]
    TooManySteps,
}

/// A template, ready to be rendered many times.
pub struct Template {
    registry: Handlebars<'static>,
    text: Box<str>,
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Template").field(&self.text).finish()
    }
}

/// What the one template of a registry is called; it appears nowhere.
const NAME: &str = "template";

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// For a text that is not a template, with its place.
    pub fn compile(text: &str) -> Result<Self, CompileError> {
        scan::check(text)?;
        let mut registry = Handlebars::new();
        registry.set_strict_mode(true);
        registry.register_escape_fn(handlebars::no_escape);
        helpers::register(&mut registry);
        registry
            .register_template_string(NAME, text)
            .map_err(|error| {
                let (line, column) = error.pos().unwrap_or((1, 1));
                let message = match error.reason() {
                    TemplateErrorReason::InvalidSyntax(message) => {
                        format!("not Handlebars: {message}")
                    }
                    reason => reason.to_string(),
                };
                CompileError::Syntax {
                    message,
                    place: Place { line, column },
                }
            })?;
        Ok(Self {
            registry,
            text: text.into(),
        })
    }

    /// Renders it with `{"Input": input}`.
    ///
    /// # Errors
    /// For a path that leads nowhere, a helper that fails, and what goes beyond the bounds.
    pub fn render(&self, input: &Value) -> Result<String, RenderError> {
        let mut output = output::Bounded::default();
        let data = data::with_input(input);
        match self.registry.render_to_write(NAME, &data, &mut output) {
            _ if output.steps > MAX_STEPS => Err(RenderError::TooManySteps),
            _ if output.full => Err(RenderError::TooLarge),
            Ok(()) => Ok(String::from_utf8_lossy(&output.bytes).into_owned()),
            Err(error) => Err(explain(&error)),
        }
    }

    /// The template as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

fn explain(error: &handlebars::RenderError) -> RenderError {
    let place = Place {
        line: error.line_no.unwrap_or(1),
        column: error.column_no.unwrap_or(1),
    };
    match error.reason() {
        RenderErrorReason::MissingVariable(path) => RenderError::Missing {
            path: path.clone().unwrap_or_default(),
            place,
        },
        RenderErrorReason::HelperNotFound(name) => RenderError::Failed {
            message: format!("there is no helper {name:?}"),
            place,
        },
        reason => RenderError::Failed {
            message: reason.to_string(),
            place,
        },
    }
}
