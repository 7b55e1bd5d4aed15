//! The bytes of an event on the bus: structured CloudEvents 1.0 JSON, as Argo writes and reads it
//! (reference `bus-and-sensor.md`, section 1). It never fails to write, and says why it cannot read.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::event::Event;

/// Why bytes are not an event. Such a message can never be read, however often it is delivered.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// Not a JSON object, or a member of the wrong type.
    #[error("cannot read the event's envelope")]
    Json(#[from] serde_json::Error),
    /// A member that CloudEvents demands or forbids.
    #[error("the event's envelope {0}")]
    Rule(String),
}

/// Writes the envelope in Argo's member order.
#[must_use]
pub fn encode(event: &Event) -> Vec<u8> {
    let data = event.data.as_ref().map_or(0, Bytes::len);
    let mut out = String::with_capacity(256 + data * 4 / 3);
    out.push_str(r#"{"specversion":"1.0""#);
    member(&mut out, "id", &event.id);
    member(&mut out, "source", &event.source);
    member(&mut out, "type", &event.kind);
    member(&mut out, "subject", &event.subject);
    member(&mut out, "datacontenttype", &event.content_type);
    if let Some(time) = event.time {
        // `Timestamp` prints RFC 3339 in UTC with the fraction's trailing zeros dropped.
        out.push_str(",\"time\":\"");
        out.push_str(&time.to_string());
        out.push('"');
    }
    for (key, value) in &event.extensions {
        member(&mut out, key, value);
    }
    if let Some(data) = &event.data {
        out.push_str(r#","data_base64":""#);
        STANDARD.encode_string(data, &mut out);
        out.push('"');
    }
    out.push('}');
    out.into_bytes()
}

fn member(out: &mut String, key: &str, text: &str) {
    out.push_str(",\"");
    out.push_str(key);
    out.push_str("\":");
    quoted(out, text);
}

/// A text as JSON; most have nothing to escape.
fn quoted(out: &mut String, text: &str) {
    let plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    if text.bytes().all(plain) {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&serde_json::Value::from(text).to_string());
    }
}

/// Reads an envelope with its members in any order, with `data` or `data_base64`.
///
/// # Errors
/// [`EnvelopeError`] for everything that is not a CloudEvent 1.0 or 0.3 in JSON.
pub fn decode(bytes: &[u8]) -> Result<Event, EnvelopeError> {
    let Members {
        version,
        texts: [id, source, kind, subject, content_type, time, encoded],
        plain,
        extensions,
        forbidden,
    } = serde_json::from_slice(bytes)?;
    if let Some(name) = forbidden {
        return Err(rule(format!(
            "has a member {name:?} that CloudEvents does not allow"
        )));
    }
    match version.as_deref() {
        Some("1.0" | "0.3") => {}
        Some(other) => return Err(rule(format!("has specversion {other:?}, not 1.0"))),
        None => return Err(rule("has no specversion")),
    }
    let time = match time.as_deref() {
        None | Some("") => None,
        Some(written) => Some(
            written
                .parse()
                .map_err(|_| rule("has a time that is not RFC 3339"))?,
        ),
    };
    let content_type = content_type.unwrap_or_default();
    let data = match (encoded, plain) {
        (Some(encoded), _) => Some(
            STANDARD
                .decode(encoded.as_bytes())
                .map_err(|_| rule("has data_base64 that is not base64"))?
                .into(),
        ),
        (None, Some(raw)) if is_json(&content_type) => {
            Some(Bytes::copy_from_slice(raw.get().as_bytes()))
        }
        (None, Some(raw)) => Some(serde_json::from_str::<String>(raw.get())?.into()),
        (None, None) => None,
    };
    let owned = |text: Option<Cow<'_, str>>| text.map(Cow::into_owned).unwrap_or_default();
    Ok(Event {
        id: owned(id),
        source: owned(source),
        kind: owned(kind),
        subject: owned(subject),
        content_type: content_type.into_owned(),
        time,
        data,
        extensions,
        dedup: None,
    })
}

fn is_json(content_type: &str) -> bool {
    let media = content_type.split(';').next().unwrap_or_default().trim();
    matches!(
        media,
        "" | "application/json"
            | "text/json"
            | "application/cloudevents+json"
            | "application/cloudevents-batch+json"
    )
}

fn rule(text: impl Into<String>) -> EnvelopeError {
    EnvelopeError::Rule(text.into())
}

/// The members that are texts, in the order of [`Members::texts`].
const TEXTS: [&str; 7] = [
    "id",
    "source",
    "type",
    "subject",
    "datacontenttype",
    "time",
    "data_base64",
];

/// What an envelope says, still in its bytes wherever nothing is escaped. Of repeated members the last counts, and those
/// are refused whose repetition would change how the others are read.
#[derive(Default)]
struct Members<'a> {
    version: Option<Cow<'a, str>>,
    texts: [Option<Cow<'a, str>>; TEXTS.len()],
    plain: Option<&'a RawValue>,
    extensions: BTreeMap<String, String>,
    /// A name that no attribute may have.
    forbidden: Option<String>,
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seen;
        impl<'de> Visitor<'de> for Seen {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a CloudEvent as a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Members::default();
                while let Some(Text(key)) = map.next_key()? {
                    members.read(key, &mut map)?;
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Seen)
    }
}

impl<'de> Members<'de> {
    fn read<A: MapAccess<'de>>(&mut self, key: Cow<'de, str>, map: &mut A) -> Result<(), A::Error> {
        let named = TEXTS.iter().zip(&mut self.texts);
        let known = named.into_iter().find(|(name, _)| **name == key);
        let (slot, unique) = match (&*key, known) {
            ("specversion", _) => (&mut self.version, true),
            (name, Some((_, slot))) => (slot, name == "datacontenttype"),
            ("data", None) => {
                self.plain = Some(map.next_value()?);
                return Ok(());
            }
            ("dataschema", None) => return map.next_value::<IgnoredAny>().map(drop),
            (name, None) if name.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                let value = match map.next_value()? {
                    serde_json::Value::String(text) => text,
                    other => other.to_string(),
                };
                self.extensions.insert(key.into_owned(), value);
                return Ok(());
            }
            (_, None) => {
                map.next_value::<IgnoredAny>()?;
                self.forbidden = Some(key.into_owned());
                return Ok(());
            }
        };
        if unique && slot.is_some() {
            return Err(A::Error::custom(format!("{key} is repeated")));
        }
        *slot = Some(map.next_value::<Text<'de>>()?.0);
        Ok(())
    }
}

