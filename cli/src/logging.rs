//! Where log lines go: standard error, as text on a terminal and as JSON otherwise. Set up once.

use std::io::IsTerminal as _;

use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt as _;

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Text,
    /// For programs: one object a line.
    Json,
}

/// Changes the level while the program runs.
pub(crate) type Reload = Box<dyn Fn(&str) -> Result<(), String> + Send + Sync>;

/// Starts logging at `level`, which may name targets: `info,tiphys_sensor=debug`.
pub(crate) fn start(level: &str, format: Format) -> anyhow::Result<Reload> {
    let filter = EnvFilter::try_new(level).map_err(|error| {
        anyhow::anyhow!(
            "--log {level:?} is not a level: {error}; write it as info or info,tiphys_sensor=debug"
        )
    })?;
    let (filter, handle) = reload::Layer::new(filter);
    let terminal = std::io::stderr().is_terminal();
    let text = match format {
        Format::Auto => terminal,
        Format::Text => true,
        Format::Json => false,
    };
    let registry = tracing_subscriber::registry().with(filter);
    if text {
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(terminal)
            .with_target(false);
        registry.with(layer).try_init()?;
    } else {
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .json()
            .flatten_event(true);
        registry.with(layer).try_init()?;
    }
    Ok(Box::new(move |level| {
        let filter = EnvFilter::try_new(level).map_err(|error| error.to_string())?;
        handle.reload(filter).map_err(|error| error.to_string())
    }))
}
