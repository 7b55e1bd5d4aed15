//! The controller of the cluster shape: makes servers, pods and Services of EventBuses, EventSources and Sensors.
//!
//! ```text
//!             EventBus, EventSource, Sensor ─┐                        ┌▶ eventbus/  (pure)
//! watches of  what has been made ────────────┼▶ cache ─▶ queue ─▶ reconcile/ ─▶ apply, status, Events
//!             names of Secrets, ConfigMaps ──┘                        └▶ workload/  (pure)
//! ```
//!
//! What must exist is decided by pure functions; only `apply`, `contents`, `notices` and `reconcile` speak to the API.
//! One object that is wrong, or whose work panics, is reported on itself and delays nobody. At rest nothing is asked
//! and nothing written but the Lease of whoever leads.

mod apply;
mod cache;
mod child;
mod conditions;
mod contents;
pub(crate) mod eventbus;
mod holders;
mod known;
mod lease;
mod measures;
mod notices;
mod pool;
mod queue;
mod reconcile;
mod run;
pub mod settings;
mod sweep;
pub(crate) mod wanted;
mod watches;
pub(crate) mod workload;

use std::convert::Infallible;
use std::time::Duration;

use kube::Client;
use tiphys_core::Tasks;
use tiphys_core::metrics::Metrics;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use self::lease::LeaseOptions;
pub use self::settings::{JetStreamSettings, JetStreamVersion, Scope, Settings, SettingsError};
use crate::hosting::Snapshot;
use crate::pooled::Pool;

/// Where EventSources and Sensors run.
#[derive(Clone)]
pub enum Workloads {
    /// Each in pods of its own.
    Pods,
    /// In the processes of a pool, of which this is one: they have a Service and a status, and no pods.
    Pooled(Pool),
}

/// What a controller needs.
#[derive(Clone)]
pub struct OperatorOptions {
    /// The API server.
    pub client: Client,
    /// Images, versions and which namespaces; a new value is taken up at once, but for the namespaces.
    pub settings: watch::Receiver<Settings>,
    /// Where EventSources and Sensors run.
    pub workloads: Workloads,
    /// The election among several controllers; none where there is one only.
    pub lease: Option<LeaseOptions>,
    /// How this process is called, in Events.
    pub identity: String,
    /// How long after a Sensor is gone what it has on its bus is removed; longer than its pods take to stop.
    pub forget_after: Duration,
    /// Where it counts its work.
    pub metrics: Metrics,
}

/// A running controller.
pub struct Operator {
    state: watch::Receiver<Snapshot>,
    leads: watch::Receiver<bool>,
}

impl Operator {
    /// Starts it: it waits for the Lease, works, and waits again when it has lost it.
    #[must_use]
    pub fn spawn(options: OperatorOptions, tasks: &Tasks) -> Self {
        // One that waits for its turn is ready: nobody is served by it, and it can take over at once.
        let ready = Snapshot {
            synced: options.lease.is_some(),
            ..Snapshot::default()
        };
        let (report, state) = watch::channel(ready);
        let (lead, leads) = watch::channel(false);
        let stop = tasks.stop_token();
        tasks.spawn("controller", async move {
            Box::pin(serve(options, report, lead, stop)).await;
            Ok::<(), Infallible>(())
        });
        Self { state, leads }
    }

    /// Whether every object has been read, for the admin port.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<Snapshot> {
        self.state.clone()
    }

    /// Whether this process is the one that works.
    #[must_use]
    pub fn leads(&self) -> watch::Receiver<bool> {
        self.leads.clone()
    }
}

async fn serve(
    options: OperatorOptions,
    report: watch::Sender<Snapshot>,
    lead: watch::Sender<bool>,
    stop: CancellationToken,
) {
    let leader = options.metrics.leader();
    let Some(lease) = options.lease.clone() else {
        leader.set(1);
        lead.send_replace(true);
        return run::Run::new(&options, report).run(stop).await;
    };
    let mut election = lease::Election::new(options.client.clone(), lease);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = election.won() => {}
        }
        leader.set(1);
        lead.send_replace(true);
        let turn = stop.child_token();
        let work = run::Run::new(&options, report.clone()).run(turn.clone());
        let mut work = std::pin::pin!(work);
        tokio::select! {
            biased;
            () = &mut work => {}
            () = election.lost() => {
                // What is in hand must not be written any more by somebody who does not lead.
                turn.cancel();
            }
        }
        leader.set(0);
        lead.send_replace(false);
        if stop.is_cancelled() {
            election.release().await;
            return;
        }
    }
}
