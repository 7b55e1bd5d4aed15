//! What a Sensor would do with given events, by the same code as the runtime, and nothing done.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use tiphys_core::Event;
use tiphys_core::tasks::chain;
use tiphys_lang::condition::Condition;

use crate::conditions::{State, Step};
use crate::dependency::{Admission, Dependency};
use crate::document::{Events, Input};
use crate::filters::{Detail, Leaf, Report, Verdict};
use crate::prepared::{Launcher, Owner, Prepared};
use crate::runtime::SensorObject;
use crate::spec::template_engine;

/// What a Sensor would do.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DryRun {
    /// What the filters of each event said, in the order of the events.
    pub events: Vec<EventReport>,
    /// What each trigger would do, in the order of the spec.
    pub triggers: Vec<TriggerReport>,
}

/// What the filters of one event said.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventReport {
    /// The dependency that the event was given for.
    pub dependency: String,
    /// The event's id.
    pub event_id: String,
    /// Whether it counts.
    pub verdict: Verdict,
    /// Every filter that was looked at.
    pub leaves: Vec<Leaf>,
}

/// What one trigger would do.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TriggerReport {
    /// The trigger.
    pub trigger: String,
    /// Its condition, in full.
    pub condition: String,
    /// The kind of the trigger, as `argoWorkflow`.
    pub kind: String,
    /// Each firing in order.
    pub firings: Vec<FiringReport>,
    /// Where the last events wait: the smallest sets of dependencies that would make it fire.
    pub missing: Vec<Vec<String>>,
    /// The ids of the events that are held in the end, by dependency.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub held: BTreeMap<String, String>,
    /// How many of the events it is meant for found no match, and will not any more: replaced, reset, dropped.
    #[serde(skip)]
    pub dropped: usize,
    /// Why the trigger cannot run at all.
    pub error: Option<String>,
}

/// What one firing would do.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FiringReport {
    /// The ids of its events by dependency.
    pub events: BTreeMap<String, String>,
    /// What it would do with it, as `update ConfigMap ns/name`; empty where the effect says it all.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub action: String,
    /// The object, request or message as JSON, or why there is none: written as `effect` or as `error`.
    #[serde(flatten, serialize_with = "outcome")]
    pub effect: Result<String, String>,
}

fn outcome<S: Serializer>(
    effect: &Result<String, String>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(1))?;
    match effect {
        // As it is, so that every digit stays.
        Ok(text) => match serde_json::from_str::<&RawValue>(text) {
            Ok(json) => map.serialize_entry("effect", json)?,
            Err(_) => map.serialize_entry("effect", text)?,
        },
        Err(reason) => map.serialize_entry("error", reason)?,
    }
    map.end()
}

impl DryRun {
    /// Whether any trigger would fire.
    #[must_use]
    pub fn fires(&self) -> bool {
        let mut firings = self.triggers.iter().flat_map(|trigger| &trigger.firings);
        firings.any(|firing| firing.effect.is_ok())
    }
}

/// Takes events, each for the dependency that it is given for, through filters, conditions and parameters.
#[must_use]
pub fn dry_run(object: &SensorObject, events: &[(String, Event)]) -> DryRun {
    let mut rehearsal = Rehearsal::new(object);
    for (dependency, event) in events {
        rehearsal.event(event, std::slice::from_ref(dependency));
    }
    rehearsal.finish()
}

/// A Sensor that takes one event after the other, changes in between, and does nothing outside.
///
/// Time is what the events say: windows of `join` and `conditionsReset` go by it.
pub struct Rehearsal {
    object: SensorObject,
    dependencies: Vec<Dependency>,
    events: Vec<EventReport>,
    triggers: Vec<Part>,
}

/// One trigger.
struct Part {
    prepared: Option<Prepared>,
    state: State,
    report: TriggerReport,
}

impl Rehearsal {
    /// Holds nothing yet.
    #[must_use]
    pub fn new(object: &SensorObject) -> Self {
        let mut rehearsal = Self {
            object: object.clone(),
            dependencies: Vec::new(),
            events: Vec::new(),
            triggers: Vec::new(),
        };
        rehearsal.change(object);
        rehearsal
    }

