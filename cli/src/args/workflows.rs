//! The arguments of the commands that work on Workflows, named as the `argo` program names them.
//! They are parsed here and never acted on.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

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
    /// The cluster of this kubeconfig, whatever local run there is.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The cluster of this context of the kubeconfig, whatever local run there is.
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// Only objects of the Argo controller with this id.
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    pub instanceid: String,
}

/// How one Workflow is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum View {
    /// As JSON.
    Json,
    /// As YAML.
    Yaml,
    /// With more columns.
    Wide,
    /// Its name only.
    Name,
    /// The tree without what is above it.
    Short,
}

/// Which nodes of a tree are shown, and how.
#[derive(Debug, Args, Default)]
pub(crate) struct Tree {
    /// Only steps of this status, as Failed.
    #[arg(long, value_name = "STATUS")]
    pub status: Option<String>,
    /// Only steps with these fields, as displayName=approve.
    #[arg(long, value_name = "SELECTOR")]
    pub node_field_selector: Option<String>,
    /// Without colours.
    #[arg(long)]
    pub no_color: bool,
    /// With letters only.
    #[arg(long)]
    pub no_utf8: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Get {
    #[command(flatten)]
    pub api: Api,
    /// The Workflow's name, or @latest.
    #[arg(required = true, value_name = "WORKFLOW")]
    pub workflows: Vec<String>,
    /// How it is printed.
    #[arg(short, long, value_enum)]
    pub output: Option<View>,
    #[command(flatten)]
    pub tree: Tree,
}

/// Workflows by what they are.
#[derive(Debug, Args)]
pub(crate) struct Choice {
    /// Only those with these labels.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// Only those with these fields, as metadata.name=hello.
    #[arg(long, value_name = "SELECTOR")]
    pub field_selector: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    pub api: Api,
    /// In all namespaces.
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    #[command(flatten)]
    pub choice: Choice,
    /// Only those that go on.
    #[arg(long, conflicts_with = "completed")]
    pub running: bool,
    /// Only those that have ended.
    #[arg(long)]
    pub completed: bool,
    /// Only those of these statuses, as Running,Failed.
    #[arg(long, value_name = "STATUS", value_delimiter = ',')]
    pub status: Vec<String>,
    /// Only those whose names begin so.
    #[arg(long, value_name = "TEXT")]
    pub prefix: Option<String>,
    /// Only those that are not older than this, as 10m, 3h or 2d.
    #[arg(long, value_name = "DURATION")]
    pub since: Option<String>,
    /// Only those that have ended so long ago, as 10m, 3h or 2d.
    #[arg(long, value_name = "DURATION")]
    pub older: Option<String>,
    /// Only those that were made from another.
    #[arg(long)]
    pub resubmitted: bool,
    /// Without the line of headings.
    #[arg(long)]
    pub no_headers: bool,
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
    /// The container of the pods.
    #[arg(short, long, default_value = "main", value_name = "NAME")]
    pub container: String,
    /// Only lines that match this regular expression.
    #[arg(long, value_name = "PATTERN")]
    pub grep: Option<String>,
    /// Only pods with these labels; on a cluster.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// Only lines that are not older than this, as 5m; on a cluster.
    #[arg(long, value_name = "DURATION", conflicts_with = "since_time")]
    pub since: Option<String>,
    /// Only lines since this time, as RFC 3339 writes it; on a cluster.
    #[arg(long, value_name = "TIME")]
    pub since_time: Option<String>,
    /// Only the last lines of each pod.
    #[arg(long, value_name = "LINES")]
    pub tail: Option<usize>,
    /// Each line with its time; on a cluster.
    #[arg(long)]
    pub timestamps: bool,
    /// What the container printed before it was restarted; on a cluster.
    #[arg(short, long)]
    pub previous: bool,
    /// Without colours.
    #[arg(long)]
    pub no_color: bool,
}

/// What `--log` without a level stands for: `argo` prints the steps' output with it, and elsewhere it is our log level.
pub(crate) const STEPS: &str = "steps";

/// What follows once something has begun.
#[derive(Debug, Args, Default)]
pub(crate) struct After {
    /// Waits for the end; the exit code says whether it was a success.
    #[arg(short, long)]
    pub wait: bool,
    /// Shows the tree until the end.
    #[arg(long)]
    pub watch: bool,
    /// Prints what the steps print until the end; with a level, says what is logged instead.
    #[arg(
        long,
        value_name = "LEVEL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = STEPS
    )]
    pub log: Option<String>,
}

