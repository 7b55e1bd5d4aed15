//! gjson paths: what Argo writes in `dataKey`, `contextKey` and filter paths, read from raw JSON bytes.
//! It never builds a tree, never changes a digit, and never runs away: depth and work are bounded.
//!
//! ```text
//!  path ──component by component──▶ walk down the brackets ──▶ Found: kind and the bytes as written
//!            │ @modifier  !literal  [multipath]  {multipath}        ▲
//!            └── work on a whole result; `|` starts over in it ─────┘
//! ```
//!
//! # What differs from gjson 1.18
//!
//! - Depth is bounded at 500 brackets or nested paths, and work in proportion to the document; beyond that the
//!   answer is "missing" where gjson goes on until the stack or the memory ends.
//! - An array index too large for the machine is out of range; gjson lets it wrap around.
//! - `@join` with `preserve` leaves empty objects out; gjson leaves their commas in, which is not JSON.
//! - Wildcards are matched exactly, however many `*` they have; gjson gives up on complex ones.
//!
//! ```
//! let json = br#"{"user": {"name": "ada", "langs": ["en", "fr"]}}"#;
//! let found = tiphys_lang::gjson::get(json, "user.langs.#(%\"f*\")").unwrap();
//! assert_eq!(found.text(), "fr");
//! ```

mod check;
mod glob;
mod modifiers;
mod multi;
mod path;
mod plain;
mod pretty;
mod query;
pub(crate) mod scan;
mod simd;
mod valid;
mod walk;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use crate::Value;
use crate::value::Number;

pub use check::PathError;
pub use valid::valid;
use walk::{Budget, Hit, Stage};

/// What kind of JSON a result is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `null`.
    Null,
    /// `false`.
    False,
    /// `true`.
    True,
    /// A number.
    Number,
    /// A string.
    String,
    /// An object or an array.
    Json,
}

/// A value that a path selects, as it is written in the document.
#[derive(Debug, Clone, PartialEq)]
pub struct Found<'a> {
    /// What kind of JSON it is.
    pub kind: Kind,
    /// The bytes as written; borrowed from the document unless the path makes something new.
    pub raw: Cow<'a, [u8]>,
}

impl<'a> Found<'a> {
    fn from_hit(hit: Hit<'a>) -> Self {
        Self {
            kind: hit.kind,
            raw: hit.raw,
        }
    }

    /// gjson's text form: strings decoded, `null` empty, whole numbers as written, objects and arrays as JSON.
    ///
    /// Other numbers are the shortest decimal without an exponent: `1.0` is `1`, `1e3` is `1000`.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        match text_of(self.kind, &self.raw) {
            Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
            Cow::Owned(bytes) => match String::from_utf8(bytes) {
                Ok(text) => Cow::Owned(text),
                Err(error) => Cow::Owned(String::from_utf8_lossy(error.as_bytes()).into_owned()),
            },
        }
    }

    /// The decoded value, number digits kept; a result that is not JSON becomes a string of what it is.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match self.kind {
            Kind::Null => Value::Null,
            Kind::False => Value::Bool(false),
            Kind::True => Value::Bool(true),
            Kind::String => Value::String(self.text().into_owned()),
            Kind::Number if valid(&self.raw) => {
                Value::Number(Number::from_json_text(&String::from_utf8_lossy(&self.raw)))
            }
            Kind::Number | Kind::Json => crate::json::parse(&self.raw)
                .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&self.raw).into_owned())),
        }
    }

    /// The number that it is or that its text is; 1 for `true`, otherwise 0.
    #[must_use]
    pub fn as_f64(&self) -> f64 {
        match self.kind {
            Kind::True => 1.0,
            Kind::Number => go_float(&self.raw),
            Kind::String => go_float(&decode(&self.raw)),
            Kind::Null | Kind::False | Kind::Json => 0.0,
        }
    }

    /// Whether it is `true`, a number other than 0, or a text such as `true`, `T` or `1`.
    #[must_use]
    pub fn as_bool(&self) -> bool {
        is_true(self.kind, &self.raw)
    }

    /// The same without the borrow.
    #[must_use]
    pub fn into_owned(self) -> Found<'static> {
        Found {
            kind: self.kind,
            raw: Cow::Owned(self.raw.into_owned()),
        }
    }
}

/// What a path selects in a document, if anything.
///
/// A path that can never match selects nothing; [`Path::compile`] says so instead.
#[must_use]
pub fn get<'a>(json: &'a [u8], path: &str) -> Option<Found<'a>> {
    let path = path.as_bytes();
    let mut budget = Budget::new(json, path);
    walk::eval(&mut budget, Cow::Borrowed(json), path).map(Found::from_hit)
}

