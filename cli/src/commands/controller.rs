//! `tiphys controller`: makes servers, pods and Services of the objects in a cluster.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{ArgAction, Args};
use tiphys_controller::operator::{
    LeaseOptions, Operator, OperatorOptions, Scope, Settings, Workloads,
};
use tiphys_controller::{admin, counted_client};
use tiphys_core::metrics::Metrics;
use tiphys_core::tasks::TaskFailed;
use tiphys_core::{Tasks, duration};
use tokio::sync::watch;

use crate::commands::pooled::{Hosting, Pooled};
use crate::connect;
use crate::logging::Reload;
use crate::signals;

/// Where Argo's controller finds its configuration, and so its users' ConfigMap is mounted.
const CONFIG: &str = "/etc/argo-events/controller-config.yaml";
/// How soon a changed configuration is taken up; a kubelet takes a minute to bring it.
const LOOK: Duration = Duration::from_secs(5);
/// A shorter lease would be lost to every hiccup, a longer one leaves the cluster alone for too long.
const LEASES: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(600);

/// Pods are given less than a second by nobody, and a day is as good as never.
const FORGET: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(24 * 3600);

/// The arguments of `tiphys controller`.
#[derive(Debug, Args)]
pub(crate) struct Controller {
    /// The image of EventSource and Sensor pods: this program.
    #[arg(long, value_name = "IMAGE", env = "TIPHYS_IMAGE")]
    pub image: Option<String>,
    /// When that image is pulled, where an object does not say: Always, IfNotPresent or Never.
    #[arg(long, value_name = "POLICY", env = "IMAGE_PULL_POLICY")]
    pub image_pull_policy: Option<String>,
    /// Looks after one namespace only; without it, after the whole cluster.
    #[arg(long)]
    pub namespaced: bool,
    /// The namespace to look after with --namespaced; the controller's own without it.
    #[arg(long, value_name = "NAMESPACE", requires = "namespaced")]
    pub managed_namespace: Option<String>,
    /// The controller's own namespace, where its Lease is.
    #[arg(short, long, value_name = "NAMESPACE", env = "NAMESPACE")]
    pub namespace: Option<String>,
    /// Whether several controllers agree on one that works.
    #[arg(long, default_value_t = true, action = ArgAction::Set, value_name = "BOOL")]
    pub leader_election: bool,
    /// The Lease that they agree by.
    #[arg(long, default_value = "tiphys-controller", value_name = "NAME")]
    pub lease: String,
    /// How long a controller that has fallen silent keeps the Lease.
    #[arg(long, default_value = "15s", value_name = "DURATION")]
    pub lease_duration: String,
    /// How this process is called among them; a random one without it.
    #[arg(long, value_name = "NAME", env = "POD_NAME")]
    pub identity: Option<String>,
    /// How long after a Sensor is gone what it has on its event bus is removed: longer than its pods take to stop.
    #[arg(long, default_value = "60s", value_name = "DURATION")]
    pub forget_after: String,
    /// JetStream's versions and defaults, as Argo's controller-config.yaml; read again when it changes.
    #[arg(long, default_value = CONFIG, value_name = "FILE")]
    pub config: PathBuf,
    /// Where metrics and health are served; `off` for nowhere.
    #[arg(long, default_value = "0.0.0.0:7777", value_name = "ADDRESS")]
    pub admin: String,
    /// How long work in hand may take after the signal to stop, in seconds.
    #[arg(long, default_value_t = 20, value_name = "SECONDS")]
    pub grace: u64,
    /// The pooled shape.
    #[command(flatten)]
    pub pool: Pooled,
}

/// Looks after the objects until a signal.
pub(crate) async fn run(args: Controller, set_log_level: Reload) -> anyhow::Result<ExitCode> {
    let config = connect::cluster().await.context(
        "the controller needs a cluster, and none is known: run it in a pod, or set KUBECONFIG",
    )?;
    let own = args
        .namespace
        .clone()
        .unwrap_or_else(|| config.default_namespace.clone());
    let defaults = settings(&args, &own)?;
    let metrics = Metrics::try_new(env!("CARGO_PKG_VERSION"))?;
    let client = counted_client(config, &metrics)?;
    let tasks = Tasks::new();
    let (sender, settings) = watch::channel(read(&defaults, &args.config)?);
    follow(defaults, args.config.clone(), sender, &tasks);
    let identity = args
        .identity
        .clone()
        .filter(|name| !name.is_empty())
        .unwrap_or_else(identity);
    let scope = settings.borrow().scope.clone();
    let lease = lease(&args, &own, &identity)?;
    let hosting = args
        .pool
        .host(&client, &scope, &own, &identity, metrics.clone(), &tasks)?;
    let operator = Operator::spawn(
        OperatorOptions {
            client,
            settings,
            workloads: match &hosting {
                Some(hosting) => hosting.workloads.clone(),
                None => Workloads::Pods,
            },
            lease,
            identity,
            forget_after: forget_after(&args)?,
            metrics: metrics.clone(),
        },
        &tasks,
    );
    if let Some(listener) = crate::admin::listener(&args.admin).await? {
        admin::spawn(
            listener,
            metrics,
            match &hosting {
                Some(hosting) => hosting.host.state(),
                None => operator.state(),
            },
            std::sync::Arc::from(set_log_level),
            &tasks,
        );
    }
    let failed = tokio::select! {
        () = signals::stop() => None,
        failed = tasks.failed() => Some(failed),
        failed = hosted_failed(hosting.as_ref()) => Some(failed),
    };
    let grace = Duration::from_secs(args.grace);
    let stopped = async {
        // Requests are taken until everybody knows; the lease goes last, to one that is there.
        if let Some(hosting) = &hosting {
            hosting.drain(grace).await?;
        }
        anyhow::Ok(tasks.stop(grace).await?)
    };
    tokio::select! {
        stopped = stopped => stopped?,
        () = signals::stop_now() => anyhow::bail!("stopped before the work in hand was finished"),
    }
    match failed {
        Some(failed) => Err(failed.into()),
        None => Ok(ExitCode::SUCCESS),
    }
}

