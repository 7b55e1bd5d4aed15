//! `tiphys`: reads the command line and the environment, prints, and exits. All work is done by the other crates.

mod admin;
mod args;
mod commands;
mod connect;
mod files;
mod known_hosts;
mod logging;
mod output;
mod session;
mod signals;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};
use futures::future::LocalBoxFuture;

use crate::args::{Cli, Command, STEPS};

fn main() -> ExitCode {
    // One TLS provider for the whole process, before anything connects.
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        output::note("error: another TLS provider is installed");
        return ExitCode::FAILURE;
    }
    let cli = Cli::parse();
    match run(cli) {
        Ok(code) => code,
        Err(error) if closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::note(&format!("error: {}", chain(&error)));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    // Argo's pods take no other words, and fall back to `info`.
    let told = cli.log_level.as_deref();
    let told = told.filter(|level| ["debug", "info", "warn", "error"].contains(level));
    let level = match (
        cli.log.as_ref().filter(|level| *level != STEPS),
        &cli.command,
    ) {
        (Some(level), _) => level.as_str(),
        (None, _) if told.is_some() => told.unwrap_or("info"),
        (
            None,
            Command::Run(_)
            | Command::EventSource(_)
            | Command::Sensor(_)
            | Command::Controller(_)
            | Command::Webhook(_),
        ) => "info",
        // Whoever asks once needs no word on how the cluster was reached.
        (None, _) => "warn,kube_client=error",
    };
    let set_log_level = logging::start(level, cli.log_format)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    // Boxed, as the runtime has two ways to wait and each would hold all commands.
    let command: LocalBoxFuture<'_, _> = Box::pin(async {
        match cli.command {
            Command::Demo(args) => commands::demo::run(&args).await,
            Command::Run(args) => commands::run::run(args, set_log_level).await,
            Command::Lint(args) => commands::lint::run(&args),
            Command::Render(args) => commands::render::run(&args),
            Command::Eval(args) => commands::eval::run(&args),
            Command::EventSource(args) => {
                commands::object::run(args, tiphys_controller::Kind::EventSource, set_log_level)
                    .await
            }
            Command::Sensor(args) => {
                commands::object::run(args, tiphys_controller::Kind::Sensor, set_log_level).await
            }
            Command::Why(args) => commands::why::run(&args).await,
            Command::Events(args) => commands::events::run(&args).await,
            Command::Dead(args) => commands::dead::run(&args).await,
            Command::Replay(args) => commands::replay::run(&args).await,
            Command::Test(args) => commands::test::run(&args),
            Command::Get(args) => commands::get::run(&args).await.map(|()| ExitCode::SUCCESS),
            Command::List(args) => commands::list::run(&args).await.map(|()| ExitCode::SUCCESS),
            Command::Logs(args) => commands::logs::run(&args).await.map(|()| ExitCode::SUCCESS),
            Command::Submit(args) => commands::submit::run(&args).await,
            Command::Watch(args) => commands::watch::run(&args)
                .await
                .map(|()| ExitCode::SUCCESS),
            Command::Wait(args) => commands::wait::run(&args).await,
            Command::Stop(args) => done(commands::verbs::stop(&args).await),
            Command::Terminate(args) => done(commands::verbs::terminate(&args).await),
            Command::Suspend(args) => done(commands::verbs::suspend(&args).await),
            Command::Resume(args) => done(commands::verbs::resume(&args).await),
            Command::Delete(args) => done(commands::verbs::delete(&args).await),
            Command::Retry(args) => commands::again::retry(&args).await,
            Command::Resubmit(args) => commands::again::resubmit(&args).await,
            Command::Controller(args) => commands::controller::run(args, set_log_level).await,
            Command::Webhook(args) => commands::webhook::run(args, set_log_level).await,
            Command::Crds(args) => commands::crds::run(&args).map(|()| ExitCode::SUCCESS),
            Command::Rbac(args) => commands::rbac::run(&args).await,
            Command::Migrate(args) => commands::migrate::run(args).await,
            Command::Version => output::line(&format!("tiphys {}", env!("CARGO_PKG_VERSION")))
                .map(|()| ExitCode::SUCCESS)
                .map_err(Into::into),
            Command::Completion { shell } => {
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut Cli::command(), "tiphys", &mut script);
                output::print(&String::from_utf8_lossy(&script))?;
                Ok(ExitCode::SUCCESS)
            }
            Command::Cowsay { words } => {
                output::print(&tiphys_workflow::cowsay::whale(&words.join(" ")))?;
                Ok(ExitCode::SUCCESS)
            }
        }
    });
    let done = runtime.block_on(command);
    // A blocking read that nobody waits for any more must not hold the process.
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    done
}

fn done(result: anyhow::Result<()>) -> anyhow::Result<ExitCode> {
    result.map(|()| ExitCode::SUCCESS)
}

/// The error and its causes in one line.
fn chain(error: &anyhow::Error) -> String {
    explained(&tiphys_core::tasks::chain(error.as_ref()))
}

/// In the words of people what an API server answers for a kind that it does not serve.
fn explained(text: &str) -> String {
    text.replace(
        "404 page not found: Failed to parse error data",
        "the API server serves no objects of this kind: is Argo Workflows installed there, and is it the cluster that you mean?",
    )
}

/// Whether the reader of our output has gone away, as `head` does.
fn closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_that_is_not_served_is_said_in_words() {
        let status =
            kube::core::Status::failure("404 page not found", "Failed to parse error data")
                .with_code(404);
        let error = anyhow::Error::from(kube::Error::Api(Box::new(status)));
        let text = chain(&error.context("cannot list"));
        assert!(
            text.starts_with("cannot list: the API server serves no objects of this kind"),
            "{text}"
        );
    }
}
