//! `redis` receives the messages of Redis channels.
//!
//! ```yaml
//! redis:
//!   example:
//!     hostAddress: redis:6379
//!     db: 0
//!     channels:
//!     - FOO
//! ```
//!
//! This kind is read and checked; running it is not supported yet.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tiphys_core::Problems;
use tiphys_core::refs::KeyRef;
use tiphys_core::spec::TlsSpec;

use crate::source::{Replicas, SourceSpec};
use crate::sources::shared::{check_list, check_optional, check_ref};
use crate::spec::FilterSpec;

/// Messages of Redis channels.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Redis {
    /// The server, as host:6379.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub host_address: String,
    /// The password; needs `namespace`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<KeyRef>,
    /// The namespace of the password.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The database. Default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub db: Option<i32>,
    /// The channels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<String>,
    /// TLS towards the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSpec>,
    /// Copied into the event data.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Drops events that do not meet a condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<FilterSpec>,
    /// Messages are JSON and become JSON in the event; otherwise base64.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub json_body: bool,
    /// The user.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub username: String,
}

impl SourceSpec for Redis {
    const KIND: &'static str = "redis";
    const REPLICAS: Replicas = Replicas::One;

    fn validate(&self, problems: &mut Problems) {
        problems.require("hostAddress", &self.host_address, ", as redis:6379");
        check_list(
            "channels",
            &self.channels,
            " that names a channel",
            problems,
        );
        if self.password.is_some() {
            problems.require("namespace", &self.namespace, " where password is");
        }
        check_ref("password", self.password.as_ref(), problems);
        check_optional("tls", self.tls.as_ref(), problems);
        FilterSpec::validate(self.filter.as_ref(), problems);
    }

    fn filter(&self) -> Option<&str> {
        self.filter
            .as_ref()
            .map(|filter| filter.expression.as_str())
    }
}
