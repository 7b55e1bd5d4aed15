//! `emitter` receives the messages of an emitter.io channel.
//!
//! ```yaml
//! emitter:
//!   example:
//!     broker: tcp://broker:4000
//!     channelName: hello
//!     channelKey: key
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
use crate::sources::shared::{check_optional, check_ref};
use crate::spec::FilterSpec;

/// Messages of an emitter.io channel.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Emitter {
    /// The broker, as tcp://host:8080.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub broker: String,
    /// The key of the channel.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub channel_key: String,
    /// The channel.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub channel_name: String,
    /// The user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<KeyRef>,
    /// The password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<KeyRef>,
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

impl SourceSpec for Emitter {
    const KIND: &'static str = "emitter";
    const REPLICAS: Replicas = Replicas::One;

    fn validate(&self, problems: &mut Problems) {
        problems.require("broker", &self.broker, ", as tcp://host:8080");
        problems.require(
            "channelName",
            &self.channel_name,
            " to the name of the channel",
        );
        problems.require(
            "channelKey",
            &self.channel_key,
            " to the key of the channel",
        );
        check_ref("username", self.username.as_ref(), problems);
        check_ref("password", self.password.as_ref(), problems);
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
