//! One leaf: from its template to a process, and from its end to the node. It never looks at other nodes.

use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt as _;

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
        self.record
            .open(id, "Pod", call, NodePhase::Pending, |node| {
                node.inputs = inputs;
            });
        let permit = tokio::select! {
            permit = self.shared.leaves.acquire() => permit,
            () = self.stop.cancelled() => return Err(Unwind::Stopped),
        };
        self.record.with(id, |node| node.phase = NodePhase::Running);
        self.record.save().await?;
        let namespace = self.workflow.namespace().unwrap_or_default();
        let uid = self.workflow.uid().unwrap_or_default();
        let folder = self.shared.logs.node(&namespace, &workflow, &uid, id);
        exec::reap(&folder).await;
        let mut env = match env::resolve(&self.shared.client, &namespace, &container.env).await {
            Ok(env) => env,
            Err(error) => {
                return self
                    .ended_badly(id, &tiphys_core::tasks::chain(&error))
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
        let own = own.map(|limit| tokio::time::Instant::now() + limit);
        let deadline = [own, self.deadline].into_iter().flatten().min();
        let leaf = Leaf {
            container,
            env,
            folder,
            deadline,
            shims: &self.shared.shims,
        };
        let ended = exec::run(leaf, &self.stop).await;
        drop(permit);
        if self.stop.is_cancelled() {
            // The node stays as it is, so that the next run starts it again.
            return Err(Unwind::Stopped);
        }
        match ended {
            Ok(ended) => self.ended(id, call, ended).await,
            Err(error) => {
                self.ended_badly(id, &tiphys_core::tasks::chain(&error))
                    .await
            }
        }
    }

    async fn ended(&self, id: &str, call: &Call<'_>, ended: Ended) -> Result<NodeEnd, Unwind> {
        let (phase, message) = match (&ended.stopped, ended.exit_code) {
            (Some(why), _) => (NodePhase::Failed, (*why).to_owned()),
            (None, 0) => (NodePhase::Succeeded, String::new()),
            (None, code) => (NodePhase::Failed, format!("main: Error (exit code {code})")),
        };
        let result = call.capture.then_some(ended.stdout);
        let outputs = Outputs {
            result,
            exit_code: Some(ended.exit_code.to_string()),
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

    async fn ended_badly(&self, id: &str, message: &str) -> Result<NodeEnd, Unwind> {
        self.record.close(id, NodePhase::Error, message);
        self.record.save().await?;
        Ok(NodeEnd {
            id: id.to_owned(),
            phase: NodePhase::Error,
            message: message.to_owned(),
            outbound: vec![id.to_owned()],
        })
    }
}

fn seconds(text: &AnyText) -> Option<Duration> {
    let whole = text.0.trim().parse().ok().map(Duration::from_secs);
    whole.or_else(|| tiphys_core::duration::parse(&text.0).ok())
}
