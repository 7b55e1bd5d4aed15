//! The command line of the benchmark and how much each part does. It measures nothing.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Measures Tiphys beside bare programs on the same servers.
#[derive(Debug, Parser)]
#[command(name = "bench")]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Only this part; may be given several times.
    #[arg(long, value_enum, value_name = "PART")]
    pub(crate) only: Vec<Part>,
    /// Small counts and one round: shows that everything runs, not how fast.
    #[arg(long)]
    pub(crate) quick: bool,
    /// As JSON, with every round.
    #[arg(long)]
    pub(crate) json: bool,
    /// Fails where a budget is missed.
    #[arg(long)]
    pub(crate) check: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// One of the bare programs, started by the benchmark itself.
    #[command(hide = true)]
    Raw(RawArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RawArgs {
    #[command(subcommand)]
    pub(crate) raw: Raw,
}

/// The bare programs.
#[derive(Debug, Subcommand)]
pub(crate) enum Raw {
    /// An axum server: `/plain` answers, `/publish` publishes to JetStream first, `/json` reads JSON before that.
    Serve {
        #[arg(long)]
        port: u16,
        #[arg(long)]
        nats: Option<String>,
    },
    /// Pulls and acknowledges `count` messages, from `first` on, and says how long it took.
    Consume {
        #[arg(long)]
        nats: String,
        #[arg(long)]
        first: u64,
        #[arg(long)]
        count: usize,
    },
    /// Creates `count` Workflows and says how long it took.
    Create {
        #[arg(long)]
        kubeconfig: PathBuf,
        /// What each of them is, but for the name.
        #[arg(long)]
        object: PathBuf,
        #[arg(long)]
        prefix: String,
        #[arg(long)]
        count: usize,
        #[arg(long)]
        parallel: usize,
    },
}

/// The parts, in the order of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    Webhook,
    Sensor,
    Workflow,
    Embedded,
    Footprint,
}

impl Part {
    pub(crate) const ALL: [Self; 5] = [
        Self::Webhook,
        Self::Sensor,
        Self::Workflow,
        Self::Embedded,
        Self::Footprint,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Sensor => "sensor",
            Self::Workflow => "workflow",
            Self::Embedded => "embedded",
            Self::Footprint => "footprint",
        }
    }

    pub(crate) fn about(self) -> &'static str {
        match self {
            Self::Webhook => "POST, stored in JetStream, 200",
            Self::Sensor => "JetStream, filter, parameter, log trigger, acknowledged",
            Self::Workflow => "POST to Workflow in a real API server",
            Self::Embedded => "POST, synced to the embedded log, 200",
            Self::Footprint => "start, memory, idle",
        }
    }
}

/// How much each part does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// Turns of raw and ours.
    pub(crate) rounds: usize,
    /// How long one turn of HTTP load takes.
    pub(crate) load: Duration,
    /// Messages in one turn of the sensor.
    pub(crate) messages: usize,
    /// Events that a bus has met before its memory is looked at: as many as an embedded one knows again.
    pub(crate) known: usize,
    /// Workflows in one turn.
    pub(crate) workflows: usize,
    /// EventSources, and as many Sensors, in one process.
    pub(crate) objects: usize,
    /// How long idleness is watched.
    pub(crate) idle: Duration,
}

impl Options {
    pub(crate) fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    pub(crate) fn size(&self) -> Size {
        if self.quick {
            return Size {
                rounds: 1,
                load: Duration::from_millis(500),
                messages: 5_000,
                known: 5_000,
                workflows: 100,
                objects: 50,
                idle: Duration::from_secs(1),
            };
        }
        Size {
            rounds: 3,
            load: Duration::from_secs(3),
            messages: 100_000,
            known: 500_000,
            workflows: 1_500,
            objects: 1_000,
            idle: Duration::from_secs(10),
        }
    }
}
