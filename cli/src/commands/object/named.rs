//! The object from the API server: it and its EventBus are followed as they change.

use anyhow::Context as _;
use kube::api::DynamicObject;
use kube::{Api, Client};
use tiphys_controller::{
    Buses, HostOptions, Kind, Ports, Readiness, Scope, StatusWriting, Tidying,
};
use tiphys_core::metrics::Metrics;

use super::{LINGER_SECS, Object};
use crate::commands::run::ports;
use crate::{connect, known_hosts};

pub(super) async fn options(
    args: &Object,
    kind: Kind,
    name: &str,
    metrics: Metrics,
) -> anyhow::Result<HostOptions> {
    let config = connect::cluster().await.with_context(|| {
        format!(
            "no cluster is known to read the {} from: set KUBECONFIG, or give it with --file",
            kind.as_str()
        )
    })?;
    let in_pod = args.identity.is_some();
    let namespace = args.namespace.as_ref().unwrap_or(&config.default_namespace);
    let namespace = namespace.clone();
    let client = Client::try_from(config)?;
    exists(&client, kind, &namespace, name).await?;
    Ok(HostOptions {
        objects: client.clone(),
        target: client,
        scope: Scope::One {
            kind,
            namespace: namespace.clone(),
            name: name.to_owned(),
        },
        buses: Buses::Cluster,
        ports: Ports::AsSpecified(ports(&args.publish, &args.bind)?),
        secrets: None,
        known_hosts: known_hosts::files().into(),
        data_dir: args.data_dir.clone(),
        metrics,
        // The controller's word on it says more, and two writers would take turns.
        status: StatusWriting::Elsewhere,
        replicas: args.replicas(kind, &namespace, name),
        tidying: Tidying::Controller { bus_uid: None },
        readiness: Readiness::Each,
        linger: args.linger(if in_pod { LINGER_SECS } else { 0 }),
    })
}

/// A name that is wrong is better heard of at once than waited for.
async fn exists(client: &Client, kind: Kind, namespace: &str, name: &str) -> anyhow::Result<()> {
    let resource = kind.resource();
    let api = Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &resource);
    let (kind, plural) = (kind.as_str(), resource.plural);
    match api.get_opt(name).await {
        Ok(Some(_)) => Ok(()),
        Ok(None) => anyhow::bail!(
            "{kind} {name:?} does not exist in namespace {namespace:?}: create it, or name another with --name and --namespace"
        ),
        // Of a kind that it does not know the server has no such path, and answers with a page.
        Err(kube::Error::Api(status)) if status.code == 404 => anyhow::bail!(
            "the API server does not know {kind} objects: install their definitions with `tiphys crds | kubectl apply -f -`"
        ),
        Err(kube::Error::Api(status)) if status.code == 403 => anyhow::bail!(
            "{kind} {name:?} in namespace {namespace:?} may not be read: {}; grant get, list and watch of {plural} and eventbus",
            status.message
        ),
        Err(error) => Err(error)
            .with_context(|| format!("cannot read {kind} {name:?} in namespace {namespace:?}")),
    }
}
