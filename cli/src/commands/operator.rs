//! What the commands on Workflows share: the operator, choices of Workflows, how one is printed, what follows.

use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use kube::Client;
use serde_json::Value;
use tiphys_core::manifest;
use tiphys_workflow::operations::{
    Actor, Ended, OperationError, Operator, Parameter, Selection, parameter, wait,
};
use tiphys_workflow::{NodePhase, Workflow};

use crate::args::{After, Api, Choice, Tree, View};
use crate::commands::{get, logs};
use crate::connect::{self, Connection};
use crate::output;

/// The connection and an operator on its namespace, who acts as the user.
pub(crate) async fn connect(args: &Api) -> anyhow::Result<(Connection, Operator)> {
    let connection = connect::connect(args).await?;
    let operator = operator(&connection.client, &connection.namespace, args).await;
    Ok((connection, operator))
}

/// An operator on another namespace.
pub(crate) async fn operator(client: &Client, namespace: &str, args: &Api) -> Operator {
    let actor = Actor::of(client).await.unwrap_or_default();
    Operator::new(client.clone(), namespace)
        .acting_as(actor)
        .with_instance_id(&args.instanceid)
}

/// An error with what to do about it.
pub(crate) fn explained(error: OperationError) -> anyhow::Error {
    match &error {
        OperationError::Missing {
            name, namespace, ..
        } if name == "@latest" => {
            anyhow::anyhow!(
                "no workflows in namespace {namespace:?}; `tiphys list -A` shows all, -n chooses the namespace"
            )
        }
        OperationError::Missing {
            kind,
            name,
            namespace,
        } if kind == "workflows" => anyhow::anyhow!(
            "no workflow {name:?} in namespace {namespace:?}; `tiphys list -A` shows all, -n chooses the namespace"
        ),
        _ => error.into(),
    }
}

/// A selection of the API.
pub(crate) fn selection(choice: &Choice) -> Selection {
    Selection {
        labels: choice.selector.clone(),
        fields: choice.field_selector.clone(),
    }
}

