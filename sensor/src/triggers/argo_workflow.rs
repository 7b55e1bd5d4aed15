//! The `argoWorkflow` trigger: submits a Workflow, exactly once per firing.
//!
//! ```yaml
//! argoWorkflow:
//!   operation: submit
//!   source:
//!     resource:
//!       apiVersion: argoproj.io/v1alpha1
//!       kind: Workflow
//!       metadata: {generateName: webhook-}
//!       spec:
//!         workflowTemplateRef: {name: hello}
//!         arguments: {parameters: [{name: message}]}
//!   parameters:
//!     - src: {dependencyName: hook, dataTemplate: "{{ .Input.body.message }}"}
//!       dest: spec.arguments.parameters.0.value
//! ```
//!
//! The Workflow is created through the Kubernetes API; no `argo` program is started. The other operations and
//! `args` are not supported yet.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tiphys_core::Problems;

use super::object::ObjectAction;
use super::{Action, BuildContext, FireError};
use crate::spec::{ArtifactSpec, ParameterSpec, Scope};

const OPERATIONS: [&str; 8] = [
    "submit",
    "submit-from",
    "suspend",
    "retry",
    "resume",
    "resubmit",
    "terminate",
    "stop",
];

/// Submits a Workflow.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ArgoWorkflowSpec {
    /// Where the Workflow is read from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<ArtifactSpec>,
    /// `submit` (default), `submit-from`, `resubmit`, `retry`, `resume`, `suspend`, `stop` or `terminate`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub operation: String,
    /// Changes the Workflow for each firing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<ParameterSpec>,
    /// Arguments as the `argo` program takes them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Kept for Argo's older YAML: the object itself says what it is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// Kept for Argo's older YAML: the object itself says what it is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Kept for Argo's older YAML: the object itself says what it is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub resource: String,
}

impl ArgoWorkflowSpec {
    /// Reports everything wrong.
    pub(crate) fn validate(&self, scope: &Scope<'_>, problems: &mut Problems) {
        super::template::validate_source(self.source.as_ref(), problems);
        let operation = self.operation.as_str();
        if !operation.is_empty() && !OPERATIONS.contains(&operation) {
            problems.at("operation", |problems| {
                problems.error(format!("must be one of {}", OPERATIONS.join(", ")));
            });
        }
        scope.parameters("parameters", &self.parameters, problems);
    }

    pub(super) fn build(&self, cx: &BuildContext<'_>) -> Result<Box<dyn Action>, FireError> {
        if !["", "submit"].contains(&self.operation.as_str()) {
            return Err(FireError::unsupported(format!(
                "operation `{}` of trigger kind `argoWorkflow`",
                self.operation
            )));
        }
        if !self.args.is_empty() {
            return Err(FireError::unsupported(
                "`args` of trigger kind `argoWorkflow`",
            ));
        }
        let source = self.source.as_ref();
        Ok(Box::new(ObjectAction::new(
            "argoWorkflow",
            source,
            &self.parameters,
            cx,
        )?))
    }
}
