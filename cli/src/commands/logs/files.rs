//! The logs of a local run: files, one for each step. It prints them in the order in which steps began.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use kube::ResourceExt as _;
use tiphys_workflow::logs::Logs as Store;
use tiphys_workflow::operations::Operator;
use tiphys_workflow::{Node, Workflow};

use super::{Asked, is_done, pod, print, steps, workflow};
use crate::connect::Connection;

/// How often a Workflow that goes on is looked at.
const EVERY: Duration = Duration::from_millis(300);

/// Prints the logs of a local run.
pub(super) async fn files(
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
