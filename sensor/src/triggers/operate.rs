//! What an `argoWorkflow` trigger does with a Workflow: one creation or one operation per firing.
//! How objects change is said in `tiphys_workflow::operations`; here is what makes a second delivery harmless.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use tiphys_workflow::operations::{
    Draft, Ended, OperationArgs, OperationError, Operator, Origin, Parameter, Shutdown,
    SubmitOptions, Verb, parameters_of_file, wait,
};

use super::api::missing_right;
use super::object::{Create, FIRING_ANNOTATION, create, digest};
use super::template::{Head, ObjectTemplate};
use super::world::World;
use super::{Action, BuildContext, Effect, FireError, Fired, Firing};
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// The Workflow is in hand.
    Submit,
    /// The Workflow is made from an object of the cluster.
    SubmitFrom(Origin),
    /// A Workflow of the cluster.
    Existing,
}

/// One operation.
struct Operating {
    verb: Verb,
    what: What,
    args: OperationArgs,
    words: Vec<String>,
    files: Arc<[(String, Source)]>,
    namespace: String,
    name: String,
    firing: String,
    /// The creation so far; for what is read first, its labels and annotations are what counts.
    made: Create,
}

impl Operating {
    async fn operator(&self, world: &World) -> Operator {
        let (_, namespace, _) = self.made.target();
        Operator::new(world.client.clone(), namespace)
            .acting_as(world.actor().await)
            .with_instance_id(&self.args.instance_id)
            .marked(&self.firing)
    }

    /// Parameters of files, but for those that are given by name.
    async fn file_parameters(&self, world: &World) -> Result<Vec<Parameter>, FireError> {
        let mut parameters: Vec<Parameter> = Vec::new();
        for (path, source) in self.files.iter() {
            let bytes = world.artifacts.read(source, world.secrets.as_ref()).await?;
            let text = String::from_utf8_lossy(&bytes);
            for parameter in parameters_of_file(path, &text).map_err(failed)? {
                let mut given = self.args.submit.parameters.iter().chain(&parameters);
                if !given.any(|given| given.name == parameter.name) {
                    parameters.push(parameter);
                }
            }
        }
        Ok(parameters)
    }

    /// Creates the Workflow of a draft under this firing, and waits for its end where that is asked for.
    async fn create(
        &self,
        world: &World,
        operator: &Operator,
        draft: &Draft,
    ) -> Result<Fired, FireError> {
        if draft.kind() == "Workflow" {
            draft.check().map_err(failed)?;
        }
        let query = if self.args.strict { STRICT } else { "" };
        let json = draft.to_json().map_err(failed)?;
        let made = self
            .made
            .instead(json, operator.namespace(), draft.name(), query);
        let fired = made.perform(world).await?;
        self.wait(world, draft.name()).await?;
        Ok(fired)
    }

    async fn wait(&self, world: &World, name: &str) -> Result<(), FireError> {
        if !self.args.wait {
            return Ok(());
        }
        let (_, namespace, _) = self.made.target();
        let what = || format!("workflow {namespace}/{name}, which the trigger waits for");
        match wait(&world.client, namespace, name).await {
            Ok(Ended::Done { phase, .. }) if phase == "Succeeded" => Ok(()),
            Ok(Ended::Done { phase, message, .. }) if message.is_empty() => {
                Err(FireError::permanent(format!("{}, is {phase}", what())))
            }
            Ok(Ended::Done { phase, message, .. }) => Err(FireError::permanent(format!(
                "{}, is {phase}: {message}",
                what()
            ))),
            Ok(Ended::Gone) => Err(FireError::permanent(format!("{}, is gone", what()))),
            Err(why) => {
                let what = format!("{}{}", what(), missing_right(&why));
                Err(FireError::transient(what, why))
            }
        }
    }

    async fn submit(&self, world: &World, mut draft: Draft) -> Result<Fired, FireError> {
        let operator = self.operator(world).await;
        let parameters = self.file_parameters(world).await?;
        if !parameters.is_empty() {
            let options = SubmitOptions {
                parameters,
                ..SubmitOptions::default()
            };
            draft.apply(&options).map_err(failed)?;
        }
        operator.sign(&mut draft);
        self.create(world, &operator, &draft).await
    }

    async fn submit_from(&self, world: &World, origin: Origin) -> Result<Fired, FireError> {
        let operator = self.operator(world).await;
        let found = operator.draft_from(origin, &self.name).await;
        let mut draft = found.map_err(failed)?;
        draft.apply(&self.args.submit).map_err(failed)?;
        draft.set_metadata("namespace", operator.namespace());
        draft.derive_name(&self.firing);
        self.stamp(&mut draft)?;
        self.submit(world, draft).await
    }

    /// The labels and annotations of this firing.
    fn stamp(&self, draft: &mut Draft) -> Result<(), FireError> {
        let own: Value = serde_json::from_slice(self.made.object())
            .map_err(|error| FireError::permanent_from("cannot label the object", error))?;
        let map = |key: &str| {
            let found = own.pointer(key).and_then(Value::as_object);
            found
                .into_iter()
                .flatten()
                .filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
        };
        for (key, value) in
            map("/metadata/labels").filter(|(key, _)| key.starts_with("events.argoproj.io/"))
        {
            draft.label(key, value);
        }
        for (key, value) in
            map("/metadata/annotations").filter(|(key, _)| key.starts_with("tiphys.dev/"))
        {
            draft.annotate(key, value);
        }
        Ok(())
    }

