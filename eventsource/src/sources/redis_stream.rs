//! `redisStream` receives the entries of Redis streams.
//!
//! ```yaml
//! redisStream:
//!   example:
//!     hostAddress: redis:6379
//!     streams:
//!     - FOO
//!     consumerGroup: events
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

/// Entries of Redis streams.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RedisStream {
    /// The server, as host:6379.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub host_address: String,
    /// The password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<KeyRef>,
    /// The database. Default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub db: Option<i32>,
    /// The streams.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub streams: Vec<String>,
    /// How many entries are read at once. Default 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_msg_count_per_read: Option<i32>,
    /// The consumer group. Default `argo-events-cg`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub consumer_group: String,
    /// TLS towards the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSpec>,
    /// Copied into the event data.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Drops events that do not meet a condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<FilterSpec>,
    /// The user.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub username: String,
}

impl SourceSpec for RedisStream {
    const KIND: &'static str = "redisStream";
    const REPLICAS: Replicas = Replicas::One;

    fn validate(&self, problems: &mut Problems) {
        problems.require("hostAddress", &self.host_address, ", as redis:6379");
        check_list("streams", &self.streams, " that names a stream", problems);
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
