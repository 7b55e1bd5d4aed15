//! What an `argoWorkflow` trigger does with a Workflow: one creation or one operation per firing.
//! How objects change is said in `tiphys_workflow::operations`; here is what makes a second delivery harmless.

mod effect;

use std::sync::Arc;

use effect::{Operating, What};
use serde_json::json;
use tiphys_workflow::operations::{Draft, OperationArgs, OperationError, Origin, Verb};

use super::object::{Create, create};
use super::template::{Head, ObjectTemplate};
use super::world::World;
use super::{Action, BuildContext, Effect, FireError, Firing};
use crate::artifacts::{Found, Source};
use crate::spec::{ArtifactSpec, FileSourceSpec, UrlSourceSpec};

const API_VERSION: &str = "argoproj.io/v1alpha1";

/// Fields that a kind does not have are refused by the API server, as the `argo` program refuses them.
const STRICT: &str = "?fieldValidation=Strict";

/// Does one operation per firing.
pub(super) struct OperateAction {
    template: ObjectTemplate,
    verb: Verb,
    args: OperationArgs,
    /// The args as they are written, for people.
    words: Vec<String>,
    files: Arc<[(String, Source)]>,
}

impl OperateAction {
    pub(super) fn new(
        template: ObjectTemplate,
        verb: Verb,
        words: &[String],
        cx: &BuildContext<'_>,
    ) -> Result<Self, FireError> {
        let (args, problems) = OperationArgs::parse(verb, words);
        if let Some(problem) = problems.first() {
            return Err(FireError::permanent(format!(
                "args[{}]: {}",
                problem.index, problem.message
            )));
        }
        let (written, _) = OperationArgs::parse(verb, cx.args);
        let file = |path: &String| {
            if !written.parameter_files.contains(path) {
                return Err(FireError::permanent(format!(
                    "the parameter file {path:?} must be written in the spec; an event does not choose it"
                )));
            }
            Ok((path.clone(), parameter_file(path)?))
        };
        let files = args
            .parameter_files
            .iter()
            .map(file)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            template,
            verb,
            args,
            words: words.to_vec(),
            files,
        })
    }

    /// The creation of a Workflow from an object in hand, so far.
    fn submission(&self, object: Vec<u8>, firing: &Firing<'_>) -> Result<Create, FireError> {
        let mut draft = Draft::parse(&object).map_err(failed)?;
        draft.apply(&self.args.submit).map_err(failed)?;
        if let Some(namespace) = &self.args.namespace {
            draft.set_metadata("namespace", namespace);
        }
        draft.derive_name(firing.id.text());
        create(draft.to_json().map_err(failed)?, firing)
    }
}

/// A parameter file as a source, read under the same rules.
fn parameter_file(path: &str) -> Result<Source, FireError> {
    let mut spec = ArtifactSpec::default();
    if path.starts_with("http://") || path.starts_with("https://") {
        spec.url = Some(UrlSourceSpec {
            path: path.to_owned(),
            verify_cert: Some(true),
        });
    } else {
        spec.file = Some(FileSourceSpec {
            path: path.to_owned(),
        });
    }
    match Found::new(&spec, None)? {
        Found::Elsewhere(source) => Ok(source),
        Found::Here(_) => Err(FireError::permanent(format!(
            "the parameter file {path:?} is neither a file nor a URL"
        ))),
    }
}

impl Action for OperateAction {
    fn source(&self) -> Option<&Source> {
        self.template.source()
    }

    fn plan(
        &self,
        firing: &Firing<'_>,
        fetched: Option<&[u8]>,
    ) -> Result<Box<dyn Effect>, FireError> {
        let object = self.template.filled(firing, fetched)?;
        let head = Head::read(&object)?;
        let namespace = self.args.namespace.clone().or(head.namespace);
        let namespace = namespace.unwrap_or_else(|| firing.namespace.to_owned());
        let name = head.name.unwrap_or_default();
        if name.is_empty() && self.verb != Verb::Submit && !self.args.selection.is_some() {
            return Err(FireError::permanent(format!(
                "failed to execute the workflow {} operation, no name is given",
                self.verb.as_str()
            )));
        }
        let (what, made) = match self.verb {
            Verb::Submit => (What::Submit, self.submission(object, firing)?),
            Verb::SubmitFrom => {
                let origin = Origin::parse(&head.kind).map_err(failed)?;
                let made = match origin.refer(&name) {
                    Some(draft) => draft,
                    // What it holds is known when it is read.
                    None => placeholder(&name)?,
                };
                let json = made.to_json().map_err(failed)?;
                let json = in_namespace(&json, &namespace)?;
                (What::SubmitFrom(origin), self.submission(json, firing)?)
            }
            _ => {
                let json = placeholder(&name)?.to_json().map_err(failed)?;
                let json = in_namespace(&json, &namespace)?;
                (What::Existing, create(json, firing)?)
            }
        };
        Ok(Box::new(Operating {
            verb: self.verb,
            what,
            args: self.args.clone(),
            words: self.words.clone(),
            files: Arc::clone(&self.files),
            namespace,
            name,
            firing: firing.id.text().to_owned(),
            made,
        }))
    }
}

/// A Workflow of which only the name's beginning is known.
fn placeholder(name: &str) -> Result<Draft, FireError> {
    let prefix = if name.is_empty() { "selected" } else { name };
    let object = json!({"apiVersion": API_VERSION, "kind": "Workflow", "metadata": {"generateName": format!("{prefix}-")}});
    Draft::parse(object.to_string().as_bytes()).map_err(failed)
}

fn in_namespace(json: &[u8], namespace: &str) -> Result<Vec<u8>, FireError> {
    let mut draft = Draft::parse(json).map_err(failed)?;
    draft.set_metadata("namespace", namespace);
    draft.to_json().map_err(failed)
}

fn failed(error: OperationError) -> FireError {
    match error {
        OperationError::Api { what, source } => World::failed(what, *source),
        OperationError::Contended { .. } => {
            FireError::transient("cannot operate on the workflow", error)
        }
        OperationError::Refused { .. }
        | OperationError::Missing { .. }
        | OperationError::Exists { .. } => {
            FireError::permanent_from("cannot operate on the workflow", error)
        }
    }
}

#[cfg(test)]
mod tests;
