//! The data that a template sees, with the digits of every number.
//! It never rounds: what a float cannot hold goes in as text, with the exact value beside it for `{{json}}`.

use serde_json::{Map, Value as Json};

use crate::Value;
use crate::value::Number;

/// Where the exact values are kept: a key that no template can write.
pub(super) const EXACT: &str = "\0exact";

/// `{"Input": input}`, and the exact input where it has numbers that a template sees as text.
pub(super) fn with_input(input: &Value) -> Json {
    let mut data = Map::new();
    data.insert("Input".to_owned(), seen(input));
    if has_inexact(input) {
        let mut exact_data = Map::new();
        exact_data.insert("Input".to_owned(), exact(input));
        data.insert(EXACT.to_owned(), Json::Object(exact_data));
    }
    Json::Object(data)
}

/// The number as serde_json holds it with all its digits, or a zero.
fn held(number: &Number) -> Option<serde_json::Number> {
    let text = number.to_string();
    let held = match (number.is_integer_text(), number.as_i64(), number.as_u64()) {
        (true, Some(int), _) => int.into(),
        (true, None, Some(int)) => int.into(),
        _ => serde_json::Number::from_f64(number.as_f64())?,
    };
    (held.to_string() == text || number.as_f64() == 0.0 && is_zero(&text)).then_some(held)
}

fn is_zero(text: &str) -> bool {
    text.bytes()
        .take_while(|byte| !matches!(byte, b'e' | b'E'))
        .all(|byte| !matches!(byte, b'1'..=b'9'))
}

fn has_inexact(value: &Value) -> bool {
    match value {
        Value::Number(number) => held(number).is_none(),
        Value::Array(items) => items.iter().any(has_inexact),
        Value::Object(members) => members.values().any(has_inexact),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

fn seen(value: &Value) -> Json {
    convert(
        value,
        &|number| held(number).map_or_else(|| Json::String(number.to_string()), Json::Number),
        &str::to_owned,
    )
}

/// Numbers as text with an `n` before them, and strings with an `s`.
fn exact(value: &Value) -> Json {
    convert(
        value,
        &|number| Json::String(format!("n{number}")),
        &|text| format!("s{text}"),
    )
}

fn convert(
    value: &Value,
    number: &dyn Fn(&Number) -> Json,
    string: &dyn Fn(&str) -> String,
) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(truth) => Json::Bool(*truth),
        Value::Number(digits) => number(digits),
        Value::String(text) => Json::String(string(text)),
        Value::Array(items) => Json::Array(
            items
                .iter()
                .map(|item| convert(item, number, string))
                .collect(),
        ),
        Value::Object(members) => {
            let convert =
                |(key, item): (&String, &Value)| (key.clone(), convert(item, number, string));
            Json::Object(members.iter().map(convert).collect())
        }
    }
}

/// The value again that [`exact`] was made of.
pub(super) fn from_exact(json: &Json) -> Value {
    match json {
        Json::String(text) => match (text.strip_prefix('n'), text.strip_prefix('s')) {
            (Some(digits), _) => Value::Number(Number::from_json_text(digits)),
            (_, text) => Value::from(text.unwrap_or_default()),
        },
        other => from_json(other, &from_exact),
    }
}

/// A value that a template has.
pub(super) fn from_seen(json: &Json) -> Value {
    from_json(json, &from_seen)
}

fn from_json(json: &Json, inner: &dyn Fn(&Json) -> Value) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(truth) => Value::Bool(*truth),
        Json::Number(number) => Value::Number(Number::from_json_text(&number.to_string())),
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => Value::Array(items.iter().map(inner).collect()),
        Json::Object(members) => Value::Object(
            members
                .iter()
                .map(|(key, item)| (key.clone(), inner(item)))
                .collect(),
        ),
    }
}
