//! From the spec to what opens a bus, in the local shape and from a bus's status. It opens nothing.

use std::collections::BTreeMap;
use std::path::Path;

use tiphys_core::problems::Problems;
use tiphys_core::refs::KeyRef;
use tiphys_core::spec::TlsSpec;

use super::stream::StreamSettings;
use super::{BusStatusConfig, EventBusSpec, JetStreamExotic, NatsExotic};
use crate::bus::Durability;
use crate::embedded::EmbeddedConfig;

pub(super) const NO_KAFKA: &str = "is not supported yet as a bus; use jetstream or jetstreamExotic";

/// What opens a bus.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "one per bus, moved once")]
pub enum BusConfig {
    /// A log in a folder of this machine.
    Embedded(EmbeddedConfig),
    /// JetStream servers.
    JetStream(JetStreamConfig),
}

/// How JetStream servers are reached and what their stream keeps.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct JetStreamConfig {
    /// `nats://host:4222`; several separated by commas.
    pub url: String,
    /// How to read `access_secret`.
    pub auth: NatsAuth,
    /// Credentials: YAML with `token`, or `username` and `password`, or a token alone.
    pub access_secret: Option<KeyRef>,
    /// TLS; without it TLS is used where the server demands it.
    pub tls: Option<TlsSpec>,
    /// What the stream keeps, for making it.
    pub stream: StreamSettings,
    /// There are no more servers than these, so no more replicas.
    pub servers: Option<usize>,
    /// What the operator knows of the servers' `sync_interval`, which clients cannot see:
    /// with `sync_interval: always` one server is [`Durability::Disk`].
    pub durability: Option<Durability>,
}

/// How to read the access secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NatsAuth {
    /// By its content: a mapping by its keys, anything else is a token.
    #[default]
    Detect,
    /// It is not used, because the spec says `auth: none`.
    None,
}

/// The annotation of an EventBus that says what its servers keep in a power cut: `disk` or `memory`.
pub const DURABILITY_ANNOTATION: &str = "tiphys.dev/bus-durability";

impl BusConfig {
    /// Takes what the EventBus's annotations say of servers that clients cannot ask.
    #[must_use]
    pub fn annotated(mut self, annotations: &BTreeMap<String, String>) -> Self {
        if let Self::JetStream(config) = &mut self {
            config.durability = match annotations.get(DURABILITY_ANNOTATION).map(String::as_str) {
                Some("disk") => Some(Durability::Disk),
                Some("memory") => Some(Durability::Memory),
                _ => config.durability,
            };
        }
        self
    }

