//! The logs of a cluster: those of a Workflow's pods, through the API server. They are printed as they come while the
//! Workflow goes on, and in the order of time once it has ended.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::{BoxStream, SelectAll};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, LogParams};
use kube::{Api, ResourceExt as _};
use tiphys_core::tasks::chain;
use tiphys_workflow::operations::Operator;
use tiphys_workflow::{Node, Workflow};

use super::lines::{Line, Merged, Piece, pieces};
use super::{Asked, is_done, leaves, no_step, pod, print, workflow};
use crate::connect::Connection;
use crate::output;

/// How often the pods of a Workflow that goes on are looked for.
const EVERY: Duration = Duration::from_secs(1);

/// Argo's controller writes it onto each pod: the node of the Workflow's status that the pod is.
const NODE_ID: &str = "workflows.argoproj.io/node-id";

/// Prints the logs of a Workflow's pods.
pub(super) async fn pods(
    connection: &Connection,
    operator: &Operator,
    name: &str,
    asked: &Asked,
) -> anyhow::Result<()> {
    let mut reader = Reader {
        api: Api::namespaced(connection.client.clone(), operator.namespace()),
        asked,
        known: HashSet::new(),
        last: HashMap::new(),
        again: HashMap::new(),
        streams: SelectAll::new(),
    };
    let mut name = name.to_owned();
    loop {
        let workflow = workflow(operator, &name).await?;
        // The newest one now may not be the newest one later.
        name = workflow.name_any();
        let goes_on = asked.follow && !is_done(&workflow);
        let pods = chosen(&reader.api, &workflow, asked).await?;
        if let Some(step) = &asked.step
            && pods.is_empty()
            && !goes_on
        {
            return Err(no_step(&workflow, step));
        }
        for pod in pods {
            reader.open(pod, goes_on).await;
        }
        if !goes_on {
            return reader.rest().await;
        }
        reader.follow(EVERY).await?;
    }
}

/// The pods whose logs are wanted, in the order in which they began: those that there are, and those of the status that
/// may be gone. A status need not have the nodes of all pods, and a user may not be allowed to list pods.
async fn chosen(api: &Api<Pod>, workflow: &Workflow, asked: &Asked) -> anyhow::Result<Vec<String>> {
    let mut labels = format!("workflows.argoproj.io/workflow={}", workflow.name_any());
    if let Some(selector) = &asked.selector {
        labels = format!("{labels},{selector}");
    }
    let listed = match api.list(&ListParams::default().labels(&labels)).await {
        Ok(pods) => pods.items,
        Err(kube::Error::Api(status)) if status.code == 403 && asked.selector.is_none() => {
            Vec::new()
        }
        Err(error) => return Err(error.into()),
    };
    let step = asked.step.as_deref();
    let mut nodes = leaves(workflow, step);
    let mut found: Vec<(Option<Timestamp>, String)> = Vec::new();
    for listed in &listed {
        let name = listed.name_any();
        let id = listed.annotations().get(NODE_ID).map(String::as_str);
        let at = nodes
            .iter()
            .position(|node| Some(node.id.as_str()) == id || pod(workflow, node) == name);
        let node = at.map(|at| nodes.swap_remove(at));
        if node.is_some() || step.is_none_or(|step| name == step || id == Some(step)) {
            let made = listed.creation_timestamp().map(|made| made.0);
            found.push((node.and_then(began).or(made), name));
        }
    }
    // Labels are asked for, and what is gone has none.
    if asked.selector.is_none() {
        found.extend(
            nodes
                .into_iter()
                .map(|node| (began(node), pod(workflow, node))),
        );
    }
    found.sort();
    Ok(found.into_iter().map(|(_, name)| name).collect())
}

fn began(node: &Node) -> Option<Timestamp> {
    node.started_at.as_ref()?.parse().ok()
}

/// The logs that are being read.
struct Reader<'a> {
    api: Api<Pod>,
    asked: &'a Asked,
    /// Pods that are being read, or that were and brought an error.
    known: HashSet<String>,
    /// Where each log was read to, so that one that broke off goes on from there.
    last: HashMap<String, Timestamp>,
    /// What the log that is being read now may bring a second time.
    again: HashMap<String, Timestamp>,
    streams: SelectAll<BoxStream<'static, Piece>>,
}

impl Reader<'_> {
    async fn open(&mut self, pod: String, follow: bool) {
        if self.known.contains(&pod) {
            return;
        }
        let last = self.last.get(&pod);
        let since = last.copied().or(self.asked.since);
        let lines = self.asked.tail.filter(|_| last.is_none());
        let params = LogParams {
            container: Some(self.asked.container.clone()),
            previous: self.asked.previous,
            follow,
            // Whole seconds only; what is too much is left out when it comes.
            since_time: since.and_then(|since| Timestamp::from_second(since.as_second()).ok()),
            tail_lines: lines.map(|lines| i64::try_from(lines).unwrap_or(i64::MAX)),
            timestamps: true,
            ..LogParams::default()
        };
        match self.api.log_stream(&pod, &params).await {
            Ok(log) => {
                if let Some(last) = last {
                    self.again.insert(pod.clone(), *last);
                }
                self.streams.push(pieces(pod.clone(), log));
                self.known.insert(pod);
            }
            // Its container has not begun, or it has gone after it was read.
            Err(_) if follow || last.is_some() => {}
            Err(error) => {
                output::note(&format!(
                    "cannot read the log of pod {pod}: {}",
                    chain(&error)
                ));
                self.known.insert(pod);
            }
        }
    }

    /// Prints what comes within a time.
    async fn follow(&mut self, time: Duration) -> anyhow::Result<()> {
        let pause = tokio::time::sleep(time);
        tokio::pin!(pause);
        loop {
            tokio::select! {
                Some(piece) = self.streams.next(), if !self.streams.is_empty() => {
                    self.show(piece, true)?;
                }
                () = &mut pause => return Ok(()),
            }
        }
    }

    /// Prints what is left of all pods.
    async fn rest(mut self) -> anyhow::Result<()> {
        let streams = std::mem::replace(&mut self.streams, SelectAll::new());
        let mut merged = Merged::new(streams);
        while let Some(piece) = merged.next().await {
            self.show(piece, false)?;
        }
        Ok(())
    }

    fn show(&mut self, piece: Piece, goes_on: bool) -> anyhow::Result<()> {
        match piece {
            Piece::Line(line) => return self.line(line),
            Piece::Broken(pod, error) if !goes_on => {
                output::note(&format!("the log of pod {pod} broke off: {error}"));
            }
            // As long as the Workflow goes on there may be more: a server ends what is open for too long.
            Piece::Broken(pod, _) | Piece::End(pod) => {
                self.known.remove(&pod);
            }
        }
        Ok(())
    }

    fn line(&mut self, line: Line) -> anyhow::Result<()> {
        if let Some(at) = line.at {
            let again = self.again.get(&line.pod);
            let read = again.is_some_and(|again| at <= *again);
            if read || self.asked.since.is_some_and(|since| at < since) {
                return Ok(());
            }
            self.last.insert(line.pod.clone(), at);
        }
        let text = if self.asked.timestamps {
            &line.stamped
        } else {
            line.plain()
        };
        print(&line.pod, text, self.asked)
    }
}
