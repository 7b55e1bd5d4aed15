//! `tiphys logs`: what the steps of a Workflow have printed, as `argo logs` prints it.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use kube::api::LogParams;
use kube::{Api, Client, ResourceExt as _};
use tiphys_workflow::logs::Logs as Store;
use tiphys_workflow::names::pod_name;
use tiphys_workflow::{Node, Workflow};

use crate::args::Logs;
use crate::commands::get::find;
use crate::{connect, output};

/// How often a Workflow that goes on is looked at.
const EVERY: Duration = Duration::from_millis(300);

/// Prints the logs, in the order in which steps began.
pub(crate) async fn run(args: &Logs) -> anyhow::Result<()> {
    let connection = connect::connect(&args.api).await?;
    let api = Api::<Workflow>::namespaced(connection.client.clone(), &connection.namespace);
    let mut printed: HashMap<String, usize> = HashMap::new();
    loop {
        let workflow = find(&api, &args.workflow, &connection.namespace).await?;
        let done = workflow
            .status
            .as_ref()
            .is_some_and(|status| status.phase.is_done());
        let leaves = leaves(&workflow, args.step.as_deref());
        if let (Some(step), true, true) = (&args.step, leaves.is_empty(), done || !args.follow) {
            anyhow::bail!(
                "workflow {:?} has no step {step:?}; `tiphys get {0}` shows them",
                workflow.name_any()
            );
        }
        for node in leaves {
            let bytes = read(
                &connection.client,
                connection.local.as_deref(),
                &workflow,
                node,
            )
            .await?;
            let from = printed.entry(node.id.clone()).or_default();
            // Whole lines only, unless nothing more will come.
            let new = bytes.get(*from..).unwrap_or_default();
            let end = if node.phase.is_done() {
                new.len()
            } else {
                new.iter()
                    .rposition(|byte| *byte == b'\n')
                    .map_or(0, |at| at + 1)
            };
            let new = new.get(..end).unwrap_or_default();
            *from += new.len();
            print(&workflow, node, new, args.no_prefix)?;
        }
        if done || !args.follow {
            return Ok(());
        }
        tokio::time::sleep(EVERY).await;
    }
}

fn leaves<'a>(workflow: &'a Workflow, step: Option<&str>) -> Vec<&'a Node> {
    let Some(status) = &workflow.status else {
        return Vec::new();
    };
    let mut leaves: Vec<_> = status
        .nodes
        .values()
        .filter(|node| node.kind == "Pod")
        .collect();
    if let Some(step) = step {
        leaves.retain(|node| {
            node.id == step || node.display_name == step || pod(workflow, node) == step
        });
    }
    leaves.sort_by(|a, b| (&a.started_at, &a.name).cmp(&(&b.started_at, &b.name)));
    leaves
}

fn pod(workflow: &Workflow, node: &Node) -> String {
    let template = node
        .template_ref
        .as_ref()
        .map_or(&node.template_name, |reference| &reference.template);
    pod_name(&workflow.name_any(), &node.name, template)
}

async fn read(
    client: &Client,
    local: Option<&Path>,
    workflow: &Workflow,
    node: &Node,
) -> anyhow::Result<Vec<u8>> {
    let namespace = workflow.namespace().unwrap_or_default();
    if let Some(data_dir) = local {
        let store = Store::new(data_dir.join("workflows").join("logs"));
        let uid = workflow.uid().unwrap_or_default();
        let read = store
            .read(&namespace, &workflow.name_any(), &uid, &node.id)
            .await;
        return read.with_context(|| format!("cannot read the log of {}", node.display_name));
    }
    let pods = Api::<k8s_openapi::api::core::v1::Pod>::namespaced(client.clone(), &namespace);
    let params = LogParams {
        container: Some("main".to_owned()),
        ..LogParams::default()
    };
    let name = pod(workflow, node);
    let text = pods
        .logs(&name, &params)
        .await
        .with_context(|| format!("cannot read the log of pod {name}"))?;
    Ok(text.into_bytes())
}

fn print(workflow: &Workflow, node: &Node, bytes: &[u8], plain: bool) -> anyhow::Result<()> {
    let text = String::from_utf8_lossy(bytes);
    let prefix = if plain {
        String::new()
    } else {
        format!("{}: ", pod(workflow, node))
    };
    let lines: String = text
        .lines()
        .map(|line| format!("{prefix}{line}\n"))
        .collect();
    Ok(output::print(&lines)?)
}
