//! `azureEventsHub` receives the events of an Azure Event Hub.
//!
//! ```yaml
//! azureEventsHub:
//!   example:
//!     fqdn: name.servicebus.windows.net
//!     hubName: hub
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

/// Events of an Azure Event Hub.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AzureEventsHub {
    /// The host of the namespace, as name.servicebus.windows.net.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub fqdn: String,
    /// The name of the shared access key; needs `sharedAccessKey`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_access_key_name: Option<KeyRef>,
    /// The shared access key; without it the ambient Azure identity is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_access_key: Option<KeyRef>,
    /// The name of the hub.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hub_name: String,
    /// Copied into the event data.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Drops events that do not meet a condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<FilterSpec>,
}

impl SourceSpec for AzureEventsHub {
    const KIND: &'static str = "azureEventsHub";
    const REPLICAS: Replicas = Replicas::One;

    fn validate(&self, problems: &mut Problems) {
        problems.require("fqdn", &self.fqdn, ", as name.servicebus.windows.net");
        problems.require("hubName", &self.hub_name, " to the name of the hub");
        if self.shared_access_key.is_some() != self.shared_access_key_name.is_some() {
            problems.error("must have both sharedAccessKeyName and sharedAccessKey, or neither");
        }
        check_ref(
            "sharedAccessKeyName",
            self.shared_access_key_name.as_ref(),
            problems,
        );
        check_ref("sharedAccessKey", self.shared_access_key.as_ref(), problems);
        FilterSpec::validate(self.filter.as_ref(), problems);
    }

    fn filter(&self) -> Option<&str> {
        self.filter
            .as_ref()
            .map(|filter| filter.expression.as_str())
    }
}
