//! `kafka` receives the records of a Kafka topic.
//!
//! ```yaml
//! kafka:
//!   example:
//!     url: kafka:9092
//!     topic: orders
//!     consumerGroup:
//!       groupName: events
//!     jsonBody: true
//! ```
//!
//! This kind is read and checked; running it is not supported yet.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tiphys_core::Problems;
use tiphys_core::backoff::BackoffSpec;
use tiphys_core::spec::{BasicAuthSpec, SaslSpec, TlsSpec};

use crate::source::{Replicas, SourceSpec};
use crate::sources::shared::check_optional;
use crate::spec::FilterSpec;

/// Records of a Kafka topic.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Kafka {
    /// The brokers, as host:9092, separated by commas.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub url: String,
    /// The one partition, in quotes; without a consumer group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub partition: String,
    /// The topic.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub topic: String,
    /// How often and how far apart connecting is tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_backoff: Option<BackoffSpec>,
    /// TLS towards the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSpec>,
    /// Messages are JSON and become JSON in the event; otherwise base64.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub json_body: bool,
    /// Copied into the event data.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// The consumer group, which keeps the place in the topic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumer_group: Option<KafkaConsumerGroup>,
    /// No more events than this; 0 for no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_events_per_second: Option<i64>,
    /// The version of the brokers, as 1.0.0.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// SASL towards the brokers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sasl: Option<SaslSpec>,
    /// Further settings of the client, YAML as text.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub config: String,
    /// Drops events that do not meet a condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<FilterSpec>,
    /// A registry with the Avro schemas of the records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_registry: Option<KafkaSchemaRegistry>,
    /// IAM towards Amazon MSK.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aws_msk_iam_auth: Option<KafkaMskIam>,
}

/// A Kafka consumer group.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct KafkaConsumerGroup {
    /// Its name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group_name: String,
    /// A new group begins with the oldest record that is kept.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub oldest: bool,
    /// `range` (default), `sticky` or `roundrobin`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub rebalance_strategy: String,
}

/// A registry of Avro schemas.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct KafkaSchemaRegistry {
    /// Where it is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub url: String,
    /// Not used: the records name their schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_id: Option<i32>,
    /// The user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<BasicAuthSpec>,
}

/// IAM towards Amazon MSK.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct KafkaMskIam {
    /// The region.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub region: String,
}

impl SourceSpec for Kafka {
    const KIND: &'static str = "kafka";
    const REPLICAS: Replicas = Replicas::One;

    fn validate(&self, problems: &mut Problems) {
        problems.require("url", &self.url, ", as host:9092");
        problems.require("topic", &self.topic, " to the name of the topic");
        if self.consumer_group.is_none() && self.partition.is_empty() {
            problems.error("must have consumerGroup, as {groupName: events}, or partition");
        }
        if let Some(group) = &self.consumer_group {
            problems.at("consumerGroup", |problems| {
                problems.require("groupName", &group.group_name, " to the name of the group");
            });
        } else if !self.partition.is_empty() && self.partition.parse::<u32>().is_err() {
            problems.at("partition", |problems| {
                problems.error("must be a number in quotes, as \"0\"");
            });
        }
        check_optional("tls", self.tls.as_ref(), problems);
        check_optional("sasl", self.sasl.as_ref(), problems);
        check_optional(
            "connectionBackoff",
            self.connection_backoff.as_ref(),
            problems,
        );
        if let Some(iam) = &self.aws_msk_iam_auth {
            problems.at("awsMskIamAuth", |problems| {
                problems.require("region", &iam.region, ", as eu-central-1");
            });
        }
        if let Some(registry) = &self.schema_registry {
            problems.at("schemaRegistry", |problems| {
                problems.require("url", &registry.url, ", as https://registry:8081");
                check_optional("auth", registry.auth.as_ref(), problems);
            });
        }
        FilterSpec::validate(self.filter.as_ref(), problems);
    }

    fn filter(&self) -> Option<&str> {
        self.filter
            .as_ref()
            .map(|filter| filter.expression.as_str())
    }
}
