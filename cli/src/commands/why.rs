//! `tiphys why`: what became of an event and why, or what a Sensor waits for now. It reads the decision record alone.

use std::collections::BTreeMap;
use std::process::ExitCode;

use tiphys_sensor::{Decision, End, Fired, Firing, Look, Part, Tail, Verdict};

use super::place::Place;
use crate::output::{self, Format};

/// Triggers that were last seen so long before their sensor's newest start are no longer in its spec.
const START_SECONDS: i64 = 60;

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("which").args(["event", "sensor"]).required(true))]
pub(crate) struct Why {
    /// The event's id.
    #[arg(value_name = "EVENT_ID")]
    pub event: Option<String>,
    /// Tells what this Sensor waits for now.
    #[arg(long, value_name = "NAME")]
    pub sensor: Option<String>,
    /// Only this trigger.
    #[arg(long, value_name = "NAME")]
    pub trigger: Option<String>,
    #[command(flatten)]
    pub place: Place,
    /// As JSON or YAML, for programs.
    #[arg(short, long, value_enum)]
    pub output: Option<Format>,
}

/// Prints the answer.
pub(crate) async fn run(args: &Why) -> anyhow::Result<ExitCode> {
    let wanted = |decision: &Decision| {
        let (namespace, trigger) = (&args.place.namespace, &args.trigger);
        let named =
            |want: &Option<String>, have: &str| want.as_ref().is_none_or(|want| want == have);
        named(namespace, &decision.namespace) && named(trigger, &decision.trigger)
    };
    let found = args.place.find().await?;
    let mut tail = found.tail(Look {
        namespace: args.place.namespace.clone(),
        sensor: args.sensor.clone(),
        event: args.event.clone(),
    })?;
    let (mut waits, mut found) = (Waits::default(), Vec::new());
    tail.poll(|decision| {
        if !wanted(&decision) {
            return;
        }
        match (&args.sensor, &args.event) {
            (Some(sensor), _) if decision.sensor == *sensor => waits.add(decision),
            (None, Some(id)) if concerns(&decision, id) => found.push(decision),
            _ => {}
        }
    })
    .await?;
    if let Some(sensor) = &args.sensor {
        found = waits.current();
        anyhow::ensure!(
            !found.is_empty(),
            "no Sensor {sensor:?} has been started with this data folder or event bus{}",
            args.trigger
                .as_ref()
                .map_or(String::new(), |trigger| format!(
                    ", with a trigger {trigger:?}"
                ))
        );
    } else if let Some(id) = &args.event {
        anyhow::ensure!(
            !found.is_empty(),
            "nothing is known of event {id:?}: no source has accepted it, no Sensor listens for its source and name, or it is older than the record{}",
            missing(&tail)
        );
        // Replicas write side by side.
        found.sort_by_key(|decision| decision.at);
    }
    match args.output {
        Some(Format::Json) => output::line(&serde_json::to_string_pretty(&found)?)?,
        Some(Format::Yaml) => output::print(&output::yaml(&found)?)?,
        _ => output::print(&tell(&found, args.event.as_deref()))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Says so where the record itself has holes.
fn missing(tail: &Tail) -> String {
    match tail.dropped() {
        0 => String::new(),
        dropped => {
            format!(" ({dropped} decisions could not be written)")
        }
    }
}

/// Whether an event takes part in a decision: by itself, in a firing, or held.
fn concerns(decision: &Decision, id: &str) -> bool {
    let own = decision.event.as_ref().is_some_and(|event| event.id == id);
    let fired = decision
        .parts
        .iter()
        .filter_map(|part| part.firing.as_ref())
        .any(|firing| firing.events.values().any(|event| event == id));
    let given_up = decision
        .parts
        .iter()
        .filter_map(|part| part.note.as_ref())
        .any(|note| note.contains(&format!("event {id} is given up")));
    own || fired || given_up
}

/// The newest decision of each trigger.
#[derive(Default)]
struct Waits {
    newest: BTreeMap<(String, String), Decision>,
    started: BTreeMap<(String, String), Decision>,
}

impl Waits {
    fn add(&mut self, decision: Decision) {
        let key = (decision.namespace.clone(), decision.trigger.clone());
        if decision.end == End::Waiting {
            self.started.insert(key.clone(), decision.clone());
        }
        // A replay has conditions of its own, and replicas write side by side.
        let newer = |known: &Decision| known.at <= decision.at;
        if decision.replay.is_none() && self.newest.get(&key).is_none_or(newer) {
            self.newest.insert(key, decision);
        }
    }

    fn current(self) -> Vec<Decision> {
        let Self { newest, started } = self;
        let newest_start = |namespace: &str| {
            let starts = started.iter().filter(|((of, _), _)| of == namespace);
            starts.map(|(_, start)| start.at.as_second()).max()
        };
        let known = newest.into_iter().filter(|(key, _)| {
            let last = newest_start(&key.0);
            let own = started.get(key).map(|start| start.at.as_second());
            own.zip(last)
                .is_none_or(|(own, last)| own + START_SECONDS >= last)
        });
        let waiting = known.map(|(key, mut decision)| {
            // A condition that one event meets waits for the same events all the time.
            if let Some(start) = started.get(&key)
                && decision.missing.is_empty()
            {
                decision.missing.clone_from(&start.missing);
            }
            decision
        });
        waiting.collect()
    }
}

/// For people.
fn tell(found: &[Decision], event: Option<&str>) -> String {
    let mut out = String::new();
    for decision in found {
        let mut line = |text: String| {
            out.push_str(&text);
            out.push('\n');
        };
        let Decision {
            namespace,
            sensor,
            trigger,
            ..
        } = decision;
        let last = match (event, &decision.event) {
            (None, Some(_)) => "the last event ended as ",
            _ => "",
        };
        line(format!(
            "sensor {namespace}/{sensor}, trigger {trigger}: {last}{}",
            decision.end.as_str()
        ));
        if let Some(of) = &decision.event {
            let own = event == Some(of.id.as_str());
            let again = match (&decision.replay, decision.delivery) {
                (Some(replay), _) => format!(", replay {replay}"),
                (None, 0 | 1) => String::new(),
                (None, delivery) => format!(", delivery {delivery}"),
            };
            let whose = if own { "event" } else { "by event" };
            // One that is driven again has no place on the bus any more.
            let place = match of.seq {
                0 => String::new(),
                seq => format!(", number {seq}"),
            };
            line(format!(
                "  {whose} {} ({}/{}){place}{again}",
                of.id, of.source, of.name
            ));
        }
        line(format!("  at {}", decision.at));
        if let Some(reason) = &decision.reason {
            line(format!("  because: {reason}"));
        }
        for part in &decision.parts {
            tell_part(part, &mut line);
        }
        if decision.parts.iter().all(|part| part.firing.is_none()) && !decision.condition.is_empty()
        {
            line(format!("  condition: {}", decision.condition));
        }
        for (dependency, id) in &decision.held {
            line(format!("  holds {dependency}: event {id}"));
        }
        let sets: Vec<String> = decision
            .missing
            .iter()
            .map(|set| set.join(" and "))
            .collect();
        if !sets.is_empty() && event.is_none() {
            line(format!("  waits for {}", sets.join(", or ")));
        }
    }
    out
}

fn tell_part(part: &Part, line: &mut impl FnMut(String)) {
    let verdict = match &part.verdict {
        Verdict::Passed => "passed".to_owned(),
        Verdict::Filtered => "filtered".to_owned(),
        Verdict::Failed(why) => format!("filtered, because a filter failed: {why}"),
    };
    line(format!("  dependency {}: {verdict}", part.dependency));
    for leaf in &part.leaves {
        let mark = if leaf.verdict == Verdict::Passed {
            "✔"
        } else {
            "✖"
        };
        line(format!("    {mark} {}: {}", leaf.path, leaf.said()));
    }
    if let Some(note) = &part.note {
        line(format!("    {note}"));
    }
    let Some(firing) = &part.firing else { return };
    if firing.events.len() > 1 {
        let events: Vec<String> = firing
            .events
            .iter()
            .map(|(name, id)| format!("{name} = {id}"))
            .collect();
        line(format!("    with {}", events.join(", ")));
    }
    for parameter in &firing.parameters {
        line(format!("    set {} = {}", parameter.dest, parameter.value));
    }
    line(format!("    {}", effect(firing)));
    if let Some(error) = &firing.error {
        line(format!("    error: {error}"));
    }
}

/// An object by its namespace and name; a cluster-wide one has no namespace.
fn place(namespace: &str, name: &str) -> String {
    if namespace.is_empty() {
        name.to_owned()
    } else {
        format!("{namespace}/{name}")
    }
}

/// What a firing did, in a few words.
pub(crate) fn effect(firing: &Firing) -> String {
    let tries = match firing.attempts {
        0 | 1 => String::new(),
        attempts => format!(" after {attempts} attempts"),
    };
    let done = match &firing.effect {
        Some(Fired::Created {
            kind,
            namespace,
            name,
            existed,
            ..
        }) => {
            let verb = if *existed { "found its own" } else { "created" };
            format!("{verb} {kind} {}", place(namespace, name))
        }
        Some(Fired::Changed {
            verb,
            kind,
            namespace,
            name,
            ..
        }) => format!("{verb} {kind} {}", place(namespace, name)),
        Some(Fired::Responded { status }) => format!("answered {status}"),
        Some(Fired::Logged) => "logged".to_owned(),
        #[expect(unreachable_patterns, reason = "kinds of effects are added over time")]
        Some(other) => format!("{other:?}"),
        None => "no effect".to_owned(),
    };
    match &firing.dlq {
        Some(dlq) => format!("{done}{tries}, by the dlqTrigger {dlq}"),
        None => format!("{done}{tries}"),
    }
}
