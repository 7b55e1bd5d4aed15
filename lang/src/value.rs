//! The JSON value that every dialect sees: numbers keep their digits, objects are sorted as Go prints them.
//! It never rounds: a number is converted only where a dialect asks for an integer or a float.

use std::collections::BTreeMap;
use std::fmt;

/// An object. Sorted by key, because Go ranges over maps and prints them in that order.
pub type Map = BTreeMap<String, Value>;

/// A decoded JSON value.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value {
    /// `null`.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as it was written.
    Number(Number),
    /// Text.
    String(String),
    /// An array.
    Array(Vec<Value>),
    /// An object.
    Object(Map),
}

/// A JSON number that keeps the digits it was written with.
///
/// `1`, `1.0` and `1e0` are equal as values and different as text.
#[derive(Clone)]
pub struct Number(Repr);

#[derive(Clone)]
enum Repr {
    Int(i64),
    Text(Box<str>),
}

impl Number {
    /// Wraps the text of a number that a JSON parser has accepted.
    #[must_use]
    pub fn from_json_text(text: &str) -> Self {
        match text.parse::<i64>() {
            // `-0` is an integer to `parse` but prints differently.
            Ok(int) if text != "-0" => Self(Repr::Int(int)),
            _ => Self(Repr::Text(text.into())),
        }
    }

    /// A float as JSON writes it: shortest digits, exponent from 1e21 on and below 1e-6.
    ///
    /// `None` for NaN and the infinities, which JSON does not have.
    #[must_use]
    pub fn from_f64(float: f64) -> Option<Self> {
        float
            .is_finite()
            .then(|| Self::from_json_text(&format_f64(float)))
    }

    /// The integer, where the number is a whole one that fits, however it is written (`1`, `1.0`, `1e3`).
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match &self.0 {
            Repr::Int(int) => Some(*int),
            Repr::Text(text) => whole(text)?.parse().ok(),
        }
    }

    /// The same for numbers above `i64::MAX`.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        match &self.0 {
            Repr::Int(int) => u64::try_from(*int).ok(),
            Repr::Text(text) => whole(text)?.parse().ok(),
        }
    }

    /// The nearest float.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "the nearest float is what is asked for"
    )]
    pub fn as_f64(&self) -> f64 {
        match &self.0 {
            Repr::Int(int) => *int as f64,
            Repr::Text(text) => text.parse().unwrap_or(f64::NAN),
        }
    }

    /// Whether it was written without fraction and exponent.
    #[must_use]
    pub fn is_integer_text(&self) -> bool {
        match &self.0 {
            Repr::Int(_) => true,
            Repr::Text(text) => !text.contains(['.', 'e', 'E']),
        }
    }
}

/// The digits of a whole number in plain notation, or `None` for one with a fraction or beyond 40 digits.
fn whole(text: &str) -> Option<String> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text),
    };
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (digits, 0),
    };
    let (int, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{int}{fraction}");
    let point = i64::try_from(int.len()).ok()? + i64::from(exponent);
    let trimmed = all.trim_start_matches('0');
    if trimmed.is_empty() {
        return Some("0".to_owned());
    }
    if !(0..=40).contains(&point) {
        return None;
    }
    let point = usize::try_from(point).ok()?;
    let plain = if point >= all.len() {
        format!("{all}{}", "0".repeat(point - all.len()))
    } else {
        let (before, after) = all.split_at(point);
        if after.bytes().any(|digit| digit != b'0') {
            return None;
        }
        before.to_owned()
    };
    let plain = plain.trim_start_matches('0');
    Some(if plain.is_empty() {
        "0".to_owned()
    } else {
        format!("{sign}{plain}")
    })
}

/// A float as Go's `encoding/json` and ECMAScript write it.
#[must_use]
pub fn format_f64(float: f64) -> String {
    if float == 0.0 {
        return if float.is_sign_negative() { "-0" } else { "0" }.to_owned();
    }
    let size = float.abs();
    if (1e-6..1e21).contains(&size) {
        return format!("{float}");
    }
    let text = format!("{float:e}");
    match text.split_once('e') {
        Some((mantissa, exponent)) if !exponent.starts_with('-') => {
            format!("{mantissa}e+{exponent}")
        }
        Some((mantissa, exponent)) => {
            let digits = exponent.trim_start_matches('-');
            // Go pads to two digits in `strconv` and strips that zero again in `encoding/json`.
            format!("{mantissa}e-{digits}")
        }
        None => text,
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        match (self.as_i64(), other.as_i64()) {
            (Some(a), Some(b)) => a == b,
            (None, None) => match (self.as_u64(), other.as_u64()) {
                (Some(a), Some(b)) => a == b,
                (None, None) => self.as_f64() == other.as_f64(),
                _ => false,
            },
            _ => false,
        }
    }
}

impl From<i64> for Number {
    fn from(int: i64) -> Self {
        Self(Repr::Int(int))
    }
}

impl From<u64> for Number {
    fn from(int: u64) -> Self {
        Self::from_json_text(&int.to_string())
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Int(int) => write!(f, "{int}"),
            Repr::Text(text) => f.write_str(text),
        }
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Value {
    /// The member of an object.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(map) => map.get(key),
            _ => None,
        }
    }

    /// The text of a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// What JSON calls this kind of value.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Number(_) => "number",
            Self::String(_) => "string",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
        }
    }

    /// Compact JSON with sorted keys and number digits as they were written.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        crate::json::write(self, crate::json::Escape::Plain, &mut out);
        out
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<i64> for Value {
    fn from(int: i64) -> Self {
        Self::Number(int.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_digits_and_answer_to_both_uses() {
        for (text, int, float) in [
            ("1", Some(1), 1.0),
            ("1.0", Some(1), 1.0),
            ("1e3", Some(1000), 1000.0),
            ("0.10e1", Some(1), 1.0),
            ("1.5", None, 1.5),
            ("-0", Some(0), -0.0),
            (
                "9007199254740993",
                Some(9_007_199_254_740_993),
                9_007_199_254_740_992.0,
            ),
            ("12345678901234567890123", None, 1.234_567_890_123_456_8e22),
            ("1e400", None, f64::INFINITY),
            ("1e-7", None, 1e-7),
            ("0e999999999", Some(0), 0.0),
        ] {
            let number = Number::from_json_text(text);
            assert_eq!(number.to_string(), text);
            assert_eq!(number.as_i64(), int, "{text}");
            assert_eq!(number.as_f64(), float, "{text}");
        }
        assert_eq!(Number::from_json_text("1.0"), Number::from_json_text("1"));
        assert_ne!(
            Number::from_json_text("9007199254740993"),
            Number::from_json_text("9007199254740992")
        );
    }

    #[test]
    fn floats_are_written_as_json_writes_them() {
        for (float, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1e-6, "0.000001"),
            (1e-7, "1e-7"),
            (1.5e-10, "1.5e-10"),
            (1e100, "1e+100"),
        ] {
            assert_eq!(format_f64(float), text);
        }
    }
}
