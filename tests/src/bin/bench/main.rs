//! `make bench`: what our path costs, beside the barest program that does the same on the same servers in the same run.
//!
//! Raw and ours take turns, each in a process of its own under the same load; the medians are compared. Absolute numbers
//! belong to the machine, ratios to the program. It judges by the budgets of the design only when asked to (`--check`).

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people: the table goes to stdout, progress to stderr"
)]

mod embedded;
mod footprint;
mod load;
mod machine;
mod options;
mod program;
mod raw;
mod report;
mod sensor;
mod webhook;
mod workflow;
mod yaml;

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser as _;

use options::{Command, Options, Part};
use report::Report;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    if let Some(Command::Raw(raw)) = options.command {
        raw::run(raw).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let started = Instant::now();
    let mut report = Report::new();
    for part in Part::ALL.into_iter().filter(|part| options.wants(*part)) {
        eprintln!("{}: {}", part.name(), part.about());
        let size = options.size();
        let rows = match part {
            Part::Webhook => Box::pin(webhook::measure(size)).await?,
            Part::Sensor => Box::pin(sensor::measure(size)).await?,
            Part::Workflow => Box::pin(workflow::measure(size)).await?,
            Part::Embedded => Box::pin(embedded::measure(size)).await?,
            Part::Footprint => Box::pin(footprint::measure(size)).await?,
        };
        report.add(rows);
    }
    report.took(started.elapsed());
    if options.json {
        println!("{}", report.json());
    } else {
        print!("{}", report.table());
    }
    let failed = options.check && !report.within_budgets();
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
