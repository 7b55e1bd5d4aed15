//! `sqs` receives the messages of an Amazon SQS queue.
//!
//! ```yaml
//! sqs:
//!   example:
//!     region: us-east-1
//!     queue: test
//!     waitTimeSeconds: 20
//! ```
//!
//! This kind is read and checked; running it is not supported yet.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tiphys_core::Problems;
use tiphys_core::refs::KeyRef;

use crate::source::{Replicas, SourceSpec};
use crate::sources::shared::check_ref;
use crate::spec::FilterSpec;

/// Messages of an Amazon SQS queue.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Sqs {
    /// The access key; without it the ambient identity is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key: Option<KeyRef>,
    /// The secret key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_key: Option<KeyRef>,
    /// The region.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub region: String,
    /// The queue.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub queue: String,
    /// How long a read waits for messages. Default 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_time_seconds: Option<i64>,
    /// A role that is assumed; wins over the keys.
    #[serde(rename = "roleARN", skip_serializing_if = "String::is_empty")]
    pub role_arn: String,
    /// Messages are JSON and become JSON in the event; otherwise base64.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub json_body: bool,
    /// The account that owns the queue.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub queue_account_id: String,
    /// Copied into the event data.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Keep messages that cannot be read, for a dead-letter queue.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dlq: bool,
    /// Another API, for tests.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub endpoint: String,
    /// The session token that belongs to the keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_token: Option<KeyRef>,
    /// Drops events that do not meet a condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<FilterSpec>,
}

impl SourceSpec for Sqs {
    const KIND: &'static str = "sqs";
    const REPLICAS: Replicas = Replicas::Many;

    fn validate(&self, problems: &mut Problems) {
        problems.require("region", &self.region, ", as eu-central-1");
        problems.require("queue", &self.queue, " to the name of the queue");
        if self.access_key.is_some() != self.secret_key.is_some() {
            problems.error("must have both accessKey and secretKey, or neither");
        }
        check_ref("accessKey", self.access_key.as_ref(), problems);
        check_ref("secretKey", self.secret_key.as_ref(), problems);
        check_ref("sessionToken", self.session_token.as_ref(), problems);
        FilterSpec::validate(self.filter.as_ref(), problems);
    }

    fn filter(&self) -> Option<&str> {
        self.filter
            .as_ref()
            .map(|filter| filter.expression.as_str())
    }
}
