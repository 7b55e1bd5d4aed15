//! `tiphys render`: what each filter of a Sensor says of given events, and what would be submitted. Nothing is done.

use std::io::Read as _;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use serde_json::Value;
use tiphys_controller::check::{self, Checked};
use tiphys_core::manifest::Document;
use tiphys_core::{Event, Problems, Severity, envelope};
use tiphys_sensor::{DryRun, Sensor, SensorObject, TriggerReport, Verdict, dry_run};

use crate::args::Render;
use crate::commands::lint;
use crate::files;
use crate::output::{self, Format};

/// Nothing would fire.
const NOTHING: u8 = 3;

/// Prints the effects on stdout and the reasons on stderr.
pub(crate) fn run(args: &Render) -> anyhow::Result<ExitCode> {
    let sensor = sensor(args)?;
    let mut events = Vec::new();
    for text in &args.events {
        let (dependency, path) = text
            .split_once('=')
            .with_context(|| format!("--event {text:?} must be DEP=FILE.json"))?;
        events.push((dependency.to_owned(), event(&sensor, dependency, path)?));
    }
    let mut report = dry_run(&sensor, &events);
    if let Some(only) = &args.trigger {
        let names: Vec<_> = report
            .triggers
            .iter()
            .map(|trigger| trigger.trigger.clone())
            .collect();
        report.triggers.retain(|trigger| trigger.trigger == *only);
        anyhow::ensure!(
            !report.triggers.is_empty(),
            "the Sensor has no trigger {only:?}; it has {}",
            names.join(", ")
        );
    }
    explain(&report);
    print(&report, args.output)?;
    Ok(if report.fires() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(NOTHING)
    })
}

/// The one Sensor that is meant.
fn sensor(args: &Render) -> anyhow::Result<SensorObject> {
    let loaded = files::load(std::slice::from_ref(&args.file))?;
    let mut sensors: Vec<(Option<Sensor>, &Document, String)> = Vec::new();
    for file in &loaded {
        let documents = match &file.documents {
            Ok(documents) => documents,
            Err(error) => {
                let line = error.position.map_or(1, |at| at.line);
                bail!("{}:{line}: not YAML: {error}", file.path.display());
            }
        };
        for document in documents
            .iter()
            .filter(|document| document.kind() == "Sensor")
        {
            let mut problems = Problems::default();
            let sensor = match check::check(document, &mut problems) {
                Some(Checked::Sensor(sensor)) => Some(*sensor),
                _ => None,
            };
            let wrong: Vec<_> = problems
                .list()
                .iter()
                .filter(|problem| problem.severity == Severity::Error)
                .map(|problem| lint::text(&lint::finding(file, document, problem.clone())))
                .collect();
            sensors.push((sensor, document, wrong.join("\n")));
        }
    }
    if let Some(name) = &args.sensor {
        sensors.retain(|(_, document, _)| document.name() == name);
    }
    let names: Vec<_> = sensors
        .iter()
        .map(|(_, document, _)| document.name().to_owned())
        .collect();
    anyhow::ensure!(
        sensors.len() < 2,
        "the file has several Sensors; choose one with --sensor: {}",
        names.join(", ")
    );
    let (sensor, _, wrong) = sensors
        .pop()
        .with_context(|| format!("{} has no such Sensor", args.file.display()))?;
    match sensor {
        Some(sensor) if wrong.is_empty() => Ok(SensorObject::new(sensor, &args.namespace)),
        _ => bail!("the Sensor has errors\n{wrong}"),
    }
}

/// An event from a file: a whole CloudEvent where it is one, else its payload.
fn event(sensor: &SensorObject, dependency: &str, path: &str) -> anyhow::Result<Event> {
    let known = sensor
        .spec
        .dependencies
        .iter()
        .find(|known| known.name == dependency);
    let known = known.with_context(|| {
        let names: Vec<_> = sensor
            .spec
            .dependencies
            .iter()
            .map(|known| known.name.as_str())
            .collect();
        format!(
            "the Sensor has no dependency {dependency:?}; it has {}",
            names.join(", ")
        )
    })?;
    let mut bytes = Vec::new();
    if path == "-" {
        std::io::stdin()
            .lock()
            .read_to_end(&mut bytes)
            .context("cannot read standard input")?;
    } else {
        bytes = std::fs::read(path).with_context(|| format!("cannot read {path}"))?;
    }
    let object: Value =
        serde_json::from_slice(&bytes).with_context(|| format!("{path} is not JSON"))?;
    if object.get("specversion").is_some() {
        return envelope::decode(&bytes).with_context(|| format!("{path} is not a CloudEvent"));
    }
    let mut event = Event::new(
        &known.event_source_name,
        "webhook",
        &known.event_name,
        Bytes::from(bytes),
    );
    // The same file gives the same object name each time.
    event.id = format!("{dependency}-dry-run");
    Ok(event)
}

/// Says for each event and trigger what happened, to people.
fn explain(report: &DryRun) {
    for event in &report.events {
        let verdict = match &event.verdict {
            Verdict::Passed => "passed".to_owned(),
            Verdict::Filtered => "filtered".to_owned(),
            Verdict::Failed(why) => format!("filtered, because a filter failed: {why}"),
        };
        output::note(&format!("event for {:?}: {verdict}", event.dependency));
        for leaf in &event.leaves {
            let mark = if leaf.verdict == Verdict::Passed {
                "✔"
            } else {
                "✖"
            };
            output::note(&format!("  {mark} {}: {}", leaf.path, leaf.said()));
        }
    }
    for trigger in &report.triggers {
        output::note(&format!(
            "trigger {:?} ({}): {}",
            trigger.trigger,
            trigger.kind,
            outcome(trigger)
        ));
        let actions = trigger.firings.iter().map(|firing| &firing.action);
        for action in actions.filter(|action| !action.is_empty()) {
            output::note(&format!("  would {action}"));
        }
    }
}

fn outcome(trigger: &TriggerReport) -> String {
    if let Some(error) = &trigger.error {
        return format!("cannot run: {error}");
    }
    let failed: Vec<_> = trigger
        .firings
        .iter()
        .filter_map(|firing| firing.effect.as_ref().err())
        .collect();
    if let Some(error) = failed.first() {
        return format!("would fire, but {error}");
    }
    if !trigger.firings.is_empty() {
        return "would fire".to_owned();
    }
    let missing: Vec<_> = trigger
        .missing
        .iter()
        .map(|set| set.join(" and "))
        .collect();
    if missing.is_empty() {
        "would not fire".to_owned()
    } else {
        format!("would not fire: it waits for {}", missing.join(", or "))
    }
}

/// The effects: one document for each firing.
fn print(report: &DryRun, format: Option<Format>) -> anyhow::Result<()> {
    if format == Some(Format::Json) {
        return Ok(output::line(&serde_json::to_string_pretty(report)?)?);
    }
    let effects = report
        .triggers
        .iter()
        .flat_map(|trigger| &trigger.firings)
        .filter_map(|firing| firing.effect.as_ref().ok());
    for (index, effect) in effects.enumerate() {
        if index > 0 {
            output::line("---")?;
        }
        match serde_json::from_str::<Value>(effect) {
            Ok(value) => output::print(&output::yaml(&value)?)?,
            Err(_) => output::line(effect)?,
        }
    }
    Ok(())
}
