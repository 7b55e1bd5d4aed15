//! `tiphys logs`: what the steps of a Workflow have printed, as `argo logs` prints it: files of a local run, pods of a
//! cluster.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use futures::stream::{BoxStream, SelectAll};
use futures::{AsyncBufReadExt as _, StreamExt as _};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, LogParams};
use kube::{Api, ResourceExt as _};
use regex::Regex;
use tiphys_workflow::logs::Logs as Store;
use tiphys_workflow::names::pod_name;
use tiphys_workflow::operations::Operator;
use tiphys_workflow::{Node, Workflow};

use crate::args::Logs;
use crate::commands::operator::{ago, connect, explained, typed};
use crate::connect::Connection;
use crate::output;

/// How often a Workflow that goes on is looked at.
const EVERY: Duration = Duration::from_millis(300);

/// How often the pods of one that goes on are looked for.
const PODS_EVERY: Duration = Duration::from_secs(1);

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
    params: LogParams,
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
        params: LogParams {
            container: Some(args.container.clone()),
            previous: args.previous,
            since_time: since,
            tail_lines: args
                .tail
                .map(|lines| i64::try_from(lines).unwrap_or(i64::MAX)),
            timestamps: true,
            ..LogParams::default()
        },
    };
    let (connection, operator) = connect(&args.api).await?;
    if connection.local.is_none() {
        return pods(&connection, &operator, &args.workflow, &asked).await;
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
    files(&connection, &operator, &args.workflow, &asked).await
}

/// Prints what a Workflow prints, until its end.
pub(crate) async fn follow(
    connection: &Connection,
    operator: &Operator,
    name: &str,
) -> anyhow::Result<()> {
    let asked = Asked {
        follow: true,
        params: LogParams {
            container: Some("main".to_owned()),
            timestamps: true,
            ..LogParams::default()
        },
        ..Asked::default()
    };
    if connection.local.is_some() {
        files(connection, operator, name, &asked).await
    } else {
        pods(connection, operator, name, &asked).await
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
        anyhow::bail!(
            "workflow {:?} has no step {step:?}; `tiphys get {0}` shows them",
            workflow.name_any()
        );
    }
    Ok(leaves)
}

