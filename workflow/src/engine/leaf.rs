//! One leaf: from its template to a process, and from its end to the node. It never looks at other nodes.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use kube::ResourceExt as _;
use tokio::time::Instant;

use super::orders::{Gate, LATE, cut_off};
use super::{Call, NodeEnd, Run, Unwind};
use crate::env;
use crate::exec::{self, Ended, Leaf};
use crate::names::pod_name;
use crate::resource::{AnyText, Arguments, NodePhase, Outputs, Template};
use crate::substitute::{self, Variables};

impl Run {
    /// Runs a container or script template.
    pub(super) async fn leaf(
        self: &Arc<Self>,
        id: &str,
        call: &Call<'_>,
        template: &Template,
        inputs: Arguments,
        mut variables: Variables,
    ) -> Result<NodeEnd, Unwind> {
        let workflow = self.workflow.name_any();
        variables.insert(
            "pod.name".to_owned(),
            pod_name(&workflow, &call.name, call.template),
        );
        let template = match substitute::apply(template, &variables) {
            Ok(template) => template,
            Err(error) => return self.record.errored(id, call, &error.to_string()).await,
        };
        let Some(container) = template.container.as_ref().or(template.script.as_ref()) else {
            return self
                .record
                .errored(
                    id,
                    call,
                    "the template is neither container, script nor steps",
                )
                .await;
        };
        let fresh = self.record.node(id).is_none();
        self.record
            .open(id, "Pod", call, NodePhase::Pending, |node| {
                node.inputs = inputs;
            });
        let permit = loop {
            if let Gate::Shut(why) = self.gate().await? {
                return self.ended_as(id, NodePhase::Failed, &why).await;
            }
            let permit = tokio::select! {
                permit = self.shared.leaves.acquire() => permit,
                () = self.control.cut.cancelled() => continue,
            };
            // The Workflow may have been held while this leaf waited for its turn.
            match self.gate().now_or_never() {
                Some(Ok(Gate::Open)) => break permit,
                _ => drop(permit),
            }
        };
        self.record.with(id, |node| node.phase = NodePhase::Running);
        self.record.save().await?;
        let namespace = self.workflow.namespace().unwrap_or_default();
        let uid = self.workflow.uid().unwrap_or_default();
        let folder = self.shared.logs.node(&namespace, &workflow, &uid, id);
        exec::reap(&folder).await;
        if fresh {
            // A retry begins its log anew, as a new pod would.
            drop(tokio::fs::remove_file(folder.join("log")).await);
        }
        let mut env = match env::resolve(&self.shared.client, &namespace, &container.env).await {
            Ok(env) => env,
            Err(error) => {
                return self
                    .ended_as(id, NodePhase::Error, &tiphys_core::tasks::chain(&error))
                    .await;
            }
        };
        env.insert("ARGO_CONTAINER_NAME".to_owned(), "main".to_owned());
        env.insert("ARGO_NODE_ID".to_owned(), id.to_owned());
        env.insert("ARGO_WORKFLOW_NAME".to_owned(), workflow);
        if let Ok(json) = serde_json::to_string(&template) {
            env.insert("ARGO_TEMPLATE".to_owned(), json);
        }
        let own = template.active_deadline_seconds.as_ref().and_then(seconds);
        let own = own.map(|limit| Instant::now() + limit);
        let deadline = [own, self.deadline].into_iter().flatten().min();
        let leaf = Leaf {
            container,
            env,
            folder,
            deadline,
            shims: &self.shared.shims,
        };
        let ended = exec::run(leaf, &self.control.cut).await;
        drop(permit);
        if self.control.stop.is_cancelled() {
            // The node stays as it is, so that the next run starts it again.
            return Err(Unwind::Stopped);
        }
        match ended {
            Ok(ended) => {
                let why = self.why(&ended, own);
                self.ended(id, call, ended, why).await
            }
            Err(error) => {
                let why = tiphys_core::tasks::chain(&error);
                self.ended_as(id, NodePhase::Error, &why).await
            }
        }
    }

    /// Why a leaf was stopped, if it was.
    fn why(&self, ended: &Ended, own: Option<Instant>) -> Option<String> {
        let stopped = ended.stopped?;
        let first = |own: Instant| self.deadline.is_none_or(|deadline| own <= deadline);
        Some(match self.shutdown() {
            Some(how) => cut_off(&how),
            None if own.is_some_and(first) => stopped.to_owned(),
            None => LATE.to_owned(),
        })
    }

    async fn ended(
        &self,
        id: &str,
        call: &Call<'_>,
        ended: Ended,
        why: Option<String>,
    ) -> Result<NodeEnd, Unwind> {
        let (phase, message) = match (why, ended.exit_code) {
            (Some(why), _) => (NodePhase::Failed, why),
            (None, 0) => (NodePhase::Succeeded, String::new()),
            (None, code) => (NodePhase::Failed, format!("main: Error (exit code {code})")),
        };
        let result = call.capture.then_some(ended.stdout);
        let outputs = Outputs {
            result,
            exit_code: Some(ended.exit_code.to_string()),
            ..Outputs::default()
        };
        self.record.with(id, |node| node.outputs = Some(outputs));
        self.record.close(id, phase, &message);
        // The root's end is written with the Workflow's own.
        if !call.boundary.is_empty() {
            self.record.save().await?;
        }
        Ok(NodeEnd {
            id: id.to_owned(),
            phase,
            message,
            outbound: vec![id.to_owned()],
        })
    }

    async fn ended_as(&self, id: &str, phase: NodePhase, message: &str) -> Result<NodeEnd, Unwind> {
        self.record.close(id, phase, message);
        self.record.save().await?;
        Ok(NodeEnd {
            id: id.to_owned(),
            phase,
            message: message.to_owned(),
            outbound: vec![id.to_owned()],
        })
    }
}

/// Whole seconds, or a duration with a unit.
pub(super) fn seconds(text: &AnyText) -> Option<Duration> {
    let whole = text.0.trim().parse().ok().map(Duration::from_secs);
    whole.or_else(|| tiphys_core::duration::parse(&text.0).ok())
}
