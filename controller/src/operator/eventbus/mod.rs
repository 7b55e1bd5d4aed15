//! From an EventBus to the objects that must exist for it and to the configuration in its status. Pure: it asks nobody.
//!
//! The caller reads the Secrets of [`secret_names`], calls [`plan`], applies [`Plan::wanted`] in its order, and writes
//! [`Plan::config`] and the condition `Deployed`. Objects of the bus that are not wanted any more are deleted by the
//! caller, which knows what the bus owns.

use std::collections::BTreeMap;

use tiphys_eventbus::{BusStatusConfig, EventBusSpec};

use super::settings::JetStreamSettings;
use super::wanted::{Refused, Wanted};

/// An EventBus, as far as it decides what is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bus<'a> {
    /// Its namespace.
    pub(crate) namespace: &'a str,
    /// Its name.
    pub(crate) name: &'a str,
    /// Its labels, which go onto the StatefulSet.
    pub(crate) labels: &'a BTreeMap<String, String>,
    /// Its annotations.
    pub(crate) annotations: &'a BTreeMap<String, String>,
    /// Its spec, which is valid.
    pub(crate) spec: &'a EventBusSpec,
}

/// The values of Secrets that exist and are the bus's own, by the name of the Secret.
pub(crate) type Secrets = BTreeMap<String, BTreeMap<String, Vec<u8>>>;

/// What must exist for an EventBus, and what is said of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    /// The objects, in the order in which they are made.
    pub(crate) wanted: Vec<Wanted>,
    /// How sources and sensors reach the bus.
    pub(crate) config: BusStatusConfig,
    /// The reason of the condition `Deployed`, as `Succeeded`.
    pub(crate) reason: &'static str,
    /// The sentence of the condition `Deployed`.
    pub(crate) message: String,
}

/// The Secrets whose values [`plan`] must see, whether they exist or not.
pub(crate) fn secret_names(_bus: Bus<'_>) -> Vec<String> {
    Vec::new()
}

/// What must exist.
pub(crate) fn plan(
    bus: Bus<'_>,
    _settings: &JetStreamSettings,
    _existing: &Secrets,
) -> Result<Plan, Refused> {
    let EventBusSpec {
        nats,
        jetstream: _,
        kafka,
        jetstream_exotic,
    } = bus.spec;
    let nats = nats.as_ref().and_then(|nats| nats.exotic.clone());
    let config = BusStatusConfig {
        nats,
        jetstream: jetstream_exotic.clone(),
        kafka: kafka.clone(),
    };
    if config == BusStatusConfig::default() {
        return Err(Refused {
            reason: "InvalidSpec".to_owned(),
            message: "spec names no bus that can be made".to_owned(),
        });
    }
    Ok(Plan {
        wanted: Vec::new(),
        config,
        reason: "Skipped",
        message: "Skip deployment because of using exotic config.".to_owned(),
    })
}
