//! `tiphys list`: Workflows as `argo list` prints them.

use jiff::Timestamp;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use tiphys_workflow::tree::one_unit;
use tiphys_workflow::{NodePhase, Workflow};

use crate::args::List;
use crate::connect;
use crate::output::{self, Format};

/// Prints the Workflows, the newest first.
pub(crate) async fn run(args: &List) -> anyhow::Result<()> {
    let connection = connect::connect(&args.api).await?;
    let api = if args.all_namespaces {
        Api::<Workflow>::all(connection.client)
    } else {
        Api::<Workflow>::namespaced(connection.client, &connection.namespace)
    };
    let mut params = ListParams::default();
    if let Some(selector) = &args.selector {
        params = params.labels(selector);
    }
    let mut workflows = api.list(&params).await?.items;
    let done = |workflow: &Workflow| {
        workflow
            .status
            .as_ref()
            .is_some_and(|status| status.phase.is_done())
    };
    workflows.retain(|workflow| {
        let done = done(workflow);
        if args.running {
            !done
        } else {
            done || !args.completed
        }
    });
    workflows.sort_by_key(|workflow| std::cmp::Reverse(workflow.creation_timestamp()));
    match args.output {
        Some(Format::Json) => return Ok(output::line(&serde_json::to_string_pretty(&workflows)?)?),
        Some(Format::Yaml) => return Ok(output::print(&output::yaml(&workflows)?)?),
        Some(Format::Name) => {
            for workflow in &workflows {
                output::line(&workflow.name_any())?;
            }
            return Ok(());
        }
        Some(Format::Wide) | None => {}
    }
    if workflows.is_empty() {
        return Ok(output::line("No workflows found")?);
    }
    let wide = args.output == Some(Format::Wide);
    let mut header = vec!["NAME", "STATUS", "AGE", "DURATION", "PRIORITY", "MESSAGE"];
    if args.all_namespaces {
        header.insert(0, "NAMESPACE");
    }
    if wide {
        header.extend(["P/R/C", "PARAMETERS"]);
    }
    let mut rows = vec![header.into_iter().map(str::to_owned).collect()];
    let now = Timestamp::now();
    rows.extend(
        workflows
            .iter()
            .map(|workflow| row(workflow, args.all_namespaces, wide, now)),
    );
    Ok(output::print(&output::table(&rows))?)
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
    let phase = if status.phase == NodePhase::None {
        "Pending"
    } else {
        status.phase.as_str()
    };
    let mut row = Vec::new();
    if namespace {
        row.push(workflow.namespace().unwrap_or_default());
    }
    let priority = workflow.spec.priority.unwrap_or_default().to_string();
    row.extend([
        workflow.name_any(),
        phase.to_owned(),
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
