//! Triggers as the spec writes them: what is done, when, how often it is tried. Types only; the kinds are in `triggers`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tiphys_core::backoff::BackoffSpec;

use super::parameter::ParameterSpec;
use super::source::{ArtifactSpec, any_object};
use crate::triggers::{
    ArgoWorkflowSpec, AwsLambdaSpec, AzureEventHubsSpec, AzureServiceBusSpec, CustomSpec,
    EmailSpec, HttpSpec, K8sSpec, KafkaSpec, LogSpec, NatsSpec, OpenWhiskSpec, PulsarSpec,
    SlackSpec,
};

/// What is done when a condition is met.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TriggerSpec {
    /// The action and its condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<TriggerTemplateSpec>,
    /// Changes `template` for each firing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<ParameterSpec>,
    /// What the result of the action must be like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicySpec>,
    /// How often and how far apart a failing action is tried; one attempt where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_strategy: Option<BackoffSpec>,
    /// How often it may fire, all replicas together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimitSpec>,
    /// A path of the payload: events with the same value there fire one after the other, in their order.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub order_by: String,
    /// `false`, written out, acknowledges an event before the action. Default true, unlike Argo.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_least_once: Option<bool>,
    /// Fires with the same events once all attempts have failed. A trigger of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub dlq_trigger: Option<Box<TriggerSpec>>,
}

impl TriggerSpec {
    /// Whether its meaning demands that one process at a time runs it: an order, or a rate.
    #[must_use]
    pub fn is_single(&self) -> bool {
        !self.order_by.is_empty() || self.rate_limit.is_some()
    }
}

/// The action of a trigger and its condition. Exactly one kind is set.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TriggerTemplateSpec {
    /// The trigger's name, unique in the sensor.
    pub name: String,
    /// `&&`, `||` and parentheses over dependency names; all dependencies where nothing is said.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub conditions: String,
    /// Events meet by key, inside a window, instead of the last ones of each dependency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub join: Option<JoinSpec>,
    /// When events that are held for the condition are dropped.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions_reset: Vec<ConditionsResetSpec>,
    /// Creates a Kubernetes object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub k8s: Option<K8sSpec>,
    /// Submits a Workflow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub argo_workflow: Option<ArgoWorkflowSpec>,
    /// Sends an HTTP request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpSpec>,
    /// Calls an AWS Lambda function.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aws_lambda: Option<AwsLambdaSpec>,
    /// Calls a gRPC server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom: Option<CustomSpec>,
    /// Sends a Kafka record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kafka: Option<KafkaSpec>,
    /// Publishes a NATS message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nats: Option<NatsSpec>,
    /// Posts to Slack.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slack: Option<SlackSpec>,
    /// Invokes an OpenWhisk action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_whisk: Option<OpenWhiskSpec>,
    /// Writes the event to the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<LogSpec>,
    /// Sends to Azure Event Hubs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub azure_event_hubs: Option<AzureEventHubsSpec>,
    /// Sends a Pulsar message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pulsar: Option<PulsarSpec>,
    /// Sends to Azure Service Bus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub azure_service_bus: Option<AzureServiceBusSpec>,
    /// Sends mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<EmailSpec>,
}

impl TriggerTemplateSpec {
    /// Where the object of the trigger is read from.
    pub(crate) fn source(&self) -> Option<&ArtifactSpec> {
        if let Some(k8s) = &self.k8s {
            return k8s.source.as_ref();
        }
        self.argo_workflow.as_ref()?.source.as_ref()
    }
}

/// How the events of a condition meet.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct JoinSpec {
    /// The path of the key in the payload of each event.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// The path of the key by dependency, where it differs.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub keys: BTreeMap<String, String>,
    /// How long an event waits for the others, as 30m.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub within: String,
}

/// When held events are dropped.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ConditionsResetSpec {
    /// By the clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by_time: Option<ResetByTimeSpec>,
}

/// A schedule.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ResetByTimeSpec {
    /// Five fields: minute, hour, day of month, month, day of week.
    pub cron: String,
    /// The time zone by its IANA name; UTC where nothing is said.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub timezone: String,
}

/// What the result of an action must be like.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PolicySpec {
    /// For created Kubernetes objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub k8s: Option<K8sPolicySpec>,
    /// For responses with a status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<StatusPolicySpec>,
}

/// Labels that the created object must come to have.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct K8sPolicySpec {
    /// All of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    /// How often and how far apart the object is looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff: Option<BackoffSpec>,
    /// Whether labels that never come make the firing fail.
    pub error_on_backoff_timeout: bool,
}

/// Response codes that count as success.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct StatusPolicySpec {
    /// One of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<i32>>,
}

/// How often a trigger may fire.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RateLimitSpec {
    /// `Second` (default), `Minute` or `Hour`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub unit: String,
    /// How often in that time.
    pub requests_per_unit: i32,
}
