//! Values while an expression runs: JSON ones untouched, floats that JSON cannot hold, lists.
//! It never copies a variable's value until a result is asked for.

use std::borrow::Cow;

use regex::bytes::Regex;

use super::EvalError;
use crate::go::{float, print};
use crate::value::{Number, Value};

#[derive(Debug, Clone)]
pub(super) enum Operand<'a> {
    Json(Cow<'a, Value>),
    /// The result of arithmetic.
    Float(f64),
    /// Values joined by commas.
    List(Vec<Operand<'a>>),
    Pattern(&'a Regex),
}

impl<'a> Operand<'a> {
    pub(super) fn null() -> Self {
        Self::Json(Cow::Owned(Value::Null))
    }

    pub(super) fn bool(truth: bool) -> Self {
        Self::Json(Cow::Owned(Value::Bool(truth)))
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self, Self::Json(value) if **value == Value::Null)
    }

    pub(super) fn is_true(&self) -> bool {
        self.as_bool() == Some(true)
    }

    pub(super) fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Json(value) => match **value {
                Value::Bool(truth) => Some(truth),
                _ => None,
            },
            _ => None,
        }
    }

    pub(super) fn as_float(&self) -> Option<f64> {
        match self {
            Self::Float(float) => Some(*float),
            Self::Json(value) => match &**value {
                Value::Number(number) => Some(number.as_f64()),
                _ => None,
            },
            _ => None,
        }
    }

    pub(super) fn as_number(&self) -> Option<&Number> {
        match self {
            Self::Json(value) => match &**value {
                Value::Number(number) => Some(number),
                _ => None,
            },
            _ => None,
        }
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Json(value) => value.as_str(),
            _ => None,
        }
    }

    /// The elements of a list, made or given.
    pub(super) fn elements(&self) -> Option<Vec<Operand<'_>>> {
        match self {
            Self::List(items) => Some(items.clone()),
            Self::Json(value) => match &**value {
                Value::Array(items) => Some(
                    items
                        .iter()
                        .map(|item| Operand::Json(Cow::Borrowed(item)))
                        .collect(),
                ),
                _ => None,
            },
            _ => None,
        }
    }

    pub(super) fn into_elements(self) -> Result<Vec<Operand<'a>>, Self> {
        match self {
            Self::List(items) => Ok(items),
            Self::Json(Cow::Borrowed(Value::Array(items))) => Ok(items
                .iter()
                .map(|item| Self::Json(Cow::Borrowed(item)))
                .collect()),
            other => Err(other),
        }
    }

    /// What kind of value it is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Json(value) => value.kind(),
            Self::Float(_) => "number",
            Self::List(_) => "array",
            Self::Pattern(_) => "pattern",
        }
    }

    /// Deep equality without coercion, as Go compares: numbers as floats, but whole ones exactly.
    pub(super) fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Json(a), Self::Json(b)) => same(a, b),
            (Self::Pattern(a), Self::Pattern(b)) => std::ptr::eq(*a, *b),
            _ => {
                if let (Some(a), Some(b)) = (self.as_float(), other.as_float()) {
                    return a == b;
                }
                match (self.elements(), other.elements()) {
                    (Some(a), Some(b)) => {
                        a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| a.equals(b))
                    }
                    _ => false,
                }
            }
        }
    }

    /// As Go's `%v`.
    pub(super) fn print(&self, out: &mut String) {
        match self {
            Self::Json(value) => print::print(value, out),
            Self::Float(float) => out.push_str(&float::shortest(*float)),
            Self::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(' ');
                    }
                    item.print(out);
                }
                out.push(']');
            }
            Self::Pattern(regex) => out.push_str(regex.as_str()),
        }
    }

    pub(super) fn into_value(self) -> Result<Value, EvalError> {
        Ok(match self {
            Self::Json(value) => value.into_owned(),
            Self::Float(float) => {
                Value::Number(Number::from_f64(float).ok_or(EvalError::NotFinite)?)
            }
            Self::List(items) => Value::Array(
                items
                    .into_iter()
                    .map(Self::into_value)
                    .collect::<Result<_, _>>()?,
            ),
            Self::Pattern(regex) => Value::from(regex.as_str()),
        })
    }
}

/// Equality of JSON values with numbers compared by [`same_number`].
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => same_number(a, b),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .zip(b)
                    .all(|((key, a), (other, b))| key == other && same(a, b))
        }
        _ => a == b,
    }
}

/// Two whole numbers are equal when their digits are, others when their floats are.
fn same_number(a: &Number, b: &Number) -> bool {
    compare(a, b) == Some(std::cmp::Ordering::Equal)
}

/// Order of two JSON numbers: whole ones by their digits, others as floats.
pub(super) fn compare(a: &Number, b: &Number) -> Option<std::cmp::Ordering> {
    let wide = |number: &Number| -> Option<i128> {
        number
            .is_integer_text()
            .then(|| number.to_string().parse().ok())
            .flatten()
    };
    match (wide(a), wide(b)) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => a.as_f64().partial_cmp(&b.as_f64()),
    }
}