    /// The Workflows that are operated on. A selector of stop and terminate replaces the names.
    async fn targets(&self, operator: &Operator) -> Result<Vec<String>, FireError> {
        let selected = if self.args.selection.is_some() {
            operator.list(&self.args.selection).await.map_err(failed)?
        } else {
            Vec::new()
        };
        let ends = matches!(self.verb, Verb::Stop | Verb::Terminate);
        let mut names: Vec<String> = Vec::new();
        let mut add = |name: &str| {
            if !name.is_empty() && !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        };
        for workflow in &selected {
            let text = |path: &str| workflow.pointer(path).and_then(Value::as_str);
            let made_by = workflow
                .pointer("/metadata/annotations")
                .and_then(|annotations| annotations.get(FIRING_ANNOTATION)?.as_str());
            let ended = matches!(
                text("/status/phase"),
                Some("Succeeded" | "Failed" | "Error")
            );
            // Not what this very firing has made, nor what has ended by itself in the meantime.
            if made_by != Some(self.firing.as_str()) && !(ends && ended) {
                add(text("/metadata/name").unwrap_or_default());
            }
        }
        if !(ends && self.args.selection.is_some()) {
            add(&self.name);
            self.args.names.iter().for_each(|name| add(name));
        }
        Ok(names)
    }

    async fn resubmit(&self, world: &World) -> Result<Fired, FireError> {
        let operator = self.operator(world).await;
        let mut last = None;
        let targets = self.targets(&operator).await?;
        let several = targets.len() > 1 || self.args.selection.is_some();
        for target in &targets {
            let name = |prefix: &str| {
                let id = if several {
                    digest(&[&self.firing, target])
                } else {
                    self.firing.clone()
                };
                derived(prefix, &id)
            };
            let options = self.args.resubmit();
            let draft = operator.resubmitted(target, &options, name).await;
            let mut draft = draft.map_err(failed)?;
            self.stamp(&mut draft)?;
            last = Some(self.create(world, &operator, &draft).await?);
        }
        Ok(last.unwrap_or_else(|| self.changed("found none to be resubmitted like", &self.name)))
    }

    async fn operate(&self, world: &World) -> Result<Fired, FireError> {
        let operator = self.operator(world).await;
        let nodes = self.args.nodes.as_ref();
        let past = match self.verb {
            Verb::Retry => "retried",
            Verb::Resume => "resumed",
            Verb::Suspend => "suspended",
            Verb::Stop => "stopped",
            _ => "terminated",
        };
        let mut last = None;
        for target in self.targets(&operator).await? {
            let message = self.args.message.as_str();
            let outcome = match self.verb {
                Verb::Retry => operator.retry(&target, &self.args.retry()).await,
                Verb::Resume => operator.resume(&target, nodes).await,
                Verb::Suspend => operator.suspend(&target).await,
                Verb::Stop => {
                    operator
                        .shut_down(&target, Shutdown::Stop, nodes, message)
                        .await
                }
                _ => {
                    operator
                        .shut_down(&target, Shutdown::Terminate, nodes, message)
                        .await
                }
            };
            let outcome = outcome.map_err(failed)?;
            let verb = if outcome.changed {
                past.to_owned()
            } else {
                format!("found already {past}")
            };
            if self.verb == Verb::Retry {
                self.wait(world, outcome.name()).await?;
            }
            last = Some(self.changed(&verb, outcome.name()));
        }
        Ok(last
            .unwrap_or_else(|| self.changed(&format!("found none to be {past} like"), &self.name)))
    }

    fn changed(&self, verb: &str, name: &str) -> Fired {
        let (_, namespace, _) = self.made.target();
        Fired::Changed {
            verb: verb.to_owned(),
            api_version: API_VERSION.to_owned(),
            kind: "Workflow".to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }
}

/// A name for `generateName` that a Workflow may have.
fn derived(prefix: &str, id: &str) -> String {
    let prefix: String = prefix.chars().take(53).collect();
    let id: String = id.chars().take(10).collect();
    format!("{prefix}{id}")
}

#[async_trait]
impl Effect for Operating {
    fn show(&self) -> Vec<u8> {
        match self.what {
            What::Submit => self.made.object().to_vec(),
            What::SubmitFrom(origin) if origin != Origin::CronWorkflow => {
                self.made.object().to_vec()
            }
            What::SubmitFrom(_) | What::Existing => {
                let kind = match self.what {
                    What::SubmitFrom(origin) => origin.kind(),
                    _ => "Workflow",
                };
                let shown = json!({
                    "operation": self.verb.as_str(),
                    "kind": kind,
                    "namespace": self.namespace,
                    "name": self.name,
                    "args": self.words,
                });
                shown.to_string().into_bytes()
            }
        }
    }

    fn says(&self) -> String {
        let verb = self.verb.as_str();
        let target = match self.what {
            What::Submit => {
                let (kind, namespace, name) = self.made.target();
                format!("{kind} {namespace}/{name}")
            }
            What::SubmitFrom(origin) => {
                format!("{} {}/{}", origin.kind(), self.namespace, self.name)
            }
            What::Existing => format!("Workflow {}/{}", self.namespace, self.name),
        };
        let words: String = self.words.iter().map(|word| format!(" {word}")).collect();
        format!("{verb} {target}{words}")
    }

    async fn perform(&self, world: &World) -> Result<Fired, FireError> {
        match (self.what, self.verb) {
            (What::Submit, _) => {
                let draft = Draft::parse(self.made.object()).map_err(failed)?;
                self.submit(world, draft).await
            }
            (What::SubmitFrom(origin), _) => self.submit_from(world, origin).await,
            (What::Existing, Verb::Resubmit) => self.resubmit(world).await,
            (What::Existing, _) => self.operate(world).await,
        }
    }
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
