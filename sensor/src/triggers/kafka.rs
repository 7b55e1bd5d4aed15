//! The `kafka` trigger: one record per firing. Its spec and validation; this build does not send records yet.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tiphys_core::Problems;
use tiphys_core::refs::KeyRef;
use tiphys_core::spec::{BasicAuthSpec, SaslSpec, TlsSpec};

use super::http::SecureHeaderSpec;
use crate::parameters::Dest;
use crate::spec::{ParameterSpec, Scope};

/// Sends a Kafka record.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct KafkaSpec {
    /// The brokers, separated by commas.
    pub url: String,
    /// The topic.
    pub topic: String,
    /// Kept for Argo's YAML; it has no effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<i32>,
    /// Changes this block for each firing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<ParameterSpec>,
    /// How many replicas must acknowledge: 0 or -1 for all, 1 for the leader.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub required_acks: Option<i32>,
    /// Whether records are compressed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub compress: bool,
    /// How long records are gathered, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flush_frequency: Option<i32>,
    /// TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSpec>,
    /// The record's value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Vec<ParameterSpec>>,
    /// The record's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partitioning_key: Option<String>,
    /// The protocol version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// SASL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sasl: Option<SaslSpec>,
    /// Encodes the payload as Avro.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_registry: Option<SchemaRegistrySpec>,
    /// Headers of the record.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Headers from Secrets and ConfigMaps.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secure_headers: Vec<SecureHeaderSpec>,
}

/// A schema registry.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SchemaRegistrySpec {
    /// Its address.
    pub url: String,
    /// The schema's number.
    pub schema_id: i32,
    /// The user and the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<BasicAuthSpec>,
}

impl KafkaSpec {
    /// Reports everything wrong.
    pub(crate) fn validate(&self, scope: &Scope<'_>, problems: &mut Problems) {
        problems.require("url", &self.url, ", as host:9092");
        problems.require("topic", &self.topic, " to the topic");
        scope.payload("payload", self.payload.as_deref(), Dest::Required, problems);
        scope.parameters("parameters", &self.parameters, problems);
        super::validate_tls(self.tls.as_ref(), problems);
        if let Some(sasl) = &self.sasl {
            problems.at("sasl", |problems| sasl.validate(problems));
        }
        problems.each(
            "secureHeaders",
            &self.secure_headers,
            SecureHeaderSpec::validate,
        );
        if let Some(registry) = &self.schema_registry {
            problems.at("schemaRegistry", |problems| {
                problems.require("url", &registry.url, ", as https://host:8081");
            });
        }
    }
}

/// Reports a reference that is missing or names nothing.
pub(super) fn require_ref(key: &str, reference: Option<&KeyRef>, problems: &mut Problems) {
    match reference {
        None => problems.require_some(key, None::<&KeyRef>, ", as {name, key} of a Secret"),
        Some(reference) => problems.at(key, |problems| reference.validate(problems)),
    }
}
