//! Every case of `tests/cases` through the real thing: its events are published on a bus, the Sensor runs, and what it
//! did (counters, decision record, objects, requests) is what a dry run of the same case says, on both buses.
//!
//! Cases that let time pass between events are left out here: a bus stores events when they come.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use futures::StreamExt as _;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::core::{GroupVersionKind, TypeMeta};
use serde_json::{Value, json};
use tiphys_core::Event;
use tiphys_lang::condition::Condition;
use tiphys_sensor::cases::{Play, Staged, Step, suites};
use tiphys_sensor::{
    Decision, DryRun, End, Fired, FiringReport, SensorObject, SensorRuntime, SensorSpec,
    TriggerReport, Verdict,
};
use tiphys_tests::{HttpSink, Received, eventually_ok};

use crate::inside::Inside;
use crate::support::LIMIT;

/// How many cases are played at a time.
const AT_ONCE: usize = 16;

/// A case that is ready to be played.
struct Prepared {
    title: String,
    play: Play,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cases")
}

/// Every case that needs no clock, each with a Sensor and event ids of its own; and how many need one.
fn cases(sink: &str) -> (Vec<Prepared>, usize) {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let (mut cases, mut by_clock) = (Vec::new(), 0);
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for suite in suites(&text).unwrap() {
            for case in &suite.cases {
                let title = format!("{}: {}", file.file_stem().unwrap().display(), case.name);
                let Staged::Play(play) = case.stage(&suite, &folder()).unwrap() else {
                    continue;
                };
                let failures = case.judge(&play.rehearse());
                assert!(failures.is_empty(), "{title}: {failures:?}");
                if needs_a_clock(&play) {
                    by_clock += 1;
                    continue;
                }
                let play = of_its_own(&play, cases.len(), sink);
                cases.push(Prepared { title, play });
            }
        }
    }
    (cases, by_clock)
}

fn needs_a_clock(play: &Play) -> bool {
    let times = play.steps.iter().filter_map(|step| match step {
        Step::Event(event, _) => Some(event.time),
        _ => None,
    });
    let times: BTreeSet<_> = times.collect();
    let sensors = play.steps.iter().filter_map(|step| match step {
        Step::Change(sensor) => Some(sensor.as_ref()),
        _ => None,
    });
    let mut triggers = std::iter::once(&play.sensor)
        .chain(sensors)
        .flat_map(|sensor| &sensor.spec.triggers)
        .filter_map(|trigger| trigger.template.as_ref());
    times.len() > 1
        && triggers.any(|template| template.join.is_some() || !template.conditions_reset.is_empty())
}

/// Whether a Sensor listens to every source, those of other cases among them.
fn is_wild(play: &Play) -> bool {
    let mut dependencies = play.sensor.spec.dependencies.iter();
    dependencies.any(|dependency| dependency.event_source_name == "*")
}

/// Requests go to the sink, and no case knows the events of another.
fn of_its_own(play: &Play, index: usize, sink: &str) -> Play {
    let source = |name: &mut String| {
        if !name.is_empty() && name != "*" {
            *name = format!("{name}-{index}");
        }
    };
    let sensor = |sensor: &SensorObject| {
        let text = serde_json::to_string(&sensor.spec).unwrap();
        let text = text.replace("http://example.com", &format!("{sink}/{index}"));
        let mut spec: SensorSpec = serde_json::from_str(&text).unwrap();
        for dependency in &mut spec.dependencies {
            source(&mut dependency.event_source_name);
            let filters = dependency.filters.as_mut();
            if let Some(context) = filters.and_then(|filters| filters.context.as_mut()) {
                source(&mut context.source);
            }
        }
        SensorObject {
            name: format!("case-{index}"),
            spec,
            ..sensor.clone()
        }
    };
    let step = |step: &Step| match step {
        Step::Event(event, dependencies) => {
            let mut event = event.clone();
            event.id = format!("{index}-{}", event.id);
            source(&mut event.source);
            Step::Event(event, dependencies.clone())
        }
        Step::Change(changed) => Step::Change(Box::new(sensor(changed))),
        other => other.clone(),
    };
    Play {
        sensor: sensor(&play.sensor),
        steps: play.steps.iter().map(step).collect(),
    }
}

