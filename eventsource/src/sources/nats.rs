//! `nats` receives the messages of a subject of core NATS.
//!
//! ```yaml
//! nats:
//!   example:
//!     url: nats://nats:4222
//!     subject: orders
//! ```
//!
//! This kind is read and checked; running it is not supported yet.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tiphys_core::Problems;
use tiphys_core::backoff::BackoffSpec;
use tiphys_core::refs::KeyRef;
use tiphys_core::spec::{BasicAuthSpec, TlsSpec};

use crate::source::{Replicas, SourceSpec};
use crate::sources::shared::{check_optional, check_ref};
use crate::spec::FilterSpec;

/// Messages of a subject of core NATS.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Nats {
    /// The server, as nats://host:4222.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub url: String,
    /// The subject.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subject: String,
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
    /// How to log in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<NatsAuth>,
    /// Drops events that do not meet a condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<FilterSpec>,
    /// The queue group, whose members share the messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
}

/// How to log in to NATS; the first that is set counts.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NatsAuth {
    /// User and password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basic: Option<BasicAuthSpec>,
    /// A token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<KeyRef>,
    /// The seed of an NKey.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nkey: Option<KeyRef>,
    /// A credentials file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<KeyRef>,
}

impl SourceSpec for Nats {
    const KIND: &'static str = "nats";
    const REPLICAS: Replicas = Replicas::One;

    fn validate(&self, problems: &mut Problems) {
        problems.require("url", &self.url, ", as nats://host:4222");
        problems.require("subject", &self.subject, " to a subject");
        if self.queue.as_deref() == Some("") {
            problems.at("queue", |problems| {
                problems.error("must have a name, or be left out");
            });
        }
        check_optional("tls", self.tls.as_ref(), problems);
        check_optional(
            "connectionBackoff",
            self.connection_backoff.as_ref(),
            problems,
        );
        if let Some(auth) = &self.auth {
            problems.at("auth", |problems| {
                check_optional("basic", auth.basic.as_ref(), problems);
                check_ref("token", auth.token.as_ref(), problems);
                check_ref("nkey", auth.nkey.as_ref(), problems);
                check_ref("credential", auth.credential.as_ref(), problems);
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
