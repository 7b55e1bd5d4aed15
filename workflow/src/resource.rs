//! The Workflow resources: what the engine runs, typed, and what it knows but does not run yet, kept as it is.
//! It never changes an object: the engine writes status by patches.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1 as core_v1;
use kube::CustomResource;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tiphys_core::refs::KeyRef;

/// What a Workflow runs.
#[derive(CustomResource, Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[kube(
    group = "argoproj.io",
    version = "v1alpha1",
    kind = "Workflow",
    plural = "workflows",
    shortname = "wf",
    namespaced,
    status = "WorkflowStatus",
    schema = "disabled"
)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkflowSpec {
    /// The template that runs first.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub entrypoint: String,
    /// What the entrypoint is given, and what `{{workflow.parameters.x}}` stands for.
    #[serde(skip_serializing_if = "Arguments::is_empty")]
    pub arguments: Arguments,
    /// The templates.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub templates: Vec<Template>,
    /// A WorkflowTemplate to run instead of `templates`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow_template_ref: Option<WorkflowTemplateRef>,
    /// The service account of the pods; the local engine has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
    /// When a finished Workflow is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_strategy: Option<TtlStrategy>,
    /// Seconds after which the whole Workflow fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_deadline_seconds: Option<i64>,
    /// Whether the Workflow is held: nothing new begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// `Stop` or `Terminate`: how a Workflow that goes on is ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shutdown: Option<String>,
    /// The priority, for `list`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// Every other field, as it was written.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// The spec of a WorkflowTemplate: a Workflow's, with the entrypoint left open.
#[derive(CustomResource, Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[kube(
    group = "argoproj.io",
    version = "v1alpha1",
    kind = "WorkflowTemplate",
    plural = "workflowtemplates",
    shortname = "wftmpl",
    namespaced,
    schema = "disabled"
)]
#[serde(transparent)]
pub struct WorkflowTemplateSpec(pub WorkflowSpec);

/// The spec of a ClusterWorkflowTemplate.
#[derive(CustomResource, Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[kube(
    group = "argoproj.io",
    version = "v1alpha1",
    kind = "ClusterWorkflowTemplate",
    plural = "clusterworkflowtemplates",
    shortname = "cwft",
    schema = "disabled"
)]
#[serde(transparent)]
pub struct ClusterWorkflowTemplateSpec(pub WorkflowSpec);

/// A reference to a whole WorkflowTemplate.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkflowTemplateRef {
    /// Its name.
    pub name: String,
    /// Whether it is a ClusterWorkflowTemplate.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cluster_scope: bool,
}

/// When a finished Workflow is deleted, in seconds after its end.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TtlStrategy {
    /// After any end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_after_completion: Option<u32>,
    /// After success; goes before `secondsAfterCompletion`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_after_success: Option<u32>,
    /// After failure; goes before `secondsAfterCompletion`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_after_failure: Option<u32>,
}

/// Parameters given to a template.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Arguments {
    /// By name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<Parameter>,
    /// Artifacts, which the local engine does not run yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<Value>,
}

impl Arguments {
    /// Whether nothing is given.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parameters.is_empty() && self.artifacts.is_empty()
    }
}

/// One parameter: a name and its value.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<AnyText>,
    /// The value where none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<AnyText>,
    /// Where the value comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_from: Option<Value>,
    /// The values that are allowed.
    #[serde(rename = "enum", skip_serializing_if = "Vec::is_empty")]
    pub allowed: Vec<AnyText>,
    /// Every other field.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// Text that YAML may have read as a number or a truth value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct AnyText(pub String);

impl<'de> Deserialize<'de> for AnyText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match Value::deserialize(deserializer)? {
            Value::String(text) => text,
            other => other.to_string(),
        }))
    }
}

/// One template: a leaf that runs something, or steps that call other templates.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Template {
    /// Its name.
    pub name: String,
    /// What it takes.
    #[serde(skip_serializing_if = "Arguments::is_empty")]
    pub inputs: Arguments,
    /// What it gives.
    #[serde(skip_serializing_if = "Arguments::is_empty")]
    pub outputs: Arguments,
    /// A command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<Container>,
    /// A script.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script: Option<Container>,
    /// Groups that run one after the other; the steps of a group run side by side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<Vec<Vec<Step>>>,
    /// A wait, until it is resumed or for a while.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend: Option<SuspendTemplate>,
    /// Seconds after which a leaf fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_deadline_seconds: Option<AnyText>,
    /// Every other field.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// A step that waits.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SuspendTemplate {
    /// How long, as `30` seconds or `10m`; without it, until it is resumed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<AnyText>,
    /// Every other field.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// The command of a leaf.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Container {
    /// The image; on a laptop it only says which built-in commands there are.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub image: String,
    /// The program.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Its arguments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// The text of a script, passed as a file after command and args.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// Environment variables.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<EnvVar>,
    /// The folder to run in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// Every other field.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// One environment variable.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EnvVar {
    /// Its name.
    pub name: String,
    /// Its value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<AnyText>,
    /// Where the value comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_from: Option<EnvFrom>,
}