/// The dependencies that a trigger's condition names.
fn dependencies(sensor: &SensorObject, trigger: &TriggerReport) -> Vec<String> {
    let names = sensor.spec.dependencies.iter();
    let names: Vec<&str> = names.map(|dependency| dependency.name.as_str()).collect();
    let condition = Condition::compile(&trigger.condition, &names).unwrap();
    condition.dependencies().to_vec()
}

/// How far each trigger must have come: events that it has taken, and events that it holds.
#[derive(Default)]
struct Expected {
    taken: BTreeMap<String, BTreeSet<String>>,
}

impl Expected {
    fn take(&mut self, sensor: &SensorObject, event: &Event) {
        let none = Play {
            sensor: sensor.clone(),
            steps: Vec::new(),
        };
        let fits = |want: &str, have: &str| want == "*" || want == have;
        for trigger in none.rehearse().triggers {
            let names = dependencies(sensor, &trigger);
            let wants = sensor.spec.dependencies.iter().any(|dependency| {
                names.contains(&dependency.name)
                    && fits(&dependency.event_source_name, &event.source)
                    && fits(&dependency.event_name, &event.subject)
            });
            let taken = self.taken.entry(trigger.trigger).or_default();
            if wants {
                taken.insert(event.id.clone());
            }
        }
    }

    /// Waits until the counters are what a dry run up to here says.
    async fn reached(
        &self,
        inside: &Inside,
        sensor: &SensorObject,
        steps: &[Step],
        first: &SensorObject,
    ) {
        let so_far = Play {
            sensor: first.clone(),
            steps: steps.to_vec(),
        };
        for trigger in so_far.rehearse().triggers {
            let name = &trigger.trigger;
            let taken = self.taken.get(name).map_or(0, BTreeSet::len);
            let held: BTreeSet<&String> = trigger.held.values().collect();
            let what = format!("{taken} events taken and {} held by {name}", held.len());
            let of = |good: bool| -> BTreeSet<&String> {
                let firings = trigger.firings.iter();
                let some = firings.filter(|firing| firing.effect.is_ok() == good);
                some.flat_map(|firing| firing.events.values()).collect()
            };
            let dead = of(false).len() + trigger.dropped;
            let fired = of(true);
            eventually_ok(&what, LIMIT, async || {
                let books = inside.books(&sensor.name, name);
                let here = [books.accepted, books.pending, books.fired, books.dead];
                let ended = books.fired + books.filtered + books.dead;
                let wanted = [taken, held.len(), fired.len(), dead].map(|count| count as u64);
                if here == wanted && books.accepted == ended + books.pending {
                    Ok(())
                } else {
                    Err(format!("{books:?}"))
                }
            })
            .await;
        }
    }
}

/// Plays a case on a bus, and leaves nothing of it there.
async fn play(inside: &Inside, play: &Play) {
    let mut object = play.sensor.clone();
    let mut sensor = inside.start(object.clone()).await;
    let mut expected = Expected::default();
    for (index, step) in play.steps.iter().enumerate() {
        let before = &play.steps[..index];
        match step {
            Step::Event(event, _) => {
                expected.take(&object, event);
                inside.publish(event).await;
                continue;
            }
            Step::Change(changed) => {
                expected
                    .reached(inside, &object, before, &play.sensor)
                    .await;
                object = changed.as_ref().clone();
                sensor.stop().await;
            }
            Step::Restart => {
                expected
                    .reached(inside, &object, before, &play.sensor)
                    .await;
                sensor.stop().await;
            }
            Step::Delete => {
                expected
                    .reached(inside, &object, before, &play.sensor)
                    .await;
                sensor.stop().await;
                forget(inside, &object.name).await;
            }
        }
        sensor = inside.start(object.clone()).await;
    }
    expected
        .reached(inside, &object, &play.steps, &play.sensor)
        .await;
    sensor.stop().await;
    forget(inside, &object.name).await;
}

