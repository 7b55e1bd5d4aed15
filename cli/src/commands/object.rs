//! `tiphys eventsource` and `tiphys sensor`: the runtime of one kind of object, from files.
//! Objects come from the files alone; a Sensor's Kubernetes triggers act on the cluster of the kubeconfig.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use kube::Client;
use tiphys_cluster::{Cluster, kinds};
use tiphys_controller::check::{self, Checked};
use tiphys_controller::secrets::FileSecrets;
use tiphys_controller::{Buses, Host, HostOptions, Kind, admin};
use tiphys_core::manifest::Document;
use tiphys_core::metrics::Metrics;
use tiphys_core::{Problems, Tasks};
use tokio::net::TcpListener;

use crate::args::Object;
use crate::commands::run::{good, ports, report};
use crate::logging::Reload;
use crate::session::Session;
use crate::{files, signals};

/// Where the secrets of a pod are mounted.
const MOUNTS: &str = "/argo-events";

/// Runs the objects of `kind` in the files until a signal.
pub(crate) async fn run(
    args: Object,
    kind: Kind,
    set_log_level: Reload,
) -> anyhow::Result<ExitCode> {
    let loaded = files::load(&args.file)?;
    report(&loaded, &args.namespace);
    let documents: Vec<&Document> = good(&loaded);
    let wanted: Vec<&Document> = documents
        .iter()
        .copied()
        .filter(|document| [kind.as_str(), "EventBus"].contains(&document.kind()))
        .collect();
    let name = kind.as_str();
    anyhow::ensure!(
        wanted.iter().any(|document| document.kind() == name),
        "the files have no {name} that can run; `tiphys lint` shows every problem"
    );
    let cluster = Cluster::in_memory(&[kinds::CORE, kinds::ARGO].concat())
        .context("cannot hold the objects")?;
    let objects = cluster.client(&args.namespace);
    let pass = Session::connect(objects.clone(), &args.namespace)
        .await?
        .bring(&wanted, None, false)
        .await;
    if let Some(error) = pass.failed.into_iter().next() {
        return Err(error.into());
    }
    let target = if needs_cluster(&wanted) {
        cluster_client().await?
    } else {
        objects.clone()
    };
    let tasks = Tasks::new();
    let metrics = Metrics::try_new(env!("CARGO_PKG_VERSION"))?;
    let options = HostOptions {
        objects,
        target,
        buses: Buses::Local {
            data_dir: args.data_dir.clone(),
        },
        ports: ports(&args.publish, &args.bind)?,
        secrets: Some(Arc::new(FileSecrets::new(documents, PathBuf::from(MOUNTS)))),
        metrics: metrics.clone(),
    };
    let host = Host::spawn(options, &tasks);
    if args.admin != "off" {
        let listener = TcpListener::bind(&args.admin).await.with_context(|| {
            format!(
                "cannot serve metrics on {}; choose another address with --admin, or --admin off",
                args.admin
            )
        })?;
        admin::spawn(
            listener,
            metrics,
            host.state(),
            Arc::from(set_log_level),
            &tasks,
        );
    }
    let failed = tokio::select! {
        () = signals::stop() => None,
        failed = host.failed() => Some(failed),
    };
    tokio::select! {
        drained = host.drain(Duration::from_secs(args.grace)) => drained?,
        () = signals::stop_now() => anyhow::bail!("stopped before everything in hand was finished"),
    }
    tasks.stop(Duration::from_secs(1)).await?;
    match failed {
        Some(failed) => Err(failed.into()),
        None => Ok(ExitCode::SUCCESS),
    }
}

/// Whether any Sensor creates objects.
fn needs_cluster(documents: &[&Document]) -> bool {
    documents.iter().any(
        |document| match check::check(document, &mut Problems::default()) {
            Some(Checked::Sensor(sensor)) => sensor.spec.triggers.iter().any(|trigger| {
                trigger.template.as_ref().is_some_and(|template| {
                    template.k8s.is_some() || template.argo_workflow.is_some()
                })
            }),
            _ => false,
        },
    )
}

async fn cluster_client() -> anyhow::Result<Client> {
    let client = Client::try_default().await;
    client.context("the Sensor creates Kubernetes objects, and no cluster is known: set KUBECONFIG, or use `tiphys run` for a built-in one")
}
