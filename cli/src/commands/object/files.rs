//! The object from files: they are held in memory, as an API would.

use anyhow::Context as _;
use std::path::PathBuf;
use std::sync::Arc;

use tiphys_cluster::{Cluster, kinds};
use tiphys_controller::secrets::FileSecrets;
use tiphys_controller::{HostOptions, Kind, Tidying};
use tiphys_core::manifest::Document;
use tiphys_core::metrics::Metrics;

use super::{Object, cluster_client, needs_cluster};
use crate::commands::run::{good, ports, report};
use crate::session::Session;
use crate::{files, known_hosts};

/// The namespace of objects that name none.
const NAMESPACE: &str = "default";
/// Where an embedded bus keeps its events.
const DATA_DIR: &str = ".tiphys";

pub(super) async fn options(
    args: &Object,
    kind: Kind,
    metrics: Metrics,
) -> anyhow::Result<HostOptions> {
    let namespace = args.namespace.as_deref().unwrap_or(NAMESPACE);
    let loaded = files::load(&args.file)?;
    report(&loaded, namespace);
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
    let objects = cluster.client(namespace);
    let pass = Session::connect(objects.clone(), namespace)
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
    let data_dir = args.data_dir.clone().unwrap_or_else(|| DATA_DIR.into());
    let ports = ports(&args.publish, &args.bind)?;
    let secrets = FileSecrets::new(documents, PathBuf::clone(&args.mounts));
    let names: Vec<&str> = wanted
        .iter()
        .filter(|document| document.kind() == name)
        .map(|document| document.name())
        .collect();
    Ok(HostOptions {
        target,
        replicas: args.replicas(kind, namespace, &names.join("+")),
        secrets: Some(Arc::new(secrets)),
        known_hosts: known_hosts::files().into(),
        linger: args.linger(0),
        // Other files may have more Sensors of the same bus.
        tidying: Tidying::Nobody,
        ..HostOptions::local(objects, data_dir, ports, metrics)
    })
}
