//! `azureQueueStorage` receives the messages of an Azure Storage queue.
//!
//! ```yaml
//! azureQueueStorage:
//!   example:
//!     queueName: test
//!     storageAccountName: account
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

/// Messages of an Azure Storage queue.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AzureQueueStorage {
    /// The storage account, reached with the ambient Azure identity.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub storage_account_name: String,
    /// The connection string; wins over `storageAccountName`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_string: Option<KeyRef>,
    /// The queue.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub queue_name: String,
    /// Messages are JSON and become JSON in the event; otherwise base64.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub json_body: bool,
    /// Keep messages that cannot be read, for a dead-letter queue.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dlq: bool,
    /// Messages are base64.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub decode_message: bool,
    /// How long to wait after an empty read. Default 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_time_in_seconds: Option<i32>,
    /// Copied into the event data.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Drops events that do not meet a condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<FilterSpec>,
}

impl SourceSpec for AzureQueueStorage {
    const KIND: &'static str = "azureQueueStorage";
    const REPLICAS: Replicas = Replicas::Many;

    fn validate(&self, problems: &mut Problems) {
        if self.connection_string.is_none() && self.storage_account_name.is_empty() {
            problems.error("must have connectionString or storageAccountName");
        }
        check_ref(
            "connectionString",
            self.connection_string.as_ref(),
            problems,
        );
        problems.require("queueName", &self.queue_name, " to the name of the queue");
        FilterSpec::validate(self.filter.as_ref(), problems);
    }

    fn filter(&self) -> Option<&str> {
        self.filter
            .as_ref()
            .map(|filter| filter.expression.as_str())
    }
}
