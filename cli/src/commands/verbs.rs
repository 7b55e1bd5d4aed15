//! `tiphys suspend | resume | stop | terminate | delete`: changes of Workflows by their names, said in one line each.

use tiphys_workflow::operations::{NodeSelector, OperationError, Operator, Shutdown};

use crate::args::{Delete, Names, Resume, Stop, Terminate};
use crate::commands::list;
use crate::commands::operator::{
    Filter, ago, connect, explained, names, operator, selection, statuses,
};
use crate::output;

/// Holds Workflows.
pub(crate) async fn suspend(args: &Names) -> anyhow::Result<()> {
    let (_, operator) = connect(&args.api).await?;
    for name in &args.workflows {
        let outcome = operator.suspend(name).await.map_err(explained)?;
        output::line(&format!("workflow {} suspended", outcome.name()))?;
    }
    Ok(())
}

/// Lets Workflows go on.
pub(crate) async fn resume(args: &Resume) -> anyhow::Result<()> {
    let nodes = nodes(args.node_field_selector.as_ref())?;
    let (_, operator) = connect(&args.names.api).await?;
    for name in &args.names.workflows {
        let outcome = operator
            .resume(name, nodes.as_ref())
            .await
            .map_err(explained)?;
        output::line(&format!("workflow {} resumed", outcome.name()))?;
    }
    Ok(())
}

/// Ends Workflows; exit handlers run.
pub(crate) async fn stop(args: &Stop) -> anyhow::Result<()> {
    let nodes = nodes(args.node_field_selector.as_ref())?;
    let (_, operator) = connect(&args.api).await?;
    // A selector replaces names.
    let given = if selection(&args.choice).is_some() {
        &[][..]
    } else {
        &args.workflows
    };
    let ending = Ending {
        how: Shutdown::Stop,
        nodes,
        message: &args.message,
        dry_run: args.dry_run,
        past: "stopped",
    };
    ending
        .run(&operator, names(&operator, &args.choice, given).await?)
        .await
}

/// Ends Workflows at once.
pub(crate) async fn terminate(args: &Terminate) -> anyhow::Result<()> {
    let (_, operator) = connect(&args.api).await?;
    let given = if selection(&args.choice).is_some() {
        &[][..]
    } else {
        &args.workflows
    };
    let ending = Ending {
        how: Shutdown::Terminate,
        nodes: None,
        message: "",
        dry_run: args.dry_run,
        past: "terminated",
    };
    ending
        .run(&operator, names(&operator, &args.choice, given).await?)
        .await
}

struct Ending<'a> {
    how: Shutdown,
    nodes: Option<NodeSelector>,
    message: &'a str,
    dry_run: bool,
    past: &'static str,
}

impl Ending<'_> {
    async fn run(&self, operator: &Operator, names: Vec<String>) -> anyhow::Result<()> {
        for name in names {
            if self.dry_run {
                output::line(&format!("workflow {name} {} (dry-run)", self.past))?;
                continue;
            }
            let outcome = operator.shut_down(&name, self.how, self.nodes.as_ref(), self.message);
            let outcome = outcome.await.map_err(explained)?;
            output::line(&format!("workflow {} {}", outcome.name(), self.past))?;
        }
        Ok(())
    }
}

/// Deletes Workflows.
pub(crate) async fn delete(args: &Delete) -> anyhow::Result<()> {
    let (connection, own) = connect(&args.api).await?;
    let mut chosen: Vec<(String, String)> = Vec::new();
    let by_what_they_are = args.all
        || args.completed
        || args.resubmitted
        || args.prefix.is_some()
        || args.older.is_some()
        || !args.status.is_empty()
        || selection(&args.choice).is_some();
    if by_what_they_are {
        let filter = Filter {
            completed: args.completed,
            resubmitted: args.resubmitted,
            prefix: args.prefix.clone(),
            older: args.older.as_deref().map(ago).transpose()?,
            status: statuses(&args.status)?,
            instance_id: args.api.instanceid.clone(),
            ..Filter::default()
        };
        let namespace = (!args.all_namespaces).then_some(connection.namespace.as_str());
        for (_, workflow) in
            list::find(&connection.client, namespace, &args.choice, &filter).await?
        {
            let metadata = workflow.metadata;
            chosen.push((
                metadata.namespace.unwrap_or_default(),
                metadata.name.unwrap_or_default(),
            ));
        }
    }
    for name in &args.workflows {
        chosen.push((connection.namespace.clone(), name.clone()));
    }
    if chosen.is_empty() {
        return Ok(output::line("No resources found")?);
    }
    for (namespace, name) in chosen {
        if args.dry_run {
            output::line(&format!("Workflow '{name}' deleted (dry-run)"))?;
            continue;
        }
        let deleted = if namespace == own.namespace() {
            own.delete(&name, args.force).await
        } else {
            let other = operator(&connection.client, &namespace, &args.api).await;
            other.delete(&name, args.force).await
        };
        match deleted {
            Ok(name) => output::line(&format!("Workflow '{name}' deleted"))?,
            Err(OperationError::Missing { name, .. }) => {
                output::line(&format!("Workflow '{name}' not found"))?;
            }
            Err(error) => return Err(explained(error)),
        }
    }
    Ok(())
}

fn nodes(given: Option<&String>) -> anyhow::Result<Option<NodeSelector>> {
    Ok(NodeSelector::parse(given.map_or("", String::as_str))?)
}
