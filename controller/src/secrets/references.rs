//! Says which of the values that a spec refers to are missing. Values are dropped unseen.

use serde_json::Value;
use tiphys_core::refs::KeyRef;
use tiphys_core::tasks::chain;
use tiphys_core::{SecretError, Secrets};

use crate::operator::workload::references::{Holder, Reference, of_spec};

/// A sentence for each value that the runtime of a spec would not get.
pub(crate) async fn missing(spec: &Value, secrets: &dyn Secrets) -> Vec<String> {
    let mut missing = Vec::new();
    // What is not mounted reaches a container by its environment, which is not read here.
    for reference in of_spec(spec)
        .into_iter()
        .filter(|reference| reference.mounted)
    {
        let Reference {
            holder,
            name,
            key: Some(key),
            ..
        } = reference
        else {
            continue;
        };
        let at = KeyRef {
            name,
            key,
            optional: None,
        };
        let read = match holder {
            Holder::Secret => secrets.secret(&at).await.map(drop),
            Holder::ConfigMap => secrets.config(&at).await.map(drop),
        };
        if let Err(error) = read {
            missing.push(match &error {
                SecretError::Unavailable { .. } => chain(&error),
                _ => error.to_string(),
            });
        }
    }
    missing
}
