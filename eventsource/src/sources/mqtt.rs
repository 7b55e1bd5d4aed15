//! `mqtt` receives the messages of an MQTT topic.
//!
//! ```yaml
//! mqtt:
//!   example:
//!     url: tcp://mqtt:1883
//!     topic: bar
//!     clientId: "2345"
//!     jsonBody: true
//! ```
//!
//! This kind is read and checked; running it is not supported yet.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tiphys_core::Problems;
use tiphys_core::backoff::BackoffSpec;
use tiphys_core::spec::{BasicAuthSpec, TlsSpec};

use crate::source::{Replicas, SourceSpec};
use crate::sources::shared::check_optional;
use crate::spec::FilterSpec;

/// Messages of an MQTT topic.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Mqtt {
    /// The broker, as tcp://host:1883.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub url: String,
    /// The topic.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub topic: String,
    /// The name of the client.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub client_id: String,
    /// How often and how far apart connecting is tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_backoff: Option<BackoffSpec>,
    /// Messages are JSON and become JSON in the event; otherwise base64.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub json_body: bool,
    /// TLS towards the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSpec>,
    /// Copied into the event data.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// The user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<BasicAuthSpec>,
    /// Drops events that do not meet a condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<FilterSpec>,
}

impl SourceSpec for Mqtt {
    const KIND: &'static str = "mqtt";
    const REPLICAS: Replicas = Replicas::One;

    fn validate(&self, problems: &mut Problems) {
        problems.require("url", &self.url, ", as tcp://host:1883");
        problems.require("topic", &self.topic, " to the name of the topic");
        problems.require(
            "clientId",
            &self.client_id,
            " to a name that no other client has",
        );
        check_optional("tls", self.tls.as_ref(), problems);
        check_optional("auth", self.auth.as_ref(), problems);
        check_optional(
            "connectionBackoff",
            self.connection_backoff.as_ref(),
            problems,
        );
        FilterSpec::validate(self.filter.as_ref(), problems);
    }

    fn filter(&self) -> Option<&str> {
        self.filter
            .as_ref()
            .map(|filter| filter.expression.as_str())
    }
}
