//! The `azureServiceBus` trigger: one message per firing. Its spec and validation; this build does not send yet.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tiphys_core::Problems;
use tiphys_core::refs::KeyRef;
use tiphys_core::spec::TlsSpec;

use super::kafka::require_ref;
use crate::parameters::Dest;
use crate::spec::{ParameterSpec, Scope};

/// Sends to Azure Service Bus.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AzureServiceBusSpec {
    /// The connection string.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_string: Option<KeyRef>,
    /// The queue; wins over `topicName`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub queue_name: String,
    /// The topic.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub topic_name: String,
    /// Kept for Argo's YAML; it has no effect.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subscription_name: String,
    /// TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSpec>,
    /// The message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Vec<ParameterSpec>>,
    /// Changes this block for each firing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<ParameterSpec>,
}

impl AzureServiceBusSpec {
    /// Reports everything wrong.
    pub(crate) fn validate(&self, scope: &Scope<'_>, problems: &mut Problems) {
        require_ref(
            "connectionString",
            self.connection_string.as_ref(),
            problems,
        );
        if self.queue_name.is_empty() && self.topic_name.is_empty() {
            problems.error("must name a queue in queueName, or a topic in topicName");
        }
        super::validate_tls(self.tls.as_ref(), problems);
        scope.payload("payload", self.payload.as_deref(), Dest::Required, problems);
        scope.parameters("parameters", &self.parameters, problems);
    }
}