    /// The bus of the local shape: what a cluster would make is an embedded log under `data_dir`.
    ///
    /// An empty spec is the embedded log as well, for runs without an EventBus.
    ///
    /// # Errors
    /// What is wrong with the spec, and kinds of bus that are not supported yet.
    pub fn local(
        spec: &EventBusSpec,
        namespace: &str,
        name: &str,
        data_dir: &Path,
    ) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        if *spec != EventBusSpec::default() {
            problems.at("spec", |problems| spec.validate(problems));
        }
        let embedded = |stream: StreamSettings| {
            let mut config = EmbeddedConfig::new(data_dir.join("bus").join(namespace).join(name));
            config.limits = stream.limits();
            if let Some(window) = stream.duplicates {
                config.dedup_window = window;
            }
            Self::Embedded(config)
        };
        let config = match spec {
            EventBusSpec {
                nats: Some(nats), ..
            } => match (&nats.exotic, &nats.native) {
                (Some(exotic), _) => Self::JetStream(exotic.config()),
                (None, native) => embedded(
                    native
                        .as_ref()
                        .map(super::servers::NatsNative::stream)
                        .unwrap_or_default(),
                ),
            },
            EventBusSpec {
                jetstream: Some(jetstream),
                ..
            } => {
                let text = jetstream.stream_config.as_deref().unwrap_or_default();
                embedded(StreamSettings::parse(text, &mut Problems::default()))
            }
            EventBusSpec { kafka: Some(_), .. } => {
                problems.at("spec", |problems| {
                    problems.at("kafka", |problems| problems.error(NO_KAFKA));
                });
                return Err(problems);
            }
            EventBusSpec {
                jetstream_exotic: Some(exotic),
                ..
            } => Self::JetStream(exotic.config()),
            _ => embedded(StreamSettings::default()),
        };
        for (what, text) in [("namespace", namespace), ("name", name)] {
            if text.is_empty() || text.starts_with('.') || text.contains(['/', '\\', '\0']) {
                problems.at("metadata", |problems| {
                    problems.at(what, |problems| {
                        problems.error("must be a name of letters, digits and \"-\"");
                    });
                });
            }
        }
        if problems.has_errors() {
            Err(problems)
        } else {
            Ok(config)
        }
    }

    /// The bus that an EventBus's status tells of, in the cluster shape.
    ///
    /// # Errors
    /// When the status names no bus, or one that is not supported yet.
    pub fn from_status(status: &BusStatusConfig) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        match status {
            BusStatusConfig {
                nats: Some(nats), ..
            } => Ok(Self::JetStream(nats.config())),
            BusStatusConfig {
                jetstream: Some(jetstream),
                ..
            } => Ok(Self::JetStream(jetstream.config())),
            BusStatusConfig { kafka: Some(_), .. } => {
                problems.at("status", |problems| {
                    problems.at("config", |problems| {
                        problems.at("kafka", |problems| problems.error(NO_KAFKA));
                    });
                });
                Err(problems)
            }
            BusStatusConfig {
                nats: None,
                jetstream: None,
                kafka: None,
            } => {
                problems.at("status", |problems| {
                    problems.at("config", |problems| {
                        problems.error("names no bus yet: is the controller running?");
                    });
                });
                Err(problems)
            }
        }
    }
}

impl NatsExotic {
    fn config(&self) -> JetStreamConfig {
        let none = self.auth.as_deref() == Some("none");
        JetStreamConfig {
            url: self.url.clone(),
            auth: if none {
                NatsAuth::None
            } else {
                NatsAuth::Detect
            },
            access_secret: self.access_secret.clone(),
            ..JetStreamConfig::default()
        }
    }
}

impl JetStreamExotic {
    fn config(&self) -> JetStreamConfig {
        JetStreamConfig {
            url: self.url.clone(),
            access_secret: self.access_secret.clone(),
            tls: self.tls.clone(),
            // What is wrong in the text was reported by `validate`.
            stream: StreamSettings::parse(&self.stream_config, &mut Problems::default()),
            durability: match self.durability.as_deref() {
                Some("disk") => Some(Durability::Disk),
                Some("memory") => Some(Durability::Memory),
                _ => None,
            },
            ..JetStreamConfig::default()
        }
    }
}

/// The parts of a list of servers.
pub(crate) fn server_list(url: &str) -> impl Iterator<Item = &str> {
    url.split(',')
        .map(str::trim)
        .filter(|server| !server.is_empty())
}

pub(super) fn check_url(url: &str, problems: &mut Problems) {
    problems.require("url", url, ", as nats://host:4222");
    problems.at("url", |problems| {
        for server in server_list(url) {
            if let Err(error) = server.parse::<async_nats::ServerAddr>() {
                problems.error(format!("must be servers as nats://host:4222, separated by commas; {server:?} is not: {error}"));
            } else if server.contains('@') {
                problems.warning("carries a password that everybody can read; use accessSecret");
            }
        }
    });
}

pub(super) fn check_auth(auth: Option<&str>, secret: Option<&KeyRef>, problems: &mut Problems) {
    match auth {
        None | Some("" | "none" | "token" | "basic") => {}
        Some(other) => problems.at("auth", |problems| {
            problems.error(format!("must be none or token, not {other:?}"));
        }),
    }
    if matches!(auth, Some("token" | "basic")) {
        problems.require_some("accessSecret", secret, ", as {name, key}");
    }
    if let Some(secret) = secret {
        problems.at("accessSecret", |problems| secret.validate(problems));
    }
}
