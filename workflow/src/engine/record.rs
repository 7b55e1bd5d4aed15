//! The status of one Workflow while it runs: changed in memory, written to the API, many changes in one patch.
//! It never decides what happens next.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};
use tiphys_core::backoff::Backoff;
use tokio_util::sync::CancellationToken;

use super::{Call, NodeEnd, Unwind};
use crate::operations::difference;
use crate::resource::{Node, NodePhase, Workflow, WorkflowCondition, WorkflowStatus};

/// The status and how much of it is written.
pub(super) struct Record {
    api: Api<Workflow>,
    name: String,
    uid: String,
    status: Mutex<Versioned>,
    /// What the API has. Held while writing, so that writes do not overtake each other.
    written: tokio::sync::Mutex<Written>,
    stop: CancellationToken,
}

/// What was written last.
struct Written {
    /// Which change.
    version: u64,
    /// The status as it was written, so that only what changes is written again: others may have ended steps that wait.
    status: Value,
    /// The version of the object then.
    resource: u64,
}

struct Versioned {
    status: WorkflowStatus,
    version: u64,
}

impl Record {
    pub(super) fn new(client: Client, workflow: &Workflow, stop: CancellationToken) -> Self {
        Self {
            api: Api::namespaced(client, &workflow.namespace().unwrap_or_default()),
            name: workflow.name_any(),
            uid: workflow.uid().unwrap_or_default(),
            status: Mutex::new(Versioned {
                status: workflow.status.clone().unwrap_or_default(),
                version: 0,
            }),
            written: tokio::sync::Mutex::new(Written {
                version: 0,
                status: json!(workflow.status.clone().unwrap_or_default()),
                resource: 0,
            }),
            stop,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Versioned> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<R>(&self, change: impl FnOnce(&mut WorkflowStatus) -> R) -> R {
        let mut held = self.lock();
        held.version += 1;
        change(&mut held.status)
    }

    /// Marks the Workflow as running. It is written with the first node.
    pub(super) fn begin(&self) {
        self.change(|status| {
            status.phase = NodePhase::Running;
            status.started_at.get_or_insert_with(now);
            status.conditions = vec![condition("PodRunning", "True")];
        });
    }

    /// Ends the Workflow because its spec cannot run.
    pub(super) async fn refuse(&self, why: &str) -> Result<u64, Unwind> {
        self.change(|status| status.started_at.get_or_insert_with(now).clone());
        self.finish(NodePhase::Failed, &format!("invalid spec: {why}"))
            .await
    }

    /// Ends the Workflow, and gives the version of the object that says so.
    pub(super) async fn finish(&self, phase: NodePhase, message: &str) -> Result<u64, Unwind> {
        self.change(|status| {
            status.phase = if matches!(phase, NodePhase::Skipped | NodePhase::Omitted) {
                NodePhase::Succeeded
            } else {
                phase
            };
            status.message = message.to_owned();
            status.finished_at = Some(now());
            status.conditions = vec![
                condition("PodRunning", "False"),
                condition("Completed", "True"),
            ];
        });
        self.save().await?;
        Ok(self.written.lock().await.resource)
    }

    /// Seconds after the start of the Workflow, on the clock of this process.
    pub(super) fn deadline(&self, secs: i64) -> Option<tokio::time::Instant> {
        let started: jiff::Timestamp = self.lock().status.started_at.as_ref()?.parse().ok()?;
        let left = secs.saturating_sub(
            jiff::Timestamp::now()
                .as_second()
                .saturating_sub(started.as_second()),
        );
        let left = Duration::from_secs(u64::try_from(left).unwrap_or(0));
        Some(tokio::time::Instant::now() + left)
    }

    /// What a node has become, if it is done.
    pub(super) fn done(&self, id: &str) -> Option<NodeEnd> {
        let held = self.lock();
        let node = held
            .status
            .nodes
            .get(id)
            .filter(|node| node.phase.is_done())?;
        let outbound = if node.kind == "Steps" {
            node.outbound_nodes.clone()
        } else {
            vec![id.to_owned()]
        };
        Some(NodeEnd {
            id: id.to_owned(),
            phase: node.phase,
            message: node.message.clone(),
            outbound,
        })
    }

    /// A copy of a node.
    pub(super) fn node(&self, id: &str) -> Option<Node> {
        self.lock().status.nodes.get(id).cloned()
    }

    /// Makes a node, or takes up the one that an earlier run has left.
    pub(super) fn open(
        &self,
        id: &str,
        kind: &str,
        call: &Call<'_>,
        phase: NodePhase,
        fill: impl FnOnce(&mut Node),
    ) {
        self.change(|status| {
            let node = status.nodes.entry(id.to_owned()).or_default();
            id.clone_into(&mut node.id);
            node.name.clone_from(&call.name);
            node.display_name.clone_from(&call.display_name);
            kind.clone_into(&mut node.kind);
            match call.template_ref {
                Some(reference) => node.template_ref = Some(reference.clone()),
                None => call.template.clone_into(&mut node.template_name),
            }
            node.template_scope = call.scope.label();
            call.boundary.clone_into(&mut node.boundary_id);
            node.phase = phase;
            node.started_at.get_or_insert_with(now);
            fill(node);
        });
    }

    /// Changes a node that exists.
    pub(super) fn with(&self, id: &str, change: impl FnOnce(&mut Node)) {
        self.change(|status| {
            if let Some(node) = status.nodes.get_mut(id) {
                change(node);
            }
        });
    }

    /// Hangs `child` under each of `parents`.
    pub(super) fn link(&self, parents: &[String], child: &str) {
        for parent in parents {
            self.with(parent, |node| {
                if !node.children.iter().any(|known| known == child) {
                    node.children.push(child.to_owned());
                }
            });
        }
    }

    /// Ends a node.
    pub(super) fn close(&self, id: &str, phase: NodePhase, message: &str) {
        self.change(|status| {
            if let Some(node) = status.nodes.get_mut(id) {
                node.phase = phase;
                message.clone_into(&mut node.message);
                node.finished_at = Some(now());
            }
            progress(status);
        });
    }

    /// Makes and ends a node that could not run, and writes it.
    pub(super) async fn errored(
        &self,
        id: &str,
        call: &Call<'_>,
        message: &str,
    ) -> Result<NodeEnd, Unwind> {
        self.open(id, "Skipped", call, NodePhase::Error, |_| {});
        self.close(id, NodePhase::Error, message);
        self.save().await?;
        Ok(NodeEnd {
            id: id.to_owned(),
            phase: NodePhase::Error,
            message: message.to_owned(),
            outbound: vec![id.to_owned()],
        })
    }

    /// Writes what is not written yet. Several callers share one patch.
    pub(super) async fn save(&self) -> Result<(), Unwind> {
        let wanted = self.lock().version;
        let mut written = self.written.lock().await;
        if written.version >= wanted {
            return Ok(());
        }
        let (version, status, patch) = {
            let mut held = self.lock();
            progress(&mut held.status);
            let completed = held.status.phase.is_done().to_string();
            let labels = json!({
                "workflows.argoproj.io/phase": held.status.phase.as_str(),
                "workflows.argoproj.io/completed": completed,
            });
            let annotations = json!({"workflows.argoproj.io/pod-name-format": "v2"});
            // The uid keeps the patch from a new object of the same name.
            let metadata = json!({"uid": self.uid, "labels": labels, "annotations": annotations});
            let status = json!(held.status);
            let change = difference(&written.status, &status).unwrap_or_else(|| json!({}));
            let patch = json!({"metadata": metadata, "status": change});
            (held.version, status, patch)
        };
        let backoff = Backoff::reconnect();
        for attempt in 1.. {
            match self
                .api
                .patch(&self.name, &PatchParams::default(), &Patch::Merge(&patch))
                .await
            {
                Ok(object) => {
                    let version = object.resource_version();
                    let version = version.and_then(|version| version.parse().ok());
                    written.resource = version.unwrap_or_default();
                    break;
                }
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409 | 422) => {
                    tracing::debug!(
                        workflow = self.name,
                        reason = status.message,
                        "the object is gone"
                    );
                    return Err(Unwind::Gone);
                }
                Err(error) => {
                    if attempt == 1 {
                        tracing::warn!(workflow = self.name, error = %tiphys_core::tasks::chain(&error), "cannot write status, trying again");
                    }
                    let wait = backoff.wait_after(attempt).unwrap_or_default();
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        () = self.stop.cancelled() => return Err(Unwind::Stopped),
                    }
                }
            }
        }
        written.version = version;
        written.status = status;
        Ok(())
    }
}

/// Counts the leaves, on the Workflow and on each node that has some below it.
fn progress(status: &mut WorkflowStatus) {
    let pods = status.nodes.values().filter(|node| node.kind == "Pod");
    let (mut done, mut all) = (0_usize, 0_usize);
    for pod in pods {
        all += 1;
        done += usize::from(pod.phase == NodePhase::Succeeded);
    }
    status.progress = format!("{done}/{all}");
    for node in status.nodes.values_mut().filter(|node| node.kind == "Pod") {
        node.progress = format!("{}/1", usize::from(node.phase == NodePhase::Succeeded));
    }
}

fn condition(kind: &str, status: &str) -> WorkflowCondition {
    WorkflowCondition {
        kind: kind.to_owned(),
        status: status.to_owned(),
        message: String::new(),
    }
}

/// The time as Kubernetes writes it: whole seconds, UTC.
fn now() -> String {
    let now = jiff::Timestamp::now();
    jiff::Timestamp::from_second(now.as_second())
        .unwrap_or(now)
        .to_string()
}
