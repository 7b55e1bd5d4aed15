//! Functions that read and write JSON, Base64, dates and durations.
//! It never reads more than its argument: no files, no network; `now` alone asks for the time.

use std::rc::Rc;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use jiff::Zoned;
use jiff::tz::TimeZone;
use jsonpath_rust::JsonPath as _;

use super::super::ast::Builtin;
use super::super::value::{Entries, V};
use super::{Answer, misfit};
use crate::go::{layout, time as go_time};
use crate::json::{self, Escape};
use crate::value::Value;

/// Padding is needed and stray bits at the end are let through, as in Go.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// The layouts that `date` tries in turn.
const LAYOUTS: [&str; 7] = [
    "2006-01-02",
    "15:04:05",
    "2006-01-02 15:04:05",
    layout::RFC3339,
    layout::RFC822,
    layout::RFC850,
    layout::RFC1123,
];

pub(super) fn call<'a>(builtin: Builtin, arguments: &[V<'a>]) -> Answer<'a> {
    match (builtin, arguments) {
        (Builtin::ToJson, [value, ..]) => {
            let mut out = String::new();
            let value = encodable(value).ok_or("cannot write this value")?;
            pretty(&value, 0, &mut out);
            Ok(V::text(out))
        }
        (Builtin::FromJson, [text, ..]) => match text.as_text() {
            Some(text) => {
                let value =
                    json::parse(text.as_bytes()).map_err(|error| format!("failed: {error}"))?;
                V::owned(value).ok_or_else(|| "nests too deeply".to_owned())
            }
            None => misfit(arguments),
        },
        (Builtin::ToBase64, [text, ..]) => match text.as_text() {
            Some(text) => Ok(V::text(BASE64.encode(text))),
            None => misfit(arguments),
        },
        (Builtin::FromBase64, [text, ..]) => match text.as_text() {
            Some(text) => {
                let text: String = text
                    .chars()
                    .filter(|char| !matches!(char, '\r' | '\n'))
                    .collect();
                let bytes = BASE64
                    .decode(text)
                    .map_err(|_| "got no Base64".to_owned())?;
                Ok(V::text(String::from_utf8_lossy(&bytes)))
            }
            None => misfit(arguments),
        },
        (Builtin::Now, []) => Ok(time(Zoned::now().with_time_zone(TimeZone::UTC))),
        (Builtin::Now, [V::Zone(zone)]) => Ok(time(Zoned::now().with_time_zone((**zone).clone()))),
        (Builtin::Duration, [text, ..]) => match text.as_text() {
            Some(text) => go_time::parse_duration(text)
                .map(V::Duration)
                .map_err(|_| "needs a text like \"1h30m\"".to_owned()),
            None => misfit(arguments),
        },
        (Builtin::Timezone, [name, ..]) => match name.as_text() {
            Some(name) => zone(name).map(|zone| V::Zone(Rc::new(zone))),
            None => misfit(arguments),
        },
        (Builtin::Date, [V::Zone(zone), rest @ ..]) => date(rest, zone),
        (Builtin::Date, _) => date(arguments, &TimeZone::UTC),
        _ => misfit(arguments),
    }
}

fn time<'a>(time: Zoned) -> V<'a> {
    V::Time(Rc::new(time))
}

fn zone(name: &str) -> Result<TimeZone, String> {
    go_time::load_zone(name.as_bytes(), &TimeZone::UTC)
        .ok_or_else(|| "needs the name of a zone, like \"Europe/Berlin\"".to_owned())
}

fn parse(layout: &str, text: &str, zone: &TimeZone) -> Option<Zoned> {
    let moment = layout::parse(layout.as_bytes(), text.as_bytes(), zone).ok()?;
    Some(moment.to_zoned())
}

fn date<'a>(arguments: &[V<'a>], default: &TimeZone) -> Answer<'a> {
    let texts: Option<Vec<&str>> = arguments.iter().map(V::as_text).collect();
    let parsed = match texts.as_deref() {
        Some([text, layout]) => parse(layout, text, default),
        Some([text, layout, name]) => parse(layout, text, &zone(name)?),
        Some([text, ..]) => LAYOUTS
            .iter()
            .find_map(|layout| parse(layout, text, default)),
        _ => return misfit(arguments),
    };
    parsed
        .map(time)
        .ok_or_else(|| "got no date in a known layout".to_owned())
}

/// The value as Go's encoder takes it: durations are numbers, maps with other keys than text fail.
fn encodable(value: &V<'_>) -> Option<Value> {
    Some(match value {
        V::Duration(nanos) => Value::from(*nanos),
        V::Array(_) => Value::Array(
            value
                .items()?
                .iter()
                .map(encodable)
                .collect::<Option<_>>()?,
        ),
        V::Map(Entries::Made(map)) if map.content.any_key => return None,
        V::Map(_) => {
            let pairs = value.pairs()?;
            let pair =
                |(key, item): &(V<'_>, V<'_>)| Some((key.as_text()?.to_owned(), encodable(item)?));
            Value::Object(pairs.iter().map(pair).collect::<Option<_>>()?)
        }
        other => other.to_json()?,
    })
}

/// JSON with two spaces a level.
fn pretty(value: &Value, level: usize, out: &mut String) {
    let line = |out: &mut String, level: usize| {
        out.push('\n');
        out.push_str(&"  ".repeat(level));
    };
    match value {
        Value::Array(items) if !items.is_empty() => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                line(out, level + 1);
                pretty(item, level + 1, out);
            }
            line(out, level);
            out.push(']');
        }
        Value::Object(map) if !map.is_empty() => {
            out.push('{');
            for (index, (key, item)) in map.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                line(out, level + 1);
                json::write_string(key, Escape::Html, out);
                out.push_str(": ");
                pretty(item, level + 1, out);
            }
            line(out, level);
            out.push('}');
        }
        other => json::write(other, Escape::Html, out),
    }
}

/// Argo's `toJson`: compact, and empty where there is no JSON.
pub(super) fn compact_json<'a>(arguments: &[V<'a>]) -> Answer<'a> {
    let [value] = arguments else {
        return misfit(arguments);
    };
    let mut out = String::new();
    if let Some(value) = encodable(value) {
        json::write(&value, Escape::Html, &mut out);
    }
    Ok(V::text(out))
}

/// Argo's `jsonpath`: what a path finds in a JSON text; one value for a path that names one.
pub(super) fn json_path<'a>(arguments: &[V<'a>]) -> Answer<'a> {
    let (Some(text), Some(path)) = (
        arguments.first().and_then(V::as_text),
        arguments.get(1).and_then(V::as_text),
    ) else {
        return misfit(arguments);
    };
    let checked = json::parse(text.as_bytes()).map_err(|error| format!("failed: {error}"))?;
    let document: serde_json::Value =
        serde_json::from_str(&checked.to_json()).map_err(|error| format!("failed: {error}"))?;
    let found = document
        .query(path)
        .map_err(|error| format!("failed: {error}"))?;
    let values: Vec<V<'a>> = found
        .into_iter()
        .map(|value| {
            json::parse(value.to_string().as_bytes())
                .ok()
                .and_then(V::owned)
        })
        .collect::<Option<_>>()
        .ok_or("nests too deeply")?;
    let many = path.contains(['*', '?', ':', ',']) || path.contains("..");
    match (many, values.into_iter().collect::<Vec<_>>()) {
        (true, values) => V::array(values).ok_or_else(|| "nests too deeply".to_owned()),
        (false, values) => values
            .into_iter()
            .next()
            .ok_or_else(|| "found nothing".to_owned()),
    }
}
