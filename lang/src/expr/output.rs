//! Values as text and as JSON.
//! It never loses a value in silence: what JSON lacks has no answer.

use super::times;
use super::value::{Array, Entries, Key, V};
use crate::go::{float, print, time};
use crate::value::{Number, Value};

impl<'a> V<'a> {
    /// As Go's `%v` prints it.
    pub(super) fn print(&self) -> String {
        match self {
            Self::Nil => "<nil>".to_owned(),
            Self::Bool(truth) => truth.to_string(),
            Self::Int(int) => int.to_string(),
            Self::Float(float) => float::shortest(*float),
            Self::Number(number) => print::number_text(number),
            Self::Text(text) => text.as_str().to_owned(),
            Self::Time(time) => times::print(time),
            Self::Duration(nanos) => time::duration_text(*nanos),
            Self::Zone(zone) => times::zone_label(zone),
            Self::Month(month) => time::month_name(*month).to_owned(),
            Self::Weekday(day) => time::day_name(*day).to_owned(),
            Self::Function(_) => "func".to_owned(),
            Self::Library => "map".to_owned(),
            Self::Array(_) | Self::Bytes(_) => {
                let items: Vec<String> = self
                    .items()
                    .unwrap_or_default()
                    .iter()
                    .map(Self::print)
                    .collect();
                format!("[{}]", items.join(" "))
            }
            Self::Map(_) => {
                let pairs = self.pairs().unwrap_or_default();
                let pairs: Vec<String> = pairs
                    .iter()
                    .map(|(key, value)| format!("{}:{}", key.print(), value.print()))
                    .collect();
                format!("map[{}]", pairs.join(" "))
            }
        }
    }

    /// The value as JSON; `None` for functions and floats that JSON lacks.
    pub(super) fn to_json(&self) -> Option<Value> {
        Some(match self {
            Self::Nil => Value::Null,
            Self::Bool(truth) => Value::Bool(*truth),
            Self::Int(int) => Value::from(*int),
            Self::Float(float) => Value::Number(Number::from_f64(*float)?),
            Self::Number(number) => Value::Number(number.clone()),
            Self::Text(text) => Value::from(text.as_str()),
            Self::Bytes(bytes) => Value::String(String::from_utf8_lossy(bytes).into_owned()),
            Self::Time(time) => Value::String(times::rfc3339(time)),
            Self::Duration(_) | Self::Zone(_) => Value::String(self.print()),
            Self::Month(number) | Self::Weekday(number) => Value::from(i64::from(*number)),
            Self::Function(_) | Self::Library => return None,
            Self::Array(Array::Json(items)) => Value::Array(items.to_vec()),
            Self::Array(Array::Made(items)) => Value::Array(
                items
                    .content
                    .iter()
                    .map(Self::to_json)
                    .collect::<Option<_>>()?,
            ),
            Self::Map(Entries::Json(map)) => Value::Object((*map).clone()),
            Self::Map(Entries::Made(map)) => {
                let entry = |(key, value): (&Key, &V<'a>)| Some((key.print(), value.to_json()?));
                Value::Object(
                    map.content
                        .entries
                        .iter()
                        .map(entry)
                        .collect::<Option<_>>()?,
                )
            }
        })
    }
}
