//! (being written)
use std::process::ExitCode;
pub(crate) fn run(_args: &crate::args::Render) -> anyhow::Result<ExitCode> {
    anyhow::bail!("being written")
}
