//! Fixtures for this crate's tests: events by dependency, parameters from YAML, and a world without secrets.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tiphys_core::refs::KeyRef;
use tiphys_core::{Event, Secret, SecretError, Secrets};

use crate::document::{Events, Input};
use crate::spec::ParameterSpec;

/// An event of webhook `example`, with an id made from its payload's place in the test.
pub(crate) fn event(id: &str, payload: &str) -> Event {
    let data = Bytes::copy_from_slice(payload.as_bytes());
    let mut event = Event::new("webhook", "webhook", "example-1", data);
    event.id = id.to_owned();
    event.time = "2026-07-18T10:00:00Z".parse().ok();
    event
}

/// One event for each dependency.
pub(crate) fn events(payloads: &[(&str, &str)]) -> Events {
    let input = |(name, payload): &(&str, &str)| {
        (
            (*name).to_owned(),
            Input::new(Arc::new(event(&format!("{name}1"), payload))),
        )
    };
    payloads.iter().map(input).collect()
}

/// A typed value from YAML.
pub(crate) fn yaml<T: serde::de::DeserializeOwned>(text: &str) -> T {
    let object = tiphys_core::manifest::parse(text).unwrap().remove(0).object;
    serde_json::from_value(object).unwrap()
}

/// Parameters from YAML.
pub(crate) fn parameters(text: &str) -> Vec<ParameterSpec> {
    if text == "[]" { Vec::new() } else { yaml(text) }
}

/// Secrets where none is there.
pub(crate) struct NoSecrets;

#[async_trait]
impl Secrets for NoSecrets {
    async fn secret(&self, at: &KeyRef) -> Result<Secret, SecretError> {
        Err(SecretError::Missing {
            kind: "secret",
            name: at.name.clone(),
            key: at.key.clone(),
        })
    }

    async fn config(&self, at: &KeyRef) -> Result<Bytes, SecretError> {
        self.secret(at).await.map(|_| Bytes::new())
    }
}
