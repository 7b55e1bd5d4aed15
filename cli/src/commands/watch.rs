//! `tiphys watch`: the tree of a Workflow, drawn anew each time it changes, until its end; as `argo watch`.

use crate::args::Watch;
use crate::commands::operator::{self, connect};

/// Draws until the Workflow has ended.
pub(crate) async fn run(args: &Watch) -> anyhow::Result<()> {
    let (_, operator) = connect(&args.api).await?;
    operator::watch(&operator, &args.workflow, &args.tree).await
}
