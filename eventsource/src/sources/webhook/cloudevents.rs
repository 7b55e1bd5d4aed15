//! CloudEvents 1.0 as senders put them on HTTP: binary, structured and batch mode. It reads attributes and finds the data.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde_json::value::RawValue;

use super::body;
use crate::source::{Attributes, Rejection};

/// More events in one batch than this are refused: each costs a publish.
const MAX_BATCH: usize = 1000;

/// How a CloudEvent is put on HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Attributes in `ce-*` headers, data in the body.
    Binary,
    /// One JSON object.
    Structured,
    /// A JSON array of such objects.
    Batch,
}

impl Mode {
    /// The mode of a request, if it carries CloudEvents.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let media = body::media_type(headers).unwrap_or_default();
        if media.eq_ignore_ascii_case("application/cloudevents+json") {
            return Some(Self::Structured);
        }
        if media.eq_ignore_ascii_case("application/cloudevents-batch+json") {
            return Some(Self::Batch);
        }
        headers
            .contains_key("ce-specversion")
            .then_some(Self::Binary)
    }
}

/// A CloudEvent in structured mode.
pub(super) struct Structured<'a> {
    pub(super) attributes: Attributes,
    pub(super) data: Data<'a>,
}

/// The data of a CloudEvent in structured mode.
pub(super) enum Data<'a> {
    None,
    Json(&'a str),
    Bytes(Vec<u8>, Option<String>),
}

impl Data<'_> {
    /// About how long the data is.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::None => 4,
            Self::Json(text) => text.len(),
            Self::Bytes(bytes, _) => bytes.len() * 4 / 3,
        }
    }

    /// Appends the data as the body of the event.
    pub(super) fn write(&self, out: &mut Vec<u8>) -> Result<(), Rejection> {
        match self {
            Self::None => {
                out.extend_from_slice(b"null");
                Ok(())
            }
            Self::Json(text) => body::write_json(text, out),
            Self::Bytes(bytes, media) => body::write_bytes(bytes, media.as_deref(), out),
        }
    }
}

/// The attributes in the `ce-*` headers.
pub(super) fn from_headers(headers: &HeaderMap) -> Result<Attributes, Rejection> {
    let mut given = Given::default();
    for (name, value) in headers {
        let Some(name) = name.as_str().strip_prefix("ce-") else {
            continue;
        };
        let value = value
            .to_str()
            .ok()
            .and_then(|value| percent_decode_str(value).decode_utf8().ok())
            .ok_or_else(|| Rejection::bad_request(format!("the header ce-{name} is not text")))?;
        given.take(name, value.into_owned())?;
    }
    given.finish()
}

/// One CloudEvent as a JSON object.
pub(super) fn from_json(text: &str) -> Result<Structured<'_>, Rejection> {
    // Checks depth and syntax in our words, so that serde only takes apart what is known to be sound.
    compact_only(text)?;
    let members: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_str(text)
        .map_err(|_| Rejection::bad_request("the body is not a CloudEvent: not a JSON object"))?;
    let mut given = Given::default();
    let (mut plain, mut encoded, mut media) = (None, None, None);
    for (name, raw) in members {
        match (&*name, raw.get()) {
            ("data", raw) => plain = Some(raw),
            (_, "null") => {}
            ("data_base64", raw) => encoded = Some(string(&name, raw)?),
            ("datacontenttype", raw) => media = Some(string(&name, raw)?),
            (_, raw) if raw.starts_with('"') => given.take(&name, string(&name, raw)?)?,
            // Integers and booleans are legal values of extensions.
            (_, raw) => given.take(&name, raw.to_owned())?,
        }
    }
    let attributes = given.finish()?;
    let data = match (plain, encoded) {
        (Some(_), Some(_)) => {
            return Err(Rejection::bad_request(
                "the CloudEvent has both data and data_base64",
            ));
        }
        (Some(text), None) => Data::Json(text),
        (None, Some(encoded)) => {
            let bytes = STANDARD.decode(encoded).map_err(|_| {
                Rejection::bad_request("the CloudEvent has data_base64 that is not base64")
            })?;
            let media = media.map(|media| match media.split_once(';') {
                Some((media, _)) => media.trim().to_owned(),
                None => media,
            });
            // Without a content type of its own the data is only known to be bytes.
            Data::Bytes(
                bytes,
                media.or_else(|| Some("application/octet-stream".to_owned())),
            )
        }
        (None, None) => Data::None,
    };
    Ok(Structured { attributes, data })
}

