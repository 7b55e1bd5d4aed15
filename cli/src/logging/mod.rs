//! Where log lines go: standard error, as text on a terminal and as JSON otherwise. Set up once.

mod json;

use std::io::IsTerminal as _;

use tracing_subscriber::filter::{EnvFilter, LevelFilter};
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
    let first = filter(level).map_err(|error| {
        anyhow::anyhow!(
            "--log {level:?} is not a level: {error}; write it as info or info,tiphys_sensor=debug"
        )
    })?;
    let (layer, handle) = reload::Layer::new(first);
    let terminal = std::io::stderr().is_terminal();
    let text = match format {
        Format::Auto => terminal,
        Format::Text => true,
        Format::Json => false,
    };
    let registry = tracing_subscriber::registry().with(layer);
    if text {
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(terminal)
            .with_target(false);
        registry.with(layer).try_init()?;
    } else {
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .fmt_fields(json::Members)
            .event_format(json::Line);
        registry.with(layer).try_init()?;
    }
    Ok(Box::new(move |level| {
        let filter = filter(level)?;
        handle.reload(filter).map_err(|error| error.to_string())
    }))
}

/// The bus reports each change of its connection once, and whoever watches an API server why it cannot; their libraries
/// would add a line for every attempt.
fn filter(level: &str) -> Result<EnvFilter, String> {
    for part in level.split(',').map(str::trim) {
        // A word that is no level would be taken for the name of a part of the program, and silence all others.
        if !part.contains(['=', '[']) && part.parse::<LevelFilter>().is_err() {
            return Err(format!(
                "{part:?} is none of error, warn, info, debug, trace"
            ));
        }
    }
    let verbose = ["debug", "trace"].iter().any(|word| level.contains(word));
    let quiet = ["async_nats=error", "kube_runtime=off"].into_iter();
    let quiet = quiet.filter(|part| {
        let target = part.split('=').next().unwrap_or(part);
        !verbose && !level.contains(target)
    });
    let parts: Vec<&str> = std::iter::once(level).chain(quiet).collect();
    let level = parts.join(",");
    EnvFilter::try_new(level).map_err(|error| error.to_string())
}