impl After {
    /// Whether what the steps print is asked for.
    pub(crate) fn logs(&self) -> bool {
        self.log.as_deref() == Some(STEPS)
    }
}

#[derive(Debug, Args)]
pub(crate) struct Submit {
    #[command(flatten)]
    pub api: Api,
    /// Files or URLs with Workflows; `-` reads standard input.
    #[arg(
        value_name = "FILE",
        required_unless_present = "from",
        conflicts_with = "from"
    )]
    pub files: Vec<String>,
    /// From a template or schedule, as workflowtemplate/hello, clusterworkflowtemplate/hello or cronwf/nightly.
    #[arg(long, value_name = "KIND/NAME")]
    pub from: Option<String>,
    /// The name.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// What the name begins with.
    #[arg(long, value_name = "PREFIX")]
    pub generate_name: Option<String>,
    /// The template that runs first.
    #[arg(long, value_name = "TEMPLATE")]
    pub entrypoint: Option<String>,
    /// A parameter; several may be given.
    #[arg(short, long = "parameter", value_name = "NAME=VALUE")]
    pub parameters: Vec<String>,
    /// A YAML or JSON file or URL of parameters; several may be given.
    #[arg(short = 'f', long = "parameter-file", value_name = "FILE")]
    pub parameter_files: Vec<String>,
    /// The service account of the pods.
    #[arg(long, value_name = "NAME")]
    pub serviceaccount: Option<String>,
    /// Labels, as a=1,b=2; several may be given.
    #[arg(short, long, value_name = "LABELS")]
    pub labels: Vec<String>,
    /// Annotations, as a=1,b=2; several may be given.
    #[arg(long, value_name = "ANNOTATIONS")]
    pub annotations: Vec<String>,
    /// The priority; larger goes first.
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub priority: Option<i32>,
    /// The time that the Workflow is taken to be made for, as RFC 3339 writes it.
    #[arg(long, value_name = "TIME", requires = "from")]
    pub scheduled_time: Option<String>,
    /// Prints the Workflow and creates nothing; needs --output.
    #[arg(long, requires = "output")]
    pub dry_run: bool,
    /// Lets the API server try it and creates nothing; needs --output.
    #[arg(long, requires = "output", conflicts_with = "dry_run")]
    pub server_dry_run: bool,
    /// Refuses fields that a Workflow does not have.
    #[arg(long, default_value_t = true, default_missing_value = "true", num_args = 0..=1, require_equals = true, action = clap::ArgAction::Set)]
    pub strict: bool,
    /// How it is printed.
    #[arg(short, long, value_enum)]
    pub output: Option<View>,
    #[command(flatten)]
    pub after: After,
    #[command(flatten)]
    pub tree: Tree,
}

