//! Runs one Workflow from its object to its end. Status is the only memory: a run that is cut off
//! goes on from the nodes that the object holds. It never watches and never lists; the driver does.

mod leaf;
mod orders;
mod record;
mod scope;
mod steps;
mod suspend;

use std::sync::Arc;

use crate::logs::Logs;
use crate::names::node_id;
use crate::resource::{Arguments, NodePhase, Parameter, Template, TemplateRef, Workflow};
use crate::substitute::{self, Variables};
use crate::support;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use kube::{Client, ResourceExt as _};
use orders::Gate;
pub(crate) use orders::{Control, Orders};
use record::Record;
use scope::{Scope, Scopes};
use tiphys_core::Problems;
use tokio::sync::Semaphore;

/// Templates that call templates deeper than this are taken for a loop, as Argo does.
const MAX_DEPTH: usize = 100;

/// What all runs of one engine share.
pub(crate) struct Shared {
    pub client: Client,
    pub logs: Logs,
    /// How many leaves run at once.
    pub leaves: Arc<Semaphore>,
    /// The folder of the commands that stand for those of known images.
    pub shims: std::path::PathBuf,
}

/// Why a run ends without an end of the Workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unwind {
    /// Tiphys stops; the run goes on when it is started again.
    Stopped,
    /// The object is gone.
    Gone,
}

/// One run.
struct Run {
    shared: Arc<Shared>,
    workflow: Workflow,
    record: Record,
    scopes: Scopes,
    globals: Variables,
    deadline: Option<tokio::time::Instant>,
    control: Control,
}

/// How a node ended, and where the next one hangs.
#[derive(Debug, Clone)]
struct NodeEnd {
    id: String,
    phase: NodePhase,
    message: String,
    outbound: Vec<String>,
}

/// One call of a template.
struct Call<'a> {
    /// The node's full name.
    name: String,
    /// The last piece of it.
    display_name: String,
    boundary: &'a str,
    scope: Scope,
    template: &'a str,
    template_ref: Option<&'a TemplateRef>,
    arguments: Arguments,
    /// Whether somebody refers to its standard output.
    capture: bool,
    depth: usize,
}

/// Runs the Workflow to its end, and gives the version of the object that says so.
///
/// # Errors
/// [`Unwind`], when it was cut off.
pub(crate) async fn run(
    shared: Arc<Shared>,
    workflow: Workflow,
    control: Control,
) -> Result<u64, Unwind> {
    let record = Record::new(shared.client.clone(), &workflow, control.stop.clone());
    let mut workflow = workflow;
    let scopes = Scopes::new(shared.client.clone(), &workflow);
    if let Some(reference) = workflow.spec.workflow_template_ref.clone() {
        match scopes.whole(&reference).await {
            Ok(template) => workflow.spec = scope::merged(&workflow.spec, &template),
            Err(error) => return record.refuse(&error.to_string()).await,
        }
        scopes.set_local(&workflow.spec.templates);
    }
    let mut problems = Problems::default();
    problems.at("spec", |problems| support::check(&workflow.spec, problems));
    if problems.has_errors() {
        return record.refuse(&problems.errors().replace('\n', "; ")).await;
    }
    for parameter in &workflow.spec.arguments.parameters {
        if parameter.value.is_none() && parameter.default.is_none() {
            let name = &parameter.name;
            return record
                .refuse(&format!(
                    "spec.arguments.{name}.value or spec.arguments.{name}.valueFrom is required"
                ))
                .await;
        }
    }
    record.begin();
    let globals = globals(&workflow);
    let deadline = workflow
        .spec
        .active_deadline_seconds
        .and_then(|secs| record.deadline(secs));
    let entrypoint = workflow.spec.entrypoint.clone();
    let arguments = workflow.spec.arguments.clone();
    let name = workflow.name_any();
    let run = Arc::new(Run {
        shared,
        workflow,
        record,
        scopes,
        globals,
        deadline,
        control,
    });
    let call = Call {
        display_name: name.clone(),
        name,
        boundary: "",
        scope: Scope::Local,
        template: &entrypoint,
        template_ref: None,
        arguments,
        capture: false,
        depth: 0,
    };
    if run.is_held() {
        // Nothing begins, so nothing else would say that it has been seen.
        run.record.save().await?;
    }
    let mut end = run.call(call).await?;
    // A Workflow that is held does not end either.
    run.gate().await?;
    if let (Some(how), NodePhase::Failed | NodePhase::Error) = (run.shutdown(), end.phase) {
        end.phase = NodePhase::Failed;
        end.message = format!("Stopped with strategy '{how}'");
    }
    run.record.finish(end.phase, &end.message).await
}

