//! `pulsar` receives the messages of Apache Pulsar topics.
//!
//! ```yaml
//! pulsar:
//!   example:
//!     url: pulsar://pulsar:6650
//!     topics:
//!     - test
//!     type: exclusive
//! ```
//!
//! This kind is read and checked; running it is not supported yet.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tiphys_core::Problems;
use tiphys_core::backoff::BackoffSpec;
use tiphys_core::refs::KeyRef;
use tiphys_core::spec::TlsSpec;

use crate::source::{Replicas, SourceSpec};
use crate::sources::shared::{check_list, check_optional, check_ref};
use crate::spec::FilterSpec;

/// Messages of Apache Pulsar topics.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Pulsar {
    /// The broker, as pulsar://host:6650.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub url: String,
    /// The topics.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub topics: Vec<String>,
    /// `exclusive` or `shared`.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// A PEM bundle that replaces the system's roots.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_trust_certs_secret: Option<KeyRef>,
    /// Do not verify the broker.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub tls_allow_insecure_connection: bool,
    /// Compare the name in the broker's certificate.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub tls_validate_hostname: bool,
    /// TLS towards the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSpec>,
    /// How often and how far apart connecting is tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_backoff: Option<BackoffSpec>,
    /// Messages are JSON and become JSON in the event; otherwise base64.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub json_body: bool,
    /// Copied into the event data.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// A token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_token_secret: Option<KeyRef>,
    /// The parameters of Athenz.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub auth_athenz_params: BTreeMap<String, String>,
    /// The private key for Athenz.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_athenz_secret: Option<KeyRef>,
    /// Drops events that do not meet a condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<FilterSpec>,
}

impl SourceSpec for Pulsar {
    const KIND: &'static str = "pulsar";
    const REPLICAS: Replicas = Replicas::One;

    fn validate(&self, problems: &mut Problems) {
        check_list("topics", &self.topics, " that names a topic", problems);
        problems.require("url", &self.url, ", as pulsar://host:6650");
        if !matches!(self.kind.as_str(), "exclusive" | "shared") {
            problems.at("type", |problems| {
                problems.error("must be exclusive or shared");
            });
        }
        check_ref(
            "tlsTrustCertsSecret",
            self.tls_trust_certs_secret.as_ref(),
            problems,
        );
        check_ref("authTokenSecret", self.auth_token_secret.as_ref(), problems);
        check_ref(
            "authAthenzSecret",
            self.auth_athenz_secret.as_ref(),
            problems,
        );
        check_optional(
            "connectionBackoff",
            self.connection_backoff.as_ref(),
            problems,
        );
        if let Some(tls) = &self.tls
            && (tls.client_cert_secret.is_none() || tls.client_key_secret.is_none())
        {
            problems.at("tls", |problems| {
                problems.error("must have both clientCertSecret and clientKeySecret; the roots go to tlsTrustCertsSecret");
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