/// Whether a path selects anything; a `null` is something.
#[must_use]
pub fn exists(json: &[u8], path: &str) -> bool {
    get(json, path).is_some()
}

/// A path that was checked, ready to be used on many documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    text: Box<str>,
    /// The components, where all are plain keys and indexes: those take the short way.
    plain: Option<Box<[plain::Step]>>,
}

impl Path {
    /// Checks a path for what can never match.
    ///
    /// # Errors
    /// For an empty path, an open query, multipath or argument, and an argument to a modifier that is none.
    pub fn compile(text: &str) -> Result<Self, PathError> {
        check::check(text)?;
        Ok(Self {
            text: text.into(),
            plain: plain::steps(text),
        })
    }

    /// What it selects in a document, if anything.
    #[must_use]
    pub fn get<'a>(&self, json: &'a [u8]) -> Option<Found<'a>> {
        match &self.plain {
            Some(steps) => plain::get(json, steps),
            None => get(json, &self.text),
        }
    }

    /// The path as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Where in a document the values are that a path selects, for replacing them there.
pub(crate) enum Places {
    /// Nowhere: missing, or made by the path.
    None,
    /// One value.
    One(std::ops::Range<usize>),
    /// Those that `#.x` or `#(…)#` collected.
    Many(Vec<std::ops::Range<usize>>),
}

/// Finds the places of what a path selects. Results of pipes, modifiers and multipaths have none.
pub(crate) fn places(json: &[u8], path: &str) -> Places {
    let path = path.as_bytes();
    let mut budget = Budget::new(json, path);
    let Stage::Done(Some(hit)) = walk::stage(&mut budget, json, path) else {
        return Places::None;
    };
    let range = |part: &[u8]| {
        let start = (part.as_ptr() as usize).checked_sub(json.as_ptr() as usize)?;
        // The document as a whole is not a place within it.
        (start > 0 && start + part.len() <= json.len()).then_some(start..start + part.len())
    };
    match &hit.raw {
        Cow::Borrowed(raw) => range(raw).map_or(Places::None, Places::One),
        Cow::Owned(_) => {
            let ranges: Vec<_> = hit.parts.iter().filter_map(|part| range(part)).collect();
            if ranges.is_empty() {
                Places::None
            } else {
                Places::Many(ranges)
            }
        }
    }
}

/// The text form of a value, as bytes.
fn text_of(kind: Kind, raw: &[u8]) -> Cow<'_, [u8]> {
    match kind {
        Kind::Null => Cow::Borrowed(b""),
        Kind::False | Kind::True | Kind::Json => Cow::Borrowed(raw),
        Kind::String => decode(raw),
        Kind::Number => {
            let digits = raw.strip_prefix(b"-").unwrap_or(raw);
            if digits.iter().all(u8::is_ascii_digit) {
                return Cow::Borrowed(raw);
            }
            Cow::Owned(decimal(go_float(raw)).into_bytes())
        }
    }
}

/// A float without exponent, as Go writes it.
fn decimal(float: f64) -> String {
    if float.is_infinite() {
        return if float > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    format!("{float}")
}

/// The inside of a quoted string, decoded.
fn decode(raw: &[u8]) -> Cow<'_, [u8]> {
    let inside = raw.strip_prefix(b"\"").unwrap_or(raw);
    let inside = inside.strip_suffix(b"\"").unwrap_or(inside);
    if inside.contains(&b'\\') {
        Cow::Owned(scan::unescape(inside))
    } else {
        Cow::Borrowed(inside)
    }
}

/// The float that a text is, 0 where it is none.
fn go_float(text: &[u8]) -> f64 {
    str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0.0)
}

/// The boolean that a text is, in any case.
fn parse_bool(text: &[u8]) -> Option<bool> {
    match text.to_ascii_lowercase().as_slice() {
        b"1" | b"t" | b"true" => Some(true),
        b"0" | b"f" | b"false" => Some(false),
        _ => None,
    }
}

fn truthy(hit: &Hit<'_>) -> bool {
    is_true(hit.kind, &hit.raw)
}

fn is_true(kind: Kind, raw: &[u8]) -> bool {
    match kind {
        Kind::True => true,
        Kind::Number => go_float(raw) != 0.0,
        Kind::String => parse_bool(&decode(raw)).unwrap_or(false),
        Kind::Null | Kind::False | Kind::Json => false,
    }
}
