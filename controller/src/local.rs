//! The local shape: the built-in API, the workflow engine and the host in one process. Files are the caller's work.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use kube::Client;
use tiphys_cluster::{Cluster, kinds};
use tiphys_core::Tasks;
use tiphys_core::metrics::Metrics;
use tiphys_core::tasks::{RunError, TaskFailed};
use tiphys_eventsource::PortMap;
use tiphys_workflow::logs::Logs;
use tiphys_workflow::{Engine, EngineError, EngineOptions};
use tokio::net::TcpListener;

use crate::hosting::{Host, HostOptions};

/// How the local shape runs.
#[derive(Debug)]
pub struct LocalOptions {
    /// Where events, objects and logs are kept.
    pub data_dir: PathBuf,
    /// The namespace of objects that name none.
    pub namespace: String,
    /// Which port of a spec is served where.
    pub ports: PortMap,
    /// Where the built-in API is served; `None` for in process only.
    pub api: Option<TcpListener>,
    /// How many steps of Workflows run at once.
    pub parallel: usize,
    /// The files by whose host keys ssh servers are known, as OpenSSH writes them.
    pub known_hosts: Vec<PathBuf>,
    /// This program, for steps that call `cowsay` from a shell.
    pub program: Option<PathBuf>,
}

/// Why the local shape could not start.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// The data folder cannot be used.
    #[error("cannot use the data folder {folder}: choose another with --data-dir")]
    Folder {
        /// Which.
        folder: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The store of objects cannot be opened.
    #[error(transparent)]
    Store(#[from] tiphys_cluster::OpenError),
    /// The workflow engine cannot start.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// The local shape with its API open and nothing running yet, so that objects can be brought in first.
pub struct Opened {
    client: Client,
    cluster: Cluster,
    engine: Engine,
    api: Tasks,
    host: HostOptions,
    tasks: Tasks,
}

impl Opened {
    /// Opens what the data folder holds and serves the built-in API.
    ///
    /// # Errors
    /// [`LocalError`], each with what to do.
    pub fn open(
        options: LocalOptions,
        metrics: Metrics,
        tasks: &Tasks,
    ) -> Result<Self, LocalError> {
        let folder = options.data_dir.display().to_string();
        std::fs::create_dir_all(&options.data_dir)
            .map_err(|source| LocalError::Folder { folder, source })?;
        let cluster = Cluster::open(
            &options.data_dir.join("cluster"),
            &[kinds::CORE, kinds::ARGO].concat(),
        )?;
        let client = cluster.client(&options.namespace);
        let engine = Engine::open(
            client.clone(),
            &EngineOptions {
                folder: options.data_dir.join("workflows"),
                parallel: options.parallel,
                program: options.program,
            },
        )?;
        let api = tasks.child();
        if let Some(listener) = options.api {
            let (cluster, stop) = (cluster.clone(), api.stop_token());
            api.spawn("built-in API", async move {
                cluster.serve(listener, stop).await
            });
        }
        let host = HostOptions {
            known_hosts: options.known_hosts.into(),
            ..HostOptions::local(client.clone(), options.data_dir, options.ports, metrics)
        };
        Ok(Self {
            client,
            cluster,
            engine,
            api,
            host,
            tasks: tasks.clone(),
        })
    }

    /// The built-in API.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Starts the engine and hosts what the API holds.
    #[must_use]
    pub fn launch(self) -> Local {
        let logs = self.engine.logs();
        let engine = self.tasks.child();
        self.engine.spawn(&engine);
        let host = Host::spawn(self.host, &self.tasks);
        Local {
            cluster: self.cluster,
            host,
            logs,
            engine,
            api: self.api,
        }
    }
}

/// A running local shape.
pub struct Local {
    cluster: Cluster,
    host: Host,
    logs: Logs,
    engine: Tasks,
    api: Tasks,
}

impl Local {
    /// What is hosted.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// What Workflows have printed.
    #[must_use]
    pub const fn logs(&self) -> &Logs {
        &self.logs
    }

    /// Waits for the first part that ended unasked.
    pub async fn failed(&self) -> TaskFailed {
        tokio::select! {
            failed = self.host.failed() => failed,
            failed = self.engine.failed() => failed,
            failed = self.api.failed() => failed,
        }
    }

    /// Stops accepting, finishes what is in hand, then stops the engine and the API.
    ///
    /// Steps that are still running are stopped and run again at the next start.
    ///
    /// # Errors
    /// When something was still at work after `grace`.
    pub async fn stop(self, grace: Duration) -> Result<(), RunError> {
        let drained = self.host.drain(grace).await;
        let engine = self.engine.stop(grace).await;
        let api = self.api.stop(Duration::from_secs(2)).await;
        self.cluster.close().await;
        drained.and(engine).and(api)
    }
}