/// Where the value of an environment variable comes from.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EnvFrom {
    /// A key of a Secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<KeyRef>,
    /// A key of a ConfigMap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_map_key_ref: Option<KeyRef>,
    /// A field of the pod, which a local process does not have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field_ref: Option<core_v1::ObjectFieldSelector>,
}

/// One call of a template.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// The template of the same Workflow.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub template: String,
    /// A template of a WorkflowTemplate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template_ref: Option<TemplateRef>,
    /// What it is given.
    #[serde(skip_serializing_if = "Arguments::is_empty")]
    pub arguments: Arguments,
    /// Every other field.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// A template of a WorkflowTemplate or ClusterWorkflowTemplate.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TemplateRef {
    /// The object's name.
    pub name: String,
    /// The template in it.
    pub template: String,
    /// Whether it is a ClusterWorkflowTemplate.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cluster_scope: bool,
}

/// What became of a Workflow or a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum NodePhase {
    /// Not yet begun.
    #[default]
    #[serde(rename = "")]
    None,
    /// Waiting.
    Pending,
    /// At work.
    Running,
    /// Done well.
    Succeeded,
    /// Left out because its condition was false.
    Skipped,
    /// The user's work failed.
    Failed,
    /// The system around it failed.
    Error,
    /// Left out because nothing asked for it.
    Omitted,
}

impl NodePhase {
    /// Whether nothing more will happen.
    #[must_use]
    pub const fn is_done(self) -> bool {
        matches!(
            self,
            Self::Succeeded | Self::Skipped | Self::Failed | Self::Error | Self::Omitted
        )
    }

    /// The word that Argo prints.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Skipped => "Skipped",
            Self::Failed => "Failed",
            Self::Error => "Error",
            Self::Omitted => "Omitted",
        }
    }
}

/// The state of a Workflow.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkflowStatus {
    /// What became of it.
    pub phase: NodePhase,
    /// When it began, RFC 3339 with whole seconds.
    pub started_at: Option<String>,
    /// When it ended.
    pub finished_at: Option<String>,
    /// Leaves done and leaves known, as `1/2`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub progress: String,
    /// Why, for people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Every node by its id.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub nodes: BTreeMap<String, Node>,
    /// `PodRunning`, `Completed`, and why a spec is refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<WorkflowCondition>,
    /// Every other field.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// One condition of a Workflow.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkflowCondition {
    /// What it is about.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True` or `False`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub status: String,
    /// Why, for people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// One node of the tree that a Workflow has become.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Node {
    /// Its id.
    pub id: String,
    /// Its full name, as `wf[0].step`.
    pub name: String,
    /// The last piece of its name.
    pub display_name: String,
    /// `Pod`, `Steps`, `StepGroup`, `Suspend`, and on a cluster others.
    #[serde(rename = "type")]
    pub kind: String,
    /// The template that it runs.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub template_name: String,
    /// The template of another object that it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template_ref: Option<TemplateRef>,
    /// Where template names are looked up from.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub template_scope: String,
    /// What became of it.
    pub phase: NodePhase,
    /// The id of the Steps node around it.
    #[serde(rename = "boundaryID", skip_serializing_if = "String::is_empty")]
    pub boundary_id: String,
    /// Why, for people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// When it began.
    pub started_at: Option<String>,
    /// When it ended.
    pub finished_at: Option<String>,
    /// Leaves done and leaves known below it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub progress: String,
    /// What it was given.
    #[serde(skip_serializing_if = "Arguments::is_empty")]
    pub inputs: Arguments,
    /// What it gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Outputs>,
    /// The nodes that follow it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<String>,
    /// The leaves that the next node follows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub outbound_nodes: Vec<String>,
    /// Every other field.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// What a leaf gave.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Outputs {
    /// Its standard output, where somebody refers to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// Its exit code, as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<String>,
    /// By name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<Parameter>,
    /// Every other field.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}
