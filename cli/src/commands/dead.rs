//! `tiphys dead`: the events that were given up, why, and once more to their trigger. The running process does the work.

use std::process::ExitCode;

use anyhow::bail;
use serde_json::Value;
use tiphys_controller::control::{Reply, Request};
use tiphys_sensor::DeadLetter;

use super::place::{Found, Place};
use crate::output::{self, Format};

#[derive(Debug, clap::Args)]
pub(crate) struct Dead {
    #[command(subcommand)]
    pub what: What,
    #[command(flatten)]
    pub place: Place,
    /// Only those of this Sensor.
    #[arg(long, global = true, value_name = "NAME")]
    pub sensor: Option<String>,
    /// How they are printed.
    #[arg(short, long, global = true, value_enum)]
    pub output: Option<Format>,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum What {
    /// Lists them, oldest first.
    List,
    /// Shows one with its events.
    Show {
        /// Its id in the list.
        id: String,
    },
    /// Sends them to their trigger once more; a firing that had its effect after all makes no second one.
    #[command(group = clap::ArgGroup::new("which").args(["ids", "all"]).required(true))]
    Redrive {
        /// Their ids in the list.
        ids: Vec<String>,
        /// All of them, or all of --sensor.
        #[arg(long)]
        all: bool,
    },
}

/// Asks the running process.
pub(crate) async fn run(args: &Dead) -> anyhow::Result<ExitCode> {
    let sensor = args.sensor.clone();
    let found = args.place.find().await?;
    match &args.what {
        What::List => list(
            args,
            &letters(args, &found, Request::Dead { sensor, id: None }).await?,
        )?,
        What::Show { id } => {
            let request = Request::Dead {
                sensor,
                id: Some(id.clone()),
            };
            let letters = letters(args, &found, request).await?;
            anyhow::ensure!(
                !letters.is_empty(),
                "there is no dead event {id:?}; `tiphys dead list` shows all"
            );
            show(args, &letters)?;
        }
        What::Redrive { ids, .. } => {
            let request = Request::Redrive {
                ids: ids.clone(),
                sensor,
            };
            return redrive(args, ids, found.ask(&request).await?);
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn letters(args: &Dead, found: &Found, request: Request) -> anyhow::Result<Vec<DeadLetter>> {
    let mut all: Vec<DeadLetter> = Vec::new();
    for reply in found.ask(&request).await? {
        match reply {
            Reply::Dead(letters) => all.extend(letters),
            Reply::Failed(why) => bail!(why),
            _ => {}
        }
    }
    if let Some(namespace) = &args.place.namespace {
        all.retain(|letter| letter.namespace == *namespace);
    }
    all.sort_by(|one, other| (one.at, &one.id).cmp(&(other.at, &other.id)));
    all.dedup();
    Ok(all)
}

fn redrive(args: &Dead, ids: &[String], replies: Vec<Reply>) -> anyhow::Result<ExitCode> {
    let mut results = Vec::new();
    for reply in replies {
        match reply {
            Reply::Redriven(some) => results.extend(some),
            Reply::Failed(why) => bail!(why),
            _ => {}
        }
    }
    if args.output == Some(Format::Json) {
        output::line(&serde_json::to_string_pretty(&results)?)?;
    } else {
        for result in &results {
            match &result.error {
                None => output::line(&format!("{}: fired", result.id))?,
                Some(error) => output::line(&format!("{}: still dead: {error}", result.id))?,
            }
        }
    }
    let unknown: Vec<&String> = ids
        .iter()
        .filter(|id| results.iter().all(|result| result.id != **id))
        .collect();
    for id in &unknown {
        output::note(&format!(
            "{id}: there is no such dead event; `tiphys dead list` shows all"
        ));
    }
    let failed = results.iter().any(|result| result.error.is_some());
    Ok(if failed || !unknown.is_empty() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn list(args: &Dead, letters: &[DeadLetter]) -> anyhow::Result<()> {
    match args.output {
        Some(Format::Json) => output::line(&serde_json::to_string_pretty(letters)?)?,
        Some(Format::Yaml) => output::print(&output::yaml(&letters)?)?,
        Some(Format::Name) => {
            for letter in letters {
                output::line(&letter.id)?;
            }
        }
        _ => {
            let header = [
                "ID", "TIME", "SENSOR", "TRIGGER", "EVENTS", "ATTEMPTS", "REASON",
            ];
            let mut rows = vec![header.map(str::to_owned).to_vec()];
            for letter in letters {
                let events: Vec<&str> = letter
                    .events
                    .iter()
                    .map(|event| event.id.as_str())
                    .collect();
                rows.push(vec![
                    letter.id.clone(),
                    format!("{:.0}", letter.at),
                    format!("{}/{}", letter.namespace, letter.sensor),
                    letter.trigger.clone(),
                    events.join(","),
                    letter.attempts.to_string(),
                    letter.reason.replace('\n', " "),
                ]);
            }
            output::print(&output::table(&rows))?;
        }
    }
    Ok(())
}

/// Whole, with the events as they can be read.
fn show(args: &Dead, letters: &[DeadLetter]) -> anyhow::Result<()> {
    for letter in letters {
        let mut value = serde_json::to_value(letter)?;
        let events = value.get_mut("events").and_then(Value::as_array_mut);
        for (shown, event) in events.into_iter().flatten().zip(&letter.events) {
            let (Some(shown), Some(bytes)) = (shown.as_object_mut(), event.bytes()) else {
                continue;
            };
            shown.remove("envelope");
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Ok(decoded) = tiphys_core::envelope::decode(&bytes)
                && let Some(data) = decoded.data
            {
                let payload = String::from_utf8_lossy(&data).into_owned();
                shown.insert(
                    "payload".to_owned(),
                    serde_json::from_str(&payload).unwrap_or(Value::String(payload)),
                );
            }
            shown.insert(
                "envelope".to_owned(),
                serde_json::from_str(&text).unwrap_or(Value::String(text)),
            );
        }
        if args.output == Some(Format::Json) {
            output::line(&serde_json::to_string_pretty(&value)?)?;
        } else {
            output::print(&output::yaml(&value)?)?;
        }
    }
    Ok(())
}
