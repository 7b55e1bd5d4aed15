//! From an EventSource or a Sensor to the objects that must exist for it: one Deployment, and a Service where ports are
//! named. Pure: it asks nobody.

mod deployment;
mod environment;
pub(crate) mod references;
mod service;
#[cfg(test)]
mod tests;
mod volumes;

use std::collections::BTreeMap;

use serde_json::Value;
use tiphys_core::spec::PodTemplateSpec;
use tiphys_eventbus::BusStatusConfig;
use tiphys_eventsource::ServiceSpec;

pub(crate) use self::service::name as service_name;
use super::settings::Settings;
use super::wanted::{Made, Wanted};
use crate::hosting::Kind;

/// An EventSource or a Sensor, as far as it decides what is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Workload<'a> {
    /// `EventSource` or `Sensor`.
    pub(crate) kind: Kind,
    /// Its namespace.
    pub(crate) namespace: &'a str,
    /// Its name.
    pub(crate) name: &'a str,
    /// Its labels, which go onto what is made.
    pub(crate) labels: &'a BTreeMap<String, String>,
    /// Its annotations.
    pub(crate) annotations: &'a BTreeMap<String, String>,
    /// The spec as it was written, with what no type knows.
    pub(crate) spec: &'a Value,
    /// The pod.
    pub(crate) template: Option<&'a PodTemplateSpec>,
    /// How many pods are asked for.
    pub(crate) replicas: Option<i32>,
    /// How many old revisions are kept.
    pub(crate) revision_history_limit: Option<i32>,
    /// The Service.
    pub(crate) service: Option<&'a ServiceSpec>,
    /// Whether two pods at once would each send every event.
    pub(crate) single: bool,
    /// How the bus is reached: the `status.config` of the EventBus.
    pub(crate) bus: &'a BusStatusConfig,
    /// The uid of the EventBus, by which a Sensor is known there.
    pub(crate) bus_uid: &'a str,
    /// The name of its Deployment.
    pub(crate) deployment: &'a str,
    /// A hash of what the referenced Secrets and ConfigMaps hold; none where nothing is referenced.
    pub(crate) contents: Option<&'a str>,
}

impl Workload<'_> {
    /// How many pods there are.
    pub(crate) fn pods(&self) -> i32 {
        if self.single {
            return 1;
        }
        self.replicas.unwrap_or(1).max(1)
    }

    /// The labels that say whose a pod is: they select it, and never change.
    pub(crate) fn selector(&self) -> BTreeMap<String, String> {
        selector(self.kind, self.name)
    }

    /// The labels of the object, under those of the controller.
    fn labels(&self) -> BTreeMap<String, String> {
        let mut labels = self.labels.clone();
        labels.extend(self.selector());
        labels
    }
}

/// The value of the label `controller`.
pub(crate) const fn controller_label(kind: Kind) -> &'static str {
    match kind {
        Kind::EventBus => "eventbus-controller",
        Kind::EventSource => "eventsource-controller",
        Kind::Sensor => "sensor-controller",
    }
}

/// The labels that say whose an object is.
pub(crate) fn selector(kind: Kind, name: &str) -> BTreeMap<String, String> {
    let own = match kind {
        Kind::EventBus => "eventbus-name",
        Kind::EventSource => "eventsource-name",
        Kind::Sensor => "sensor-name",
    };
    BTreeMap::from([
        ("controller".to_owned(), controller_label(kind).to_owned()),
        (own.to_owned(), name.to_owned()),
        ("owner-name".to_owned(), name.to_owned()),
    ])
}

/// The name of the Deployment of a new object; one that exists keeps its own.
pub(crate) fn deployment_name(kind: Kind, name: &str, uid: &str) -> String {
    use sha2::Digest as _;
    let word = match kind {
        Kind::Sensor => "sensor",
        Kind::EventSource | Kind::EventBus => "eventsource",
    };
    // As an API server's own generated names, but the same for the same object.
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let digest = sha2::Sha256::digest(uid.as_bytes());
    let suffix: String = digest
        .iter()
        .take(5)
        .filter_map(|byte| LETTERS.get(usize::from(*byte) % LETTERS.len()))
        .map(|letter| char::from(*letter))
        .collect();
    format!("{name}-{word}-{suffix}")
}

/// The Service in front of an EventSource.
pub(crate) fn service_of(workload: &Workload<'_>, spec: &ServiceSpec) -> Value {
    service::service(workload, spec)
}

/// What must exist, in the order in which it is made.
pub(crate) fn plan(workload: &Workload<'_>, settings: &Settings) -> Vec<Wanted> {
    let mut wanted = vec![Wanted {
        made: Made::Deployment,
        reason: "CreateDeploymentFailed",
        object: deployment::deployment(workload, settings),
    }];
    if let Some(service) = workload.service.filter(|service| !service.ports.is_empty()) {
        wanted.push(Wanted {
            made: Made::Service,
            reason: "CreateServiceFailed",
            object: service::service(workload, service),
        });
    }
    wanted
}
