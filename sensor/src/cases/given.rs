//! What is given in a case: events, and what happens to the Sensor between them. It plays nothing.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::Error as _;
use serde_json::Value;
use tiphys_core::tasks::chain;
use tiphys_core::{Event, envelope};

use super::CaseError;
use crate::spec::SensorSpec;

/// One line of `given`.
#[derive(Debug)]
pub(super) enum Given {
    Event(Box<GivenEvent>),
    /// Values put into the Sensor's spec, by path.
    Change {
        change: serde_json::Map<String, Value>,
    },
    /// The Sensor stops and starts.
    Restart {
        restart: bool,
    },
    /// The Sensor is deleted and created anew.
    Delete {
        delete: bool,
    },
}

impl<'de> Deserialize<'de> for Given {
    /// By the one member that tells, so that a misspelt field is named and not called "no variant".
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let alone = value.as_object().filter(|members| members.len() == 1);
        let only = alone.and_then(|members| members.iter().next());
        match only.map(|(key, value)| (key.as_str(), value)) {
            Some(("change", Value::Object(change))) => Ok(Self::Change {
                change: change.clone(),
            }),
            Some(("restart", Value::Bool(restart))) => Ok(Self::Restart { restart: *restart }),
            Some(("delete", Value::Bool(delete))) => Ok(Self::Delete { delete: *delete }),
            _ => serde_json::from_value(value)
                .map(|event| Self::Event(Box::new(event)))
                .map_err(D::Error::custom),
        }
    }
}

/// An event.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct GivenEvent {
    /// Only for this dependency; for every one that wants its source and name where nothing is said.
    dependency: Option<String>,
    source: Option<String>,
    event: Option<String>,
    id: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    time: Option<String>,
    content_type: Option<String>,
    extensions: BTreeMap<String, String>,
    /// The payload as YAML.
    payload: Option<Value>,
    /// The payload as it is, for what YAML cannot say.
    text: Option<String>,
    /// The payload, or a whole CloudEvent, in a file beside.
    file: Option<String>,
}

impl GivenEvent {
    /// The event, and the dependencies that it is meant for.
    pub(super) fn event(
        &self,
        spec: &SensorSpec,
        index: usize,
        folder: &Path,
    ) -> Result<(Event, Vec<String>), CaseError> {
        let dependencies = &spec.dependencies;
        let mut event = self.made(index, folder)?;
        if let Some(name) = &self.dependency {
            let found = dependencies
                .iter()
                .find(|dependency| dependency.name == *name);
            let dependency = found
                .ok_or_else(|| CaseError::new(format!("the Sensor has no dependency {name:?}")))?;
            // A dependency for any event takes one with a name like any other.
            let plain = |name: &str| match name {
                "*" => "any".to_owned(),
                name => name.to_owned(),
            };
            if event.source.is_empty() {
                event.source = plain(&dependency.event_source_name);
            }
            if event.subject.is_empty() {
                event.subject = plain(&dependency.event_name);
            }
            return Ok((event, vec![name.clone()]));
        }
        let fits = |want: &str, have: &str| want == "*" || want == have;
        let wanted = dependencies.iter().filter(|dependency| {
            fits(&dependency.event_source_name, &event.source)
                && fits(&dependency.event_name, &event.subject)
        });
        let names = wanted.map(|dependency| dependency.name.clone()).collect();
        Ok((event, names))
    }

    fn made(&self, index: usize, folder: &Path) -> Result<Event, CaseError> {
        let data = match (&self.payload, &self.text, &self.file) {
            (Some(payload), None, None) => Some(payload.to_string().into_bytes()),
            (None, Some(text), None) => Some(text.clone().into_bytes()),
            (None, None, Some(file)) => {
                let path = folder.join(file);
                let read = std::fs::read(&path);
                Some(read.map_err(|error| {
                    CaseError::new(format!("cannot read {}: {error}", path.display()))
                })?)
            }
            (None, None, None) => None,
            _ => return Err(CaseError::new("an event has one of payload, text and file")),
        };
        let whole = data
            .as_ref()
            .filter(|_| self.file.is_some())
            .and_then(|data| serde_json::from_slice::<Value>(data).ok())
            .is_some_and(|value| value.get("specversion").is_some());
        let mut event = match (&data, whole) {
            (Some(data), true) => envelope::decode(data)
                .map_err(|error| CaseError::new(format!("not a CloudEvent: {}", chain(&error))))?,
            _ => {
                let mut event = Event::new("", "webhook", "", Bytes::new());
                event.id = format!("event-{}", index + 1);
                event.time = Some(jiff::Timestamp::UNIX_EPOCH);
                event.data = data.map(Bytes::from);
                event
            }
        };
        let put = |field: &mut String, value: &Option<String>| {
            if let Some(value) = value {
                field.clone_from(value);
            }
        };
        put(&mut event.source, &self.source);
        put(&mut event.subject, &self.event);
        put(&mut event.id, &self.id);
        put(&mut event.kind, &self.kind);
        put(&mut event.content_type, &self.content_type);
        if let Some(time) = &self.time {
            let parsed = time.parse();
            event.time =
                Some(parsed.map_err(|_| CaseError::new(format!("time {time:?} is not RFC 3339")))?);
        }
        event.extensions.extend(self.extensions.clone());
        Ok(event)
    }
}
