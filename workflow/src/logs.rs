//! Where the output of nodes is kept: one folder per Workflow, one file per node. It never interprets a log.

use std::io;
use std::path::{Path, PathBuf};

/// The folder of logs and scratch files of one engine.
#[derive(Debug, Clone)]
pub struct Logs {
    root: PathBuf,
}

impl Logs {
    /// Logs under `root`, which need not exist yet.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder of one Workflow. The uid keeps a re-created object from finding old files.
    #[must_use]
    pub fn workflow(&self, namespace: &str, name: &str, uid: &str) -> PathBuf {
        self.root
            .join(file_name(namespace))
            .join(file_name(&format!("{name}.{uid}")))
    }

    /// The folder of one node.
    #[must_use]
    pub fn node(&self, namespace: &str, name: &str, uid: &str, node: &str) -> PathBuf {
        self.workflow(namespace, name, uid).join(file_name(node))
    }

    /// What a node has printed so far, both streams; nothing where it has not begun.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub async fn read(
        &self,
        namespace: &str,
        name: &str,
        uid: &str,
        node: &str,
    ) -> io::Result<Vec<u8>> {
        match tokio::fs::read(self.node(namespace, name, uid, node).join("log")).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            read => read,
        }
    }

    /// Removes everything of one Workflow; absent is fine.
    ///
    /// # Errors
    /// When files cannot be removed.
    pub async fn forget(&self, namespace: &str, name: &str, uid: &str) -> io::Result<()> {
        match tokio::fs::remove_dir_all(self.workflow(namespace, name, uid)).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    /// The root folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }
}

/// A name that is safe as one path component, whatever an object is called.
fn file_name(name: &str) -> String {
    let safe = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') {
            c
        } else {
            '_'
        }
    };
    let name: String = name.chars().map(safe).collect();
    if name.trim_matches('.').is_empty() {
        format!("_{name}")
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leaves_the_folder() {
        let logs = Logs::new("/root");
        assert_eq!(
            logs.node("..", "a/b", "1", ".."),
            Path::new("/root/_../a_b.1/_..")
        );
    }
}
