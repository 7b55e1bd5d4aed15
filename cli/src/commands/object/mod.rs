//! `tiphys eventsource` and `tiphys sensor`: the runtime of one object. It is given in one of three ways:
//!
//! ```text
//! --file FILE...    files, with its EventBus and its Secrets beside it
//! --name NAME       the API server, followed as it changes; the bus as the status of its EventBus says
//! the environment   as the controller's pods have it: nothing is asked of the API server
//! ```
//!
//! Only a Sensor's triggers act on a cluster; nothing is written to disk without a data folder.

mod files;
mod named;
pub(crate) mod pod;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use kube::Client;
use tiphys_controller::check::{self, Checked};
use tiphys_controller::{Host, HostOptions, Kind, Replicas, admin, given};
use tiphys_core::manifest::Document;
use tiphys_core::metrics::Metrics;
use tiphys_core::{Problems, Tasks};

use crate::connect;
use crate::logging::Reload;
use crate::signals;

/// How long a pod still takes requests after the signal to stop: so long others may send to it.
const LINGER_SECS: u64 = 5;

#[derive(Debug, Args)]
pub(crate) struct Object {
    /// Files with the object, its EventBus and the Secrets that it refers to.
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with = "name")]
    pub file: Vec<PathBuf>,
    /// The object's name: it is read from the API server, and followed as it and its EventBus change.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// The object's namespace; of objects in files, that of those that name none.
    #[arg(short, long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// Where an embedded bus keeps its events (.tiphys where it needs a folder), and decisions are recorded.
    #[arg(long, value_name = "DIR", env = "TIPHYS_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// The folder that stands for / where pods have their Secrets mounted, below argo-events and etc/eventbus.
    #[arg(
        long,
        default_value = "/",
        value_name = "DIR",
        env = "TIPHYS_MOUNTS",
        hide_env = true
    )]
    pub mounts: PathBuf,
    /// Listens on HOST for an EventSource that says PORT; several may be given.
    #[arg(long, value_name = "HOST:PORT")]
    pub publish: Vec<String>,
    /// The address that an EventSource listens on.
    #[arg(long, default_value = "0.0.0.0", value_name = "ADDRESS")]
    pub bind: String,
    /// Where metrics and health are served; `off` for nowhere.
    #[arg(long, default_value = "0.0.0.0:7777", value_name = "ADDRESS")]
    pub admin: String,
    /// How long work in hand may take after the signal to stop, in seconds.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    pub grace: u64,
    /// How long requests are still taken after the signal to stop, until nobody sends any; 5 in a pod, else 0.
    #[arg(long, value_name = "SECONDS")]
    pub linger: Option<u64>,
    /// Who this replica is among several.
    #[arg(long, env = "POD_NAME", value_name = "NAME", hide = true)]
    pub identity: Option<String>,
}

impl Object {
    fn linger(&self, default: u64) -> Duration {
        Duration::from_secs(self.linger.unwrap_or(default))
    }

    /// What the replicas of one object have in common, and who this one is.
    fn replicas(&self, kind: Kind, namespace: &str, name: &str) -> Replicas {
        let identity = self.identity.clone().unwrap_or_else(|| {
            use std::hash::{BuildHasher as _, RandomState};
            format!(
                "{}-{:x}",
                std::process::id(),
                RandomState::new().hash_one(0)
            )
        });
        Replicas::Several {
            identity,
            group: format!("{}-{namespace}-{name}", kind.as_str().to_lowercase()),
        }
    }
}

/// Runs the object, or the objects, of `kind` until a signal.
pub(crate) async fn run(
    args: Object,
    kind: Kind,
    set_log_level: Reload,
) -> anyhow::Result<ExitCode> {
    let metrics = Metrics::try_new(env!("CARGO_PKG_VERSION"))?;
    let options = if !args.file.is_empty() {
        files::options(&args, kind, metrics).await?
    } else if let Some(name) = &args.name {
        named::options(&args, kind, name, metrics).await?
    } else if let Some(given) = pod::given(kind)? {
        pod::options(&args, given, metrics).await?
    } else {
        let (word, variable) = (kind.as_str(), given::variable(kind));
        anyhow::bail!(
            "no {word} is given: name files with --file, or an object of the API server with --name, or set {variable} as the controller does"
        );
    };
    host(&args, options, set_log_level).await
}

/// Hosts until a signal or a failure.
async fn host(
    args: &Object,
    options: HostOptions,
    set_log_level: Reload,
) -> anyhow::Result<ExitCode> {
    let tasks = Tasks::new();
    let (metrics, linger) = (options.metrics.clone(), options.linger);
    // Whatever can refuse the start does so before anything runs.
    let admin = crate::admin::listener(&args.admin).await?;
    let host = Host::spawn(options, &tasks);
    if let Some(listener) = admin {
        let set_log_level = Arc::from(set_log_level);
        admin::spawn(listener, metrics, host.state(), set_log_level, &tasks);
    }
    let failed = tokio::select! {
        () = signals::stop() => None,
        failed = host.failed() => Some(failed),
    };
    let grace = Duration::from_secs(args.grace) + linger;
    tokio::select! {
        drained = host.drain(grace) => drained?,
        () = signals::stop_now() => anyhow::bail!("stopped before everything in hand was finished"),
    }
    tasks.stop(Duration::from_secs(1)).await?;
    match failed {
        Some(failed) => Err(failed.into()),
        None => Ok(ExitCode::SUCCESS),
    }
}

/// Whether any Sensor acts on Kubernetes objects.
fn needs_cluster(documents: &[&Document]) -> bool {
    let sensors = documents.iter().filter_map(|document| {
        match check::check(document, &mut Problems::default()) {
            Some(Checked::Sensor(sensor)) => Some(sensor),
            _ => None,
        }
    });
    let mut triggers: Vec<_> = sensors.flat_map(|sensor| sensor.spec.triggers).collect();
    while let Some(trigger) = triggers.pop() {
        let template = trigger.template.unwrap_or_default();
        if template.k8s.is_some() || template.argo_workflow.is_some() {
            return true;
        }
        triggers.extend(trigger.dlq_trigger.map(|trigger| *trigger));
    }
    false
}

async fn cluster_client() -> anyhow::Result<Client> {
    let config = connect::cluster().await.context("the Sensor creates Kubernetes objects, and no cluster is known: set KUBECONFIG, or use `tiphys run` for a built-in one")?;
    Ok(Client::try_from(config)?)
}
