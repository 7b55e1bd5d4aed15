//! Finds the API that a command speaks to: a local run by its data folder, else the cluster of the kubeconfig.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use kube::config::{InferConfigError, KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde::{Deserialize, Serialize};

use crate::args::Api;

/// What a local run leaves in its data folder for other commands.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Address {
    /// The URL of the API on loopback.
    pub url: String,
    /// The namespace of objects that name none.
    pub namespace: String,
    /// The process that serves it.
    pub pid: u32,
}

const FILE: &str = "api.json";

/// Between two tries to write it.
const AGAIN: Duration = Duration::from_secs(2);

/// A connection, and what is known of the other side.
pub(crate) struct Connection {
    pub client: Client,
    pub namespace: String,
    /// The data folder of a local run.
    pub local: Option<PathBuf>,
}

/// Records where a local run serves its API; says whether that worked. Events need no such record, so that a disk which
/// is full is no reason not to run.
pub(crate) fn record(data_dir: &Path, address: &Address) -> Result<(), std::io::Error> {
    let path = data_dir.join(FILE);
    let text = serde_json::to_string_pretty(address)?;
    std::fs::write(&path, text).inspect_err(|error| {
        // What is half written would be read.
        std::fs::remove_file(&path).ok();
        tracing::warn!(%error, file = %path.display(), "cannot write down where the API is; trying again");
    })
}

/// Tries again until it is recorded, and never ends.
pub(crate) async fn recorded(
    data_dir: &Path,
    address: &Address,
    mut written: Result<(), std::io::Error>,
) -> Infallible {
    while written.is_err() {
        tokio::time::sleep(AGAIN).await;
        written = record(data_dir, address);
    }
    std::future::pending().await
}

/// Takes the record away again; absent is fine.
pub(crate) fn forget(data_dir: &Path) {
    if let Err(error) = std::fs::remove_file(data_dir.join(FILE)) {
        tracing::debug!(%error, "no address to remove");
    }
}

/// The cluster of the kubeconfig, or of the pod.
pub(crate) async fn cluster() -> Result<Config, InferConfigError> {
    Config::infer().await.map(named)
}

/// Says who asks, so that the API server's log and the fields that it manages name us.
fn named(mut config: Config) -> Config {
    let program = concat!("tiphys/", env!("CARGO_PKG_VERSION"));
    if let (Ok(name), Ok(program)) = ("user-agent".parse(), program.parse()) {
        config.headers.push((name, program));
    }
    config
}

/// Connects to the local run of the folder, or to the cluster.
pub(crate) async fn connect(args: &Api) -> anyhow::Result<Connection> {
    let path = args.data_dir.join(FILE);
    if args.kubeconfig.is_some() || args.context.is_some() {
        return chosen(args).await;
    }
    if let Ok(text) = std::fs::read_to_string(&path) {
        let address: Address = serde_json::from_str(&text).map_err(|error| {
            anyhow::anyhow!(
                "{} is broken ({error}); remove it or start `tiphys run` again",
                path.display()
            )
        })?;
        let config = Config::new(address.url.parse()?);
        let client = Client::try_from(config)?;
        if client.apiserver_version().await.is_ok() {
            let namespace = args.namespace.clone().unwrap_or(address.namespace);
            return Ok(Connection {
                client,
                namespace,
                local: Some(args.data_dir.clone()),
            });
        }
        anyhow::bail!(
            "the local run of {} does not answer at {}; start it with `tiphys run PATH --data-dir {0}`",
            args.data_dir.display(),
            address.url
        );
    }
    let config = cluster().await.map_err(|error| {
        anyhow::anyhow!(
            "no local run in {} and no cluster: {error}; start `tiphys run PATH`, name its folder with --data-dir, or set KUBECONFIG",
            args.data_dir.display()
        )
    })?;
    let namespace = args
        .namespace
        .clone()
        .unwrap_or_else(|| config.default_namespace.clone());
    Ok(Connection {
        client: Client::try_from(config)?,
        namespace,
        local: None,
    })
}

/// Connects to the cluster that is named.
async fn chosen(args: &Api) -> anyhow::Result<Connection> {
    let options = KubeConfigOptions {
        context: args.context.clone(),
        ..KubeConfigOptions::default()
    };
    let config = match &args.kubeconfig {
        Some(file) => {
            let kubeconfig = Kubeconfig::read_from(file)
                .with_context(|| format!("cannot read {}", file.display()))?;
            Config::from_custom_kubeconfig(kubeconfig, &options).await
        }
        None => Config::from_kubeconfig(&options).await,
    };
    let config = named(config.context("cannot use the kubeconfig")?);
    let namespace = args
        .namespace
        .clone()
        .unwrap_or_else(|| config.default_namespace.clone());
    Ok(Connection {
        client: Client::try_from(config)?,
        namespace,
        local: None,
    })
}
