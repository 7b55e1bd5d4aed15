//! The arguments of the commands that work on Workflows, named as the `argo` program names them.
//! They are parsed here and never acted on.

use std::path::PathBuf;

use clap::Args;

use crate::output;

/// Which API is asked.
#[derive(Debug, Args)]
pub(crate) struct Api {
    /// The folder of a local run; without one there, the cluster of the kubeconfig is asked.
    #[arg(
        long,
        default_value = ".tiphys",
        value_name = "DIR",
        env = "TIPHYS_DATA_DIR"
    )]
    pub data_dir: PathBuf,
    /// The namespace.
    #[arg(short, long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Get {
    #[command(flatten)]
    pub api: Api,
    /// The Workflow's name, or @latest.
    pub workflow: String,
    /// How it is printed.
    #[arg(short, long, value_enum)]
    pub output: Option<output::Format>,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    pub api: Api,
    /// In all namespaces.
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// Only those with these labels.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// Only those that go on.
    #[arg(long, conflicts_with = "completed")]
    pub running: bool,
    /// Only those that have ended.
    #[arg(long)]
    pub completed: bool,
    /// How they are printed.
    #[arg(short, long, value_enum)]
    pub output: Option<output::Format>,
}

#[derive(Debug, Args)]
pub(crate) struct Logs {
    #[command(flatten)]
    pub api: Api,
    /// The Workflow's name, or @latest.
    pub workflow: String,
    /// Only this step: its pod, its node id or its name.
    pub step: Option<String>,
    /// Goes on until the Workflow has ended.
    #[arg(short, long)]
    pub follow: bool,
    /// Lines without the name of the pod.
    #[arg(long)]
    pub no_prefix: bool,
}
