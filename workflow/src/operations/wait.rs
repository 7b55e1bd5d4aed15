//! Waits for a Workflow's end. It never changes anything.

use std::time::Duration;

use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::wait::await_condition;
use kube::{Api, Client};
use serde_json::Value;
use tiphys_core::tasks::chain;

/// How often the API may fail in a row before waiting is given up.
const PATIENCE: u32 = 5;

/// How long a failed watch is left alone.
const PAUSE: Duration = Duration::from_millis(500);

/// How a Workflow has ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Ended {
    /// It has run to its end.
    Done {
        /// `Succeeded`, `Failed` or `Error`.
        phase: String,
        /// Why, for people.
        message: String,
        /// When, as it says.
        finished_at: String,
    },
    /// It is not there, or not any more.
    Gone,
}

/// Waits until the Workflow has ended or is gone.
///
/// # Errors
/// When the API keeps failing, in words.
pub async fn wait(client: &Client, namespace: &str, name: &str) -> Result<Ended, String> {
    let kind = GroupVersionKind::gvk("argoproj.io", "v1alpha1", "Workflow");
    let kind = ApiResource::from_gvk_with_plural(&kind, "workflows");
    let mut failures = 0;
    loop {
        let api = Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &kind);
        let ended = |workflow: Option<&DynamicObject>| {
            workflow.is_none_or(|workflow| done(workflow).is_some())
        };
        match await_condition(api, name, ended).await {
            Ok(None) => return Ok(Ended::Gone),
            Ok(Some(workflow)) => {
                if let Some(ended) = done(&workflow) {
                    return Ok(ended);
                }
            }
            Err(error) => {
                failures += 1;
                if failures >= PATIENCE {
                    return Err(format!(
                        "cannot watch workflow {namespace}/{name}: {}",
                        chain(&error)
                    ));
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn done(workflow: &DynamicObject) -> Option<Ended> {
    let text = |path: &str| {
        let found = workflow.data.pointer(path).and_then(Value::as_str);
        found.unwrap_or_default().to_owned()
    };
    let phase = text("/status/phase");
    matches!(phase.as_str(), "Succeeded" | "Failed" | "Error").then(|| Ended::Done {
        phase,
        message: text("/status/message"),
        finished_at: text("/status/finishedAt"),
    })
}
