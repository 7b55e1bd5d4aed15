//! Transforms: jq or Lua change a payload before it is filtered and used (reference `bus-and-sensor.md`, section 9).
//! Bounded in time and memory by the dialects; the context of the event stays as it is.

use std::sync::Arc;

use tiphys_core::Event;
use tiphys_lang::{Value, json};

use crate::dialect::Flaw;
use crate::spec::TransformSpec;

/// A compiled Lua script.
#[derive(Debug)]
pub(crate) struct Script;

impl Script {
    pub(crate) fn holds(&self, _event: &Value) -> Result<bool, String> {
        Err("pending".into())
    }
    fn transform(&self, _event: &Value) -> Result<String, String> {
        Err("pending".into())
    }
}

/// A compiled jq filter.
#[derive(Debug)]
pub(crate) struct Jq;

impl Jq {
    fn transform(&self, _event: &Value) -> Result<String, String> {
        Err("pending".into())
    }
}

/// Compiles a Lua script.
pub(crate) fn compile_script(_text: &str) -> Result<Script, Flaw> {
    Ok(Script)
}

/// Compiles a jq filter.
pub(crate) fn compile_jq(_text: &str) -> Result<Jq, Flaw> {
    Ok(Jq)
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
pub struct TransformError(String);

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
