//! The EventBus resource: its fields as Argo has them, and everything that can be wrong with them. It opens nothing.

mod config;
mod servers;
mod stream;
#[cfg(test)]
mod tests;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tiphys_core::problems::Problems;
use tiphys_core::refs::KeyRef;
use tiphys_core::spec::{Condition, SaslSpec, TlsSpec};

pub(crate) use config::server_list;
pub use config::{BusConfig, DURABILITY_ANNOTATION, JetStreamConfig, NatsAuth};
pub use servers::{JetStreamServers, NatsNative, Persistence, ServerContainer, refused_scale};
pub use stream::{StreamRetention, StreamSettings};

/// Where the events of a namespace are kept between sources and sensors.
#[derive(CustomResource, Serialize, Deserialize, Clone, Debug, PartialEq, Default, JsonSchema)]
#[kube(
    group = "argoproj.io",
    version = "v1alpha1",
    kind = "EventBus",
    plural = "eventbus",
    singular = "eventbus",
    shortname = "eb",
    namespaced,
    status = "EventBusStatus"
)]
#[serde(rename_all = "camelCase", default)]
pub struct EventBusSpec {
    /// NATS Streaming, which is end-of-life: `native` is provided as JetStream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nats: Option<NatsBus>,
    /// JetStream servers that the controller makes; the local shape keeps an embedded log instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jetstream: Option<JetStreamServers>,
    /// Kafka brokers that exist already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kafka: Option<KafkaBus>,
    /// JetStream servers that exist already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jetstream_exotic: Option<JetStreamExotic>,
}

/// NATS Streaming in Argo's words.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Default, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NatsBus {
    /// Servers that the controller makes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub native: Option<NatsNative>,
    /// A server that exists already; it must have JetStream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exotic: Option<NatsExotic>,
}

/// A NATS server that exists already.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Default, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NatsExotic {
    /// `nats://host:4222`; several separated by commas.
    pub url: String,
    /// The cluster's name in NATS Streaming; JetStream has none and passes over it.
    #[serde(rename = "clusterID")]
    pub cluster_id: String,
    /// `none` (default) or `token`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<String>,
    /// The key of a Secret that holds YAML with `token`, or `username` and `password`, or the token alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_secret: Option<KeyRef>,
}

/// JetStream servers that exist already.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Default, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct JetStreamExotic {
    /// `nats://host:4222`; several separated by commas.
    pub url: String,
    /// The key of a Secret that holds YAML with `username` and `password`, or `token`, or the token alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_secret: Option<KeyRef>,
    /// The stream's settings as YAML, used when the stream is made: `maxMsgs`, `maxAge`, `maxBytes`, `replicas`,
    /// `duplicates`, `retention`, `discard`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub stream_config: String,
    /// TLS; without it TLS is used where the server demands it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSpec>,
    /// What one server keeps in a power cut: `disk` with `sync_interval: always`, else `memory` (default).
    ///
    /// Clients cannot see it. A stream of 3 replicas and more is a quorum whatever stands here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub durability: Option<String>,
}

/// Kafka brokers as a bus.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Default, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct KafkaBus {
    /// `host:9092`; several separated by commas.
    pub url: String,
    /// The topic of the events. Default `<namespace>-<name of the bus>`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub topic: String,
    /// The brokers' version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSpec>,
    /// SASL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sasl: Option<SaslSpec>,
    /// How sensors consume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumer_group: Option<KafkaConsumerGroup>,
    /// `random` (default), `hash`, `roundrobin` or `manual`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub partitioner: String,
}

/// How sensors consume from Kafka.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Default, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct KafkaConsumerGroup {
    /// The group. Default `<namespace>-<name of the sensor>`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group_name: String,
    /// Begin with the oldest event instead of the newest.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub oldest: bool,
    /// `range` (default), `sticky` or `roundrobin`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub rebalance_strategy: String,
}

/// What has become of an EventBus.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Default, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct EventBusStatus {
    /// `Configured` and `Deployed`, sorted by type.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The generation of the spec that the conditions speak of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// How sources and sensors reach the bus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<BusStatusConfig>,
}

/// How sources and sensors reach the bus; they read `nats`, then `jetstream`, then `kafka`.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Default, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct BusStatusConfig {
    /// A NATS server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nats: Option<NatsExotic>,
    /// JetStream servers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jetstream: Option<JetStreamExotic>,
    /// Kafka brokers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kafka: Option<KafkaBus>,
}

impl EventBusSpec {
    /// Reports everything wrong, with paths from the spec's own level.
    pub fn validate(&self, problems: &mut Problems) {
        let Self {
            nats,
            jetstream,
            kafka,
            jetstream_exotic,
        } = self;
        let set: Vec<&str> = [
            ("nats", nats.is_some()),
            ("jetstream", jetstream.is_some()),
            ("kafka", kafka.is_some()),
            ("jetstreamExotic", jetstream_exotic.is_some()),
        ]
        .into_iter()
        .filter_map(|(key, set)| set.then_some(key))
        .collect();
        match set.as_slice() {
            [] => problems.error("must name a bus: jetstream, jetstreamExotic, nats or kafka"),
            [_] => {}
            [first, rest @ ..] => {
                problems.warning(format!(
                    "names several buses: {first} is used, and {} has no effect",
                    rest.join(", ")
                ));
            }
        }
        if let Some(nats) = nats {
            problems.at("nats", |problems| nats.validate(problems));
        }
        if let Some(jetstream) = jetstream {
            problems.at("jetstream", |problems| jetstream.validate(problems));
        }
        if let Some(kafka) = kafka {
            problems.at("kafka", |problems| kafka.validate(problems));
        }
        if let Some(exotic) = jetstream_exotic {
            problems.at("jetstreamExotic", |problems| exotic.validate(problems));
        }
    }

