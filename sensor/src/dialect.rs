//! The languages of a sensor behind one face: what compiles, where it does not, and what it gives.
//! It keeps no state and chooses no dialect by guessing: the spec says which one is meant.

use std::borrow::Cow;

use tiphys_lang::gjson::{Found, Kind, Path};
use tiphys_lang::{Value, gjson, gotemplate};

use crate::pending::{handlebars, jsonpath};

use crate::spec::TemplateEngine;

/// Where and why a text does not compile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Flaw {
    /// From 1.
    pub(crate) line: usize,
    /// From 1.
    pub(crate) column: usize,
    /// What is wrong there.
    pub(crate) message: String,
}

impl Flaw {
    /// A flaw at a byte of a text.
    pub(crate) fn at(text: &str, offset: usize, message: impl Into<String>) -> Self {
        let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
        let line_start = before
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        Self {
            line: before.iter().filter(|byte| **byte == b'\n').count() + 1,
            column: before.len() - line_start + 1,
            message: message.into(),
        }
    }
}

/// A compiled template of either engine.
#[derive(Debug)]
pub(crate) enum Template {
    Go(gotemplate::Template),
    Handlebars(Box<handlebars::Template>),
}

impl Template {
    /// Compiles a template.
    pub(crate) fn compile(text: &str, engine: TemplateEngine) -> Result<Self, Flaw> {
        match engine {
            TemplateEngine::Go => {
                gotemplate::Template::compile(text)
                    .map(Self::Go)
                    .map_err(|error| Flaw {
                        line: error.line,
                        column: error.column,
                        message: error.message,
                    })
            }
            TemplateEngine::Handlebars => handlebars::Template::compile(text)
                .map(|template| Self::Handlebars(Box::new(template)))
                .map_err(|error| Flaw {
                    line: error.line,
                    column: error.column,
                    message: error.message,
                }),
        }
    }

    /// The text for an input. Nothing, and exactly `<no value>`, are no text: the caller falls back.
    pub(crate) fn render(&self, input: &Value) -> Result<String, String> {
        let text = match self {
            Self::Go(template) => template.render(input).map_err(|error| error.to_string())?,
            Self::Handlebars(template) => {
                template.render(input).map_err(|error| error.to_string())?
            }
        };
        match text.as_str() {
            "" => Err("the template gives nothing".to_owned()),
            "<no value>" => Err("the template gives <no value>".to_owned()),
            _ => Ok(text),
        }
    }
}

/// A compiled path: gjson, or JSONPath where it starts with `$.` or `$[`.
#[derive(Debug)]
pub(crate) enum Selector {
    Gjson(Path),
    JsonPath(jsonpath::Path),
}

impl Selector {
    /// Compiles a path.
    pub(crate) fn compile(text: &str) -> Result<Self, Flaw> {
        if text == "$" || text.starts_with("$.") || text.starts_with("$[") {
            return jsonpath::Path::compile(text)
                .map(Self::JsonPath)
                .map_err(|error| Flaw::at(text, 0, error.to_string()));
        }
        Path::compile(text)
            .map(Self::Gjson)
            .map_err(|error| Flaw::at(text, 0, error.to_string()))
    }

    /// What it selects in a JSON document.
    pub(crate) fn get<'a>(&self, json: &'a [u8]) -> Option<Found<'a>> {
        match self {
            Self::Gjson(path) => path.get(json),
            Self::JsonPath(path) => {
                let value = path.get(&tiphys_lang::json::parse(json).ok()?)?;
                Some(found(&value))
            }
        }
    }
}

fn found(value: &Value) -> Found<'static> {
    let kind = match value {
        Value::Null => Kind::Null,
        Value::Bool(false) => Kind::False,
        Value::Bool(true) => Kind::True,
        Value::Number(_) => Kind::Number,
        Value::String(_) => Kind::String,
        Value::Array(_) | Value::Object(_) => Kind::Json,
    };
    Found {
        kind,
        raw: Cow::Owned(value.to_json().into_bytes()),
    }
}

/// gjson's text form with every digit of a fraction kept: `1.50` is `1.5`, and `0.1234567890123456789` is itself.
pub(crate) fn text_form<'a>(found: &'a Found<'_>) -> Cow<'a, str> {
    if found.kind == gjson::Kind::Number
        && let Ok(raw) = str::from_utf8(&found.raw)
        && raw.contains('.')
        && !raw.contains(['e', 'E'])
    {
        let short = raw.trim_end_matches('0').trim_end_matches('.');
        return Cow::Borrowed(short);
    }
    found.text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_digits_as_text() {
        for (raw, text) in [
            ("1.50", "1.5"),
            ("1.0", "1"),
            ("1e3", "1000"),
            ("12345678901234567890", "12345678901234567890"),
            ("0.12345678901234567890", "0.1234567890123456789"),
            ("-0", "-0"),
        ] {
            let json = format!("{{\"k\":{raw}}}");
            let found = gjson::get(json.as_bytes(), "k").unwrap();
            assert_eq!(text_form(&found), text);
        }
    }

    #[test]
    fn a_flaw_knows_its_line_and_column() {
        let flaw = Flaw::at("a\nbc", 3, "x");
        assert_eq!((flaw.line, flaw.column), (2, 2));
    }
}
