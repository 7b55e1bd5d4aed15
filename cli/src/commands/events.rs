//! `tiphys events`: the decisions of all Sensors as a list, and as they come. It reads the decision record alone.

use std::collections::VecDeque;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use tiphys_core::tasks::chain;
use tiphys_sensor::{Decision, End, Look};

use super::place::Place;
use super::why::effect;
use crate::output::{self, Format};
use crate::signals;

/// How often the record is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// How long a record that cannot be read is left alone.
const AGAIN: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
pub(crate) struct Events {
    /// Only this Sensor.
    #[arg(long, value_name = "NAME")]
    pub sensor: Option<String>,
    /// Only this trigger.
    #[arg(long, value_name = "NAME")]
    pub trigger: Option<String>,
    /// Only this event.
    #[arg(long, value_name = "ID")]
    pub event: Option<String>,
    /// Only what ended so; several may be given.
    #[arg(long, value_enum, value_name = "END", value_delimiter = ',')]
    pub outcome: Vec<Outcome>,
    /// Only what is newer: a duration, as 1h30m, or a time, as 2026-07-18T10:00:00Z.
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
    /// At most so many, the newest; 0 for all.
    #[arg(long, default_value_t = 100, value_name = "COUNT")]
    pub limit: usize,
    /// Goes on with what comes, until Ctrl-C.
    #[arg(short, long)]
    pub follow: bool,
    #[command(flatten)]
    pub place: Place,
    /// How they are printed: json is one list, and one object a line with --follow.
    #[arg(short, long, value_enum)]
    pub output: Option<Format>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Outcome {
    /// No dependency let it through.
    Filtered,
    /// It waits.
    Pending,
    /// The effect is there.
    Fired,
    /// Given up.
    Dead,
}

impl Outcome {
    const fn is(self, end: End) -> bool {
        matches!(
            (self, end),
            (Self::Filtered, End::Filtered)
                | (Self::Pending, End::Pending)
                | (Self::Fired, End::Fired)
                | (Self::Dead, End::Dead)
        )
    }
}

impl Events {
    fn wants(&self, decision: &Decision, since: Option<Timestamp>) -> bool {
        let named =
            |want: &Option<String>, have: &str| want.as_ref().is_none_or(|want| want == have);
        let event = decision
            .event
            .as_ref()
            .map_or("", |event| event.id.as_str());
        decision.end != End::Waiting
            && named(&self.place.namespace, &decision.namespace)
            && named(&self.sensor, &decision.sensor)
            && named(&self.trigger, &decision.trigger)
            && named(&self.event, event)
            && (self.outcome.is_empty()
                || self.outcome.iter().any(|outcome| outcome.is(decision.end)))
            && since.is_none_or(|since| decision.at >= since)
    }
}

/// A time, or how long ago it was.
pub(crate) fn time(text: &str) -> anyhow::Result<Timestamp> {
    if let Ok(at) = text.parse() {
        return Ok(at);
    }
    let ago = tiphys_core::duration::parse(text);
    let ago = ago.with_context(|| {
        format!("{text:?} is neither a duration, as 1h30m, nor a time, as 2026-07-18T10:00:00Z")
    })?;
    Timestamp::now()
        .checked_sub(ago)
        .with_context(|| format!("{text:?} is too long ago"))
}

/// Prints them.
pub(crate) async fn run(args: &Events) -> anyhow::Result<ExitCode> {
    let since = args.since.as_deref().map(time).transpose()?;
    let place = args.place.find().await?;
    let mut tail = place.tail(Look {
        namespace: args.place.namespace.clone(),
        sensor: args.sensor.clone(),
        event: args.event.clone(),
    })?;
    let mut found = VecDeque::new();
    tail.poll(|decision| {
        if args.wants(&decision, since) {
            if args.limit > 0 && found.len() == args.limit {
                found.pop_front();
            }
            found.push_back(decision);
        }
    })
    .await?;
    let found: Vec<Decision> = found.into();
    if !args.follow {
        match args.output {
            Some(Format::Json) => output::line(&serde_json::to_string_pretty(&found)?)?,
            Some(Format::Yaml) => output::print(&output::yaml(&found)?)?,
            Some(Format::Name) => names(&found)?,
            format => table(&found, format, true)?,
        }
        return Ok(ExitCode::SUCCESS);
    }
    show(args, &found, true)?;
    // One for all turns of the loop: a signal that comes during a look is not lost.
    let stop = signals::stop();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            biased;
            () = &mut stop => return Ok(ExitCode::SUCCESS),
            () = tokio::time::sleep(LOOK) => {}
        }
        let mut found = Vec::new();
        let polled = tail.poll(|decision| {
            if args.wants(&decision, since) {
                found.push(decision);
            }
        });
        if let Err(error) = polled.await {
            tracing::warn!(error = chain(&error), "trying again");
            tokio::time::sleep(AGAIN).await;
        }
        show(args, &found, false)?;
    }
}

fn show(args: &Events, found: &[Decision], first: bool) -> anyhow::Result<()> {
    match args.output {
        Some(Format::Json) => {
            for decision in found {
                output::line(&serde_json::to_string(decision)?)?;
            }
        }
        Some(Format::Yaml) => {
            for decision in found {
                output::print(&format!("---\n{}", output::yaml(decision)?))?;
            }
        }
        Some(Format::Name) => names(found)?,
        format => table(found, format, first)?,
    }
    Ok(())
}

fn names(found: &[Decision]) -> anyhow::Result<()> {
    for event in found.iter().filter_map(|decision| decision.event.as_ref()) {
        output::line(&event.id)?;
    }
    Ok(())
}

fn table(found: &[Decision], format: Option<Format>, header: bool) -> anyhow::Result<()> {
    let wide = format == Some(Format::Wide);
    let mut rows = Vec::new();
    if header {
        let mut columns = vec!["TIME", "END", "SENSOR", "TRIGGER", "EVENT"];
        columns.extend(wide.then_some("SOURCE"));
        columns.push("WHAT");
        rows.push(columns.into_iter().map(str::to_owned).collect());
    }
    for decision in found {
        let event = decision.event.as_ref();
        let mut row = vec![
            format!("{:.3}", decision.at),
            decision.end.as_str().to_owned(),
            decision.sensor.clone(),
            decision.trigger.clone(),
            event.map_or_else(|| "-".to_owned(), |event| event.id.clone()),
        ];
        if wide {
            row.push(event.map_or_else(
                || "-".to_owned(),
                |event| format!("{}/{}", event.source, event.name),
            ));
        }
        row.push(what(decision));
        rows.push(row);
    }
    output::print(&output::table(&rows))?;
    Ok(())
}

/// The effect, or why there is none.
fn what(decision: &Decision) -> String {
    let mut firings = decision
        .parts
        .iter()
        .filter_map(|part| part.firing.as_ref());
    match (&decision.reason, firings.next()) {
        (None, Some(firing)) => effect(firing),
        (Some(reason), _) => reason.replace('\n', " "),
        (None, None) => String::new(),
    }
}
