//! `nsq` receives the messages of an NSQ topic.
//!
//! ```yaml
//! nsq:
//!   example:
//!     hostAddress: nsqlookupd:4161
//!     topic: hello
//!     channel: my-channel
//! ```
//!
//! This kind is read and checked; running it is not supported yet.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tiphys_core::Problems;
use tiphys_core::backoff::BackoffSpec;
use tiphys_core::spec::TlsSpec;

use crate::source::{Replicas, SourceSpec};
use crate::sources::shared::check_optional;
use crate::spec::FilterSpec;

/// Messages of an NSQ topic.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Nsq {
    /// The HTTP address of nsqlookupd, as host:4161.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub host_address: String,
    /// The topic.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub topic: String,
    /// The channel.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub channel: String,
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
    /// Drops events that do not meet a condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<FilterSpec>,
}

impl SourceSpec for Nsq {
    const KIND: &'static str = "nsq";
    const REPLICAS: Replicas = Replicas::One;

    fn validate(&self, problems: &mut Problems) {
        problems.require("hostAddress", &self.host_address, ", as nsqlookupd:4161");
        problems.require("topic", &self.topic, " to the name of the topic");
        problems.require("channel", &self.channel, " to the name of the channel");
        check_optional("tls", self.tls.as_ref(), problems);
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
