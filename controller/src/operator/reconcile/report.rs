//! Writes what has become of an object into its status, and an Event where that is news. Nothing where nothing is new.

use std::sync::Arc;

use jiff::Timestamp;
use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};
use tiphys_core::tasks::chain;

use super::{Context, Outcome};
use crate::operator::apply::MANAGER;
use crate::operator::conditions::{Conditions, Said, Truth};
use crate::operator::known::Known;
use crate::operator::notices::Weight;
use crate::operator::queue::Next;

/// Writes the conditions, with `Ready`, and, for a bus, its configuration.
pub(super) async fn report(
    context: &Context,
    known: &Known,
    conditions: &Conditions,
    ready: Said,
    config: Option<Value>,
    outcome: &mut Outcome,
) {
    let now = Timestamp::from_second(Timestamp::now().as_second())
        .map_or_else(|_| String::new(), |now| now.to_string());
    let old = known.status();
    let mut status = old.clone();
    if !status.is_object() {
        status = json!({});
    }
    if let Some(members) = status.as_object_mut() {
        members.insert(
            "conditions".to_owned(),
            conditions.written(&ready, old, &now),
        );
        members.insert("observedGeneration".to_owned(), json!(known.generation));
        if let Some(config) = config {
            members.insert("config".to_owned(), config);
        }
    }
    if status == *old {
        return;
    }
    let news = is_news(old, &ready);
    match write(context, known, &status).await {
        Ok(()) => {
            outcome.status = Some((Arc::new(known.clone()), status));
        }
        // It is gone, and so is what was to be said.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => return,
        Err(error) => {
            tracing::warn!(
                kind = known.key.kind.as_str(),
                namespace = known.key.namespace,
                name = known.key.name,
                error = %chain(&error),
                "cannot write the status"
            );
            outcome.next = Next::Retry;
            return;
        }
    }
    if news {
        tell(context, known, &ready).await;
    }
}

async fn write(context: &Context, known: &Known, status: &Value) -> Result<(), kube::Error> {
    let api = Api::<DynamicObject>::namespaced_with(
        context.client.clone(),
        &known.key.namespace,
        &known.key.kind.resource(),
    );
    // The uid keeps a status from reaching another object of the same name. A config is replaced, not merged.
    let mut patch = json!({ "metadata": { "uid": known.uid }, "status": status });
    if let (Some(Value::Object(old)), Some(Value::Object(new))) = (
        known.status().get("config"),
        patch.pointer_mut("/status/config"),
    ) {
        for key in old.keys() {
            new.entry(key.clone()).or_insert(Value::Null);
        }
        for (key, member) in new.iter_mut() {
            forget(old.get(key), member);
        }
    }
    let params = PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    api.patch_status(&known.key.name, &params, &Patch::Merge(&patch))
        .await
        .map(drop)
}

/// Says in a merge patch that members are gone.
fn forget(old: Option<&Value>, new: &mut Value) {
    if let (Some(Value::Object(old)), Value::Object(new)) = (old, new) {
        for (key, old) in old {
            let member = new.entry(key.clone()).or_insert(Value::Null);
            forget(Some(old), member);
        }
    }
}

/// Whether `Ready` says something else than before, so that somebody who follows the Events should hear of it.
fn is_news(old: &Value, ready: &Said) -> bool {
    let before = old
        .get("conditions")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .find(|condition| condition.get("type").and_then(Value::as_str) == Some("Ready"));
    let text = |key: &str| {
        before
            .and_then(|before| before.get(key))
            .and_then(Value::as_str)
    };
    match ready.truth {
        Truth::Unknown => false,
        Truth::True => text("status") != Some("True"),
        Truth::False => {
            text("reason") != Some(&ready.reason) || text("message") != Some(&ready.message)
        }
    }
}

async fn tell(context: &Context, known: &Known, ready: &Said) {
    let (kind, namespace, name) = (
        known.key.kind.as_str(),
        &known.key.namespace,
        &known.key.name,
    );
    let weight = match ready.truth {
        Truth::False => {
            let reason = &ready.reason;
            tracing::warn!(
                kind,
                namespace,
                name,
                reason,
                "not ready: {}",
                ready.message
            );
            Weight::Warning
        }
        Truth::True | Truth::Unknown => {
            tracing::info!(kind, namespace, name, "ready: {}", ready.message);
            Weight::Normal
        }
    };
    let notices = &context.notices;
    notices
        .say(known, weight, "Reconcile", &ready.reason, &ready.message)
        .await;
}
