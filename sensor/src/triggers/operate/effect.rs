//! Doing one operation on Workflows through the API, so that doing it again for the same firing changes nothing.
//! What is asked for, and of which object, is known before.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use tiphys_workflow::operations::{
    Draft, Ended, OperationArgs, Operator, Origin, Parameter, Shutdown, SubmitOptions, Verb,
    parameters_of_file, wait,
};

use super::{API_VERSION, STRICT, failed};
use crate::artifacts::Source;
use crate::triggers::api::missing_right;
use crate::triggers::object::{Create, FIRING_ANNOTATION, digest};
use crate::triggers::world::World;
use crate::triggers::{Effect, FireError, Fired};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// The Workflow is in hand.
    Submit,
    /// The Workflow is made from an object of the cluster.
    SubmitFrom(Origin),
    /// A Workflow of the cluster.
    Existing,
}

/// One operation.
pub(super) struct Operating {
    pub(super) verb: Verb,
    pub(super) what: What,
    pub(super) args: OperationArgs,
    pub(super) words: Vec<String>,
    pub(super) files: Arc<[(String, Source)]>,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) firing: String,
    /// The creation so far; for what is read first, its labels and annotations are what counts.
    pub(super) made: Create,
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
