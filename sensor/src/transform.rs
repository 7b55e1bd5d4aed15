//! Transforms: jq or Lua change a payload before it is filtered and used (reference `bus-and-sensor.md`, section 9).
//! Bounded in time and memory by the dialects; the context of the event stays as it is.

use std::sync::Arc;

use tiphys_core::Event;
use tiphys_lang::jq::{self, JqError};
use tiphys_lang::lua::{self, ScriptError};
use tiphys_lang::{Value, json};

use crate::dialect::Flaw;
use crate::spec::TransformSpec;

/// A compiled Lua script.
#[derive(Debug)]
pub(crate) struct Script(lua::Script);

impl Script {
    /// Whether the script returns the boolean true.
    pub(crate) fn holds(&self, event: &Value) -> Result<bool, String> {
        self.0.eval_filter(event).map_err(|error| error.to_string())
    }

    fn transform(&self, event: &Value) -> Result<String, String> {
        self.0
            .transform(event)
            .map(|made| written(&made))
            .map_err(|error| error.to_string())
    }
}

/// As Argo writes a transformed payload: sorted keys, `<`, `>` and `&` escaped.
fn written(value: &Value) -> String {
    let mut out = String::new();
    json::write(value, json::Escape::Html, &mut out);
    out
}

/// A compiled jq filter.
#[derive(Debug)]
pub(crate) struct Jq(jq::Filter);

impl Jq {
    fn transform(&self, event: &Value) -> Result<String, String> {
        self.0
            .transform(event)
            .map(|made| written(&made))
            .map_err(|error| error.to_string())
    }
}

/// Compiles a Lua script.
pub(crate) fn compile_script(text: &str) -> Result<Script, Flaw> {
    lua::Script::compile(text)
        .map(Script)
        .map_err(|error| match error {
            ScriptError::Syntax { what, line } => Flaw {
                line,
                column: 1,
                message: what,
            },
            other => Flaw::at(text, 0, other.to_string()),
        })
}

/// Compiles a jq filter.
pub(crate) fn compile_jq(text: &str) -> Result<Jq, Flaw> {
    jq::Filter::compile(text)
        .map(Jq)
        .map_err(|error| match error {
            JqError::Compile { what, offset } => Flaw::at(text, offset, what),
            other => Flaw::at(text, 0, other.to_string()),
        })
}

/// The payload of a script: an object, or nothing in its place for `null`.
pub(crate) fn object_of(payload: &[u8]) -> Result<Value, String> {
    match json::parse(payload).map_err(|error| error.to_string())? {
        Value::Null => Ok(Value::Object(tiphys_lang::Map::new())),
        object @ Value::Object(_) => Ok(object),
        other => Err(format!(
            "the payload must be a JSON object, not {}",
            other.kind()
        )),
    }
}

/// A compiled transform.
#[derive(Debug)]
pub(crate) enum Transform {
    Jq(Result<Jq, Flaw>),
    Script(Result<Script, Flaw>),
}

/// Why a payload could not be transformed; the event does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot transform the event: {0}")]
pub(crate) struct TransformError(String);

impl Transform {
    /// Compiles what the spec says; jq wins.
    pub(crate) fn new(spec: &TransformSpec) -> Option<Self> {
        if !spec.jq.is_empty() {
            return Some(Self::Jq(compile_jq(&spec.jq)));
        }
        (!spec.script.is_empty()).then(|| Self::Script(compile_script(&spec.script)))
    }

    /// The event with its payload changed; an event without a payload stays as it is.
    pub(crate) fn apply(&self, event: &Arc<Event>) -> Result<Arc<Event>, TransformError> {
        let Some(data) = &event.data else {
            return Ok(Arc::clone(event));
        };
        let made = match self {
            Self::Jq(jq) => jq.as_ref().map_err(ToString::to_string).and_then(|jq| {
                let input = json::parse(data).map_err(|error| error.to_string())?;
                jq.transform(&input)
            }),
            Self::Script(script) => script
                .as_ref()
                .map_err(ToString::to_string)
                .and_then(|script| script.transform(&object_of(data)?)),
        };
        let mut changed = Event::clone(event);
        changed.data = Some(made.map_err(TransformError)?.into());
        changed.content_type = "application/json".to_owned();
        Ok(Arc::new(changed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{event, yaml};

    fn transformed(spec: &str, payload: &str) -> Result<String, TransformError> {
        let spec: TransformSpec = yaml(spec);
        let made = Transform::new(&spec)
            .unwrap()
            .apply(&Arc::new(event("e", payload)))?;
        Ok(String::from_utf8(made.data.clone().unwrap().to_vec()).unwrap())
    }

    #[test]
    fn scripts_change_payloads_as_the_reference_says() {
        let script = "{script: 'event.c.d[2] = 4 return event'}";
        let payload = r#"{"a":1,"b":"2","c":{"d":[3]}}"#;
        assert_eq!(
            transformed(script, payload).unwrap(),
            r#"{"a":1,"b":"2","c":{"d":[3,4]}}"#
        );
        for (case, script, payload) in [
            ("L2", "{script: 'return \"x\"'}", "{}"),
            ("L8", "{script: 'event.a = 5'}", r#"{"a":1}"#),
            ("array", "{script: 'return event'}", "[1]"),
        ] {
            assert!(transformed(script, payload).is_err(), "{case}");
        }
    }

    #[test]
    fn jq_changes_payloads_as_the_reference_says() {
        for (case, filter, payload, expected) in [
            (
                "J1",
                ".a += 1 | .b *= 2",
                r#"{"a":1,"b":"2"}"#,
                r#"{"a":2,"b":"22"}"#,
            ),
            ("J2", ".", r#"{"b":1,"a":2}"#, r#"{"a":2,"b":1}"#),
            ("J3", "{x:.a},{y:.a}", r#"{"a":1}"#, r#"{"x":1}"#),
            ("J8", ".", r#"{"s":"<&>"}"#, r#"{"s":"\u003c\u0026\u003e"}"#),
            (
                "J9",
                ".a |= fromjson",
                r#"{"a":"{\"x\":1}"}"#,
                r#"{"a":{"x":1}}"#,
            ),
        ] {
            let spec = serde_json::json!({"jq": filter}).to_string();
            assert_eq!(transformed(&spec, payload).unwrap(), expected, "{case}");
        }
        for (case, filter, payload) in [
            ("J4", ".a", r#"{"a":1}"#),
            ("J4", "empty", r#"{"a":1}"#),
            ("J4", "error(\"x\")", r#"{"a":1}"#),
            ("J6", "{x:.}", "[1]"),
            ("J6", "{x:.}", "not JSON"),
        ] {
            let spec = serde_json::json!({"jq": filter}).to_string();
            assert!(transformed(&spec, payload).is_err(), "{case}");
        }
    }

    #[test]
    fn an_event_without_payload_stays_as_it_is() {
        let spec: TransformSpec = yaml("{script: 'return {}'}");
        let nothing = Arc::new(Event {
            data: None,
            ..event("e", "")
        });
        let made = Transform::new(&spec).unwrap().apply(&nothing).unwrap();
        assert_eq!(made, nothing);
    }
}
