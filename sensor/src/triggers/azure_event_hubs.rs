//! The `azureEventHubs` trigger: one event per firing. Its spec and validation; this build does not send yet.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tiphys_core::Problems;
use tiphys_core::refs::KeyRef;

use super::kafka::require_ref;
use crate::parameters::Dest;
use crate::spec::{ParameterSpec, Scope};

/// Sends to Azure Event Hubs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AzureEventHubsSpec {
    /// The host of the namespace.
    pub fqdn: String,
    /// The hub.
    pub hub_name: String,
    /// The name of the shared access key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_access_key_name: Option<KeyRef>,
    /// The shared access key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_access_key: Option<KeyRef>,
    /// The event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Vec<ParameterSpec>>,
    /// Changes this block for each firing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<ParameterSpec>,
}

impl AzureEventHubsSpec {
    /// Reports everything wrong.
    pub(crate) fn validate(&self, scope: &Scope<'_>, problems: &mut Problems) {
        problems.require("fqdn", &self.fqdn, ", as name.servicebus.windows.net");
        problems.require("hubName", &self.hub_name, " to the hub");
        require_ref(
            "sharedAccessKeyName",
            self.shared_access_key_name.as_ref(),
            problems,
        );
        require_ref("sharedAccessKey", self.shared_access_key.as_ref(), problems);
        scope.payload("payload", self.payload.as_deref(), Dest::Required, problems);
        scope.parameters("parameters", &self.parameters, problems);
    }
}
