//! The command line: names, flags and their help. It parses and never acts.

mod workflows;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{logging, output};

pub(crate) use workflows::{
    After, Api, Choice, Delete, Get, List, Logs, Names, Resubmit, Resume, Retry, STEPS, Stop,
    Submit, Terminate, Tree, View, Wait, Watch,
};

/// Event-driven workflow automation from Argo's own YAML, on a laptop or a cluster.
#[derive(Debug, Parser)]
#[command(
    name = "tiphys",
    version,
    about,
    propagate_version = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub command: Command,
    /// What is logged: error, warn, info, debug or trace, also for each part, as info,tiphys_sensor=debug.
    #[arg(long, global = true, value_name = "LEVEL", env = "TIPHYS_LOG")]
    pub log: Option<String>,
    /// The level as Argo's pods are told it.
    #[arg(long, global = true, hide = true, env = "LOG_LEVEL")]
    pub log_level: Option<String>,
    /// How log lines look.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "auto",
        value_name = "FORMAT"
    )]
    pub log_format: logging::Format,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The tutorial from start to finish: bus, webhook, sensor, one real POST, the Workflow's tree and log.
    Demo(Demo),
    /// Runs EventSources, Sensors and Workflows from files on this machine, with no cluster.
    Run(Run),
    /// Reports every problem in YAML files, with its place.
    Lint(Lint),
    /// Dry run: what each filter of a Sensor says of an event, and what would be submitted.
    Render(Render),
    /// Evaluates an expression of one of the small languages, as a Sensor would.
    Eval(Eval),
    /// Runs one EventSource.
    #[command(name = "eventsource", alias = "eventsource-service")]
    EventSource(crate::commands::object::Object),
    /// Runs one Sensor.
    #[command(alias = "sensor-service")]
    Sensor(crate::commands::object::Object),
    /// Says what became of an event and why, or what a Sensor waits for now.
    Why(crate::commands::why::Why),
    /// Lists what became of events, newest last, and follows what comes.
    Events(crate::commands::events::Events),
    /// Lists events that were given up, and sends them to their trigger once more.
    Dead(crate::commands::dead::Dead),
    /// Sends stored events to one Sensor once more.
    Replay(crate::commands::replay::ReplayArgs),
    /// Runs cases for Sensors: given events, expected objects. Nothing is sent or created.
    Test(crate::commands::test::Test),
    /// Creates Workflows from files, standard input, templates or schedules.
    Submit(Box<Submit>),
    /// Shows Workflows: their state and their tree.
    Get(Get),
    /// Lists Workflows.
    List(List),
    /// Prints what the steps of a Workflow have printed.
    Logs(Logs),
    /// Shows the tree of a Workflow until its end.
    Watch(Watch),
    /// Waits for the end of Workflows; fails when one has not succeeded.
    Wait(Wait),
    /// Ends Workflows; exit handlers still run.
    Stop(Stop),
    /// Ends Workflows at once.
    Terminate(Terminate),
    /// Holds Workflows: what runs goes on, and nothing new begins.
    Suspend(Names),
    /// Lets Workflows go on that are held or wait in a step.
    Resume(Resume),
    /// Lets failed Workflows go on from what failed.
    Retry(Retry),
    /// Creates Workflows like those that have been.
    Resubmit(Resubmit),
    /// Deletes Workflows.
    Delete(Delete),
    /// Makes servers, pods and Services of the objects in a cluster.
    Controller(crate::commands::controller::Controller),
    /// Checks objects before the API server of a cluster keeps them.
    Webhook(Webhook),
    /// Prints the definitions of EventBus, EventSource and Sensor for a cluster.
    Crds(Crds),
    /// Prints the Roles that the service accounts of Sensors and EventSources need.
    Rbac(crate::commands::rbac::Rbac),
    /// Says what objects of Argo Events will do differently.
    Migrate(crate::commands::migrate::Migrate),
    /// Prints the version.
    Version,
    /// Prints a completion script.
    Completion {
        /// For which shell.
        shell: clap_complete::Shell,
    },
    /// The whale, for steps that call it from a shell.
    #[command(hide = true)]
    Cowsay {
        /// What it says.
        words: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// The port of the webhook; 0 takes a free one.
    #[arg(long, default_value_t = 0, value_name = "PORT")]
    pub port: u16,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// YAML files, or folders of them.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Where events, objects and logs are kept.
    #[arg(
        long,
        default_value = ".tiphys",
        value_name = "DIR",
        env = "TIPHYS_DATA_DIR"
    )]
    pub data_dir: PathBuf,
    /// Listens on HOST for an EventSource that says PORT, as 30001:80; several may be given.
    #[arg(long, value_name = "HOST:PORT")]
    pub publish: Vec<String>,
    /// The address that EventSources listen on; 0.0.0.0 lets other machines in.
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    pub bind: String,
    /// The namespace of objects that name none.
    #[arg(short, long, default_value = "default", value_name = "NAMESPACE")]
    pub namespace: String,
    /// Where metrics and health are served; `off` for nowhere.
    #[arg(long, default_value = "127.0.0.1:7777", value_name = "ADDRESS")]
    pub admin: String,
    /// Where the built-in Kubernetes API is served, for kubectl and the other commands.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    pub api: String,
    /// Does not look for changed files.
    #[arg(long)]
    pub no_reload: bool,
    /// How long work in hand may take after Ctrl-C, in seconds.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    pub grace: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Lint {
    /// YAML files, or folders of them.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// The namespace of objects that name none.
    #[arg(short, long, default_value = "default", value_name = "NAMESPACE")]
    pub namespace: String,
    /// Warnings count as errors.
    #[arg(long)]
    pub strict: bool,
    /// As JSON, for programs.
    #[arg(short, long, value_enum)]
    pub output: Option<LintOutput>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum LintOutput {
    /// One object a problem.
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct Render {
    /// The file with the Sensor.
    #[arg(value_name = "SENSOR.yaml")]
    pub file: PathBuf,
    /// An event for a dependency: the payload as JSON, or a whole CloudEvent. `-` reads standard input.
    #[arg(long = "event", required = true, value_name = "DEP=FILE.json")]
    pub events: Vec<String>,
    /// Only this trigger.
    #[arg(long, value_name = "NAME")]
    pub trigger: Option<String>,
    /// The Sensor, where the file has several.
    #[arg(long, value_name = "NAME")]
    pub sensor: Option<String>,
    /// The namespace of a Sensor that names none.
    #[arg(short, long, default_value = "default", value_name = "NAMESPACE")]
    pub namespace: String,
    /// How the result is printed.
    #[arg(short, long, value_enum)]
    pub output: Option<output::Format>,
}

#[derive(Debug, Args)]
pub(crate) struct Eval {
    /// The language.
    #[arg(value_enum)]
    pub dialect: Dialect,
    /// The template, path, expression or script.
    #[arg(allow_hyphen_values = true)]
    pub expression: String,
    /// The JSON that the language sees; for gotemplate and handlebars the value of Input. `-` reads standard input.
    #[arg(long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// sjson: the text to set.
    #[arg(long, value_name = "TEXT", conflicts_with = "raw")]
    pub value: Option<String>,
    /// sjson: the JSON to set.
    #[arg(long, value_name = "JSON")]
    pub raw: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Dialect {
    /// Go text/template with Sprig: `dataTemplate`, `contextTemplate`.
    Gotemplate,
    /// Handlebars, where a template says so.
    Handlebars,
    /// gjson paths: `dataKey`, filter `path`.
    Gjson,
    /// RFC 9535 JSONPath: paths that start with `$.` or `$[`.
    Jsonpath,
    /// sjson paths: `dest`.
    Sjson,
    /// expr-lang: an EventSource's `filter.expression`.
    Expr,
    /// govaluate: a Sensor's `exprs`.
    Govaluate,
    /// Lua: `script`.
    Lua,
    /// jq: `transform.jq`.
    Jq,
    /// Trigger `conditions`; the input is an object of names and truth values.
    Condition,
}

#[derive(Debug, Args)]
pub(crate) struct Webhook {
    /// Where reviews are taken, over HTTPS.
    #[arg(long, default_value = "0.0.0.0:8443", value_name = "ADDRESS")]
    pub listen: String,
    /// The namespace of the webhook itself: its Service and its Secret.
    #[arg(short, long, value_name = "NAMESPACE", env = "NAMESPACE")]
    pub namespace: Option<String>,
    /// The Service that the API server reaches it through; its names go into the certificate.
    #[arg(
        long,
        default_value = "tiphys-webhook",
        value_name = "NAME",
        env = "SERVICE_NAME"
    )]
    pub service: String,
    /// The ValidatingWebhookConfiguration that gets the authority of the certificate.
    #[arg(long, default_value = "webhook.tiphys.dev", value_name = "NAME")]
    pub configuration: String,
    /// The Secret that keeps the certificate, shared by all replicas.
    #[arg(long, default_value = "tiphys-webhook-certs", value_name = "NAME")]
    pub secret: String,
    /// A further name or address for the certificate; several may be given.
    #[arg(long, value_name = "HOST")]
    pub host: Vec<String>,
    /// How long a certificate is valid; the next one is made after two thirds of it.
    #[arg(long, default_value = "8760h", value_name = "DURATION")]
    pub validity: String,
    /// A certificate of your own, PEM, instead of one that is made; read again when it changes.
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// The key of the certificate, PEM.
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// The authority of the certificate, PEM; it is written into the configuration.
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub ca: Option<PathBuf>,
    /// Where metrics and health are served; `off` for nowhere.
    #[arg(long, default_value = "0.0.0.0:7777", value_name = "ADDRESS")]
    pub admin: String,
    /// What is said of a Sensor whose EventBus does not exist.
    #[arg(long, value_enum, default_value = "deny", value_name = "ANSWER")]
    pub missing_bus: MissingBusArg,
    /// How long reviews in hand may take after the signal to stop, in seconds.
    #[arg(long, default_value_t = 20, value_name = "SECONDS")]
    pub grace: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum MissingBusArg {
    /// It is denied, as Argo's webhook does.
    Deny,
    /// It is let in with a warning.
    Warn,
}

#[derive(Debug, Args)]
pub(crate) struct Crds {
    /// How they are printed.
    #[arg(short, long, value_enum, default_value = "yaml")]
    pub output: CrdsOutput,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CrdsOutput {
    /// As YAML, one document a definition.
    Yaml,
    /// As one JSON list.
    Json,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definitions_hold_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn log_is_a_level_but_where_steps_have_logs() {
        for (words, level, steps) in [
            ("tiphys --log debug submit x", Some("debug"), false),
            ("tiphys submit --log x", Some(STEPS), true),
            ("tiphys submit --log=debug x", Some("debug"), false),
            ("tiphys retry --log x", Some(STEPS), true),
            ("tiphys submit x", None, false),
        ] {
            let cli = Cli::try_parse_from(words.split(' ')).unwrap();
            let after = match cli.command {
                Command::Submit(submit) => submit.after,
                Command::Retry(retry) => retry.after,
                _ => After::default(),
            };
            assert_eq!(
                (cli.log.as_deref(), after.logs()),
                (level, steps),
                "{words}"
            );
        }
    }
}
