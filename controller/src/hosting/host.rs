//! Hosts buses, sources and sensors as tasks of this process, as the objects in the API say.
//! What is done for each object is the reconciler's work.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use tiphys_core::metrics::Metrics;
use tiphys_core::{Secrets, Tasks};
use tiphys_eventsource::PortMap;
use tokio::sync::watch;

use super::reconciler::Reconciler;
use super::state::Snapshot;

/// Where buses come from.
#[derive(Debug, Clone)]
pub enum Buses {
    /// Embedded logs below this folder, unless the EventBus names a server.
    Local {
        /// The data folder.
        data_dir: PathBuf,
    },
}

/// What a host needs.
#[derive(Clone)]
pub struct HostOptions {
    /// The API whose objects are hosted.
    pub objects: Client,
    /// The API that triggers act on; the same one but for objects from files.
    pub target: Client,
    /// Where buses come from.
    pub buses: Buses,
    /// Which port of a spec is served where.
    pub ports: PortMap,
    /// Secret values from elsewhere than `objects`.
    pub secrets: Option<Arc<dyn Secrets>>,
    /// Where counters go.
    pub metrics: Metrics,
}
/// A running host.
pub struct Host {
    state: watch::Receiver<Snapshot>,
    tasks: Tasks,
}

impl Host {
    /// Starts watching and hosting.
    #[must_use]
    pub fn spawn(options: HostOptions, tasks: &Tasks) -> Self {
        let tasks = tasks.child();
        let (report, state) = watch::channel(Snapshot::default());
        let reconciler = Reconciler::new(options, report, &tasks);
        let stop = tasks.stop_token();
        tasks.spawn("host", async move {
            Box::pin(reconciler.run(stop)).await;
            Ok::<(), std::convert::Infallible>(())
        });
        Self { state, tasks }
    }

    /// What is hosted, and each change of that.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<Snapshot> {
        self.state.clone()
    }

    /// Stops accepting, finishes what is in hand, closes the buses; at most `grace`.
    ///
    /// # Errors
    /// When something was still at work after that.
    pub async fn drain(&self, grace: Duration) -> Result<(), tiphys_core::tasks::RunError> {
        self.tasks.stop(grace).await
    }

    /// Waits for the first task of the host that ended unasked.
    pub async fn failed(&self) -> tiphys_core::tasks::TaskFailed {
        self.tasks.failed().await
    }
}
