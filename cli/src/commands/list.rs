//! `tiphys list`: Workflows as `argo list` prints them.

use std::cmp::Reverse;

use jiff::Timestamp;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::Value;
use tiphys_core::manifest;
use tiphys_workflow::operations::belongs_to;
use tiphys_workflow::tree::{one_unit, state};
use tiphys_workflow::{NodePhase, Workflow};

use crate::args::{Choice, List};
use crate::commands::operator::{Filter, ago, name, statuses};
use crate::connect;
use crate::output::{self, Format};

/// How many objects are asked for at once.
const PAGE: u32 = 500;

/// Prints the Workflows: those that go on, then those that have ended, the newest first.
pub(crate) async fn run(args: &List) -> anyhow::Result<()> {
    let filter = Filter {
        running: args.running,
        completed: args.completed,
        status: statuses(&args.status)?,
        prefix: args.prefix.clone(),
        since: args.since.as_deref().map(ago).transpose()?,
        older: args.older.as_deref().map(ago).transpose()?,
        resubmitted: args.resubmitted,
        instance_id: args.api.instanceid.clone(),
    };
    let connection = connect::connect(&args.api).await?;
    let namespace = (!args.all_namespaces).then_some(connection.namespace.as_str());
    let mut found = find(&connection.client, namespace, &args.choice, &filter).await?;
    found.sort_by_cached_key(|(_, workflow)| order(workflow));
    let objects = || found.iter().map(|(object, _)| object).collect::<Vec<_>>();
    match args.output {
        Some(Format::Json) => return Ok(output::line(&serde_json::to_string_pretty(&objects())?)?),
        Some(Format::Yaml) => return Ok(output::print(&output::yaml(&objects())?)?),
        Some(Format::Name) => {
            for (object, _) in &found {
                output::line(name(object))?;
            }
            return Ok(());
        }
        Some(Format::Wide) | None => {}
    }
    if found.is_empty() {
        return Ok(output::line("No workflows found")?);
    }
    let wide = args.output == Some(Format::Wide);
    let mut rows = Vec::new();
    if !args.no_headers {
        let mut header = vec!["NAME", "STATUS", "AGE", "DURATION", "PRIORITY", "MESSAGE"];
        if args.all_namespaces {
            header.insert(0, "NAMESPACE");
        }
        if wide {
            header.extend(["P/R/C", "PARAMETERS"]);
        }
        rows.push(header.into_iter().map(str::to_owned).collect());
    }
    let now = Timestamp::now();
    rows.extend(
        found
            .iter()
            .map(|(_, workflow)| row(workflow, args.all_namespaces, wide, now)),
    );
    Ok(output::print(&output::table(&rows))?)
}

/// The Workflows that are chosen, as they are and as their type.
pub(crate) async fn find(
    client: &Client,
    namespace: Option<&str>,
    choice: &Choice,
    filter: &Filter,
) -> anyhow::Result<Vec<(Value, Workflow)>> {
    let kind = GroupVersionKind::gvk("argoproj.io", "v1alpha1", "Workflow");
    let kind = ApiResource::from_gvk_with_plural(&kind, "workflows");
    let api = match namespace {
        Some(namespace) => Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &kind),
        None => Api::all_with(client.clone(), &kind),
    };
    let mut params = ListParams::default().limit(PAGE);
    params.label_selector.clone_from(&choice.selector);
    params.field_selector.clone_from(&choice.field_selector);
    let mut found = Vec::new();
    loop {
        let page = api.list(&params).await?;
        for item in page.items {
            let mut object = serde_json::to_value(item)?;
            if let Value::Object(object) = &mut object {
                // The items of a list do not say what they are.
                object.insert("apiVersion".to_owned(), "argoproj.io/v1alpha1".into());
                object.insert("kind".to_owned(), "Workflow".into());
            }
            if !belongs_to(&object, &filter.instance_id) {
                continue;
            }
            match manifest::read::<Workflow>(&object) {
                Ok(workflow) if filter.takes(&workflow) => found.push((object, workflow)),
                Ok(_) => {}
                Err(error) => output::note(&format!(
                    "warning: workflow {:?} has a shape that is not known: {error}",
                    name(&object)
                )),
            }
        }
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(found),
        }
    }
}

/// Those that go on come first.
fn order(workflow: &Workflow) -> (bool, Reverse<Option<Timestamp>>, String) {
    let status = workflow.status.as_ref();
    let finished = status.and_then(|status| status.finished_at.as_ref()?.parse().ok());
    let at = finished.or(workflow.creation_timestamp().map(|created| created.0));
    (finished.is_some(), Reverse(at), workflow.name_any())
}

fn row(workflow: &Workflow, namespace: bool, wide: bool, now: Timestamp) -> Vec<String> {
    let status = workflow.status.clone().unwrap_or_default();
    let time = |text: &Option<String>| {
        text.as_ref()
            .and_then(|text| text.parse::<Timestamp>().ok())
    };
    let age = workflow
        .creation_timestamp()
        .map_or(0, |created| now.as_second() - created.0.as_second());
    let duration = time(&status.started_at).map_or(0, |started| {
        time(&status.finished_at).unwrap_or(now).as_second() - started.as_second()
    });
    let mut row = Vec::new();
    if namespace {
        row.push(workflow.namespace().unwrap_or_default());
    }
    let priority = workflow.spec.priority.unwrap_or_default().to_string();
    row.extend([
        workflow.name_any(),
        state(workflow),
        one_unit(age),
        one_unit(duration),
        priority,
        status.message.clone(),
    ]);
    if wide {
        let pods = |want: fn(NodePhase) -> bool| {
            status
                .nodes
                .values()
                .filter(|node| node.kind == "Pod" && want(node.phase))
                .count()
        };
        let counts = format!(
            "{}/{}/{}",
            pods(|phase| phase == NodePhase::Pending),
            pods(|phase| phase == NodePhase::Running),
            pods(NodePhase::is_done)
        );
        let parameters = workflow.spec.arguments.parameters.iter().map(|parameter| {
            format!(
                "{}={}",
                parameter.name,
                parameter
                    .value
                    .as_ref()
                    .map_or("", |value| value.0.as_str())
            )
        });
        row.extend([counts, parameters.collect::<Vec<_>>().join(",")]);
    }
    row
}
