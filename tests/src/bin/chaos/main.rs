//! `make chaos`: the long fault runs, one shape after the other, with a table of counts each. It ends with failure where
//! anything is not as promised.

#![expect(
    clippy::print_stdout,
    reason = "a program for people: its tables go to stdout"
)]

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::{Parser, ValueEnum};
use tiphys_tests::chaos::{Fault, Plan, Shape, run};

/// Sends events through everything while everything is killed, paused and filled up.
#[derive(Debug, Parser)]
#[command(name = "chaos")]
struct Options {
    /// Only this shape; all of them where nothing is said.
    #[arg(long, value_enum)]
    shape: Vec<Choice>,
    /// How many events in each run.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(100..))]
    events: u32,
    /// How many moments of faults in each run.
    #[arg(long, default_value_t = 60)]
    moments: u16,
    /// Only faults whose name contains this, such as `SIGKILL`; several may be given.
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// Where the randomness comes from; from the clock where nothing is said.
    #[arg(long)]
    seed: Option<u64>,
    /// The longest that one run may take.
    #[arg(long, default_value_t = 45)]
    minutes: u32,
    /// How often each shape is run, with the next seed each time.
    #[arg(long, default_value_t = 1)]
    rounds: u64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Choice {
    Jetstream,
    Cluster,
    Embedded,
}

impl From<Choice> for Shape {
    fn from(choice: Choice) -> Self {
        match choice {
            Choice::Jetstream => Self::JetStream,
            Choice::Cluster => Self::Cluster,
            Choice::Embedded => Self::Embedded,
        }
    }
}

fn faults(shape: Shape, only: &[String]) -> Vec<Fault> {
    let mut faults = Fault::of(shape);
    faults.retain(|fault| only.is_empty() || only.iter().any(|text| fault.name().contains(text)));
    faults
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let clock = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let seed = options.seed.unwrap_or(clock.as_secs());
    let shapes: Vec<Shape> = if options.shape.is_empty() {
        vec![Shape::JetStream, Shape::Cluster, Shape::Embedded]
    } else {
        options.shape.iter().copied().map(Shape::from).collect()
    };
    let mut good = true;
    for round in 0..options.rounds {
        for shape in &shapes {
            let plan = Plan {
                shape: *shape,
                events: usize::try_from(options.events).unwrap_or(usize::MAX),
                moments: usize::from(options.moments),
                faults: faults(*shape, &options.only),
                seed: seed.wrapping_add(round),
                limit: Duration::from_secs(u64::from(options.minutes) * 60),
                talk: true,
            };
            println!("{}, seed {}", shape.name(), plan.seed);
            let verdict = Box::pin(run(plan)).await;
            println!("\n{verdict}\n");
            good &= verdict.problems.is_empty();
        }
    }
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
