//! The event: a CloudEvent 1.0 as it travels from a source over the bus to a sensor. No I/O, no clock but `Event::new`'s.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;
use uuid::Uuid;

/// One thing that happened.
///
/// On the bus it is a structured CloudEvents 1.0 JSON object ([`crate::envelope`]).
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its name: 32 hex digits, or the id that the sender gave it.
    pub id: String,
    /// The name of the EventSource object.
    pub source: String,
    /// The kind of source (`webhook`), or the type that an incoming CloudEvent carried.
    pub kind: String,
    /// The event's name: the key under the kind in the EventSource.
    pub subject: String,
    /// Always `application/json` for events of Argo's sources.
    pub content_type: String,
    /// When it happened; `None` where an envelope has no time.
    pub time: Option<Timestamp>,
    /// The payload; `None` is different from empty.
    pub data: Option<Bytes>,
    /// CloudEvents extension attributes: lower-case letters and digits, text values.
    pub extensions: BTreeMap<String, String>,
    /// What names this event for good where `id` alone does not, because several senders choose ids.
    ///
    /// The bus stores an event with the same key only once; `None` means the id. It does not travel.
    pub dedup: Option<String>,
}

impl Event {
    /// An event that happens now, with a fresh id.
    #[must_use]
    pub fn new(source: &str, kind: &str, subject: &str, data: Bytes) -> Self {
        Self {
            id: Uuid::new_v4().simple().to_string(),
            source: source.to_owned(),
            kind: kind.to_owned(),
            subject: subject.to_owned(),
            content_type: "application/json".to_owned(),
            time: Some(Timestamp::now()),
            data: Some(data),
            extensions: BTreeMap::new(),
            dedup: None,
        }
    }

    /// The key under which the bus stores it once.
    #[must_use]
    pub fn dedup_key(&self) -> &str {
        self.dedup.as_deref().unwrap_or(&self.id)
    }

    /// The context attributes by CloudEvents' names, in Argo's order, then the extensions.
    ///
    /// `seconds` prints the time as Argo's JSON does, without fractions.
    pub fn context(&self) -> impl Iterator<Item = (&str, ContextValue<'_>)> {
        let fixed = [
            ("id", ContextValue::Text(&self.id)),
            ("source", ContextValue::Text(&self.source)),
            ("specversion", ContextValue::Text("1.0")),
            ("type", ContextValue::Text(&self.kind)),
            ("datacontenttype", ContextValue::Text(&self.content_type)),
            ("subject", ContextValue::Text(&self.subject)),
            ("time", ContextValue::Time(self.time)),
        ];
        let extensions = self.extensions.iter();
        fixed
            .into_iter()
            .chain(extensions.map(|(key, text)| (key.as_str(), ContextValue::Text(text))))
    }
}

/// One context attribute.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ContextValue<'a> {
    /// Text, perhaps empty.
    Text(&'a str),
    /// A time, perhaps absent.
    Time(Option<Timestamp>),
}