/// The CloudEvents of a batch.
pub(super) fn batch(text: &str) -> Result<Vec<Structured<'_>>, Rejection> {
    compact_only(text)?;
    let items: Vec<&RawValue> = serde_json::from_str(text).map_err(|_| {
        Rejection::bad_request("the body is not a batch of CloudEvents: not a JSON array")
    })?;
    if items.len() > MAX_BATCH {
        return Err(Rejection::bad_request(format!(
            "the batch has {} CloudEvents: send at most {MAX_BATCH} at once",
            items.len()
        )));
    }
    items
        .into_iter()
        .map(|item| from_json(item.get()))
        .collect()
}

fn compact_only(text: &str) -> Result<(), Rejection> {
    body::write_json(text, &mut Vec::with_capacity(text.len()))
}

fn string(name: &str, raw: &str) -> Result<String, Rejection> {
    serde_json::from_str(raw)
        .map_err(|_| Rejection::bad_request(format!("the CloudEvent's {name} must be text")))
}

/// What has been read so far.
#[derive(Default)]
struct Given {
    version: Option<String>,
    id: String,
    source: String,
    kind: String,
    subject: Option<String>,
    time: Option<Timestamp>,
    extensions: BTreeMap<String, String>,
}

impl Given {
    fn take(&mut self, name: &str, value: String) -> Result<(), Rejection> {
        // An id with a line break in it would reach the headers of the bus and of the response.
        if value.chars().any(char::is_control) {
            return Err(Rejection::bad_request(format!(
                "the CloudEvent's {name} has a control character"
            )));
        }
        match name {
            "specversion" => self.version = Some(value),
            "id" => self.id = value,
            "source" => self.source = value,
            "type" => self.kind = value,
            "subject" => self.subject = Some(value),
            "time" => {
                let time = value.parse().map_err(|_| {
                    Rejection::bad_request(format!(
                        "the CloudEvent's time {value:?} is not RFC 3339, as 2026-01-31T10:00:00Z"
                    ))
                })?;
                self.time = Some(time);
            }
            "dataschema" => {
                self.extensions.insert("cedataschema".to_owned(), value);
            }
            "datacontenttype" => {}
            // An extension of this name would stand where the envelope keeps the event's data.
            "data" => {
                return Err(Rejection::bad_request(
                    "the CloudEvent's data belongs in the body",
                ));
            }
            name if name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) =>
            {
                self.extensions.insert(name.to_owned(), value);
            }
            name => {
                return Err(Rejection::bad_request(format!(
                    "the CloudEvent's attribute {name:?} must be lower-case letters and digits"
                )));
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<Attributes, Rejection> {
        let Self {
            version,
            id,
            source,
            kind,
            subject,
            time,
            extensions,
        } = self;
        if !matches!(version.as_deref(), Some("1.0" | "0.3")) {
            return Err(Rejection::bad_request(
                "the CloudEvent's specversion must be 1.0",
            ));
        }
        for (name, value) in [("id", &id), ("source", &source), ("type", &kind)] {
            if value.is_empty() {
                return Err(Rejection::bad_request(format!(
                    "the CloudEvent has no {name}"
                )));
            }
        }
        Ok(Attributes {
            id,
            source,
            subject,
            kind,
            time,
            extensions,
        })
    }
}
