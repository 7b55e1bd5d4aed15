//! `tiphys controller --pooled`: the half of it that hosts EventSources and Sensors in this process.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use kube::Client;
use tiphys_controller::operator::{Scope as Namespaces, Workloads};
use tiphys_controller::pooled::Pool;
use tiphys_controller::{
    Buses, Host, HostOptions, Ports, Readiness, Replicas, Scope, StatusWriting, Tidying,
};
use tiphys_core::Tasks;
use tiphys_core::metrics::Metrics;

use crate::commands::run::ports;
use crate::known_hosts;

/// The arguments of the pooled shape.
#[derive(Debug, Args)]
pub(crate) struct Pooled {
    /// Hosts EventSources and Sensors in this deployment instead of making pods for each.
    #[arg(long)]
    pub pooled: bool,
    /// The label, as KEY=VALUE, that the pods of this deployment have: Services lead to them. Several may be given.
    #[arg(
        long,
        default_value = "app=controller-manager",
        value_name = "KEY=VALUE",
        requires = "pooled"
    )]
    pub pool_selector: Vec<String>,
    /// The address that EventSources of the pool listen on.
    #[arg(
        long,
        default_value = "0.0.0.0",
        value_name = "ADDRESS",
        requires = "pooled"
    )]
    pub bind: String,
    /// Where the pool records decisions; nothing is written without it.
    #[arg(long, value_name = "DIR", env = "TIPHYS_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// How long the pool still takes requests after the signal to stop, in seconds, until nobody sends any.
    #[arg(long, default_value_t = 5, value_name = "SECONDS", requires = "pooled")]
    pub linger: u64,
}

/// A pool that runs, and what its controller needs to know of it.
pub(crate) struct Hosting {
    pub(crate) host: Host,
    pub(crate) workloads: Workloads,
    linger: Duration,
}

impl Pooled {
    /// Begins to host, where that is wanted.
    pub(crate) fn host(
        &self,
        client: &Client,
        namespaces: &Namespaces,
        own: &str,
        identity: &str,
        metrics: Metrics,
        tasks: &Tasks,
    ) -> anyhow::Result<Option<Hosting>> {
        if !self.pooled {
            return Ok(None);
        }
        let linger = Duration::from_secs(self.linger);
        let selector = selector(&self.pool_selector)?;
        let options = HostOptions {
            objects: client.clone(),
            target: client.clone(),
            scope: match namespaces {
                Namespaces::Cluster => Scope::All,
                Namespaces::Namespace(namespace) => Scope::Namespace(namespace.clone()),
            },
            buses: Buses::Cluster,
            ports: Ports::Allotted(ports(&[], &self.bind)?),
            secrets: None,
            known_hosts: known_hosts::files().into(),
            data_dir: self.data_dir.clone(),
            metrics,
            status: StatusWriting::Elsewhere,
            replicas: Replicas::Several {
                identity: identity.to_owned(),
                group: format!("pool-{own}"),
            },
            tidying: Tidying::Controller { bus_uid: None },
            readiness: Readiness::Process,
            linger,
        };
        let host = Host::spawn(options, tasks);
        let pool = Pool::follow(client, own, selector, host.state(), tasks);
        Ok(Some(Hosting {
            host,
            workloads: Workloads::Pooled(pool),
            linger,
        }))
    }
}

impl Hosting {
    /// Takes no more requests and messages, and finishes what is in hand.
    pub(crate) async fn drain(&self, grace: Duration) -> anyhow::Result<()> {
        Ok(self.host.drain(grace + self.linger).await?)
    }
}

fn selector(labels: &[String]) -> anyhow::Result<BTreeMap<String, String>> {
    let pairs = labels.iter().map(|label| {
        label
            .split_once('=')
            .filter(|(key, value)| !key.is_empty() && !value.is_empty())
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .ok_or_else(|| {
                anyhow::anyhow!(
                    "--pool-selector {label:?} must be KEY=VALUE, as app=controller-manager"
                )
            })
    });
    pairs.collect()
}