async fn forget(inside: &Inside, name: &str) {
    SensorRuntime::forget(&inside.bus, "default", name)
        .await
        .unwrap();
}

/// Without the label that says when it was made.
fn untimed(object: &mut Value) {
    if let Some(labels) = object.pointer_mut("/metadata/labels") {
        let labels = labels.as_object_mut().unwrap();
        assert!(
            labels
                .remove("events.argoproj.io/action-timestamp")
                .is_some()
        );
    }
}

/// One firing, as a dry run and a record both have it.
#[derive(Debug, PartialEq)]
struct Act {
    events: BTreeMap<String, String>,
    /// What was made, or why not.
    made: Result<Value, String>,
}

fn planned(kind: &str, firing: &FiringReport) -> Act {
    let made = firing.effect.as_ref().map(|text| match kind {
        // What is written to the log is not kept.
        "log" => Value::Null,
        _ => serde_json::from_str(text).unwrap(),
    });
    Act {
        events: firing.events.clone(),
        made: made.map_err(Clone::clone),
    }
}

/// What is there of a firing's effect.
async fn found(inside: &Inside, effect: &Fired, requests: &mut Vec<Received>, url: &str) -> Value {
    match effect {
        Fired::Created {
            api_version,
            kind,
            namespace,
            name,
            ..
        } => {
            let types = TypeMeta {
                api_version: api_version.clone(),
                kind: kind.clone(),
            };
            let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(types).unwrap());
            let api: Api<DynamicObject> =
                Api::namespaced_with(inside.client.clone(), namespace, &resource);
            let mut object = serde_json::to_value(api.get(name).await.unwrap()).unwrap();
            untimed(&mut object);
            let metadata = object["metadata"].as_object_mut().unwrap();
            for of_the_server in ["uid", "resourceVersion", "creationTimestamp", "generation"] {
                metadata.remove(of_the_server);
            }
            object
        }
        Fired::Responded { .. } => {
            let Received {
                method, path, body, ..
            } = requests.remove(0);
            json!({
                "method": method.as_str(),
                "url": format!("{url}{path}"),
                "body": String::from_utf8_lossy(&body),
            })
        }
        _ => Value::Null,
    }
}

