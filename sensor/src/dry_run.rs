//! What a Sensor would do with given events, by the same code as the runtime, and nothing done.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use tiphys_core::Event;
use tiphys_core::tasks::chain;
use tiphys_lang::condition::Condition;

use crate::conditions::{State, Step};
use crate::dependency::{Admission, Dependency};
use crate::document::{Events, Input};
use crate::filters::{Detail, Leaf, Report, Verdict};
use crate::prepared::{Launcher, Owner, Prepared};
use crate::spec::{DependencySpec, SensorSpec, TemplateEngine};

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
#[derive(Debug, Clone, PartialEq, Serialize)]
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
    /// Why the trigger cannot run at all.
    pub error: Option<String>,
}

/// What one firing would do.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FiringReport {
    /// The ids of its events by dependency.
    pub events: BTreeMap<String, String>,
    /// The object, request or message as JSON, or why there is none.
    pub effect: Result<String, String>,
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
pub fn dry_run(
    spec: &SensorSpec,
    engine: TemplateEngine,
    namespace: &str,
    name: &str,
    events: &[(String, Event)],
) -> DryRun {
    let owner = Owner {
        namespace: namespace.to_owned(),
        sensor: name.to_owned(),
    };
    let mut reports = Vec::new();
    let mut passed: Vec<(String, Arc<Event>)> = Vec::new();
    for (dependency, event) in events {
        let (report, event) = admit(spec, engine, dependency, event);
        reports.push(report);
        passed.extend(event.map(|event| (dependency.clone(), event)));
    }
    let trigger = |trigger: &crate::spec::TriggerSpec| {
        let template = trigger.template.clone().unwrap_or_default();
        let mut report = TriggerReport {
            trigger: template.name.clone(),
            condition: template.conditions.clone(),
            kind: template
                .kinds()
                .first()
                .copied()
                .unwrap_or_default()
                .to_owned(),
            firings: Vec::new(),
            missing: Vec::new(),
            error: None,
        };
        match Prepared::new(spec, trigger, &owner, engine) {
            Ok(prepared) => run(&prepared, &passed, &mut report),
            Err(error) => report.error = Some(chain(&error)),
        }
        report
    };
    DryRun {
        events: reports,
        triggers: spec.triggers.iter().map(trigger).collect(),
    }
}

fn admit(
    spec: &SensorSpec,
    engine: TemplateEngine,
    name: &str,
    event: &Event,
) -> (EventReport, Option<Arc<Event>>) {
    let mut report = EventReport {
        dependency: name.to_owned(),
        event_id: event.id.clone(),
        verdict: Verdict::Passed,
        leaves: Vec::new(),
    };
    let named = |dependency: &&DependencySpec| dependency.name == name;
    let Some(dependency) = spec.dependencies.iter().find(named) else {
        report.verdict = Verdict::Failed(format!("the sensor has no dependency {name:?}"));
        return (report, None);
    };
    let dependency = Dependency::new(dependency, engine);
    let mut notes = Report::new(Detail::All);
    let event = match dependency.admit(&Arc::new(event.clone()), &mut notes) {
        Admission::Passed(input) => Some(Arc::clone(input.event())),
        Admission::Filtered(verdict) => {
            report.verdict = verdict;
            None
        }
    };
    report.leaves = notes.leaves;
    (report, event)
}

fn run(prepared: &Prepared, passed: &[(String, Arc<Event>)], report: &mut TriggerReport) {
    let condition = &prepared.condition;
    report.condition = condition.to_string();
    let mut state = State::new("");
    for (dependency, event) in passed {
        if !condition.dependencies().contains(dependency) {
            continue;
        }
        if !condition.needs_all() {
            let events = Events::from([(dependency.clone(), Input::new(Arc::clone(event)))]);
            report.firings.push(firing(&prepared.launcher, &events));
            continue;
        }
        let at = Timestamp::UNIX_EPOCH;
        let step = match &prepared.join {
            None => state.on_event(condition, dependency, event, at),
            Some(join) => match join.key(dependency, event) {
                Ok(key) => {
                    // Windows are measured by the events' own times: no bus has stored them.
                    let at = event.time.unwrap_or(at);
                    state.expire(join.oldest(at));
                    state.on_keyed(condition, dependency, &key, event, at)
                }
                Err(why) => {
                    report.error = Some(format!("{dependency}: {why}"));
                    continue;
                }
            },
        };
        if let Step::Fire(by, kept) = step {
            let input =
                |(name, kept): (String, crate::conditions::Kept)| (name, Input::new(kept.0));
            let events: Events = kept.into_iter().map(input).collect();
            report.firings.push(firing(&prepared.launcher, &events));
            state.done(&by);
        }
    }
    report.missing = missing(condition, &state, report.firings.is_empty());
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
    let effect = match launcher.plan_dry(events, &id) {
        Ok(effect) => Ok(String::from_utf8_lossy(&effect.show()).into_owned()),
        Err(error) => Err(chain(&error)),
    };
    let ids = events
        .iter()
        .map(|(name, input)| (name.clone(), input.event().id.clone()));
    FiringReport {
        events: ids.collect(),
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
        dry_run(&yaml(SENSOR), TemplateEngine::Go, "ns", "s", &events)
    }

    #[test]
    fn a_firing_shows_the_object_and_an_unknown_kind_says_so() {
        let run = run_with(&[("a", r#"{"body":{"level":9007199254740993}}"#), ("b", "{}")]);
        assert!(run.fires());
        let object = run.triggers[0].firings[0].effect.clone().unwrap();
        assert!(object.contains(r#""level":"9007199254740993""#), "{object}");
        assert!(object.contains(r#""namespace":"ns""#), "{object}");
        let error = run.triggers[1].error.as_deref();
        assert_eq!(error, Some("trigger kind `kafka` is not supported yet"));
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