async fn hosted_failed(hosting: Option<&Hosting>) -> TaskFailed {
    match hosting {
        Some(hosting) => hosting.host.failed().await,
        None => std::future::pending().await,
    }
}

fn settings(args: &Controller, own: &str) -> anyhow::Result<Settings> {
    let image = args.image.clone().filter(|image| !image.is_empty());
    // A pool makes no pods.
    let image = image.or_else(|| args.pool.pooled.then(String::new)).context(
        "the image of EventSource and Sensor pods is not known: set --image or TIPHYS_IMAGE to this program's own",
    )?;
    let policy = args
        .image_pull_policy
        .clone()
        .filter(|policy| !policy.is_empty());
    if let Some(policy) = &policy {
        anyhow::ensure!(
            ["Always", "IfNotPresent", "Never"].contains(&policy.as_str()),
            "--image-pull-policy must be Always, IfNotPresent or Never, not {policy:?}"
        );
    }
    let mut settings = Settings::new(image);
    settings.image_pull_policy = policy;
    if args.namespaced {
        let managed = args.managed_namespace.clone();
        settings.scope = Scope::Namespace(managed.unwrap_or_else(|| own.to_owned()));
    }
    Ok(settings)
}

fn lease(args: &Controller, own: &str, identity: &str) -> anyhow::Result<Option<LeaseOptions>> {
    if !args.leader_election {
        return Ok(None);
    }
    let duration = duration::parse(&args.lease_duration)
        .ok()
        .filter(|duration| LEASES.contains(duration))
        .with_context(|| {
            format!(
                "--lease-duration {:?} must be a duration between 1s and 10m, as 15s",
                args.lease_duration
            )
        })?;
    Ok(Some(LeaseOptions {
        namespace: own.to_owned(),
        name: args.lease.clone(),
        identity: identity.to_owned(),
        duration,
    }))
}

fn forget_after(args: &Controller) -> anyhow::Result<Duration> {
    let parsed = duration::parse(&args.forget_after);
    parsed
        .ok()
        .filter(|after| FORGET.contains(after))
        .with_context(|| {
            format!(
                "--forget-after {:?} must be a duration between 1s and 24h, as 60s",
                args.forget_after
            )
        })
}

/// Unlike every other process's: two of one name would both hold the Lease.
fn identity() -> String {
    format!("tiphys-{:016x}", rand::random::<u64>())
}

/// The settings with what the file says. Only the usual file may be absent.
fn read(defaults: &Settings, path: &Path) -> anyhow::Result<Settings> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && path == Path::new(CONFIG) => {
            return Ok(defaults.clone());
        }
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read {}", path.display()));
        }
    };
    let settings = defaults.clone().configured(&text);
    settings.with_context(|| format!("cannot use {}", path.display()))
}

/// Looks at the file from time to time: a mounted ConfigMap changes by a swap that not every watch sees.
fn follow(defaults: Settings, path: PathBuf, sender: watch::Sender<Settings>, tasks: &Tasks) {
    let stop = tasks.stop_token();
    tasks.spawn("configuration", async move {
        let mut trouble = None;
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok::<(), std::convert::Infallible>(()),
                () = tokio::time::sleep(LOOK) => {}
            }
            match read(&defaults, &path) {
                Ok(settings) => {
                    trouble = None;
                    sender.send_if_modified(|current| {
                        let news = *current != settings;
                        if news {
                            *current = settings;
                        }
                        news
                    });
                }
                Err(error) => {
                    let text = format!("{error:#}");
                    if trouble.as_ref() != Some(&text) {
                        tracing::warn!(error = text, "the configuration before it stays in force");
                        trouble = Some(text);
                    }
                }
            }
        }
    });
}
