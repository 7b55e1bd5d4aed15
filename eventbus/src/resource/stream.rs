//! A stream's settings, as the YAML text of `streamConfig`. Keys are read in any case, as Argo writes them in lower case.

use std::time::Duration;

use serde_json::Value;
use tiphys_core::problems::Problems;
use tiphys_core::{duration, manifest};

use crate::embedded::{Discard, Limits};

/// What a stream keeps. `None` leaves it to the bus.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StreamSettings {
    /// The most events; zero and less is no limit.
    pub max_msgs: Option<i64>,
    /// Older events go; zero is no limit.
    pub max_age: Option<Duration>,
    /// The most bytes; zero and less is no limit.
    pub max_bytes: Option<i64>,
    /// How many servers keep it.
    pub replicas: Option<usize>,
    /// For how long an event with a known id is a duplicate.
    pub duplicates: Option<Duration>,
    /// What lets events go.
    pub retention: Option<StreamRetention>,
    /// What gives way at a limit.
    pub discard: Option<Discard>,
}

/// What lets events of a stream go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamRetention {
    /// The limits alone.
    Limits,
    /// As soon as every consumer has acknowledged them.
    Interest,
    /// As soon as one consumer has acknowledged them.
    WorkQueue,
}

impl StreamSettings {
    /// Reads the text; what is wrong is reported and left out.
    pub fn parse(text: &str, problems: &mut Problems) -> Self {
        let mut settings = Self::default();
        let documents = match manifest::parse(text) {
            Ok(documents) => documents,
            Err(error) => {
                let at = error.position;
                let message = format!("must be YAML: {}", error.message);
                match at {
                    Some(at) => problems.error_inside(at.line, at.column, message),
                    None => problems.error(message),
                }
                return settings;
            }
        };
        let Some(document) = documents.into_iter().next() else {
            return settings;
        };
        let Value::Object(members) = document.object else {
            problems.error("must be a map, as maxAge: 168h");
            return settings;
        };
        for (key, value) in members {
            let result = settings.set(&key.to_lowercase(), &value);
            match result {
                Ok(true) => {}
                Ok(false) => problems.at(&key, |problems| {
                    problems.warning("is not a known setting and has no effect");
                }),
                Err(message) => problems.at(&key, |problems| problems.error(message)),
            }
        }
        settings
    }

    fn set(&mut self, key: &str, value: &Value) -> Result<bool, String> {
        match key {
            "maxmsgs" => self.max_msgs = Some(whole(value)?),
            "maxbytes" => {
                self.max_bytes = Some(match value {
                    Value::String(text) => {
                        parse_size(text).ok_or("must be a number of bytes, or a size as 1GB")?
                    }
                    other => whole(other)?,
                });
            }
            "maxage" => self.max_age = Some(time(value)?),
            "duplicates" => self.duplicates = Some(time(value)?),
            "replicas" => {
                let replicas = usize::try_from(whole(value)?)
                    .ok()
                    .filter(|replicas| (1..=5).contains(replicas));
                self.replicas = Some(replicas.ok_or("must be from 1 to 5")?);
            }
            "retention" => {
                self.retention = Some(match word(value).as_str() {
                    "0" | "limits" => StreamRetention::Limits,
                    "1" | "interest" => StreamRetention::Interest,
                    "2" | "workqueue" => StreamRetention::WorkQueue,
                    _ => {
                        return Err("must be 0 (limits), 1 (interest) or 2 (work queue)".to_owned());
                    }
                });
            }
            "discard" => {
                self.discard = Some(match word(value).as_str() {
                    "0" | "old" => Discard::Old,
                    "1" | "new" => Discard::New,
                    _ => {
                        return Err(
                            "must be 0 (old events go) or 1 (new events are refused)".to_owned()
                        );
                    }
                });
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The same for the embedded bus.
    pub(super) fn limits(&self) -> Limits {
        let positive = |number: Option<i64>| {
            number
                .and_then(|n| u64::try_from(n).ok())
                .filter(|n| *n > 0)
        };
        Limits {
            max_age: self.max_age.map_or(Limits::default().max_age, |age| {
                (!age.is_zero()).then_some(age)
            }),
            max_bytes: positive(self.max_bytes),
            max_msgs: positive(self.max_msgs),
            discard: self.discard.unwrap_or_default(),
        }
    }
}

fn word(value: &Value) -> String {
    match value {
        Value::String(text) => text.to_lowercase(),
        other => other.to_string(),
    }
}

fn whole(value: &Value) -> Result<i64, String> {
    let number = match value {
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_i64(),
    };
    number.ok_or_else(|| "must be a whole number".to_owned())
}

/// A Go duration, or nanoseconds.
fn time(value: &Value) -> Result<Duration, String> {
    match value {
        Value::String(text) => duration::parse(text).map_err(|error| error.to_string()),
        other => match other.as_i64() {
            Some(nanos) => Ok(Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))),
            None => Err("must be a duration, as 168h".to_owned()),
        },
    }
}

/// A number of bytes: `1GB`, `512KB`, `20Mi`, `1048576`; units are powers of 1024, as NATS has them.
pub(super) fn parse_size(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '-')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: i64 = number.parse().ok()?;
    let shift = match unit
        .trim()
        .to_ascii_lowercase()
        .trim_end_matches('b')
        .trim_end_matches('i')
    {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}
