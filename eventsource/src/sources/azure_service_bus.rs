//! `azureServiceBus` receives the messages of an Azure Service Bus queue or subscription.
//!
//! ```yaml
//! azureServiceBus:
//!   example:
//!     connectionString:
//!       name: azure
//!       key: connection
//!     queueName: test
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
use crate::sources::shared::{check_optional, check_ref};
use crate::spec::FilterSpec;

/// Messages of an Azure Service Bus queue or subscription.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AzureServiceBus {
    /// The connection string.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_string: Option<KeyRef>,
    /// The namespace, as name.servicebus.windows.net, reached with the ambient Azure identity.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub fully_qualified_namespace: String,
    /// The queue; or a topic with a subscription.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub queue_name: String,
    /// The topic; needs `subscriptionName`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub topic_name: String,
    /// The subscription of the topic.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subscription_name: String,
    /// Delete a message after it is stored, rather than on receipt.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub defer_delete: bool,
    /// TLS towards the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSpec>,
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

impl SourceSpec for AzureServiceBus {
    const KIND: &'static str = "azureServiceBus";
    const REPLICAS: Replicas = Replicas::One;

    fn validate(&self, problems: &mut Problems) {
        if self.connection_string.is_none() && self.fully_qualified_namespace.is_empty() {
            problems.error("must have connectionString or fullyQualifiedNamespace");
        }
        check_ref(
            "connectionString",
            self.connection_string.as_ref(),
            problems,
        );
        let topic = !self.topic_name.is_empty() && !self.subscription_name.is_empty();
        let any_topic = !self.topic_name.is_empty() || !self.subscription_name.is_empty();
        match (self.queue_name.is_empty(), any_topic) {
            (true, _) if !topic => {
                problems.error("must have queueName, or topicName and subscriptionName");
            }
            (false, true) => {
                problems.error("must have queueName, or topicName and subscriptionName, not both");
            }
            _ => {}
        }
        check_optional("tls", self.tls.as_ref(), problems);
        FilterSpec::validate(self.filter.as_ref(), problems);
    }

    fn filter(&self) -> Option<&str> {
        self.filter
            .as_ref()
            .map(|filter| filter.expression.as_str())
    }
}
