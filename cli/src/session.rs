//! A local run as `run` and `demo` share it: objects from files brought in, in order, and kept in step.
//! It decides nothing about events.

use std::collections::HashMap;
use std::time::Duration;

use kube::Client;
use tiphys_controller::apply::{Applied, Applier, ApplyError, Outcome, rank};
use tiphys_controller::{Host, Kind, ObjectKey};
use tiphys_core::manifest::Document;
use tiphys_core::tasks::chain;

/// How long new Sensors are waited for before new EventSources are let in.
const SUBSCRIBED: Duration = Duration::from_secs(5);

/// The objects of a local run.
pub(crate) struct Session {
    applier: Applier,
    /// Objects without a name, which are created once and not at every change of another file.
    submitted: HashMap<String, Applied>,
}

/// What became of one pass over the files.
#[derive(Default)]
pub(crate) struct Pass {
    pub applied: Vec<Applied>,
    pub removed: Vec<Applied>,
    pub failed: Vec<ApplyError>,
}

impl Session {
    /// Learns the kinds of the API.
    pub(crate) async fn connect(client: Client, namespace: &str) -> anyhow::Result<Self> {
        Ok(Self {
            applier: Applier::connect(client, namespace).await?,
            submitted: HashMap::new(),
        })
    }

    /// Makes the API hold what the documents say. `all` tells whether they are everything, so that the rest goes.
    pub(crate) async fn bring(
        &mut self,
        documents: &[&Document],
        host: Option<&Host>,
        all: bool,
    ) -> Pass {
        let mut pass = Pass::default();
        let mut ordered: Vec<&Document> = documents.to_vec();
        ordered.sort_by_key(|document| rank(document));
        let mut sensors = Vec::new();
        let mut waited = false;
        for document in ordered {
            if rank(document) > 4 && !waited {
                waited = true;
                if let Some(host) = host {
                    subscribed(host, &sensors).await;
                }
            }
            match self.bring_one(document).await {
                Ok(applied) => {
                    if applied.kind == "Sensor" && applied.outcome != Outcome::Unchanged {
                        let (namespace, name) = (applied.namespace.clone(), applied.name.clone());
                        sensors.push(ObjectKey {
                            kind: Kind::Sensor,
                            namespace,
                            name,
                        });
                    }
                    pass.applied.push(applied);
                }
                Err(error) => pass.failed.push(error),
            }
        }
        // What could not be brought in is still wanted, so nothing is known to be gone.
        if all && pass.failed.is_empty() {
            match self.applier.prune(&pass.applied).await {
                Ok(removed) => pass.removed = removed,
                Err(error) => pass.failed.push(error),
            }
        }
        pass
    }

    async fn bring_one(&mut self, document: &Document) -> Result<Applied, ApplyError> {
        if !document.name().is_empty() {
            return self.applier.apply(document).await;
        }
        let text = document.object.to_string();
        if let Some(before) = self.submitted.get(&text) {
            return Ok(Applied {
                outcome: Outcome::Unchanged,
                ..before.clone()
            });
        }
        let applied = self.applier.apply(document).await?;
        self.submitted.insert(text, applied.clone());
        Ok(applied)
    }
}

/// Waits until the host has taken up the Sensors, ready or not: their EventSources come next.
async fn subscribed(host: &Host, sensors: &[ObjectKey]) {
    let mut state = host.state();
    let seen =
        state.wait_for(|snapshot| sensors.iter().all(|key| snapshot.objects.contains_key(key)));
    if tokio::time::timeout(SUBSCRIBED, seen).await.is_err() {
        tracing::warn!("new sensors are not running yet; their first events may be missed");
    }
}

impl Pass {
    /// Says what has changed, one line an object.
    pub(crate) fn log(&self) {
        for applied in &self.applied {
            let (kind, namespace, name) = (&applied.kind, &applied.namespace, &applied.name);
            match applied.outcome {
                Outcome::Created => tracing::info!(kind, namespace, name, "created"),
                Outcome::Configured => tracing::info!(kind, namespace, name, "configured"),
                Outcome::Unchanged => tracing::debug!(kind, namespace, name, "unchanged"),
            }
        }
        for removed in &self.removed {
            tracing::info!(
                kind = removed.kind,
                namespace = removed.namespace,
                name = removed.name,
                "removed"
            );
        }
        for error in &self.failed {
            tracing::error!("{}", chain(error));
        }
    }
}