#[derive(Debug, Args)]
pub(crate) struct Wait {
    #[command(flatten)]
    pub api: Api,
    /// Their names, or @latest.
    #[arg(required = true, value_name = "WORKFLOW")]
    pub workflows: Vec<String>,
    /// One that is not there is no error.
    #[arg(long)]
    pub ignore_not_found: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Watch {
    #[command(flatten)]
    pub api: Api,
    /// The Workflow's name, or @latest.
    pub workflow: String,
    #[command(flatten)]
    pub tree: Tree,
}

#[derive(Debug, Args)]
pub(crate) struct Names {
    #[command(flatten)]
    pub api: Api,
    /// Their names, or @latest.
    #[arg(required = true, value_name = "WORKFLOW")]
    pub workflows: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Resume {
    #[command(flatten)]
    pub names: Names,
    /// Only waiting steps with these fields, as displayName=approve.
    #[arg(long, value_name = "SELECTOR")]
    pub node_field_selector: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Stop {
    #[command(flatten)]
    pub api: Api,
    /// Their names, or @latest.
    #[arg(value_name = "WORKFLOW", required_unless_present_any = ["selector", "field_selector"])]
    pub workflows: Vec<String>,
    #[command(flatten)]
    pub choice: Choice,
    /// Only waiting steps with these fields, which fail, as displayName=approve.
    #[arg(long, value_name = "SELECTOR")]
    pub node_field_selector: Option<String>,
    /// What the steps that fail say.
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub message: String,
    /// Says what would be stopped, and stops nothing.
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Terminate {
    #[command(flatten)]
    pub api: Api,
    /// Their names, or @latest.
    #[arg(value_name = "WORKFLOW", required_unless_present_any = ["selector", "field_selector"])]
    pub workflows: Vec<String>,
    #[command(flatten)]
    pub choice: Choice,
    /// Says what would be terminated, and terminates nothing.
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Retry {
    #[command(flatten)]
    pub api: Api,
    /// Their names, or @latest.
    #[arg(value_name = "WORKFLOW", required_unless_present_any = ["selector", "field_selector"])]
    pub workflows: Vec<String>,
    #[command(flatten)]
    pub choice: Choice,
    /// Steps with the fields of --node-field-selector run again though they went well.
    #[arg(long)]
    pub restart_successful: bool,
    /// Which steps run again, as displayName=build.
    #[arg(long, value_name = "SELECTOR")]
    pub node_field_selector: Option<String>,
    /// A parameter; several may be given.
    #[arg(short, long = "parameter", value_name = "NAME=VALUE")]
    pub parameters: Vec<String>,
    /// How they are printed.
    #[arg(short, long, value_enum)]
    pub output: Option<View>,
    #[command(flatten)]
    pub after: After,
}

#[derive(Debug, Args)]
pub(crate) struct Resubmit {
    #[command(flatten)]
    pub api: Api,
    /// Their names, or @latest.
    #[arg(value_name = "WORKFLOW", required_unless_present_any = ["selector", "field_selector"])]
    pub workflows: Vec<String>,
    #[command(flatten)]
    pub choice: Choice,
    /// Steps that went well are not run again; only for one that has failed.
    #[arg(long)]
    pub memoized: bool,
    /// A parameter; several may be given.
    #[arg(short, long = "parameter", value_name = "NAME=VALUE")]
    pub parameters: Vec<String>,
    /// How they are printed.
    #[arg(short, long, value_enum)]
    pub output: Option<View>,
    #[command(flatten)]
    pub after: After,
}

#[derive(Debug, Args)]
pub(crate) struct Delete {
    #[command(flatten)]
    pub api: Api,
    /// Their names, or @latest.
    #[arg(value_name = "WORKFLOW", required_unless_present_any = [
        "all", "completed", "resubmitted", "prefix", "older", "status", "selector", "field_selector"
    ])]
    pub workflows: Vec<String>,
    #[command(flatten)]
    pub choice: Choice,
    /// All of the namespace.
    #[arg(long)]
    pub all: bool,
    /// In all namespaces.
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// Only those that have ended.
    #[arg(long)]
    pub completed: bool,
    /// Only those that were made from another.
    #[arg(long)]
    pub resubmitted: bool,
    /// Only those whose names begin so.
    #[arg(long, value_name = "TEXT")]
    pub prefix: Option<String>,
    /// Only those that have ended so long ago, as 10m, 3h or 2d.
    #[arg(long, value_name = "DURATION")]
    pub older: Option<String>,
    /// Only those of these statuses, as Succeeded,Failed.
    #[arg(long, value_name = "STATUS", value_delimiter = ',')]
    pub status: Vec<String>,
    /// Takes finalizers away, so that nothing holds them.
    #[arg(long)]
    pub force: bool,
    /// Says what would be deleted, and deletes nothing.
    #[arg(long)]
    pub dry_run: bool,
}
