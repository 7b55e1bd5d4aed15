//! Our JSON values to the engine's and back; numbers keep their digits.
//! It never recurses deeper than values may be nested.

use jaq_core::ValT as _;
use jaq_json::{Num, Val};

use super::JqError;
use crate::value::{Map, Number, Value};

/// A value of ours as one of the engine's.
pub(super) fn to_engine(value: &Value) -> Val {
    match value {
        Value::Null => Val::Null,
        Value::Bool(truth) => Val::Bool(*truth),
        Value::Number(number) => {
            let text = number.to_string();
            // Its reader of integers takes `-0` for zero.
            if text == "-0" {
                return Val::Num(Num::Float(-0.0));
            }
            Val::from_num(&text).unwrap_or_else(|_| Val::Num(Num::Float(number.as_f64())))
        }
        Value::String(text) => Val::utf8_str(text.clone()),
        Value::Array(items) => items.iter().map(to_engine).collect(),
        Value::Object(map) => Val::obj(
            map.iter()
                .map(|(key, item)| (Val::utf8_str(key.clone()), to_engine(item)))
                .collect(),
        ),
    }
}

/// A value of the engine's as one of ours.
pub(super) fn from_engine(value: &Val) -> Result<Value, JqError> {
    convert(value, false)
}

/// The same where JSON cannot fail: the largest float for an infinity, null for what is no number.
pub(super) fn to_text(value: &Val) -> Result<String, JqError> {
    convert(value, true).map(|value| value.to_json())
}

fn convert(value: &Val, lossy: bool) -> Result<Value, JqError> {
    Ok(match value {
        Val::Null => Value::Null,
        Val::Bool(truth) => Value::Bool(*truth),
        Val::Num(Num::Float(float)) => match Number::from_f64(*float) {
            Some(number) => Value::Number(number),
            None if lossy && float.is_nan() => Value::Null,
            None if lossy => convert(
                &Val::Num(Num::Float(float.clamp(f64::MIN, f64::MAX))),
                lossy,
            )?,
            None => return Err(JqError::NotJson("a number is not finite")),
        },
        Val::Num(Num::Dec(text)) => Value::Number(Number::from_json_text(text)),
        Val::Num(number) => Value::Number(Number::from_json_text(&number.to_string())),
        Val::TStr(text) => Value::String(String::from_utf8_lossy(text).into_owned()),
        Val::BStr(_) => return Err(JqError::NotJson("bytes")),
        Val::Arr(items) => Value::Array(
            items
                .iter()
                .map(|item| convert(item, lossy))
                .collect::<Result<_, _>>()?,
        ),
        Val::Obj(map) => {
            let mut object = Map::new();
            for (key, item) in map.iter() {
                let Val::TStr(key) = key else {
                    return Err(JqError::NotJson("a key is no text"));
                };
                object.insert(
                    String::from_utf8_lossy(key).into_owned(),
                    convert(item, lossy)?,
                );
            }
            Value::Object(object)
        }
    })
}

/// A float that is whole as an integer, so that it prints without `.0` as in gojq.
pub(super) fn whole(value: Val) -> Val {
    match value {
        Val::Num(Num::Float(float))
            if float.fract() == 0.0
                && float.abs() < 9_007_199_254_740_992.0
                && !(float == 0.0 && float.is_sign_negative()) =>
        {
            #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
            let int = float as isize;
            Val::from(int)
        }
        other => other,
    }
}

/// Sorts the keys of all objects in a value, as gojq always has them.
pub(super) fn sort_keys(value: &mut Val) {
    match value {
        Val::Arr(items) if items.iter().any(unsorted) => {
            for item in std::rc::Rc::make_mut(items) {
                sort_keys(item);
            }
        }
        Val::Obj(map) => {
            if map.values().any(unsorted) {
                for item in std::rc::Rc::make_mut(map).values_mut() {
                    sort_keys(item);
                }
            }
            if !map.keys().is_sorted() {
                std::rc::Rc::make_mut(map).sort_keys();
            }
        }
        _ => {}
    }
}

fn unsorted(value: &Val) -> bool {
    match value {
        Val::Arr(items) => items.iter().any(unsorted),
        Val::Obj(map) => !map.keys().is_sorted() || map.values().any(unsorted),
        _ => false,
    }
}
