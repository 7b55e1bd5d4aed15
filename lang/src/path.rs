//! The paths of `dataKey`, `contextKey` and filters: gjson, or JSONPath where the text starts like one.
//! It never guesses: `$.` and `$[` are JSONPath, everything else is gjson.

use std::borrow::Cow;

use crate::gjson::{self, Found, Kind};
use crate::json::JsonError;
use crate::jsonpath::{self, JsonPathError};
use crate::{Value, json};

/// A path in one of the two languages, ready to be used on many documents.
#[derive(Debug, Clone)]
pub enum Path {
    /// Argo's own.
    Gjson(gjson::Path),
    /// RFC 9535.
    JsonPath(jsonpath::Path),
}

/// Why a text is not a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// A gjson path that can never match.
    #[error("not a gjson path")]
    Gjson(#[from] gjson::PathError),
    /// Not JSONPath, though it starts like one.
    #[error("not a JSONPath")]
    JsonPath(#[from] JsonPathError),
}

/// Why a path gave no answer, not even "missing".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GetError {
    /// The document is not JSON, which JSONPath needs and gjson does not.
    #[error("cannot read the document")]
    Document(#[from] JsonError),
    /// The path asks for too much of this document.
    #[error("cannot search the document")]
    JsonPath(#[from] JsonPathError),
}

impl Path {
    /// Reads a path in the language that its start shows.
    ///
    /// # Errors
    /// For a text that is no path in that language.
    pub fn compile(text: &str) -> Result<Self, CompileError> {
        Ok(if jsonpath::is_jsonpath(text) {
            Self::JsonPath(jsonpath::Path::compile(text)?)
        } else {
            Self::Gjson(gjson::Path::compile(text)?)
        })
    }

    /// What it selects in a document, if anything; several JSONPath matches are one array.
    ///
    /// # Errors
    /// For JSONPath only: a document that is not JSON, or too large for the path.
    pub fn get<'a>(&self, json: &'a [u8]) -> Result<Option<Found<'a>>, GetError> {
        match self {
            Self::Gjson(path) => Ok(path.get(json)),
            Self::JsonPath(path) => {
                let document = json::parse(json)?;
                Ok(path.get_one(&document)?.map(found))
            }
        }
    }

    /// The path as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Gjson(path) => path.text(),
            Self::JsonPath(path) => path.text(),
        }
    }
}

fn found(value: Value) -> Found<'static> {
    let kind = match &value {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_of_the_text_chooses_the_language() {
        let json = br#"{"a":{"b":[{"c":1.50},{"c":"x"}]},"$":7,"$x":8}"#;
        for (path, want) in [
            ("a.b.#.c", Some(r#"[1.50,"x"]"#)),
            ("$.a.b[*].c", Some(r#"[1.50,"x"]"#)),
            ("$.a.b[0].c", Some("1.50")),
            ("$['a'].b[1].c", Some(r#""x""#)),
            ("$.nope", None),
            ("nope", None),
            ("$", Some("7")),
            ("$x", Some("8")),
        ] {
            let path = Path::compile(path).unwrap();
            let found = path.get(json).unwrap();
            let raw = found.map(|found| String::from_utf8(found.raw.into_owned()).unwrap());
            assert_eq!(raw.as_deref(), want, "{}", path.text());
        }
        assert!(matches!(Path::compile(""), Err(CompileError::Gjson(_))));
        assert!(matches!(
            Path::compile("$.a["),
            Err(CompileError::JsonPath(_))
        ));
        let path = Path::compile("$.a").unwrap();
        assert!(matches!(path.get(b"{"), Err(GetError::Document(_))));
    }
}