    /// The Sensor is from now on another one. What its triggers hold stays where the rules are the same.
    pub fn change(&mut self, object: &SensorObject) {
        self.object = object.clone();
        let engine = template_engine(&object.annotations).unwrap_or_default();
        let owner = Owner {
            namespace: object.namespace.clone(),
            sensor: object.name.clone(),
        };
        let spec = &object.spec;
        self.dependencies = spec
            .dependencies
            .iter()
            .map(|spec| Dependency::new(spec, engine))
            .collect();
        let mut before = std::mem::take(&mut self.triggers);
        for trigger in &spec.triggers {
            let template = trigger.template.clone().unwrap_or_default();
            let made = Prepared::new(spec, trigger, &owner, engine);
            let known = before
                .iter()
                .position(|part| part.report.trigger == template.name);
            let mut part = match known {
                Some(index) => before.swap_remove(index),
                None => Part {
                    prepared: None,
                    state: State::default(),
                    report: TriggerReport::default(),
                },
            };
            let report = &mut part.report;
            report.trigger.clone_from(&template.name);
            report.condition.clone_from(&template.conditions);
            let kinds = template.kinds();
            report.kind = kinds.first().copied().unwrap_or_default().to_owned();
            report.error = None;
            match made {
                Ok(prepared) => {
                    report.condition = prepared.condition.to_string();
                    if !part.state.is_of(&prepared.version) {
                        report.dropped += part.state.pending().len();
                        part.state = State::new(&prepared.version);
                    }
                    part.prepared = Some(prepared);
                }
                Err(error) => {
                    report.error = Some(chain(&error));
                    part.prepared = None;
                }
            }
            self.triggers.push(part);
        }
    }

    /// The Sensor is deleted and created anew: nothing is held.
    pub fn forget(&mut self) {
        for part in &mut self.triggers {
            part.report.dropped += part.state.pending().len();
            let version = part.prepared.as_ref().map(|prepared| &prepared.version);
            part.state = State::new(version.map_or("", String::as_str));
        }
    }

    /// An event comes, for these dependencies.
    pub fn event(&mut self, event: &Event, dependencies: &[String]) {
        let event = Arc::new(event.clone());
        let mut passed = Vec::new();
        for name in dependencies {
            let (report, event) = self.admit(name, &event);
            self.events.push(report);
            passed.extend(event.map(|event| (name.clone(), event)));
        }
        for part in &mut self.triggers {
            part.take(&passed);
        }
    }

    fn admit(&self, name: &str, event: &Arc<Event>) -> (EventReport, Option<Arc<Event>>) {
        let mut report = EventReport {
            dependency: name.to_owned(),
            event_id: event.id.clone(),
            verdict: Verdict::Passed,
            leaves: Vec::new(),
        };
        let mut known = self.dependencies.iter();
        let Some(dependency) = known.find(|dependency| dependency.name == name) else {
            report.verdict = Verdict::Failed(format!("the sensor has no dependency {name:?}"));
            return (report, None);
        };
        let mut notes = Report::new(Detail::All);
        let event = match dependency.admit(event, &mut notes) {
            Admission::Passed(input) => Some(Arc::clone(input.event())),
            Admission::Filtered(verdict) => {
                report.verdict = verdict;
                None
            }
        };
        report.leaves = notes.leaves;
        (report, event)
    }

    /// What it would have done.
    #[must_use]
    pub fn finish(self) -> DryRun {
        let triggers = self.triggers.into_iter().map(|part| {
            let Part {
                prepared,
                state,
                mut report,
            } = part;
            if let Some(prepared) = prepared {
                report.held = state.held_ids();
                report.missing = missing(&prepared.condition, &state, report.firings.is_empty());
            }
            report
        });
        DryRun {
            events: self.events,
            triggers: triggers.collect(),
        }
    }
}

