//! `tiphys replay`: stored events once more to one Sensor. The running process does the work; no other Sensor notices.

use std::process::ExitCode;

use anyhow::bail;
use tiphys_controller::control::{Reply, Request};
use tiphys_sensor::{Replay, Replayed};

use super::events::time;
use super::place::{Found, Place};
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
    #[command(flatten)]
    pub place: Place,
    /// As JSON or YAML, for programs.
    #[arg(short, long, value_enum)]
    pub output: Option<Format>,
}

/// Asks the running process and waits for the end of the replay.
pub(crate) async fn run(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let at = |text: &Option<String>| text.as_deref().map(time).transpose();
    let replay = Replay {
        trigger: args.trigger.clone(),
        since: at(&args.since)?,
        until: at(&args.until)?,
        events: args.events.clone(),
        force_new: args.force_new,
    };
    let found = args.place.find().await?;
    let namespace = match (&args.place.namespace, &found) {
        (Some(namespace), _) => namespace,
        (None, Found::Bus(on)) => &on.namespace,
        (None, Found::Folder(_)) => "default",
    };
    let request = Request::Replay {
        namespace: namespace.to_owned(),
        sensor: args.sensor.clone(),
        replay,
    };
    for reply in found.ask(&request).await? {
        match reply {
            Reply::Replayed(replayed) => {
                print(args, &replayed)?;
                let nothing = replayed.matched == 0 && !args.events.is_empty();
                if nothing {
                    output::note(
                        "no event of that name is on the bus for this Sensor: `tiphys events` lists those that are known, \
                         and the bus may no longer hold an older one",
                    );
                }
                let failed = replayed.failed > 0 || nothing;
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
        "Sensor {namespace}/{} does not run with this data folder or event bus; -n names the namespace of the Sensor",
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