async fn files(
    connection: &Connection,
    operator: &Operator,
    name: &str,
    asked: &Asked,
) -> anyhow::Result<()> {
    let data_dir = connection.local.as_deref().unwrap_or(Path::new(""));
    let mut printed: HashMap<String, usize> = HashMap::new();
    let mut name = name.to_owned();
    loop {
        let workflow = workflow(operator, &name).await?;
        // The newest one now may not be the newest one later.
        name = workflow.name_any();
        let done = is_done(&workflow);
        for node in steps(&workflow, asked)? {
            let bytes = file(data_dir, &workflow, node).await?;
            let from = match printed.get(&node.id) {
                // A retry begins its log anew.
                Some(from) if *from <= bytes.len() => *from,
                _ => asked.tail.map_or(0, |lines| tail(&bytes, lines)),
            };
            // Whole lines only, unless nothing more will come.
            let new = bytes.get(from..).unwrap_or_default();
            let end = if node.phase.is_done() {
                new.len()
            } else {
                new.iter()
                    .rposition(|byte| *byte == b'\n')
                    .map_or(0, |at| at + 1)
            };
            let new = new.get(..end).unwrap_or_default();
            printed.insert(node.id.clone(), from + new.len());
            let text = String::from_utf8_lossy(new);
            let pod = pod(&workflow, node);
            for line in text.lines() {
                print(&pod, line, asked)?;
            }
        }
        if done || !asked.follow {
            return Ok(());
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Where the last lines begin.
fn tail(bytes: &[u8], lines: usize) -> usize {
    let whole = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let breaks = whole
        .iter()
        .enumerate()
        .rev()
        .filter(|(_, byte)| **byte == b'\n');
    match lines.checked_sub(1) {
        None => bytes.len(),
        Some(skip) => breaks.map(|(at, _)| at + 1).nth(skip).unwrap_or(0),
    }
}

async fn file(data_dir: &Path, workflow: &Workflow, node: &Node) -> anyhow::Result<Vec<u8>> {
    let store = Store::new(data_dir.join("workflows").join("logs"));
    let namespace = workflow.namespace().unwrap_or_default();
    let uid = workflow.uid().unwrap_or_default();
    let read = store
        .read(&namespace, &workflow.name_any(), &uid, &node.id)
        .await;
    read.with_context(|| format!("cannot read the log of {}", node.display_name))
}

/// One line of a pod, with its time in front.
type Line = (String, std::io::Result<String>);

async fn pods(
    connection: &Connection,
    operator: &Operator,
    name: &str,
    asked: &Asked,
) -> anyhow::Result<()> {
    let api = Api::<Pod>::namespaced(connection.client.clone(), operator.namespace());
    let mut name = name.to_owned();
    let mut known: HashSet<String> = HashSet::new();
    let mut streams: SelectAll<BoxStream<'static, Line>> = SelectAll::new();
    loop {
        let workflow = workflow(operator, &name).await?;
        name = workflow.name_any();
        let done = is_done(&workflow);
        let chosen = chosen(&api, &name, asked).await?;
        for node in steps(&workflow, asked)? {
            let pod = pod(&workflow, node);
            let left_out = chosen.as_ref().is_some_and(|chosen| !chosen.contains(&pod));
            if left_out || known.contains(&pod) {
                continue;
            }
            let params = LogParams {
                follow: asked.follow && !done,
                ..asked.params.clone()
            };
            match api.log_stream(&pod, &params).await {
                Ok(lines) => {
                    let of = pod.clone();
                    let lines = lines.lines().map(move |line| (of.clone(), line));
                    streams.push(lines.boxed());
                    known.insert(pod);
                }
                // Its container has not begun, or has gone; the others are still worth reading.
                Err(error) if done || !asked.follow => {
                    output::note(&format!(
                        "cannot read the log of pod {pod}: {}",
                        tiphys_core::tasks::chain(&error)
                    ));
                    known.insert(pod);
                }
                Err(_) => {}
            }
        }
        if done || !asked.follow {
            return rest(streams, asked).await;
        }
        let pause = tokio::time::sleep(PODS_EVERY);
        tokio::pin!(pause);
        loop {
            tokio::select! {
                Some((pod, line)) = streams.next(), if !streams.is_empty() => {
                    stamped(&pod, &line?, asked)?;
                }
                () = &mut pause => break,
            }
        }
    }
}

/// Prints what is left of all pods, in the order of time.
async fn rest(streams: SelectAll<BoxStream<'static, Line>>, asked: &Asked) -> anyhow::Result<()> {
    let mut lines: Vec<(String, String)> = Vec::new();
    let mut streams = streams;
    while let Some((pod, line)) = streams.next().await {
        lines.push((line?, pod));
    }
    // Each line begins with its time, and the times of one pod only grow.
    lines.sort_by_cached_key(|(line, _)| at(line));
    for (line, pod) in lines {
        stamped(&pod, &line, asked)?;
    }
    Ok(())
}

fn at(line: &str) -> Option<Timestamp> {
    line.split(' ').next()?.parse().ok()
}

/// Prints a line that has its time in front.
fn stamped(pod: &str, line: &str, asked: &Asked) -> anyhow::Result<()> {
    let plain = match line.split_once(' ') {
        Some((time, rest)) if time.parse::<Timestamp>().is_ok() => rest,
        _ => line,
    };
    print(pod, if asked.timestamps { line } else { plain }, asked)
}

/// The pods of a Workflow that have the labels; nothing where no labels are asked for.
async fn chosen(
    api: &Api<Pod>,
    workflow: &str,
    asked: &Asked,
) -> anyhow::Result<Option<HashSet<String>>> {
    let Some(selector) = &asked.selector else {
        return Ok(None);
    };
    let labels = format!("workflows.argoproj.io/workflow={workflow},{selector}");
    let found = api.list(&ListParams::default().labels(&labels)).await?;
    Ok(Some(found.into_iter().map(|pod| pod.name_any()).collect()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_found() {
        for (text, lines, rest) in [
            ("a\nb\nc\n", 1, "c\n"),
            ("a\nb\nc", 2, "b\nc"),
            ("a\nb\n", 5, "a\nb\n"),
            ("a\n", 0, ""),
            ("", 1, ""),
        ] {
            let from = tail(text.as_bytes(), lines);
            assert_eq!(text.get(from..), Some(rest), "{text:?} {lines}");
        }
    }
}
