//! From an EventBus to the objects that must exist for it and to the configuration in its status.
//!
//! ```text
//! spec.jetstream ─┐                   ┌▶ credentials: Secrets, kept where they exist
//!                 ├▶ servers::Servers ┼▶ server_config: what nats-server reads
//! spec.nats.native┘                   ├▶ pods: StatefulSet, Services, disruption budget
//!                                     └▶ stream: the settings of the stream ─▶ status.config
//! ```
//!
//! It asks nobody. All that is not decided by its input are fresh passwords and certificates, where there are none yet.
//!
//! The caller reads the Secrets of [`secret_names`], calls [`plan`], applies [`Plan::wanted`] in its order, and writes
//! [`Plan::config`] and the condition `Deployed`; [`readiness`] judges the servers that then run. Objects of the bus
//! that are not wanted any more are deleted by the caller, which knows what the bus owns.

mod credentials;
mod pods;
mod readiness;
mod server_config;
#[cfg(test)]
mod server_tests;
mod servers;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tiphys_core::refs::KeyRef;
use tiphys_core::spec::TlsSpec;
use tiphys_eventbus::{BusStatusConfig, Durability, EventBusSpec, JetStreamExotic, KafkaBus};

use self::credentials::Credentials;
use self::servers::Servers;
use super::settings::JetStreamSettings;
use super::wanted::{Made, Refused, Wanted};

pub(crate) use self::readiness::{readiness, refused_change};

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

/// The longest name of a bus whose servers we make: `eventbus-<name>-js` and the hash that a StatefulSet puts onto
/// its pods must fit into a label.
const LONGEST_NAME: usize = 40;

/// What is wrong with the name of a bus whose servers we make.
pub(crate) fn name_problem(name: &str, spec: &EventBusSpec) -> Option<String> {
    let bus = Bus {
        namespace: "",
        name,
        labels: &BTreeMap::new(),
        annotations: &BTreeMap::new(),
        spec,
    };
    let bad = name.len() > LONGEST_NAME || name.contains('.');
    (bad && Servers::of(bus).is_some()).then(|| {
        format!(
            "must have at most {LONGEST_NAME} letters, digits and \"-\", because the servers are called eventbus-<name>-js-0"
        )
    })
}

/// The Secrets whose values [`plan`] must see, whether they exist or not.
pub(crate) fn secret_names(bus: Bus<'_>) -> Vec<String> {
    match Servers::of(bus) {
        Some(servers) => vec![servers.server_secret(), servers.client_secret()],
        None => Vec::new(),
    }
}

/// What must exist.
///
/// # Errors
/// The condition that says why nothing can be made.
pub(crate) fn plan(
    bus: Bus<'_>,
    settings: &JetStreamSettings,
    existing: &Secrets,
) -> Result<Plan, Refused> {
    match Servers::of(bus) {
        Some(servers) => made(&servers, settings, existing),
        None => recorded(bus),
    }
}

/// A bus whose servers exist already: only its place is written down.
fn recorded(bus: Bus<'_>) -> Result<Plan, Refused> {
    let EventBusSpec {
        nats,
        jetstream: _,
        kafka,
        jetstream_exotic,
    } = bus.spec;
    let mut config = BusStatusConfig::default();
    if let Some(exotic) = nats.as_ref().and_then(|nats| nats.exotic.clone()) {
        config.nats = Some(exotic);
    } else if let Some(kafka) = kafka {
        let mut kafka = kafka.clone();
        if kafka.topic.is_empty() {
            kafka.topic = format!("{}-{}", bus.namespace, bus.name);
        }
        config.kafka = Some(kafka);
    } else if let Some(exotic) = jetstream_exotic {
        let mut exotic = exotic.clone();
        if let Some(said) = servers::annotated_durability(bus.annotations) {
            exotic.durability = Some(said.as_str().to_owned());
        }
        config.jetstream = Some(exotic);
    } else {
        return Err(Refused {
            reason: "InvalidSpec".to_owned(),
            message: "spec must name a bus: jetstream, jetstreamExotic, nats or kafka".to_owned(),
        });
    }
    let message = match &config.kafka {
        Some(KafkaBus { .. }) => {
            "Skip deployment because of using Kafka, which is recorded but not supported yet as a bus."
        }
        None => "Skip deployment because of using exotic config.",
    };
    Ok(Plan {
        wanted: Vec::new(),
        config,
        reason: "Skipped",
        message: message.to_owned(),
    })
}

/// A bus whose servers we make.
fn made(
    servers: &Servers<'_>,
    settings: &JetStreamSettings,
    existing: &Secrets,
) -> Result<Plan, Refused> {
    let stream = stream::merged(servers, settings)?;
    let version = servers.version(settings)?;
    let keeping = servers.keeping(settings, version, &stream);
    let credentials = Credentials::of(servers, existing)?;
    let text = server_config::server(servers, settings, &stream, &credentials, keeping);
    let secret = |name: String, data: Value| Wanted {
        made: Made::Secret,
        reason: "JetStreamAuthSecretsFailed",
        object: json!({
            "metadata": { "name": name, "labels": servers.labels() },
            "type": "Opaque",
            "data": data,
        }),
    };
    let mut wanted = vec![
        secret(servers.server_secret(), credentials.server_data()),
        secret(servers.client_secret(), credentials.client_data()),
        Wanted {
            made: Made::ConfigMap,
            reason: "JetStreamConfigMapFailed",
            object: json!({
                "metadata": { "name": servers.config_map(), "labels": servers.labels() },
                "data": { server_config::KEY: text },
            }),
        },
        pods::service(servers),
        pods::stateful_set(servers, version, &server_config::start_hash(servers, &text)),
    ];
    if servers.replicas >= 3 {
        wanted.push(pods::disruption_budget(servers));
    }
    let config = JetStreamExotic {
        url: servers.url(),
        access_secret: Some(key_ref(servers.client_secret(), credentials::CLIENT_AUTH)),
        stream_config: stream.text(),
        tls: Some(TlsSpec {
            ca_cert_secret: Some(key_ref(servers.server_secret(), credentials::CA_CERT)),
            ..TlsSpec::default()
        }),
        // With fewer copies than a quorum needs, it is the disk that keeps an event.
        durability: (keeping == Durability::Disk).then(|| keeping.as_str().to_owned()),
    };
    let config = BusStatusConfig {
        jetstream: Some(config),
        ..BusStatusConfig::default()
    };
    Ok(Plan {
        wanted,
        config,
        reason: "Succeeded",
        message: servers.message().to_owned(),
    })
}

fn key_ref(name: String, key: &str) -> KeyRef {
    KeyRef {
        name,
        key: key.to_owned(),
        optional: None,
    }
}