/// Names that are given, behind those that are chosen; each once.
pub(crate) async fn names(
    operator: &Operator,
    choice: &Choice,
    given: &[String],
) -> anyhow::Result<Vec<String>> {
    let selection = selection(choice);
    let mut names: Vec<String> = Vec::new();
    if selection.is_some() {
        for workflow in operator.list(&selection).await.map_err(explained)? {
            names.push(name(&workflow).to_owned());
        }
    }
    for name in given {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    Ok(names)
}

/// Parameters as they are given.
pub(crate) fn parameters(given: &[String]) -> anyhow::Result<Vec<Parameter>> {
    let parameters = given.iter().map(|text| parameter(text));
    Ok(parameters.collect::<Result<_, _>>()?)
}

/// The name of an object.
pub(crate) fn name(object: &Value) -> &str {
    let name = object.pointer("/metadata/name").and_then(Value::as_str);
    name.unwrap_or_default()
}

/// A Workflow as its type, for printing.
pub(crate) fn typed(object: &Value) -> anyhow::Result<Workflow> {
    manifest::read(object)
        .with_context(|| format!("workflow {:?} has a shape that is not known", name(object)))
}

/// Prints one Workflow.
pub(crate) fn show(object: &Value, view: Option<View>, shown: &Tree) -> anyhow::Result<()> {
    match view {
        Some(View::Json) => output::line(&serde_json::to_string_pretty(object)?)?,
        Some(View::Yaml) => output::print(&output::yaml(object)?)?,
        Some(View::Name) => output::line(name(object))?,
        Some(View::Wide | View::Short) | None => {
            output::print(&get::picture(object, view, shown)?)?;
        }
    }
    Ok(())
}

/// What was asked for after something has begun. The answer is whether all went well.
pub(crate) async fn follow(
    connection: &Connection,
    operator: &Operator,
    after: &After,
    names: &[String],
    quiet: bool,
) -> anyhow::Result<bool> {
    if after.logs() {
        for name in names {
            logs::follow(connection, operator, name).await?;
        }
    }
    if after.wait {
        return wait_for(connection, operator, names, false, quiet).await;
    }
    if after.watch {
        for name in names {
            watch(operator, name, &Tree::default()).await?;
        }
    }
    Ok(true)
}

/// Waits for the end of each, and says how it was. The answer is whether all have succeeded.
pub(crate) async fn wait_for(
    connection: &Connection,
    operator: &Operator,
    names: &[String],
    ignore_missing: bool,
    quiet: bool,
) -> anyhow::Result<bool> {
    let mut well = true;
    let waits = names.iter().map(|given| async move {
        let name = if given == "@latest" {
            let newest = operator.get(given).await.map_err(explained)?;
            name(&newest).to_owned()
        } else {
            given.clone()
        };
        let ended = wait(&connection.client, operator.namespace(), &name).await;
        anyhow::Ok((name, ended.map_err(anyhow::Error::msg)?))
    });
    for ended in futures::future::join_all(waits).await {
        match ended? {
            (
                name,
                Ended::Done {
                    phase, finished_at, ..
                },
            ) => {
                if !quiet {
                    output::line(&format!("{name} {phase} at {finished_at}"))?;
                }
                well &= phase == NodePhase::Succeeded.as_str();
            }
            (_, Ended::Gone) if ignore_missing => {}
            (name, Ended::Gone) => {
                anyhow::bail!(
                    "no workflow {name:?} in namespace {:?}",
                    operator.namespace()
                )
            }
        }
    }
    Ok(well)
}

/// Shows the tree each time it changes, until the end.
pub(crate) async fn watch(operator: &Operator, name: &str, shown: &Tree) -> anyhow::Result<()> {
    let mut before = String::new();
    let mut known = name.to_owned();
    loop {
        let object = operator.get(&known).await.map_err(explained)?;
        // The newest one now may not be the newest one later.
        known = self::name(&object).to_owned();
        let text = get::picture(&object, None, shown)?;
        let done = is_done(&object);
        // Below each other, pictures that differ by the time alone say nothing new.
        let version = object.pointer("/metadata/resourceVersion");
        let state = if output::redraws() {
            text.clone()
        } else {
            version.map(Value::to_string).unwrap_or_default()
        };
        if state != before || done {
            output::redraw(&text)?;
            before = state;
        }
        if done {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Whether a Workflow has ended.
pub(crate) fn is_done(object: &Value) -> bool {
    let phase = object.pointer("/status/phase").and_then(Value::as_str);
    matches!(phase, Some("Succeeded" | "Failed" | "Error"))
}

/// How long ago, as `10m`, `3h` or `2d`.
pub(crate) fn ago(text: &str) -> anyhow::Result<Timestamp> {
    let days = text
        .strip_suffix('d')
        .and_then(|days| days.parse::<u64>().ok());
    let span = match days {
        Some(days) => Duration::from_secs(days.saturating_mul(86_400)),
        None => tiphys_core::duration::parse(text)
            .map_err(|_| anyhow::anyhow!("{text:?} is not a duration, as 10m, 3h or 2d"))?,
    };
    let span = jiff::SignedDuration::try_from(span).context("the duration is too long")?;
    Timestamp::now()
        .checked_sub(span)
        .map_err(|_| anyhow::anyhow!("{text:?} is too long ago"))
}

/// What is asked of Workflows beside selectors.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    pub running: bool,
    pub completed: bool,
    pub status: Vec<String>,
    pub prefix: Option<String>,
    pub since: Option<Timestamp>,
    pub older: Option<Timestamp>,
    pub resubmitted: bool,
    /// The id of their controller; empty for the one that has none.
    pub instance_id: String,
}

impl Filter {
    /// Whether a Workflow is one of those.
    pub(crate) fn takes(&self, workflow: &Workflow) -> bool {
        use kube::ResourceExt as _;
        let status = workflow.status.as_ref();
        let done = status.is_some_and(|status| status.phase.is_done());
        let phase = status.map_or("", |status| status.phase.as_str());
        let phase = if phase.is_empty() { "Pending" } else { phase };
        let finished: Option<Timestamp> =
            status.and_then(|status| status.finished_at.as_ref()?.parse().ok());
        let labels = workflow.labels();
        let made_from = "workflows.argoproj.io/resubmitted-from-workflow";
        let created = workflow.creation_timestamp();
        let recent = |since: Timestamp| {
            let begun = created.as_ref().is_some_and(|created| created.0 >= since);
            finished.map_or(begun || !done, |finished| finished >= since)
        };
        !(self.running && done)
            && (!self.completed || done)
            && (self.status.is_empty() || self.status.iter().any(|asked| asked == phase))
            && self
                .prefix
                .as_ref()
                .is_none_or(|prefix| workflow.name_any().starts_with(prefix))
            && self.since.is_none_or(recent)
            && self
                .older
                .is_none_or(|older| finished.is_some_and(|finished| finished < older))
            && (!self.resubmitted || labels.contains_key(made_from))
    }
}

/// A status word as people write it.
pub(crate) fn statuses(given: &[String]) -> anyhow::Result<Vec<String>> {
    let known = ["Pending", "Running", "Succeeded", "Failed", "Error"];
    let find = |text: &String| {
        let found = known
            .iter()
            .find(|known| known.eq_ignore_ascii_case(text.trim()));
        found
            .map(|found| (*found).to_owned())
            .with_context(|| format!("status {text:?} must be one of {}", known.join(", ")))
    };
    given.iter().map(find).collect()
}