/// The differences between what a dry run says and what was recorded.
async fn compare(
    inside: &Inside,
    play: &Play,
    decisions: &[&Decision],
    requests: Vec<Received>,
    url: &str,
) -> Vec<String> {
    let DryRun { events, triggers } = play.rehearse();
    let last = play.steps.iter().rev().find_map(|step| match step {
        Step::Change(sensor) => Some(sensor.as_ref()),
        _ => None,
    });
    let sensor = last.unwrap_or(&play.sensor);
    let mut requests = requests;
    let mut differences = Vec::new();
    for trigger in &triggers {
        let mut of_trigger: Vec<&Decision> = decisions
            .iter()
            .copied()
            .filter(|decision| decision.trigger == trigger.trigger)
            .collect();
        let held = of_trigger.last().map(|decision| decision.held.clone());
        if held.as_ref().is_some_and(|held| *held != trigger.held) {
            differences.push(format!("holds {held:?}, not {:?}", trigger.held));
        }
        of_trigger.sort_by_key(|decision| decision.event.as_ref().map(|event| event.seq));
        let mut acts = Vec::new();
        for part in of_trigger.iter().flat_map(|decision| &decision.parts) {
            let Some(firing) = &part.firing else { continue };
            let made = match (&firing.effect, &firing.error) {
                (Some(effect), None) if part.end == End::Fired => {
                    Ok(found(inside, effect, &mut requests, url).await)
                }
                (_, error) => Err(error.clone().unwrap_or_default()),
            };
            let events = firing.events.clone();
            acts.push(Act { events, made });
        }
        let planned = trigger.firings.iter().map(|firing| {
            let mut act = planned(&trigger.kind, firing);
            // Header lines have their own test; clients add some.
            match (&mut act.made, trigger.kind.as_str()) {
                (Ok(Value::Object(request)), "http") => drop(request.remove("headers")),
                (Ok(object), "k8s") => untimed(object),
                _ => {}
            }
            act
        });
        let planned: Vec<Act> = planned.collect();
        if acts != planned {
            differences.push(format!("does {acts:#?}\nnot {planned:#?}"));
        }
        let names = dependencies(sensor, trigger);
        for event in events
            .iter()
            .filter(|event| names.contains(&event.dependency))
        {
            let parts = of_trigger.iter().filter(|decision| {
                let of = decision.event.as_ref();
                of.is_some_and(|of| of.id == event.event_id)
            });
            let mut parts = parts.flat_map(|decision| &decision.parts);
            let part = parts.find(|part| part.dependency == event.dependency);
            let Some(part) = part else {
                differences.push(format!("has no record of {event:?}"));
                continue;
            };
            let no = |leaf: &&tiphys_sensor::Leaf| leaf.verdict != Verdict::Passed;
            let leaves: Vec<_> = part.leaves.iter().filter(no).collect();
            let wanted: Vec<_> = event.leaves.iter().filter(no).collect();
            // A key that is missing is the trigger's matter: events are filtered for each trigger by itself there.
            let keyless = match (&part.verdict, &trigger.error) {
                (Verdict::Failed(why), Some(error)) => {
                    *error == format!("{}: {why}", event.dependency)
                }
                _ => false,
            };
            if (part.verdict != event.verdict && !keyless) || leaves != wanted {
                differences.push(format!("records {part:?}\nnot {event:?}"));
            }
        }
    }
    differences
}

/// Plays every case, then compares.
async fn conforms(inside: Inside) {
    let sink = HttpSink::start();
    let (cases, by_clock) = cases(&sink.url());
    let one = async |case: &Prepared| {
        tokio::time::timeout(2 * LIMIT, play(&inside, &case.play))
            .await
            .unwrap_or_else(|_| panic!("{} does not end", case.title));
    };
    let (wild, tame): (Vec<&Prepared>, Vec<_>) = cases.iter().partition(|case| is_wild(&case.play));
    let played = futures::stream::iter(tame).map(&one);
    played
        .buffer_unordered(AT_ONCE)
        .for_each(async |()| {})
        .await;
    for case in wild {
        one(case).await;
    }
    let decisions = inside.decisions().await;
    let received = sink.received();
    let mut failures = Vec::new();
    for (index, case) in cases.iter().enumerate() {
        let name = &case.play.sensor.name;
        let mine: Vec<&Decision> = decisions
            .iter()
            .filter(|decision| decision.sensor == *name)
            .collect();
        let path = format!("/{index}/");
        let requests = received
            .iter()
            .filter(|request| request.path.starts_with(&path))
            .cloned()
            .collect();
        for difference in compare(&inside, &case.play, &mine, requests, &sink.url()).await {
            failures.push(format!("{}: {difference}", case.title));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!(
        inside.bus.durables("tiphys-").await.unwrap(),
        Vec::<String>::new()
    );
    let state = inside.bus.state("tiphys-sensors").await.unwrap();
    assert_eq!(state.keys("").await.unwrap(), Vec::<String>::new());
    println!(
        "{} cases on the {} bus; {by_clock} need a clock and were played dry",
        cases.len(),
        inside.bus.kind()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tables_hold_on_the_embedded_bus() {
    Box::pin(conforms(Inside::embedded())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tables_hold_on_a_nats_server() {
    let (_nats, inside) = Inside::on_nats().await;
    Box::pin(conforms(inside)).await;
}
