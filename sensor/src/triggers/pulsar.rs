//! The `pulsar` trigger: one message per firing. Its spec and validation; this build does not send yet.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tiphys_core::Problems;
use tiphys_core::backoff::BackoffSpec;
use tiphys_core::refs::KeyRef;
use tiphys_core::spec::TlsSpec;

use crate::parameters::Dest;
use crate::spec::{ParameterSpec, Scope};

/// Sends a Pulsar message.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PulsarSpec {
    /// The service, as `pulsar://host:6650`.
    pub url: String,
    /// The topic.
    pub topic: String,
    /// Changes this block for each firing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<ParameterSpec>,
    /// The message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Vec<ParameterSpec>>,
    /// A PEM bundle that the server's certificate is checked against.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_trust_certs_secret: Option<KeyRef>,
    /// Does not check the server's certificate.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub tls_allow_insecure_connection: bool,
    /// Checks that the certificate is the host's.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub tls_validate_hostname: bool,
    /// TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSpec>,
    /// A token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_token_secret: Option<KeyRef>,
    /// Parameters of Athenz.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub auth_athenz_params: BTreeMap<String, String>,
    /// The private key for Athenz.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_athenz_secret: Option<KeyRef>,
    /// How often and how far apart connecting is tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_backoff: Option<BackoffSpec>,
}

impl PulsarSpec {
    /// Reports everything wrong.
    pub(crate) fn validate(&self, scope: &Scope<'_>, problems: &mut Problems) {
        problems.require("url", &self.url, ", as pulsar://host:6650");
        problems.require("topic", &self.topic, " to the topic");
        scope.payload("payload", self.payload.as_deref(), Dest::Required, problems);
        scope.parameters("parameters", &self.parameters, problems);
        super::validate_tls(self.tls.as_ref(), problems);
        if let Some(backoff) = &self.connection_backoff {
            problems.at("connectionBackoff", |problems| backoff.validate(problems));
        }
    }
}
