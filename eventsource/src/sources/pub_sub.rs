//! `pubSub` receives the messages of a Google Cloud Pub/Sub subscription.
//!
//! ```yaml
//! pubSub:
//!   example:
//!     projectID: project
//!     topic: orders
//!     jsonBody: true
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

/// Messages of a Google Cloud Pub/Sub subscription.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PubSub {
    /// The project. Default: that of the machine.
    #[serde(rename = "projectID", skip_serializing_if = "String::is_empty")]
    pub project_id: String,
    /// The project of the topic. Default: `projectID`.
    #[serde(rename = "topicProjectID", skip_serializing_if = "String::is_empty")]
    pub topic_project_id: String,
    /// The topic.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub topic: String,
    /// The subscription. Default: one is made.
    #[serde(rename = "subscriptionID", skip_serializing_if = "String::is_empty")]
    pub subscription_id: String,
    /// The key of a service account. Default: the ambient identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential_secret: Option<KeyRef>,
    /// Delete the subscription when the source stops.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub delete_subscription_on_finish: bool,
    /// Messages are JSON and become JSON in the event; otherwise base64.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub json_body: bool,
    /// Copied into the event data.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Drops events that do not meet a condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<FilterSpec>,
}

impl SourceSpec for PubSub {
    const KIND: &'static str = "pubSub";
    const TYPE: &'static str = "pubsub";
    const REPLICAS: Replicas = Replicas::One;

    fn validate(&self, problems: &mut Problems) {
        if !self.topic_project_id.is_empty() && self.topic.is_empty() {
            problems.require("topic", "", " where topicProjectID is");
        } else if self.topic.is_empty() && self.subscription_id.is_empty() {
            problems.error("must have topic or subscriptionID");
        }
        check_ref(
            "credentialSecret",
            self.credential_secret.as_ref(),
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