/// A JSON string, which stays where it is unless something in it is escaped.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seen;
        impl<'de> Visitor<'de> for Seen {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Seen)
    }
}

/// The "argo event" of a whole-event parameter: `{"context": {...}, "data": "<base64>"}`
/// (reference `bus-and-sensor.md`, section 1.3).
#[must_use]
pub fn whole_event(event: &Event) -> String {
    let mut out = String::from(r#"{"context":"#);
    out.push_str(&context(event));
    out.push_str(r#","data":"#);
    match &event.data {
        Some(data) => {
            out.push('"');
            STANDARD.encode_string(data, &mut out);
            out.push('"');
        }
        None => out.push_str("null"),
    }
    out.push('}');
    out
}

/// The context alone as JSON: seven members in Argo's order, then extensions; times have whole seconds.
#[must_use]
pub fn context(event: &Event) -> String {
    use crate::event::ContextValue;
    let mut out = String::from("{");
    for (index, (key, value)) in event.context().enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push('"');
        out.push_str(key);
        out.push_str("\":");
        match value {
            ContextValue::Text(text) => quoted(&mut out, text),
            ContextValue::Time(None) => out.push_str("null"),
            ContextValue::Time(Some(time)) => {
                let seconds = Timestamp::from_second(time.as_second()).unwrap_or(time);
                out.push('"');
                out.push_str(&seconds.to_string());
                out.push('"');
            }
        }
    }
    out.push('}');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Event {
        let mut event = Event::new(
            "es",
            "webhook",
            "example",
            Bytes::from_static(br#"{"body":{}}"#),
        );
        event.id = "0f8e".into();
        event.time = "2026-07-18T10:00:00.120Z".parse().ok();
        event
    }

    #[test]
    fn the_envelope_is_argos_byte_for_byte() {
        let written = String::from_utf8(encode(&example())).unwrap();
        let expected = concat!(
            r#"{"specversion":"1.0","id":"0f8e","source":"es","type":"webhook","subject":"example","#,
            r#""datacontenttype":"application/json","time":"2026-07-18T10:00:00.12Z","data_base64":"eyJib2R5Ijp7fX0="}"#
        );
        assert_eq!(written, expected);
        assert_eq!(decode(written.as_bytes()).unwrap(), example());
    }

    #[test]
    fn nothing_and_empty_are_different_payloads() {
        for data in [None, Some(Bytes::new())] {
            let event = Event { data, ..example() };
            assert_eq!(decode(&encode(&event)).unwrap(), event);
        }
    }

    #[test]
    fn readers_accept_any_order_and_inline_data() {
        let text = br#"{"data": {"a": 1.0},"subject":"s","source":"x","type":"t","id":"1","specversion":"1.0","datacontenttype":"application/json","trace":"abc"}"#;
        let event = decode(text).unwrap();
        assert_eq!(event.data.as_deref(), Some(&br#"{"a": 1.0}"#[..]));
        assert_eq!(
            event.extensions.get("trace").map(String::as_str),
            Some("abc")
        );
        let text = br#"{"specversion":"1.0","datacontenttype":"text/plain","data":"a\nb"}"#;
        assert_eq!(decode(text).unwrap().data.as_deref(), Some(&b"a\nb"[..]));
    }

    #[test]
    fn what_is_not_a_cloudevent_is_refused() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"specversion":"2.0"}"#,
            r#"{"specversion":"1.0","specversion":"1.0"}"#,
            r#"{"specversion":"1.0","data_base64":"!"}"#,
            r#"{"specversion":"1.0","time":"yesterday"}"#,
            r#"{"specversion":"1.0","bad-name":"x"}"#,
            r#"{"specversion":"1.0","datacontenttype":"text/plain","data":{}}"#,
        ] {
            assert!(decode(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_whole_event_has_base64_data_and_whole_seconds() {
        let text = whole_event(&example());
        let expected = concat!(
            r#"{"context":{"id":"0f8e","source":"es","specversion":"1.0","type":"webhook","#,
            r#""datacontenttype":"application/json","subject":"example","time":"2026-07-18T10:00:00Z"},"data":"eyJib2R5Ijp7fX0="}"#
        );
        assert_eq!(text, expected);
    }
}
