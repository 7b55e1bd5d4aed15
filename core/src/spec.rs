//! Pieces that several resource kinds share: TLS, SASL, basic auth, pod templates. Types and validation only.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1 as core_v1;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::problems::Problems;
use crate::refs::KeyRef;

/// TLS towards a server.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TlsSpec {
    /// A PEM bundle that replaces the system's roots.
    #[serde(rename = "caCertSecret", skip_serializing_if = "Option::is_none")]
    pub ca_cert_secret: Option<KeyRef>,
    /// The client's certificate, PEM; needs `clientKeySecret`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_cert_secret: Option<KeyRef>,
    /// The client's key, PEM; needs `clientCertSecret`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_key_secret: Option<KeyRef>,
    /// Do not verify the server. Whoever can reach the line can then read and change what is sent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub insecure_skip_verify: bool,
    /// TLS with the system's roots where nothing else is set.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub enabled: bool,
}

impl TlsSpec {
    /// Reports halves that do nothing.
    pub fn validate(&self, problems: &mut Problems) {
        let refs = [
            ("caCertSecret", &self.ca_cert_secret),
            ("clientCertSecret", &self.client_cert_secret),
            ("clientKeySecret", &self.client_key_secret),
        ];
        for (key, reference) in &refs {
            if let Some(reference) = reference {
                problems.at(key, |problems| reference.validate(problems));
            }
        }
        if self.client_cert_secret.is_some() != self.client_key_secret.is_some() {
            problems.error("must have both clientCertSecret and clientKeySecret, or neither");
        }
        let empty = refs.iter().all(|(_, reference)| reference.is_none());
        if empty && !self.enabled && !self.insecure_skip_verify {
            problems.error(
                "must name caCertSecret, or clientCertSecret and clientKeySecret, or say enabled: true",
            );
        }
        if self.insecure_skip_verify {
            problems.warning(
                "insecureSkipVerify leaves the server unverified; name caCertSecret instead",
            );
        }
    }
}

/// SASL towards Kafka.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SaslSpec {
    /// `PLAIN` (default), `SCRAM-SHA-256`, `SCRAM-SHA-512`, `OAUTHBEARER` or `GSSAPI`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mechanism: String,
    /// The user's name.
    #[serde(rename = "userSecret", skip_serializing_if = "Option::is_none")]
    pub user_secret: Option<KeyRef>,
    /// The password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_secret: Option<KeyRef>,
}

impl SaslSpec {
    /// Reports an unknown mechanism and missing credentials.
    pub fn validate(&self, problems: &mut Problems) {
        const MECHANISMS: [&str; 6] = [
            "",
            "PLAIN",
            "OAUTHBEARER",
            "SCRAM-SHA-256",
            "SCRAM-SHA-512",
            "GSSAPI",
        ];
        if !MECHANISMS.contains(&self.mechanism.as_str()) {
            problems.at("mechanism", |problems| {
                problems.error(format!("must be one of {}", MECHANISMS[1..].join(", ")));
            });
        }
        problems.require_some("userSecret", self.user_secret.as_ref(), ", as {name, key}");
        problems.require_some(
            "passwordSecret",
            self.password_secret.as_ref(),
            ", as {name, key}",
        );
    }
}

/// A user and a password.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct BasicAuthSpec {
    /// The user's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<KeyRef>,
    /// The password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<KeyRef>,
}

impl BasicAuthSpec {
    /// Reports a missing half.
    pub fn validate(&self, problems: &mut Problems) {
        problems.require_some("username", self.username.as_ref(), ", as {name, key}");
        problems.require_some("password", self.password.as_ref(), ", as {name, key}");
    }
}

/// Labels and annotations that go onto a generated object.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct MetadataSpec {
    /// Annotations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// What a user may change of the one container that runs an EventSource or a Sensor.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerSpec {
    /// Requests and limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<core_v1::ResourceRequirements>,
    /// When the image is pulled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<String>,
    /// The container's security context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security_context: Option<core_v1::SecurityContext>,
    /// Where volumes are mounted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volume_mounts: Vec<core_v1::VolumeMount>,
    /// Environment variables.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<core_v1::EnvVar>,
    /// Environment variables from whole objects.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env_from: Vec<core_v1::EnvFromSource>,
}

/// The pod of an EventSource or Sensor in the cluster shape; the local shape has no pods and passes over it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PodTemplateSpec {
    /// Labels and annotations of the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<MetadataSpec>,
    /// The service account that the pod, and so its triggers, act as.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub service_account_name: String,
    /// The one container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<ContainerSpec>,
    /// Volumes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<core_v1::Volume>,
    /// The pod's security context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security_context: Option<core_v1::PodSecurityContext>,
    /// Labels that a node must have.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints that are borne.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<core_v1::Toleration>,
    /// Secrets for pulling the image.
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
}

/// One condition of an object's status.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// What the condition is about, as `Deployed`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// When `status` last changed, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<String>,
    /// One word for programs.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// One sentence for people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// The status that EventSource, Sensor and EventBus share.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ConditionedStatus {
    /// The conditions, sorted by type.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The generation of the spec that the conditions speak of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_client_certificate_is_reported() {
        let tls = TlsSpec {
            client_cert_secret: Some(KeyRef::default()),
            ..TlsSpec::default()
        };
        let mut problems = Problems::default();
        tls.validate(&mut problems);
        assert!(
            problems
                .to_string()
                .contains("both clientCertSecret and clientKeySecret")
        );
    }
}
