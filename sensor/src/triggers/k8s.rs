//! The `k8s` trigger: creates a Kubernetes object of any kind, exactly once per firing.
//!
//! ```yaml
//! k8s:
//!   operation: create
//!   source:
//!     resource:
//!       apiVersion: v1
//!       kind: ConfigMap
//!       metadata: {generateName: seen-}
//!       data: {message: ""}
//!   parameters:
//!     - src: {dependencyName: hook, dataKey: body.message}
//!       dest: data.message
//! ```
//!
//! The name of an object with `generateName` is made from the sensor, the trigger and the events, so that a second
//! delivery of the same events meets the object that is there. `update`, `patch` and `delete` are not supported yet.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tiphys_core::Problems;

use super::object::ObjectAction;
use super::{Action, BuildContext, FireError};
use crate::spec::{ArtifactSpec, ParameterSpec, Scope};

/// Creates a Kubernetes object.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct K8sSpec {
    /// Where the object is read from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<ArtifactSpec>,
    /// `create` (default), `update`, `patch` or `delete`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub operation: String,
    /// Changes the object for each firing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<ParameterSpec>,
    /// The content type of a patch.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub patch_strategy: String,
    /// Whether an update starts from the object in the cluster.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub live_object: bool,
}

impl K8sSpec {
    /// Reports everything wrong.
    pub(crate) fn validate(&self, scope: &Scope<'_>, problems: &mut Problems) {
        super::object::validate_source(self.source.as_ref(), problems);
        let known = ["", "create", "update", "patch", "delete"];
        if !known.contains(&self.operation.as_str()) {
            problems.at("operation", |problems| {
                problems.error("must be create, update, patch or delete");
            });
        }
        scope.parameters("parameters", &self.parameters, problems);
    }

    pub(super) fn build(&self, cx: &BuildContext<'_>) -> Result<Box<dyn Action>, FireError> {
        if !["", "create"].contains(&self.operation.as_str()) {
            return Err(FireError::unsupported(format!(
                "operation `{}` of trigger kind `k8s`",
                self.operation
            )));
        }
        let source = self.source.as_ref();
        Ok(Box::new(ObjectAction::new(
            "k8s",
            source,
            &self.parameters,
            cx,
        )?))
    }
}
