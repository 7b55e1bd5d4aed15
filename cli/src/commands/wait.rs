//! `tiphys wait`: waits for the end of Workflows; the exit code says whether all have succeeded.

use std::process::ExitCode;

use crate::args::Wait;
use crate::commands::operator::{connect, wait_for};

/// Waits.
pub(crate) async fn run(args: &Wait) -> anyhow::Result<ExitCode> {
    let (connection, operator) = connect(&args.api).await?;
    let well = wait_for(
        &connection,
        &operator,
        &args.workflows,
        args.ignore_not_found,
        false,
    )
    .await?;
    Ok(if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
