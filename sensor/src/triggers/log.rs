//! The `log` trigger: writes each event to the log of the sensor.
//!
//! ```yaml
//! log:
//!   intervalSeconds: 20
//! ```
//!
//! With an interval it writes at most once in that time. The text is the payload where the event is JSON or plain text,
//! and base64 otherwise.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tiphys_core::{Event, Problems};

use super::{Action, Effect, FireError, Fired, Firing, World};

/// Writes the event to the log.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LogSpec {
    /// Writes at most once in so many seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval_seconds: Option<u64>,
}

impl LogSpec {
    /// Reports everything wrong; there is nothing that can be.
    pub(crate) fn validate(&self, _problems: &mut Problems) {}

    pub(super) fn build(&self) -> Box<dyn Action> {
        let seconds = self.interval_seconds.unwrap_or(0);
        Box::new(LogAction {
            interval: Duration::from_secs(seconds),
        })
    }
}

struct LogAction {
    interval: Duration,
}

impl Action for LogAction {
    fn plan(
        &self,
        firing: &Firing<'_>,
        _fetched: Option<&[u8]>,
    ) -> Result<Box<dyn Effect>, FireError> {
        let event = |(name, input): (&String, &crate::document::Input)| {
            (name.clone(), Arc::clone(input.event()))
        };
        Ok(Box::new(Lines {
            trigger: firing.trigger.to_owned(),
            events: firing.events.iter().map(event).collect(),
            interval: self.interval,
        }))
    }

    fn parallel(&self) -> usize {
        // An effect that takes no time: only acknowledgements are under way.
        2048
    }
}

struct Lines {
    trigger: String,
    events: Vec<(String, Arc<Event>)>,
    interval: Duration,
}

/// The payload as text.
fn text(event: &Event) -> Cow<'_, str> {
    let Some(data) = &event.data else {
        return Cow::Borrowed("");
    };
    match event.content_type.as_str() {
        "application/json" | "text/plain" => String::from_utf8_lossy(data),
        _ => Cow::Owned(STANDARD.encode(data)),
    }
}

#[async_trait]
impl Effect for Lines {
    fn show(&self) -> Vec<u8> {
        let lines: serde_json::Map<_, _> = self
            .events
            .iter()
            .map(|(name, event)| (name.clone(), text(event).into()))
            .collect();
        serde_json::Value::Object(lines).to_string().into_bytes()
    }

    async fn perform(&self, world: &World) -> Result<Fired, FireError> {
        if !self.interval.is_zero() && !world.may_log(&self.trigger, self.interval) {
            return Ok(Fired::Logged);
        }
        if tracing::enabled!(tracing::Level::INFO) {
            for (name, event) in &self.events {
                tracing::info!(
                    dependencyName = name,
                    triggerName = self.trigger,
                    triggerType = "Log",
                    eventContext = tiphys_core::envelope::context(event),
                    "{}",
                    text(event)
                );
            }
        }
        Ok(Fired::Logged)
    }
}
