//! One event as filters, parameters and payloads look at it. Each view is made at most once, and only when asked for.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tiphys_core::{Event, envelope};
use tiphys_lang::{Value, gjson, json};

/// The extension that marks an event as brought again by a replay; its value names the replay.
pub(crate) const REPLAY: &str = "tiphysreplay";

/// What a replay's name begins with whose firings are new ones.
pub(crate) const FORCED: &str = "new-";

/// The events of one firing, by dependency.
pub type Events = BTreeMap<String, Input>;

/// Why a payload cannot be looked into.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// The payload is no JSON although it should be.
    #[error("event data not valid JSON")]
    NotJson,
    /// The payload is no YAML although the event says so.
    #[error("event data not valid YAML: {0}")]
    NotYaml(String),
    /// The content type is neither.
    #[error("unsupported event content type: {0}")]
    ContentType(String),
}

/// An event and its views.
#[derive(Debug)]
pub struct Input {
    event: Arc<Event>,
    valid: OnceLock<bool>,
    document: OnceLock<Result<Bytes, DocumentError>>,
    value: OnceLock<Value>,
    context: OnceLock<(String, Value)>,
}

impl Input {
    /// Takes an event.
    #[must_use]
    pub fn new(event: Arc<Event>) -> Self {
        Self {
            event,
            valid: OnceLock::new(),
            document: OnceLock::new(),
            value: OnceLock::new(),
            context: OnceLock::new(),
        }
    }

    /// The event.
    #[must_use]
    pub fn event(&self) -> &Arc<Event> {
        &self.event
    }

    /// The payload for filters: `None` where there is none.
    pub(crate) fn json(&self) -> Result<Option<&[u8]>, DocumentError> {
        let Some(data) = &self.event.data else {
            return Ok(None);
        };
        let valid = *self.valid.get_or_init(|| gjson::valid(data));
        valid
            .then_some(Some(&data[..]))
            .ok_or(DocumentError::NotJson)
    }

    /// The payload as a JSON document for parameters.
    pub(crate) fn document(&self) -> Result<&[u8], DocumentError> {
        match self.event.content_type.as_str() {
            "application/json" => self.json()?.ok_or(DocumentError::NotJson),
            "application/yaml" => {
                let made = self
                    .document
                    .get_or_init(|| yaml(self.event.data.as_deref().unwrap_or_default()));
                made.as_deref().map_err(Clone::clone)
            }
            other => Err(DocumentError::ContentType(other.to_owned())),
        }
    }

    /// The decoded document.
    pub(crate) fn value(&self) -> Result<&Value, DocumentError> {
        if let Some(value) = self.value.get() {
            return Ok(value);
        }
        let value = json::parse(self.document()?).map_err(|_| DocumentError::NotJson)?;
        Ok(self.value.get_or_init(|| value))
    }

    /// The context as JSON.
    pub(crate) fn context(&self) -> &str {
        &self.context_views().0
    }

    /// The decoded context.
    pub(crate) fn context_value(&self) -> &Value {
        &self.context_views().1
    }

    fn context_views(&self) -> &(String, Value) {
        self.context.get_or_init(|| {
            let text = envelope::context(&self.event);
            let value = json::parse(text.as_bytes()).unwrap_or_default();
            (text, value)
        })
    }
}

fn yaml(data: &[u8]) -> Result<Bytes, DocumentError> {
    let text = str::from_utf8(data).map_err(|error| DocumentError::NotYaml(error.to_string()))?;
    let mut documents = tiphys_core::manifest::parse(text)
        .map_err(|error| DocumentError::NotYaml(error.message))?;
    let object = match documents.len() {
        1 => documents.remove(0).object,
        0 => serde_json::Value::Null,
        _ => return Err(DocumentError::NotYaml("several documents".to_owned())),
    };
    // Sorted keys, as Go writes a decoded map.
    let value = json::parse(object.to_string().as_bytes()).map_err(|_| DocumentError::NotJson)?;
    Ok(value.to_json().into_bytes().into())
}

/// What names an event for good: its place and id, and the sender's own source where several senders choose ids.
#[must_use]
pub fn identity(event: &Event) -> String {
    let mut text = format!("{}/{}/{}", event.source, event.subject, event.id);
    if let Some(sender) = event.extensions.get("cesource") {
        text.push('/');
        text.push_str(sender);
    }
    if let Some(replay) = event.extensions.get(REPLAY)
        && replay.starts_with(FORCED)
    {
        text.push('/');
        text.push_str(replay);
    }
    text
}