impl Part {
    /// Takes what passed the filters of dependencies, in the order of the condition as the runtime does.
    fn take(&mut self, passed: &[(String, Arc<Event>)]) {
        let Some(prepared) = &self.prepared else {
            return;
        };
        let condition = &prepared.condition;
        for name in condition.dependencies() {
            for (_, event) in passed.iter().filter(|(of, _)| of == name) {
                if !condition.needs_all() {
                    let events = Events::from([(name.clone(), Input::new(Arc::clone(event)))]);
                    let firing = firing(&prepared.launcher, &events);
                    self.report.firings.push(firing);
                    continue;
                }
                // No bus has stored them: an event's own time stands for when it came.
                let at = event.time.unwrap_or(Timestamp::UNIX_EPOCH);
                let ticks = prepared.resets.iter();
                let tick = ticks.filter_map(|schedule| schedule.last_before(at)).max();
                if let Some(tick) = tick {
                    self.report.dropped += self.state.reset(tick).len();
                }
                let step = match &prepared.join {
                    None => self.state.on_event(condition, name, event, at),
                    Some(join) => match join.key(name, event) {
                        Ok(key) => {
                            let unmet = self.state.expire(join.oldest(at));
                            self.report.dropped += unmet.len();
                            self.state.on_keyed(condition, name, &key, event, at)
                        }
                        Err(why) => {
                            self.report.error = Some(format!("{name}: {why}"));
                            continue;
                        }
                    },
                };
                match step {
                    Step::Fire(by, kept) => {
                        let input = |(name, kept): (String, crate::conditions::Kept)| {
                            (name, Input::new(kept.0))
                        };
                        let events: Events = kept.into_iter().map(input).collect();
                        let firing = firing(&prepared.launcher, &events);
                        self.report.firings.push(firing);
                        self.state.done(&by);
                    }
                    Step::Replaced(_) => self.report.dropped += 1,
                    Step::Held | Step::Known => {}
                }
            }
        }
    }
}

fn missing(condition: &Condition, state: &State, nothing_fired: bool) -> Vec<Vec<String>> {
    let present = state.present();
    if present.is_empty() && !nothing_fired {
        return Vec::new();
    }
    condition.missing(|name| present.contains(name))
}

fn firing(launcher: &Launcher, events: &Events) -> FiringReport {
    let id = launcher.firing_id(events);
    let (action, effect) = match launcher.plan_dry(events, &id) {
        Ok(effect) => {
            let shown = String::from_utf8_lossy(&effect.show()).into_owned();
            (effect.says(), Ok(shown))
        }
        Err(error) => (String::new(), Err(chain(&error))),
    };
    let ids = events
        .iter()
        .map(|(name, input)| (name.clone(), input.event().id.clone()));
    FiringReport {
        events: ids.collect(),
        action,
        effect,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{event, yaml};

    const SENSOR: &str = r#"
dependencies:
  - name: a
    eventSourceName: webhook
    eventName: x
    filters: {data: [{path: body.level, type: number, comparator: ">", value: ["3"]}]}
  - {name: b, eventSourceName: webhook, eventName: z}
triggers:
  - template:
      name: both
      conditions: a && b
      k8s:
        source:
          resource: {apiVersion: v1, kind: ConfigMap, metadata: {generateName: seen-}, data: {level: ""}}
        parameters:
          - {src: {dependencyName: a, dataKey: body.level}, dest: data.level}
  - template: {name: later, conditions: a, kafka: {url: k, topic: t, payload: [{src: {dependencyName: a}, dest: x}]}}
"#;

    fn run_with(events: &[(&str, &str)]) -> DryRun {
        let events: Vec<(String, Event)> = events
            .iter()
            .map(|(name, payload)| ((*name).to_owned(), event(&format!("{name}1"), payload)))
            .collect();
        let object = SensorObject {
            namespace: "ns".to_owned(),
            name: "s".to_owned(),
            annotations: BTreeMap::new(),
            spec: yaml(SENSOR),
        };
        dry_run(&object, &events)
    }

    #[test]
    fn a_firing_shows_the_object_and_an_unknown_kind_says_so() {
        let run = run_with(&[("a", r#"{"body":{"level":9007199254740993}}"#), ("b", "{}")]);
        assert!(run.fires());
        let object = run.triggers[0].firings[0].effect.clone().unwrap();
        assert!(object.contains(r#""level":"9007199254740993""#), "{object}");
        assert!(object.contains(r#""namespace":"ns""#), "{object}");
        let written = serde_json::to_string(&run).unwrap();
        assert!(
            written.contains(&format!(r#""effect":{object}"#)),
            "{written}"
        );
        let later = &run.triggers[1].firings;
        let error = "trigger kind `kafka` is not supported yet".to_owned();
        assert_eq!((later.len(), &later[0].effect), (1, &Err(error)));
    }

    #[test]
    fn a_filter_says_what_it_wants_and_what_was_there() {
        let run = run_with(&[("a", r#"{"body":{"level":2}}"#), ("b", "{}")]);
        assert!(!run.fires());
        let leaf = &run.events[0].leaves[0];
        let said = (
            leaf.path.as_str(),
            leaf.expected.as_str(),
            leaf.actual.as_str(),
        );
        assert_eq!(said, ("filters.data[0]", "body.level > 3", "2"));
        assert_eq!(run.triggers[0].missing, [["a"]]);
    }
}
