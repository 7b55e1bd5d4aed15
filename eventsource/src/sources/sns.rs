//! `sns` receives the notifications of an Amazon SNS topic.
//!
//! ```yaml
//! sns:
//!   example:
//!     webhook:
//!       endpoint: /
//!       port: "12000"
//!       method: POST
//!       url: https://events.example.com
//!     topicArn: arn:aws:sns:us-east-1:000000000000:test
//!     region: us-east-1
//! ```
//!
//! This kind is read and checked; running it is not supported yet.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tiphys_core::Problems;
use tiphys_core::refs::KeyRef;

use crate::context::{self, WebhookContext};
use crate::source::{Replicas, SourceSpec};
use crate::sources::shared::check_ref;
use crate::spec::FilterSpec;

/// Notifications of an Amazon SNS topic.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Sns {
    /// Where the hook is received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookContext>,
    /// The topic.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub topic_arn: String,
    /// The access key; without it the ambient identity is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key: Option<KeyRef>,
    /// The secret key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_key: Option<KeyRef>,
    /// The region.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub region: String,
    /// A role that is assumed; wins over the keys.
    #[serde(rename = "roleARN", skip_serializing_if = "String::is_empty")]
    pub role_arn: String,
    /// Copied into the event data.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Check that notifications are signed by Amazon.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub validate_signature: bool,
    /// Another API, for tests.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub endpoint: String,
    /// Drops events that do not meet a condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<FilterSpec>,
}

impl SourceSpec for Sns {
    const KIND: &'static str = "sns";
    const REPLICAS: Replicas = Replicas::Many;

    fn validate(&self, problems: &mut Problems) {
        problems.require(
            "topicArn",
            &self.topic_arn,
            ", as arn:aws:sns:REGION:ACCOUNT:TOPIC",
        );
        problems.require("region", &self.region, ", as eu-central-1");
        if self.access_key.is_some() != self.secret_key.is_some() {
            problems.error("must have both accessKey and secretKey, or neither");
        }
        check_ref("accessKey", self.access_key.as_ref(), problems);
        check_ref("secretKey", self.secret_key.as_ref(), problems);
        context::validate(self.webhook.as_ref(), problems);
        FilterSpec::validate(self.filter.as_ref(), problems);
    }

    fn filter(&self) -> Option<&str> {
        self.filter
            .as_ref()
            .map(|filter| filter.expression.as_str())
    }
}