impl Run {
    /// Runs one template under a node, or returns what the node has become before.
    fn call<'a>(self: &'a Arc<Self>, call: Call<'a>) -> BoxFuture<'a, Result<NodeEnd, Unwind>> {
        async move {
            let id = node_id(&self.workflow.name_any(), &call.name);
            if let Some(done) = self.record.done(&id) {
                return Ok(done);
            }
            if self.control.stop.is_cancelled() {
                return Err(Unwind::Stopped);
            }
            // What may not begin any more says so where it is a leaf.
            let _: Gate = self.gate().await?;
            if call.depth > MAX_DEPTH {
                return self.record.errored(&id, &call, "Maximum recursion depth exceeded. See https://argo-workflows.readthedocs.io/en/latest/scaling/").await;
            }
            let template = match self.scopes.template(&call.scope, call.template).await {
                Ok(template) => template,
                Err(error) => return self.record.errored(&id, &call, &tiphys_core::tasks::chain(&error)).await,
            };
            let (inputs, variables) = match self.bind(&template, &call) {
                Ok(bound) => bound,
                Err(message) => return self.record.errored(&id, &call, &message).await,
            };
            if template.steps.is_some() {
                return self.steps(&id, &call, &template, inputs, &variables).await;
            }
            if template.suspend.is_some() {
                return self.suspend(&id, &call, &template, inputs, &variables).await;
            }
            self.leaf(&id, &call, &template, inputs, variables).await
        }
        .boxed()
    }

    /// The inputs of a template with the values of this call, and all variables that it may name.
    fn bind(&self, template: &Template, call: &Call<'_>) -> Result<(Arguments, Variables), String> {
        let mut variables = self.globals.clone();
        variables.insert("node.name".to_owned(), call.name.clone());
        let mut inputs = Arguments::default();
        for input in &template.inputs.parameters {
            let given = call
                .arguments
                .parameters
                .iter()
                .find(|given| given.name == input.name);
            let given =
                given.and_then(|given| given.value.clone().or_else(|| given.default.clone()));
            let value = match given {
                Some(value) => value,
                None => {
                    let default = input.value.clone().or_else(|| input.default.clone());
                    let default = default.ok_or_else(|| {
                        format!("inputs.parameters.{} was not supplied", input.name)
                    })?;
                    substitute::apply(&default, &variables).map_err(|error| error.to_string())?
                }
            };
            if !input.allowed.is_empty() && !input.allowed.contains(&value) {
                return Err(format!(
                    "inputs.parameters.{} is {:?}, which is not in its enum list",
                    input.name, value.0
                ));
            }
            variables.insert(format!("inputs.parameters.{}", input.name), value.0.clone());
            inputs.parameters.push(Parameter {
                name: input.name.clone(),
                value: Some(value),
                ..Parameter::default()
            });
        }
        variables.insert(
            "inputs.parameters".to_owned(),
            parameters_json(&inputs.parameters),
        );
        Ok((inputs, variables))
    }
}

fn globals(workflow: &Workflow) -> Variables {
    let spec = &workflow.spec;
    let mut globals = Variables::new();
    let mut set = |key: &str, value: String| globals.insert(format!("workflow.{key}"), value);
    set("name", workflow.name_any());
    set("namespace", workflow.namespace().unwrap_or_default());
    set("uid", workflow.uid().unwrap_or_default());
    set("mainEntrypoint", spec.entrypoint.clone());
    set(
        "serviceAccountName",
        spec.service_account_name.clone().unwrap_or_default(),
    );
    set("priority", spec.priority.unwrap_or_default().to_string());
    set("status", NodePhase::Running.as_str().to_owned());
    if let Some(created) = workflow.creation_timestamp() {
        set("creationTimestamp", created.0.to_string());
        set("creationTimestamp.RFC3339", created.0.to_string());
        set("creationTimestamp.s", created.0.as_second().to_string());
    }
    let json = parameters_json(&spec.arguments.parameters);
    set("parameters", json.clone());
    set("parameters.json", json);
    for parameter in &spec.arguments.parameters {
        if let Some(value) = parameter.value.as_ref().or(parameter.default.as_ref()) {
            set(&format!("parameters.{}", parameter.name), value.0.clone());
        }
    }
    for (kind, map) in [
        ("labels", workflow.labels()),
        ("annotations", workflow.annotations()),
    ] {
        for (key, value) in map {
            set(&format!("{kind}.{key}"), value.clone());
        }
        set(
            &format!("{kind}.json"),
            serde_json::to_string(map).unwrap_or_default(),
        );
    }
    globals
}

fn parameters_json(parameters: &[Parameter]) -> String {
    let parameters: Vec<_> = parameters
        .iter()
        .map(|parameter| {
            let value = parameter.value.as_ref().or(parameter.default.as_ref());
            serde_json::json!({"name": parameter.name, "value": value})
        })
        .collect();
    serde_json::to_string(&parameters).unwrap_or_default()
}
