//! The EventSources of this process: from object to running events, and their state back. Listening is the crate
//! `eventsource`'s work.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use tiphys_core::Secrets;
use tiphys_core::metrics::Metrics;
use tiphys_core::tasks::chain;
use tiphys_eventbus::Publish;
use tiphys_eventsource::{
    ApplyError, BuildError, EventError, EventSourceSpec, EventState, SourceObject, SourceRuntime,
    States,
};
use tokio::sync::watch;

use super::state::{ObjectState, PARTLY};

/// Namespace, name and state of an EventSource.
pub(crate) type SourceState = (String, String, ObjectState);

pub(crate) struct HostedSources {
    runtime: SourceRuntime,
    states: watch::Receiver<States>,
    hosted: BTreeSet<(String, String)>,
    metrics: Metrics,
}

impl HostedSources {
    pub(crate) fn new(runtime: SourceRuntime, metrics: Metrics) -> Self {
        Self {
            states: runtime.states(),
            runtime,
            hosted: BTreeSet::new(),
            metrics,
        }
    }

    pub(crate) async fn apply(
        &mut self,
        namespace: &str,
        name: &str,
        spec: EventSourceSpec,
        ports: &BTreeMap<u16, u16>,
        bus: Arc<dyn Publish>,
        secrets: Arc<dyn Secrets>,
    ) -> Result<ObjectState, ObjectState> {
        let object = SourceObject {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            spec,
        };
        match self
            .runtime
            .apply_at(&object, ports, bus, secrets, &self.metrics)
            .await
        {
            Ok(applied) => {
                self.hosted.insert((namespace.to_owned(), name.to_owned()));
                // What can mend itself is tried again by the runtime, so this is no failure of the host.
                Ok(summary(&applied.events))
            }
            Err(ApplyError::Invalid(problems)) => {
                Err(ObjectState::not_ready("Invalid", problems.errors()))
            }
            Err(error) => Err(ObjectState::not_ready("NotStarted", chain(&error))),
        }
    }

    pub(crate) async fn remove(&mut self, namespace: &str, name: &str) {
        self.hosted.remove(&(namespace.to_owned(), name.to_owned()));
        self.runtime.remove(namespace, name).await;
    }

    /// Waits until events have changed, and gives the state of every hosted object.
    pub(crate) async fn changed(&mut self) -> Vec<SourceState> {
        if self.states.changed().await.is_err() {
            // The runtime is gone with the host.
            return std::future::pending().await;
        }
        let states = self.states.borrow_and_update();
        let hosted = self.hosted.iter();
        hosted
            .filter_map(|key| Some((key.0.clone(), key.1.clone(), summary(states.get(key)?))))
            .collect()
    }

    /// Where events are listened for, each address once.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        let states = self.states.borrow();
        let listening =
            states
                .values()
                .flat_map(BTreeMap::values)
                .filter_map(|state| match state {
                    EventState::Listening { addr } => Some(*addr),
                    EventState::Failed { .. } => None,
                });
        let addresses: BTreeSet<SocketAddr> = listening.collect();
        addresses.into_iter().collect()
    }

    pub(crate) async fn drain(&self) {
        self.runtime.drain().await;
    }
}

fn summary(events: &BTreeMap<String, EventState>) -> ObjectState {
    let mut listening = Vec::new();
    let mut failed = Vec::new();
    let mut mendable = false;
    for (event, state) in events {
        match state {
            EventState::Listening { addr } => {
                listening.push(format!("{event} on port {}", addr.port()));
            }
            EventState::Failed { error } => {
                mendable |= !matches!(error, EventError::Build(BuildError::Unsupported { .. }));
                failed.push(format!("event {event:?}: {}", chain(error)));
            }
        }
    }
    let some = !listening.is_empty();
    let listening = format!("listening for {}", listening.join(", "));
    if failed.is_empty() {
        return ObjectState::ready(listening);
    }
    let reason = match (mendable, some) {
        (true, _) => "NotListening",
        (false, true) => PARTLY,
        (false, false) => "NotSupported",
    };
    if some {
        failed.push(listening);
    }
    ObjectState::not_ready(reason, failed.join("; "))
}
