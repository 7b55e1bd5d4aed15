//! The `k8s` trigger: creates a Kubernetes object of any kind exactly once per firing, or changes or deletes one.
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
//! - `create` (default): the name of an object with `generateName` is made from the sensor, the trigger and the events,
//!   so that a second delivery of the same events meets the object that is there.
//! - `update`: reads the object and puts it back with the source merged over it: objects merge, lists and other values
//!   are replaced, nothing is removed. With `liveObject` the parameters are applied to the object as it is in the
//!   cluster, and of the source only `apiVersion`, `kind`, `metadata.name` and `metadata.namespace` count.
//! - `patch`: by `patchStrategy`. A JSON patch takes its operations from the source's `patch`, a list beside `kind`;
//!   without one they are made from the source as a merge would read it. An apply patch owns its fields as the manager
//!   `tiphys/<sensor>/<trigger>` and takes them from others.
//! - `delete`: an object that is not there is a success.
//!
//! `update` and `patch` create what is not there. The plural of a kind, and whether it has namespaces, are asked of the
//! cluster.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tiphys_core::Problems;

use super::change::{ChangeAction, Operation, Strategy};
use super::object::ObjectAction;
use super::template::{ObjectTemplate, validate_source};
use super::{Action, BuildContext, FireError};
use crate::spec::{ArtifactSpec, ParameterSpec, Scope};

/// Creates, changes or deletes a Kubernetes object.
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
    /// The content type of a patch: `application/merge-patch+json` (default), `application/json-patch+json`,
    /// `application/strategic-merge-patch+json` or `application/apply-patch+yaml`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub patch_strategy: String,
    /// Whether an update starts from the object in the cluster.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub live_object: bool,
}

impl K8sSpec {
    /// Reports everything wrong.
    pub(crate) fn validate(&self, scope: &Scope<'_>, problems: &mut Problems) {
        validate_source(self.source.as_ref(), problems);
        let operation = self.operation.as_str();
        if !["", "create", "update", "patch", "delete"].contains(&operation) {
            problems.at("operation", |problems| {
                problems.error("must be create, update, patch or delete");
            });
        }
        problems.at("patchStrategy", |problems| self.validate_strategy(problems));
        if self.live_object && operation != "update" {
            problems.at("liveObject", |problems| {
                problems.warning("has an effect only with operation: update");
            });
        }
        self.validate_name(problems);
        scope.parameters("parameters", &self.parameters, problems);
    }

    fn validate_strategy(&self, problems: &mut Problems) {
        let Some(strategy) = Strategy::parse(&self.patch_strategy) else {
            let names: Vec<&str> = Strategy::ALL.iter().map(|(name, _)| *name).collect();
            problems.error(format!("must be one of {}", names.join(", ")));
            return;
        };
        if self.operation != "patch" {
            if !self.patch_strategy.is_empty() {
                problems.warning("has an effect only with operation: patch");
            }
            return;
        }
        let version = self.written("apiVersion").and_then(Value::as_str);
        let group = version.and_then(|version| version.split_once('/'));
        let own =
            group.is_some_and(|(group, _)| group.contains('.') && !group.ends_with(".k8s.io"));
        if strategy == Strategy::Strategic && own {
            problems.warning(
                "works only for Kubernetes' own kinds; application/merge-patch+json works for every kind",
            );
        }
    }

    /// What is there can only be found by its name.
    fn validate_name(&self, problems: &mut Problems) {
        let operation = self.operation.as_str();
        if !["update", "patch", "delete"].contains(&operation) {
            return;
        }
        let Some(metadata) = self.written("metadata") else {
            return;
        };
        let name = metadata.get("name").and_then(Value::as_str);
        let set_later = |parameter: &ParameterSpec| {
            ["metadata", "metadata.name"].contains(&parameter.dest.as_str())
        };
        if name.is_some_and(|name| !name.is_empty()) {
            return;
        }
        if self.live_object || !self.parameters.iter().any(set_later) {
            problems.at("source", |problems| {
                problems.warning(format!(
                    "must have metadata.name when the trigger fires: {operation} finds its object by it"
                ));
            });
        }
    }

    /// A member of the object, where the spec holds it.
    fn written(&self, key: &str) -> Option<&Value> {
        self.source.as_ref()?.resource.as_ref()?.get(key)
    }

    pub(super) fn build(&self, cx: &BuildContext<'_>) -> Result<Box<dyn Action>, FireError> {
        let source = self.source.as_ref();
        let operation = match (self.operation.as_str(), self.live_object) {
            ("" | "create", _) => {
                let action = ObjectAction::new("k8s", source, &self.parameters, cx)?;
                return Ok(Box::new(action));
            }
            ("update", true) => Operation::UpdateLive,
            ("update", false) => Operation::Update,
            ("patch", _) => {
                let strategy = Strategy::parse(&self.patch_strategy).ok_or_else(|| {
                    FireError::permanent(format!("unknown patchStrategy {:?}", self.patch_strategy))
                })?;
                Operation::Patch(strategy)
            }
            ("delete", _) => Operation::Delete,
            (other, _) => {
                return Err(FireError::permanent(format!(
                    "unknown operation type {other}"
                )));
            }
        };
        let template = ObjectTemplate::new("k8s", source, &self.parameters, cx)?;
        Ok(Box::new(ChangeAction::new(template, operation)))
    }
}
