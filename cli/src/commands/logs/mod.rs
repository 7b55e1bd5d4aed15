//! `tiphys logs`: what the steps of a Workflow have printed, as `argo logs` prints it: files of a local run, pods of a
//! cluster.

mod files;
mod lines;
mod pods;

use anyhow::Context as _;
use jiff::Timestamp;
use kube::ResourceExt as _;
use regex::Regex;
use tiphys_workflow::names::pod_name;
use tiphys_workflow::operations::Operator;
use tiphys_workflow::{Node, Workflow};

use crate::args::Logs;
use crate::commands::operator::{ago, connect, explained, typed};
use crate::connect::Connection;
use crate::output;

/// What is asked of the logs.
#[derive(Default)]
struct Asked {
    step: Option<String>,
    follow: bool,
    plain: bool,
    grep: Option<Regex>,
    tail: Option<usize>,
    timestamps: bool,
    selector: Option<String>,
    /// Of pods: the container, which of its runs, and from when.
    container: String,
    previous: bool,
    since: Option<Timestamp>,
}

/// Prints the logs: of a local run in the order in which steps began, of a cluster in the order of time.
pub(crate) async fn run(args: &Logs) -> anyhow::Result<()> {
    let grep = args.grep.as_deref().map(Regex::new).transpose();
    let since = match (&args.since, &args.since_time) {
        (Some(since), _) => Some(ago(since)?),
        (None, Some(time)) => Some(tiphys_workflow::operations::time(time)?),
        (None, None) => None,
    };
    let asked = Asked {
        step: args.step.clone(),
        follow: args.follow,
        plain: args.no_prefix,
        grep: grep.context("--grep is no regular expression")?,
        tail: args.tail,
        timestamps: args.timestamps,
        selector: args.selector.clone(),
        container: args.container.clone(),
        previous: args.previous,
        since,
    };
    let (connection, operator) = connect(&args.api).await?;
    if connection.local.is_none() {
        return pods::pods(&connection, &operator, &args.workflow, &asked).await;
    }
    let needs_pods = [
        ("--since", args.since.is_some()),
        ("--since-time", args.since_time.is_some()),
        ("--timestamps", args.timestamps),
        ("--previous", args.previous),
        ("--selector", args.selector.is_some()),
    ];
    if let Some((flag, _)) = needs_pods.iter().find(|(_, given)| *given) {
        anyhow::bail!("{flag} needs pods: the logs of a local run are files without times");
    }
    files::files(&connection, &operator, &args.workflow, &asked).await
}

/// Prints what a Workflow prints, until its end.
pub(crate) async fn follow(
    connection: &Connection,
    operator: &Operator,
    name: &str,
) -> anyhow::Result<()> {
    let asked = Asked {
        follow: true,
        container: "main".to_owned(),
        ..Asked::default()
    };
    if connection.local.is_some() {
        files::files(connection, operator, name, &asked).await
    } else {
        pods::pods(connection, operator, name, &asked).await
    }
}

async fn workflow(operator: &Operator, name: &str) -> anyhow::Result<Workflow> {
    typed(&operator.get(name).await.map_err(explained)?)
}

fn is_done(workflow: &Workflow) -> bool {
    let status = workflow.status.as_ref();
    status.is_some_and(|status| status.phase.is_done())
}

/// The steps that are asked for. None of a name is an error once none can come any more.
fn steps<'a>(workflow: &'a Workflow, asked: &Asked) -> anyhow::Result<Vec<&'a Node>> {
    let leaves = leaves(workflow, asked.step.as_deref());
    if let Some(step) = &asked.step
        && leaves.is_empty()
        && (is_done(workflow) || !asked.follow)
    {
        return Err(no_step(workflow, step));
    }
    Ok(leaves)
}

fn no_step(workflow: &Workflow, step: &str) -> anyhow::Error {
    let name = workflow.name_any();
    anyhow::anyhow!("workflow {name:?} has no step {step:?}; `tiphys get {name}` shows them")
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
    let format = workflow
        .annotations()
        .get("workflows.argoproj.io/pod-name-format");
    if format.map(String::as_str) == Some("v1") {
        return node.id.clone();
    }
    let template = node
        .template_ref
        .as_ref()
        .map_or(&node.template_name, |reference| &reference.template);
    pod_name(&workflow.name_any(), &node.name, template)
}

fn print(pod: &str, line: &str, asked: &Asked) -> anyhow::Result<()> {
    if asked.grep.as_ref().is_some_and(|grep| !grep.is_match(line)) {
        return Ok(());
    }
    if asked.plain {
        output::line(line)?;
    } else {
        output::line(&format!("{pod}: {line}"))?;
    }
    Ok(())
}
