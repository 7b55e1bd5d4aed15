//! The `argoWorkflow` trigger: creates Workflows, exactly one per firing, and operates on those that are there.
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
//!   args: ["--serviceaccount", "runner"]
//! ```
//!
//! | `operation` | `source` | what it does |
//! |---|---|---|
//! | `submit` (default) | the Workflow | creates it |
//! | `submit-from` | a WorkflowTemplate, ClusterWorkflowTemplate or CronWorkflow, by its name | creates a Workflow from it |
//! | `resubmit` | a Workflow, by its name | creates one like it; with `--memoized` without what went well |
//! | `retry` | a Workflow, by its name | lets it go on from what failed |
//! | `suspend`, `resume` | a Workflow, by its name | holds it, lets it go on |
//! | `stop`, `terminate` | a Workflow, by its name | ends it, with and without its exit handlers |
//!
//! The name `@latest` stands for the newest Workflow of the namespace. `args` are the flags of the `argo` program.
//! Everything is done through the Kubernetes API; no `argo` program is started. A second delivery of the same events
//! finds the Workflow that it made, or the mark that it left on the one that it changed, and does nothing.
//!
//! `--wait` ends the firing with the Workflow, and well only if that has succeeded. `--dry-run` and flags that name
//! another server or account are refused. Flags that only print have no effect.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tiphys_core::Problems;
use tiphys_workflow::operations::{OperationArgs, Origin, Verb};

use super::operate::OperateAction;
use super::template::{ObjectTemplate, validate_source};
use super::{Action, BuildContext, FireError};
use crate::spec::{ArtifactSpec, ParameterSpec, Scope};

/// Creates Workflows and operates on them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ArgoWorkflowSpec {
    /// Where the Workflow is read from, or the object that is operated on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<ArtifactSpec>,
    /// `submit` (default), `submit-from`, `resubmit`, `retry`, `resume`, `suspend`, `stop` or `terminate`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub operation: String,
    /// Changes the Workflow for each firing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<ParameterSpec>,
    /// Flags as the `argo` program takes them, each word an item of its own.
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
        validate_source(self.source.as_ref(), problems);
        scope.parameters("parameters", &self.parameters, problems);
        let Some(verb) = Verb::parse(&self.operation) else {
            let words: Vec<_> = Verb::ALL.iter().map(|verb| verb.as_str()).collect();
            problems.at("operation", |problems| {
                problems.error(format!("must be one of {}", words.join(", ")));
            });
            return;
        };
        self.validate_object(verb, problems);
        if scope.args_change {
            // They are what they are only when the trigger fires.
            return;
        }
        let (args, wrong) = OperationArgs::parse(verb, &self.args);
        problems.at("args", |problems| {
            for problem in wrong {
                problems.at_index(problem.index, |problems| problems.error(problem.message));
            }
            for flag in &args.without_effect {
                problems.warning(format!(
                    "{flag} has no effect: a trigger prints nothing and logs as the sensor does"
                ));
            }
        });
    }

    /// What an object in the spec must have, unless a parameter gives it.
    fn validate_object(&self, verb: Verb, problems: &mut Problems) {
        let source = self.source.as_ref();
        let Some(object) = source.and_then(|source| source.resource.as_ref()) else {
            return;
        };
        let given = |path: &str| {
            let mut parameters = self.parameters.iter();
            parameters.any(|parameter| path.starts_with(&parameter.dest))
        };
        let text = |path: &str| {
            let found = object.pointer(path).and_then(serde_json::Value::as_str);
            found.unwrap_or_default()
        };
        let at = |problems: &mut Problems, keys: [&str; 2], message: String| {
            problems.at("source", |problems| {
                problems.at("resource", |problems| match keys {
                    ["", key] => problems.at(key, |problems| problems.error(message)),
                    [outer, key] => problems.at(outer, |problems| {
                        problems.at(key, |problems| problems.error(message));
                    }),
                });
            });
        };
        if verb == Verb::SubmitFrom
            && !given("kind")
            && let Err(error) = Origin::parse(text("/kind"))
        {
            at(
                problems,
                ["", "kind"],
                format!("is wrong for submit-from: {error}"),
            );
        }
        let selected = self.args.iter().any(|arg| {
            ["-l", "--selector", "--field-selector"]
                .iter()
                .any(|flag| arg.starts_with(flag))
        });
        if verb != Verb::Submit
            && text("/metadata/name").is_empty()
            && !given("metadata.name")
            && !selected
        {
            let message = format!(
                "must be set to the name of what {} is done with, or by a parameter",
                verb.as_str()
            );
            at(problems, ["metadata", "name"], message);
        }
    }

    pub(super) fn build(&self, cx: &BuildContext<'_>) -> Result<Box<dyn Action>, FireError> {
        let Some(verb) = Verb::parse(&self.operation) else {
            return Err(FireError::permanent(format!(
                "unknown operation type {}",
                self.operation
            )));
        };
        let source = self.source.as_ref();
        let template = ObjectTemplate::new("argoWorkflow", source, &self.parameters, cx)?;
        Ok(Box::new(OperateAction::new(
            template, verb, &self.args, cx,
        )?))
    }
}
