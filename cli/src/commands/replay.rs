//! `tiphys replay`: stored events once more to one Sensor. The running process does the work; no other Sensor notices.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use tiphys_controller::control::{self, Reply, Request};
use tiphys_sensor::{Replay, Replayed};

use super::events::time;
use crate::output::{self, Format};

#[derive(Debug, clap::Args)]
pub(crate) struct ReplayArgs {
    /// The Sensor.
    #[arg(value_name = "SENSOR")]
    pub sensor: String,
    /// Only to this trigger.
    #[arg(long, value_name = "NAME")]
    pub trigger: Option<String>,
    /// Only events stored since: a duration, as 1h30m, or a time, as 2026-07-18T10:00:00Z.
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
    /// Only events stored before.
    #[arg(long, value_name = "WHEN")]
    pub until: Option<String>,
    /// Only these events; several may be given.
    #[arg(long = "event", value_name = "ID")]
    pub events: Vec<String>,
    /// Makes every effect once more. Without it a firing that had its object finds it and makes no second one.
    #[arg(long)]
    pub force_new: bool,
    /// The folder of the run.
    #[arg(
        long,
        default_value = ".tiphys",
        value_name = "DIR",
        env = "TIPHYS_DATA_DIR"
    )]
    pub data_dir: PathBuf,
    /// The namespace of the Sensor.
    #[arg(short, long, default_value = "default", value_name = "NAMESPACE")]
    pub namespace: String,
    /// As JSON or YAML, for programs.
    #[arg(short, long, value_enum)]
    pub output: Option<Format>,
}

/// Asks the running process and waits for the end of the replay.
pub(crate) async fn run(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let at = |text: &Option<String>| text.as_deref().map(time).transpose();
    let request = Request::Replay {
        namespace: args.namespace.clone(),
        sensor: args.sensor.clone(),
        replay: Replay {
            trigger: args.trigger.clone(),
            since: at(&args.since)?,
            until: at(&args.until)?,
            events: args.events.clone(),
            force_new: args.force_new,
        },
    };
    for reply in control::ask(&args.data_dir, &request).await? {
        match reply {
            Reply::Replayed(replayed) => {
                print(args, &replayed)?;
                let failed = replayed.failed > 0;
                return Ok(if failed {
                    ExitCode::FAILURE
                } else {
                    ExitCode::SUCCESS
                });
            }
            Reply::Failed(why) => bail!(why),
            _ => {}
        }
    }
    bail!(
        "Sensor {}/{} does not run with this data folder",
        args.namespace,
        args.sensor
    )
}

fn print(args: &ReplayArgs, replayed: &Replayed) -> anyhow::Result<()> {
    match args.output {
        Some(Format::Json) => output::line(&serde_json::to_string_pretty(replayed)?)?,
        Some(Format::Yaml) => output::print(&output::yaml(replayed)?)?,
        _ => {
            let Replayed {
                id,
                read,
                matched,
                fired,
                existed,
                filtered,
                unmet,
                failed,
            } = replayed;
            output::line(&format!(
                "replay {id}: {read} events read, {matched} meant for the Sensor"
            ))?;
            output::line(&format!(
                "fired {fired} ({existed} had their object already), filtered {filtered}, left waiting {unmet}, failed {failed}"
            ))?;
            output::note(&format!(
                "`tiphys why EVENT_ID` and `tiphys events` show each decision, marked with replay {id}"
            ));
        }
    }
    Ok(())
}
