//! The handle that everyone else holds: open, get a client, serve, close.
//!
//! Owns the store and the table of kinds; leaves every verb to the modules below.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::kinds::{DEFINITIONS, Kind};
use crate::registry::Registry;
use crate::serve;
use crate::store::{File, Journal, Nowhere, OpenError, State, Store};

/// Reads what the containers of a pod have written.
#[async_trait]
pub trait PodLogs: Send + Sync {
    /// The log of a container, or of the pod's only one; `None` if there is no such pod.
    async fn read(&self, namespace: &str, pod: &str, container: Option<&str>) -> Option<Bytes>;
}

/// The built-in Kubernetes API: a store on disk and the verbs over it.
///
/// Clones share one store; the file is closed when the last clone and the last client have
/// gone, or at [`Cluster::close`].
#[derive(Clone)]
pub struct Cluster {
    pub(crate) inner: Arc<Inner>,
    pub(crate) logs: Option<Arc<dyn PodLogs>>,
}

/// What the clones share.
pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) registry: Arc<Registry>,
}

impl Cluster {
    /// Opens the store in a folder, or makes both.
    ///
    /// Reads every object into memory, so it blocks for a moment with a large store.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written, another process has the store, or it is damaged.
    pub fn open(dir: &Path, kinds: &[Kind]) -> Result<Self, OpenError> {
        let (file, state) = File::open(dir)?;
        Self::start(Box::new(file), state, kinds).map_err(|source| OpenError::Disk {
            file: dir.to_owned(),
            source,
        })
    }

    /// A server that forgets everything when it ends, for tests and dry runs.
    ///
    /// # Errors
    ///
    /// When the system has no thread for it.
    pub fn in_memory(kinds: &[Kind]) -> io::Result<Self> {
        Self::start(Box::new(Nowhere), State::default(), kinds)
    }

    pub(crate) fn start(
        journal: Box<dyn Journal>,
        mut state: State,
        kinds: &[Kind],
    ) -> io::Result<Self> {
        let registry = Arc::new(Registry::new(kinds));
        let defined: Vec<_> = state
            .list(DEFINITIONS, None, None)
            .map(|(_, d)| Arc::clone(d))
            .collect();
        for definition in defined {
            registry.learn(&definition);
        }
        for resource in registry.all() {
            state.open_table(&resource.table);
        }
        let learner = Arc::clone(&registry);
        let observer = move |changes: &[crate::store::Change]| {
            let definitions = changes
                .iter()
                .filter(|change| *change.table == *DEFINITIONS);
            let mut opened = Vec::new();
            for change in definitions {
                if change.gone {
                    learner.forget(&change.object);
                } else {
                    opened.extend(learner.learn(&change.object));
                }
            }
            opened
        };
        let store = Store::start(journal, state, Box::new(observer))?;
        Ok(Self {
            inner: Arc::new(Inner { store, registry }),
            logs: None,
        })
    }

    /// The same server, answering for the logs of pods.
    #[must_use]
    pub fn with_pod_logs(mut self, logs: Arc<dyn PodLogs>) -> Self {
        self.logs = Some(logs);
        self
    }

    /// A client whose requests never leave this process; needs a tokio runtime around it.
    #[must_use]
    pub fn client(&self, default_namespace: &str) -> kube::Client {
        serve::client(self, default_namespace)
    }

    /// The API as a router, to be served on loopback.
    pub fn router(&self) -> axum::Router {
        serve::router(self, self.inner.store.stopped())
    }

    /// Serves the API until `stop`; then ends watches and lets the other requests finish.
    ///
    /// There is no authentication, so the listener must be one of the loopback interface.
    ///
    /// # Errors
    ///
    /// When the listener fails, or others than this machine could reach it.
    pub async fn serve(&self, listener: TcpListener, stop: CancellationToken) -> io::Result<()> {
        serve::serve(self, listener, stop).await
    }

    /// Ends watches, finishes the writes that are queued, and closes the file.
    ///
    /// Later writes are answered with 503; reads still see what was there.
    pub async fn close(&self) {
        self.inner.store.close().await;
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").finish_non_exhaustive()
    }
}
