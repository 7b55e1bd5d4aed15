//! The languages of a sensor behind one face: what compiles, where it does not, and what it gives.
//! It keeps no state and chooses no dialect by guessing: the spec says which one is meant.

use std::borrow::Cow;

use tiphys_core::tasks::chain;
use tiphys_lang::gjson::{Found, Kind};
use tiphys_lang::path::Path;
use tiphys_lang::{Value, gotemplate, handlebars};

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
                .map_err(handlebars_flaw),
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

fn handlebars_flaw(error: handlebars::CompileError) -> Flaw {
    use handlebars::CompileError as E;
    let place = match &error {
        E::Syntax { place, .. } | E::TooDeep { place } | E::Partial { place } => Some(*place),
        E::TooLong => None,
    };
    let message = match error {
        E::Syntax { message, .. } => message,
        other => other.to_string(),
    };
    Flaw {
        line: place.map_or(1, |place| place.line),
        column: place.map_or(1, |place| place.column),
        message,
    }
}

/// A compiled path: gjson, or JSONPath where it starts with `$.` or `$[`.
#[derive(Debug)]
pub(crate) struct Selector(Path);

impl Selector {
    /// Compiles a path.
    pub(crate) fn compile(text: &str) -> Result<Self, Flaw> {
        Path::compile(text)
            .map(Self)
            .map_err(|error| Flaw::at(text, 0, chain(&error)))
    }

    /// What it selects in a JSON document; asking too much of a document is nothing.
    pub(crate) fn get<'a>(&self, json: &'a [u8]) -> Option<Found<'a>> {
        self.0.get(json).ok().flatten()
    }
}

/// The path that was probably meant by one that leads nowhere: what a webhook receives stands under `body`, and its
/// headers under `header`.
pub(crate) fn meant(path: &str, json: &[u8]) -> Option<String> {
    let members = [&b"\"body\""[..], b"\"header\""];
    let has = |member: &&[u8]| json.windows(member.len()).any(|window| window == *member);
    if !members.iter().any(has) {
        return None;
    }
    let header = path
        .strip_prefix("headers.")
        .map(|rest| format!("header.{rest}"));
    let candidates = [Some(format!("body.{path}")), header];
    candidates.into_iter().flatten().find(|candidate| {
        Selector::compile(candidate).is_ok_and(|selector| selector.get(json).is_some())
    })
}

/// What filters say of a path that leads nowhere.
pub(crate) fn missing(path: &str, json: &[u8]) -> String {
    match meant(path, json) {
        Some(meant) => format!("path '{path}' does not exist; '{meant}' does"),
        None => format!("path '{path}' does not exist"),
    }
}

/// gjson's text form with every digit of a fraction kept: `1.50` is `1.5`, and `0.1234567890123456789` is itself.
pub(crate) fn text_form<'a>(found: &'a Found<'_>) -> Cow<'a, str> {
    let text = found.text();
    if found.kind == Kind::Number
        && let Ok(raw) = str::from_utf8(&found.raw)
    {
        if raw.contains('.') && !raw.contains(['e', 'E']) {
            let short = raw.trim_end_matches('0').trim_end_matches('.');
            return Cow::Borrowed(short);
        }
        // Larger than any float: the digits are what is known of it.
        if text.ends_with("Inf") {
            return Cow::Borrowed(raw);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use tiphys_lang::gjson;

    #[test]
    fn numbers_keep_their_digits_as_text() {
        for (raw, text) in [
            ("1.50", "1.5"),
            ("1.0", "1"),
            ("1e3", "1000"),
            ("12345678901234567890", "12345678901234567890"),
            ("0.12345678901234567890", "0.1234567890123456789"),
            ("-0", "-0"),
            ("1e400", "1e400"),
        ] {
            let json = format!("{{\"k\":{raw}}}");
            let found = gjson::get(json.as_bytes(), "k").unwrap();
            assert_eq!(text_form(&found), text);
        }
    }

    #[test]
    fn a_path_beside_the_body_of_a_request_names_the_one_that_was_meant() {
        let json = br#"{"header":{"X":["a"]},"body":{"a":{"b":1}}}"#;
        for (path, said) in [
            ("a.b", "path 'a.b' does not exist; 'body.a.b' does"),
            (
                "headers.X",
                "path 'headers.X' does not exist; 'header.X' does",
            ),
            ("z", "path 'z' does not exist"),
            ("$.a", "path '$.a' does not exist"),
        ] {
            assert_eq!(missing(path, json), said);
        }
        assert_eq!(missing("b", br#"{"a":{"b":1}}"#), "path 'b' does not exist");
    }

    #[test]
    fn a_flaw_knows_its_line_and_column() {
        let flaw = Flaw::at("a\nbc", 3, "x");
        assert_eq!((flaw.line, flaw.column), (2, 2));
    }
}
