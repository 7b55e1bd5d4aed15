//! NATS servers that the controller makes: the fields of `spec.jetstream` and `spec.nats.native`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1 as core_v1;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tiphys_core::duration;
use tiphys_core::problems::Problems;
use tiphys_core::spec::MetadataSpec;

use super::stream::{StreamSettings, parse_size};

/// One container of a server's pod.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Default, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ServerContainer {
    /// Requests and limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<core_v1::ResourceRequirements>,
    /// When the image is pulled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<String>,
    /// The container's security context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security_context: Option<core_v1::SecurityContext>,
}

/// A volume for each server; without it the data goes with the pod.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Default, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Persistence {
    /// The storage class; the cluster's default when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_class_name: Option<String>,
    /// `ReadWriteOnce` (default), `ReadWriteMany` or `ReadWriteOncePod`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_mode: Option<String>,
    /// The size, as `20Gi`. Default 20Gi for JetStream, 10Gi for `nats.native`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_size: Option<String>,
}

/// Why servers that were so many cannot become that many, as what must be said of `replicas`, with what to do instead.
///
/// A server that joins a cluster drops what it kept alone; one that is left alone does not open what it kept in a
/// cluster; and a stream with three copies may have two of them on the servers that would go.
#[must_use]
pub fn refused_scale(from: usize, to: usize) -> Option<String> {
    let why = match (from, to) {
        (1, 2..) => {
            "must stay 1, because a server that joins a cluster drops the events that it kept alone"
                .to_owned()
        }
        (2.., 1) => "must be 3 or more, because a server that is left alone does not open what it kept in a cluster".to_owned(),
        _ if to < from => format!(
            "must stay {from} or become more, because most copies of an event may be on the servers that would go"
        ),
        _ => return None,
    };
    Some(format!(
        "{why}: make another EventBus with replicas {to} and move its EventSources and Sensors"
    ))
}

impl Persistence {
    fn validate(&self, problems: &mut Problems) {
        const MODES: [&str; 4] = [
            "ReadWriteOnce",
            "ReadOnlyMany",
            "ReadWriteMany",
            "ReadWriteOncePod",
        ];
        if let Some(mode) = &self.access_mode
            && !MODES.contains(&mode.as_str())
        {
            problems.at("accessMode", |problems| {
                problems.error(format!("must be one of {}", MODES.join(", ")));
            });
        }
        if let Some(size) = &self.volume_size {
            problems.at("volumeSize", |problems| {
                let number = size.trim_end_matches(|c: char| c.is_ascii_alphabetic());
                if number.parse::<f64>().is_err() {
                    problems.error("must be a quantity, as 20Gi");
                }
            });
        }
    }
}

/// JetStream servers that the controller makes.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Default, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct JetStreamServers {
    /// The version, one of those in the controller's configuration.
    pub version: String,
    /// How many servers: 1, or 3 and more. Default 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// The server's container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_template: Option<ServerContainer>,
    /// The container that reloads the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reloader_container_template: Option<ServerContainer>,
    /// The container that exports metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics_container_template: Option<ServerContainer>,
    /// A volume for each server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub persistence: Option<Persistence>,
    /// Labels and annotations of the pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<MetadataSpec>,
    /// Labels that a node must have.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints that are borne.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<core_v1::Toleration>,
    /// The pods' security context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security_context: Option<core_v1::PodSecurityContext>,
    /// Secrets for pulling the images.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub image_pull_secrets: Vec<core_v1::LocalObjectReference>,
    /// The priority class.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub priority_class_name: String,
    /// The priority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// Which nodes are preferred.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affinity: Option<core_v1::Affinity>,
    /// The pods' service account.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub service_account_name: String,
    /// Lines for the server's `jetstream` block; they replace the default ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<String>,
    /// More arguments for the server.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub start_args: Vec<String>,
    /// The stream's settings as YAML, merged over the controller's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_config: Option<String>,
    /// The longest message, as `1MB` (default).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_payload: Option<String>,
}

impl JetStreamServers {
    /// How many servers there are.
    #[must_use]
    pub fn servers(&self) -> usize {
        usize::try_from(self.replicas.unwrap_or(3))
            .unwrap_or(3)
            .max(1)
    }

