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
use super::state::{Kind, Snapshot};

/// Where buses come from.
#[derive(Debug, Clone)]
pub enum Buses {
    /// Embedded logs below this folder, unless the EventBus names a server.
    Local {
        /// The data folder.
        data_dir: PathBuf,
    },
    /// The servers that the status of each EventBus names: the controller writes it.
    Cluster,
}

/// Which objects are hosted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All that the API has.
    All,
    /// Those of one namespace.
    Namespace(String),
    /// One object, on the EventBuses of its namespace.
    One {
        /// Its kind.
        kind: Kind,
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
}

/// Where the ports of EventSources are opened.
#[derive(Debug, Clone)]
pub enum Ports {
    /// As the specs say, but for what the map says: objects share a port.
    AsSpecified(PortMap),
    /// As the status of each EventSource says: every object has ports of its own. The map says on which address.
    Allotted(PortMap),
}

/// Who writes the state of hosted objects into their status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusWriting {
    /// The host.
    Host,
    /// Somebody else.
    Elsewhere,
}

/// How processes that host the same objects agree on what only one of them may run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replicas {
    /// This is the only process.
    Alone,
    /// One of several; they agree through the event bus.
    Several {
        /// Who this is, unlike every other one.
        identity: String,
        /// What they have in common.
        group: String,
    },
}

/// Who takes off a bus what a Sensor that is gone has left there, also when nobody ran at that moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tidying {
    /// This host: it knows every Sensor of its buses.
    Host,
    /// The controllers' leader, which knows the EventBus by this uid; by the object's own without one.
    Controller {
        /// The uid of the EventBus.
        bus_uid: Option<String>,
    },
    /// Nobody: there are other Sensors than these, and nobody knows of all.
    Nobody,
}

/// What makes the process ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Readiness {
    /// Every object that can run does; one that cannot is reported on itself.
    #[default]
    Runnable,
    /// Every object runs: the process is there for it.
    Each,
    /// Every object has been looked at: one that waits must not take the others off the network.
    Process,
}

/// What a host needs.
#[derive(Clone)]
pub struct HostOptions {
    /// The API whose objects are hosted.
    pub objects: Client,
    /// Which of them.
    pub scope: Scope,
    /// The API that triggers act on; the same one but for objects from files.
    pub target: Client,
    /// Where buses come from.
    pub buses: Buses,
    /// Where ports are opened.
    pub ports: Ports,
    /// Secret values from elsewhere than `objects`.
    pub secrets: Option<Arc<dyn Secrets>>,
    /// The files by whose host keys ssh servers are known, as OpenSSH writes them.
    pub known_hosts: Arc<[PathBuf]>,
    /// Where decisions are recorded, and how `tiphys dead` finds this process; on the event bus of each Sensor without it.
    pub data_dir: Option<PathBuf>,
    /// Where counters go.
    pub metrics: Metrics,
    /// Who writes statuses.
    pub status: StatusWriting,
    /// Which processes share the work.
    pub replicas: Replicas,
    /// Who clears up after Sensors.
    pub tidying: Tidying,
    /// What makes the process ready.
    pub readiness: Readiness,
    /// How long requests are still taken after the signal to stop, until everybody knows of it.
    pub linger: Duration,
}

impl HostOptions {
    /// A host that is alone with its objects, writes their status, and keeps its events in a folder.
    #[must_use]
    pub fn local(objects: Client, data_dir: PathBuf, ports: PortMap, metrics: Metrics) -> Self {
        Self {
            target: objects.clone(),
            objects,
            scope: Scope::All,
            buses: Buses::Local {
                data_dir: data_dir.clone(),
            },
            ports: Ports::AsSpecified(ports),
            secrets: None,
            known_hosts: Arc::default(),
            data_dir: Some(data_dir),
            metrics,
            status: StatusWriting::Host,
            replicas: Replicas::Alone,
            tidying: Tidying::Host,
            readiness: Readiness::Runnable,
            linger: Duration::ZERO,
        }
    }
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
