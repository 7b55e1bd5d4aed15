//! The Sensor resource: every field of Argo's v1alpha1, typed and documented. It decides nothing and reads nothing else.

mod argos;
mod dependency;
mod dependency_validate;
mod dest;
mod misplaced;
mod parameter;
mod scope;
mod source;
mod trigger;
mod validate;

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tiphys_core::spec::{ConditionedStatus, PodTemplateSpec};

pub use argos::ArgosConsumer;
pub(crate) use argos::argos_durable;
pub use dependency::{
    ContextFilterSpec, DataFilterSpec, DependencySpec, ExprFieldSpec, ExprFilterSpec, FiltersSpec,
    TimeFilterSpec, TransformSpec,
};
pub use parameter::{ParameterSourceSpec, ParameterSpec, TemplateEngine};
pub use scope::Scope;
pub use source::{
    ArtifactSpec, BucketSpec, ConfigMapSourceSpec, FileSourceSpec, GitCredsSpec, GitRemoteSpec,
    GitSourceSpec, GithubAppSpec, S3SourceSpec, UrlSourceSpec,
};
pub use trigger::{
    ConditionsResetSpec, JoinSpec, K8sPolicySpec, PolicySpec, RateLimitSpec, ResetByTimeSpec,
    StatusPolicySpec, TriggerSpec, TriggerTemplateSpec,
};

/// Chooses the engine of all templates of a Sensor that do not name one: `go` or `handlebars`.
pub const TEMPLATE_ENGINE_ANNOTATION: &str = "tiphys.dev/template-engine";

/// Waits for events and fires triggers.
#[derive(CustomResource, Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "argoproj.io",
    version = "v1alpha1",
    kind = "Sensor",
    plural = "sensors",
    singular = "sensor",
    shortname = "sn",
    namespaced,
    status = "ConditionedStatus",
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase", default)]
pub struct SensorSpec {
    /// The events that are waited for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<DependencySpec>,
    /// What is done when their conditions are met.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub triggers: Vec<TriggerSpec>,
    /// The pod of the cluster shape.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<PodTemplateSpec>,
    /// Kept for Argo's YAML; it has no effect there either.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub error_on_failed_round: bool,
    /// The EventBus in the same namespace; `default` where nothing is said.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub event_bus_name: String,
    /// How many pods share the work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// How many old Deployment revisions are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision_history_limit: Option<i32>,
    /// Fields that every log line of this sensor carries.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub logging_fields: BTreeMap<String, String>,
}

impl SensorSpec {
    /// The name of the bus that it listens on.
    #[must_use]
    pub fn bus_name(&self) -> &str {
        match self.event_bus_name.as_str() {
            "" => "default",
            name => name,
        }
    }

    /// Whether one replica at a time runs some of its triggers.
    #[must_use]
    pub fn has_singletons(&self) -> bool {
        self.triggers.iter().any(TriggerSpec::is_single)
    }
}

/// Where a Sensor that the bus does not know yet begins: `new` (default), `oldest`, or a time in RFC 3339.
pub const START_FROM_ANNOTATION: &str = "tiphys.dev/start-from";

/// Where a Sensor begins that the bus does not know yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StartFrom {
    /// With what comes from now on.
    #[default]
    New,
    /// With the oldest event that the bus keeps.
    Oldest,
    /// With the first event that was stored at this time or later.
    Time(jiff::Timestamp),
}

impl StartFrom {
    /// What the annotations choose.
    ///
    /// # Errors
    /// What must hold, where the annotation says something else.
    pub fn new(annotations: &BTreeMap<String, String>) -> Result<Self, String> {
        match annotations.get(START_FROM_ANNOTATION).map(String::as_str) {
            None | Some("" | "new") => Ok(Self::New),
            Some("oldest") => Ok(Self::Oldest),
            Some(text) => text.parse().map(Self::Time).map_err(|_| {
                format!("must be new, oldest or a time, as 2026-07-18T10:00:00Z, not {text:?}")
            }),
        }
    }

    pub(crate) const fn start(self) -> tiphys_eventbus::Start {
        match self {
            Self::New => tiphys_eventbus::Start::New,
            Self::Oldest | Self::Time(_) => tiphys_eventbus::Start::Oldest,
        }
    }

    pub(crate) const fn since(self) -> Option<jiff::Timestamp> {
        match self {
            Self::Time(time) => Some(time),
            Self::New | Self::Oldest => None,
        }
    }
}

/// The engine that the annotations choose.
///
/// # Errors
/// The text of an annotation that names no engine.
pub fn template_engine(annotations: &BTreeMap<String, String>) -> Result<TemplateEngine, String> {
    match annotations
        .get(TEMPLATE_ENGINE_ANNOTATION)
        .map(String::as_str)
    {
        None | Some("" | "go" | "gotemplate") => Ok(TemplateEngine::Go),
        Some("handlebars") => Ok(TemplateEngine::Handlebars),
        Some(other) => Err(other.to_owned()),
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_objects;