    /// Reports what an update must not change.
    pub fn validate_update(&self, old: &Self, problems: &mut Problems) {
        let kind = |spec: &Self| match &spec.nats {
            Some(nats) if nats.exotic.is_some() => "nats.exotic",
            Some(_) => "nats.native",
            None if spec.jetstream.is_some() => "jetstream",
            None if spec.kafka.is_some() => "kafka",
            None if spec.jetstream_exotic.is_some() => "jetstreamExotic",
            None => "",
        };
        let (from, to) = (kind(old), kind(self));
        if from != to && from != "kafka" && !from.is_empty() {
            problems.error(format!("must stay {from}: make another EventBus for {to}"));
        }
        let auth = |spec: &Self| {
            let nats = spec.nats.as_ref();
            let native = nats.and_then(|nats| nats.native.as_ref()?.auth.clone());
            let exotic = nats.and_then(|nats| nats.exotic.as_ref()?.auth.clone());
            exotic.or(native).unwrap_or_else(|| "none".to_owned())
        };
        if auth(old) != auth(self) {
            problems.at("nats", |problems| {
                problems.error(format!("auth must stay {:?}", auth(old)));
            });
        }
        if from == to {
            self.validate_scale(old, problems);
        }
        let stream = |spec: &Self| {
            spec.jetstream
                .as_ref()
                .map(|jetstream| jetstream.stream_config.clone())
        };
        if let (Some(from), Some(to)) = (stream(old), stream(self))
            && from != to
        {
            problems.at("jetstream", |problems| {
                problems.at("streamConfig", |problems| {
                    problems
                        .error("must stay as it is, because a stream that exists is not changed");
                });
            });
        }
    }
}

impl EventBusSpec {
    /// Reports a number of servers that cannot become what it is now.
    fn validate_scale(&self, old: &Self, problems: &mut Problems) {
        let native = |spec: &Self| Some(spec.nats.as_ref()?.native.as_ref()?.servers());
        let jetstream = |spec: &Self| Some(spec.jetstream.as_ref()?.servers());
        let refused = |from: Option<usize>, to: Option<usize>| refused_scale(from?, to?);
        if let Some(why) = refused(native(old), native(self)) {
            problems.at("nats", |problems| {
                problems.at("native", |problems| {
                    problems.at("replicas", |problems| problems.error(why));
                });
            });
        } else if let Some(why) = refused(jetstream(old), jetstream(self)) {
            problems.at("jetstream", |problems| {
                problems.at("replicas", |problems| problems.error(why));
            });
        }
    }
}

impl NatsBus {
    fn validate(&self, problems: &mut Problems) {
        match (&self.native, &self.exotic) {
            (None, None) => problems.error("must have native or exotic"),
            (Some(_), Some(_)) => problems.error("must have either native or exotic, not both"),
            _ => {}
        }
        if let Some(native) = &self.native {
            problems.at("native", |problems| native.validate(problems));
        }
        if let Some(exotic) = &self.exotic {
            problems.at("exotic", |problems| exotic.validate(problems));
        }
    }
}

impl NatsExotic {
    fn validate(&self, problems: &mut Problems) {
        problems.require(
            "clusterID",
            &self.cluster_id,
            ", as Argo demands it; JetStream passes over it",
        );
        config::check_url(&self.url, problems);
        config::check_auth(self.auth.as_deref(), self.access_secret.as_ref(), problems);
        problems.warning("NATS Streaming is end-of-life: the server is used with JetStream; write jetstreamExotic instead");
    }
}

impl JetStreamExotic {
    fn validate(&self, problems: &mut Problems) {
        config::check_url(&self.url, problems);
        if let Some(secret) = &self.access_secret {
            problems.at("accessSecret", |problems| secret.validate(problems));
        }
        if let Some(tls) = &self.tls {
            problems.at("tls", |problems| tls.validate(problems));
        }
        problems.at("streamConfig", |problems| {
            StreamSettings::parse(&self.stream_config, problems);
        });
        if let Some(durability) = &self.durability
            && !["disk", "memory"].contains(&durability.as_str())
        {
            problems.at("durability", |problems| {
                problems.error(format!("must be disk or memory, not {durability:?}"));
            });
        }
    }
}

impl KafkaBus {
    fn validate(&self, problems: &mut Problems) {
        problems.require("url", &self.url, ", as host:9092");
        if let Some(tls) = &self.tls {
            problems.at("tls", |problems| tls.validate(problems));
        }
        if let Some(sasl) = &self.sasl {
            problems.at("sasl", |problems| sasl.validate(problems));
        }
        let known = |key: &str, value: &str, words: &[&str], problems: &mut Problems| {
            if !value.is_empty() && !words.contains(&value) {
                problems.at(key, |problems| {
                    problems.warning(format!(
                        "is not one of {}; {} is used",
                        words.join(", "),
                        words.first().unwrap_or(&"")
                    ));
                });
            }
        };
        known(
            "partitioner",
            &self.partitioner,
            &["random", "hash", "roundrobin", "manual"],
            problems,
        );
        if let Some(group) = &self.consumer_group {
            problems.at("consumerGroup", |problems| {
                known(
                    "rebalanceStrategy",
                    &group.rebalance_strategy,
                    &["range", "sticky", "roundrobin"],
                    problems,
                );
            });
        }
        problems.warning(config::NO_KAFKA);
    }
}
