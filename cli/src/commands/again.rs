//! `tiphys retry | resubmit`: runs Workflows again, the same ones or new ones like them.

use std::process::ExitCode;

use tiphys_workflow::operations::{Create, NodeSelector, ResubmitOptions, RetryOptions};

use crate::args::{Resubmit, Retry, Tree};
use crate::commands::operator::{connect, explained, follow, name, names, parameters, show};
use crate::commands::submit::random_name;

/// Lets Workflows go on from what went wrong.
pub(crate) async fn retry(args: &Retry) -> anyhow::Result<ExitCode> {
    let selector = args.node_field_selector.as_deref().unwrap_or_default();
    let options = RetryOptions {
        restart_successful: args.restart_successful,
        nodes: NodeSelector::parse(selector)?,
        parameters: parameters(&args.parameters)?,
    };
    let (connection, operator) = connect(&args.api).await?;
    let mut done = Vec::new();
    for name in names(&operator, &args.choice, &args.workflows).await? {
        let outcome = operator.retry(&name, &options).await.map_err(explained)?;
        show(&outcome.workflow, args.output, &Tree::default())?;
        done.push(outcome.name().to_owned());
    }
    let quiet = args.output.is_some();
    let well = follow(&connection, &operator, &args.after, &done, quiet).await?;
    Ok(code(well))
}

/// Makes Workflows like those that have been.
pub(crate) async fn resubmit(args: &Resubmit) -> anyhow::Result<ExitCode> {
    let options = ResubmitOptions {
        memoized: args.memoized,
        parameters: parameters(&args.parameters)?,
    };
    let (connection, operator) = connect(&args.api).await?;
    let mut done = Vec::new();
    for old in names(&operator, &args.choice, &args.workflows).await? {
        let draft = operator.resubmitted(&old, &options, random_name).await;
        let draft = draft.map_err(explained)?;
        let created = operator
            .create(&draft, Create::default())
            .await
            .map_err(explained)?;
        show(&created, args.output, &Tree::default())?;
        done.push(name(&created).to_owned());
    }
    let quiet = args.output.is_some();
    let well = follow(&connection, &operator, &args.after, &done, quiet).await?;
    Ok(code(well))
}

fn code(well: bool) -> ExitCode {
    if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