    pub(super) fn validate(&self, problems: &mut Problems) {
        problems.require("version", &self.version, ", as latest");
        if let Some(replicas) = self
            .replicas
            .filter(|replicas| *replicas != 1 && *replicas < 3)
        {
            problems.at("replicas", |problems| {
                problems.error(format!(
                    "must be 1, or 3 and more for a quorum, not {replicas}"
                ));
            });
        }
        if let Some(persistence) = &self.persistence {
            problems.at("persistence", |problems| persistence.validate(problems));
        }
        let settings = problems.at("streamConfig", |problems| {
            StreamSettings::parse(self.stream_config.as_deref().unwrap_or_default(), problems)
        });
        if let Some(wanted) = settings.replicas.filter(|wanted| *wanted > self.servers()) {
            problems.at("streamConfig", |problems| {
                problems.warning(format!(
                    "asks for {wanted} replicas; {} are made, as there are no more servers",
                    self.servers()
                ));
            });
        }
        check_size("maxPayload", self.max_payload.as_deref(), problems);
    }
}

/// NATS Streaming servers, which are provided as JetStream with the same replicas, auth and persistence.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Default, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NatsNative {
    /// How many servers; fewer than 3 become 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// `none` (default) or `token`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<String>,
    /// A volume for each server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub persistence: Option<Persistence>,
    /// The server's container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_template: Option<ServerContainer>,
    /// The container that exports metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics_container_template: Option<ServerContainer>,
    /// Labels and annotations of the pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<MetadataSpec>,
    /// Labels that a node must have.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints that are borne.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<core_v1::Toleration>,
    /// The pods' security context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security_context: Option<core_v1::PodSecurityContext>,
    /// Secrets for pulling the images.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub image_pull_secrets: Vec<core_v1::LocalObjectReference>,
    /// The pods' service account.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub service_account_name: String,
    /// The priority class.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub priority_class_name: String,
    /// The priority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// Which nodes are preferred.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affinity: Option<core_v1::Affinity>,
    /// Older events go. Default `72h`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<String>,
    /// The most events. Default 1,000,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_msgs: Option<u64>,
    /// The most subscriptions; JetStream has no such limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_subs: Option<u64>,
    /// The most bytes, as `1GB` (default).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<String>,
    /// The longest message, as `1MB` (default).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_payload: Option<String>,
    /// Raft in NATS Streaming; JetStream sets its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raft_heartbeat_timeout: Option<String>,
    /// Raft in NATS Streaming; JetStream sets its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raft_election_timeout: Option<String>,
    /// Raft in NATS Streaming; JetStream sets its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raft_lease_timeout: Option<String>,
    /// Raft in NATS Streaming; JetStream sets its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raft_commit_timeout: Option<String>,
}

impl NatsNative {
    /// How many servers there are.
    #[must_use]
    pub fn servers(&self) -> usize {
        usize::try_from(self.replicas.unwrap_or(3))
            .unwrap_or(3)
            .max(3)
    }

    pub(super) fn validate(&self, problems: &mut Problems) {
        problems.warning(
            "NATS Streaming is end-of-life: it is provided as JetStream; write jetstream instead",
        );
        match self.auth.as_deref() {
            None | Some("" | "none" | "token") => {}
            Some(other) => problems.at("auth", |problems| {
                problems.error(format!("must be none or token, not {other:?}"));
            }),
        }
        if let Some(replicas) = self.replicas.filter(|replicas| *replicas < 3) {
            problems.at("replicas", |problems| {
                problems.warning(format!("is {replicas}; 3 are made, for a quorum"));
            });
        }
        if let Some(persistence) = &self.persistence {
            problems.at("persistence", |problems| persistence.validate(problems));
        }
        for (key, text) in [
            ("maxAge", &self.max_age),
            ("raftHeartbeatTimeout", &self.raft_heartbeat_timeout),
            ("raftElectionTimeout", &self.raft_election_timeout),
            ("raftLeaseTimeout", &self.raft_lease_timeout),
            ("raftCommitTimeout", &self.raft_commit_timeout),
        ] {
            if let Some(Err(error)) = text.as_deref().map(duration::parse) {
                problems.at(key, |problems| problems.error(error.to_string()));
            }
        }
        check_size("maxBytes", self.max_bytes.as_deref(), problems);
        check_size("maxPayload", self.max_payload.as_deref(), problems);
    }

    /// Its limits as a stream's settings; what is not written is not limited beyond the bus's own defaults.
    pub(super) fn stream(&self) -> StreamSettings {
        StreamSettings {
            max_age: self
                .max_age
                .as_deref()
                .and_then(|text| duration::parse(text).ok()),
            max_msgs: self.max_msgs.and_then(|most| i64::try_from(most).ok()),
            max_bytes: self.max_bytes.as_deref().and_then(parse_size),
            ..StreamSettings::default()
        }
    }
}

fn check_size(key: &str, text: Option<&str>, problems: &mut Problems) {
    if text.is_some_and(|text| parse_size(text).is_none()) {
        problems.at(key, |problems| {
            problems.error("must be a size, as 1MB or 512KB");
        });
    }
}
