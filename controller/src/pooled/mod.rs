//! The pooled shape: EventSources and Sensors as tasks of one deployment, in each of its replicas.
//!
//! ```text
//!                    ┌ replica ───────────────────────────┐
//! EventSource ──────▶│ Host: listens on the pool's port   │──▶ JetStream ◀── durable consumers, shared
//! Service :12000 ───▶│   20417, which stands for 12000    │
//!                    └────────────────────────────────────┘
//! leader: allots ports (status.pooledPorts), writes Services and statuses, looks after EventBuses
//! ```
//!
//! Two EventSources that say the same port would meet on it, so each port of each EventSource has a port of the pool.
//! The leader allots it and writes it into the EventSource's status; every replica listens where the status says, and
//! the Service leads there. This folder decides; the half of it that speaks to the API is in `operator::reconcile`.

pub(crate) mod pods;
pub(crate) mod ports;
pub(crate) mod service;

use std::collections::BTreeMap;

use kube::Client;
use tiphys_core::Tasks;
use tokio::sync::watch;

use crate::hosting::{ObjectKey, ObjectState, Snapshot};
use pods::Address;

/// The deployment that hosts, as its leader sees it. Cloning shares it.
#[derive(Clone)]
pub struct Pool {
    /// What this replica hosts; the others host the same.
    pub(crate) hosted: watch::Receiver<Snapshot>,
    /// Where the pods are.
    pub(crate) namespace: String,
    /// The labels of the pods.
    pub(crate) selector: BTreeMap<String, String>,
    /// The pods themselves, for Services of other namespaces, which cannot select them.
    pub(crate) pods: watch::Receiver<Vec<Address>>,
}

impl Pool {
    /// Follows the pods of `namespace` that have the labels of `selector`.
    #[must_use]
    pub fn follow(
        client: &Client,
        namespace: &str,
        selector: BTreeMap<String, String>,
        hosted: watch::Receiver<Snapshot>,
        tasks: &Tasks,
    ) -> Self {
        Self {
            hosted,
            pods: pods::follow(client, namespace, &selector, tasks),
            namespace: namespace.to_owned(),
            selector,
        }
    }

    /// How an object does in this replica.
    pub(crate) fn state(&self, key: &ObjectKey) -> Option<ObjectState> {
        self.hosted.borrow().objects.get(key).cloned()
    }
}
