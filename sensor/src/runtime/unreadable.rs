//! What can be told of a message that is no event: where it is on the bus, what its envelope says all the same, and why it
//! cannot be read. Nothing of its payload, and nothing that looks like a credential. Pure.

use bytes::Bytes;
use serde_json::Value;
use serde_json::error::Category;
use tiphys_core::Event;
use tiphys_core::envelope::EnvelopeError;
use tiphys_eventbus::Message;

use crate::record::shown;

/// The event of a decision about a message that is none.
pub(super) fn event_of(message: &Message) -> Event {
    let said: Value = serde_json::from_slice(&message.raw).unwrap_or_default();
    let text = |name: &str| said.get(name).and_then(Value::as_str).map(shown);
    let subject = message.came_as.as_ref();
    let mut event = Event::new(
        &text("source")
            .or_else(|| subject.map(|subject| shown(&subject.source)))
            .unwrap_or_default(),
        &text("type").unwrap_or_default(),
        &text("subject")
            .or_else(|| subject.map(|subject| shown(&subject.event)))
            .unwrap_or_default(),
        Bytes::new(),
    );
    event.id = text("id")
        .filter(|id| !id.is_empty())
        .unwrap_or_else(|| format!("unreadable-{}", message.seq));
    (event.data, event.time) = (None, None);
    event
}

/// Why it cannot be read. What a parser says of wrong values repeats them, so only the place is told.
pub(super) fn reason(error: &EnvelopeError) -> String {
    match error {
        EnvelopeError::Json(error) => {
            let what = match error.classify() {
                Category::Data => "a member of its envelope has the wrong type",
                Category::Eof => "its envelope ends too early",
                Category::Syntax | Category::Io => "its envelope is no JSON",
            };
            let (line, column) = (error.line(), error.column());
            format!("the message is no event: {what} (line {line}, column {column})")
        }
        EnvelopeError::Rule(said) => {
            format!("the message is no event: its envelope {}", shown(said))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tiphys_core::envelope;

    #[test]
    fn the_reason_tells_the_place_and_no_value() {
        for (text, expected) in [
            (
                "hunter2",
                "the message is no event: its envelope is no JSON (line 1, column 1)",
            ),
            (
                r#"{"specversion":"1.0","id":"#,
                "the message is no event: its envelope ends too early (line 1, column 26)",
            ),
            (
                r#"{"specversion":"1.0","id":7}"#,
                "the message is no event: a member of its envelope has the wrong type (line 1, column 27)",
            ),
            (
                r#"{"id":"hunter2"}"#,
                "the message is no event: its envelope has no specversion",
            ),
            (
                r#"{"specversion":"1.0","data_base64":"hunter2!"}"#,
                "the message is no event: its envelope has data_base64 that is not base64",
            ),
            (
                r#"{"specversion":"Bearer hunter2"}"#,
                "the message is no event: its envelope ***",
            ),
        ] {
            let error = envelope::decode(text.as_bytes()).unwrap_err();
            assert_eq!(reason(&error), expected);
        }
    }
}
