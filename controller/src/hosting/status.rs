//! Writes the state of hosted objects into their status: the last state of each, again until it is written.
//! It never decides a state.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;
use tiphys_core::Tasks;
use tiphys_core::backoff::Backoff;
use tokio::sync::mpsc;

use super::state::{ObjectKey, ObjectState};

type Pending = BTreeMap<ObjectKey, (ObjectState, Option<i64>)>;

/// Takes states and writes them in the background.
pub(crate) struct StatusWriter {
    queue: mpsc::UnboundedSender<(ObjectKey, ObjectState, Option<i64>)>,
}

impl StatusWriter {
    /// Starts the task that writes.
    pub(crate) fn spawn(client: Client, tasks: &Tasks) -> Self {
        let (queue, mut states) =
            mpsc::unbounded_channel::<(ObjectKey, ObjectState, Option<i64>)>();
        let stop = tasks.stop_token();
        tasks.spawn("status writer", async move {
            let backoff = Backoff::reconnect();
            let mut pending = Pending::new();
            let mut attempt = 0_u32;
            loop {
                let wait = async {
                    if pending.is_empty() {
                        std::future::pending::<()>().await;
                    } else if attempt > 0 {
                        tokio::time::sleep(backoff.wait_after(attempt).unwrap_or_default()).await;
                    }
                };
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return Ok::<(), std::convert::Infallible>(()),
                    state = states.recv() => match state {
                        // States are one for each change of an object, so the queue is as long as there are objects.
                        Some((key, state, generation)) => drop(pending.insert(key, (state, generation))),
                        None => {
                            stop.cancelled().await;
                            return Ok(());
                        }
                    },
                    () = wait => {
                        attempt = if write_all(&client, &mut pending).await { 0 } else { attempt.saturating_add(1) };
                    }
                }
            }
        });
        Self { queue }
    }

    /// Has a state written. Only the latest of an object counts.
    pub(crate) fn write(&self, key: ObjectKey, state: ObjectState, generation: Option<i64>) {
        if self.queue.send((key, state, generation)).is_err() {
            tracing::debug!("the status writer has ended");
        }
    }
}

/// Writes what is pending; false where the API did not take all of it.
async fn write_all(client: &Client, pending: &mut Pending) -> bool {
    while let Some((key, (state, generation))) = pending.pop_first() {
        let api = Api::<DynamicObject>::namespaced_with(
            client.clone(),
            &key.namespace,
            &key.kind.resource(),
        );
        let word = if state.ready { "True" } else { "False" };
        let patch = json!({"status": {
            "observedGeneration": generation,
            "conditions": [{
                "type": "Ready",
                "status": word,
                "reason": state.reason,
                "message": state.message,
                "lastTransitionTime": Timestamp::from_second(Timestamp::now().as_second()).ok().map(|now| now.to_string()),
            }],
        }});
        match api
            .patch_status(&key.name, &PatchParams::default(), &Patch::Merge(&patch))
            .await
        {
            Ok(_) => {}
            // The object is gone, or its kind has no status: nothing to write to.
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => {
                tracing::debug!(error = %tiphys_core::tasks::chain(&error), "cannot write a status, trying again");
                pending.insert(key, (state, generation));
                return false;
            }
        }
    }
    true
}
