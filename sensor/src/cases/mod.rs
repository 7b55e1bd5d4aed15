//! Cases kept beside Sensors: given events, expected firings. It reads and judges them; what plays them is the caller's
//! choice: a [`Rehearsal`], which does nothing outside, or a bus with a running Sensor.
//!
//! ```yaml
//! sensor: sensor.yaml            # beside this file; or the spec itself under `spec`
//! cases:
//!   - name: a push to main starts the build
//!     set: {dependencies.0.filters.data.0.value: [main]}   # changes the spec for this case
//!     given:
//!       - {dependency: push, payload: {body: {branch: main}}}
//!     expect:
//!       - {trigger: build, object: {spec: {arguments: {parameters: [{value: main}]}}}}
//!       - {trigger: deploy, none: "branch = release"}
//! ```
//!
//! Between the events of `given` things may happen to the Sensor: `{change: {PATH: VALUE}}`, `{restart: true}` and
//! `{delete: true}`, after which it is created anew. A trigger that is not named in `expect` must not fire.

mod compare;
mod expect;
mod given;

use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};
use tiphys_core::manifest::{self, Document, YamlError};
use tiphys_core::{Event, Problems};

use self::compare::set;
use self::expect::Expect;
use self::given::Given;
use crate::dry_run::{DryRun, Rehearsal};
use crate::runtime::SensorObject;
use crate::spec::Sensor;

/// The namespace of cases.
const NAMESPACE: &str = "default";

/// What is wrong with a file of cases; somebody has to mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CaseError(String);

impl CaseError {
    fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// The cases of one Sensor.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Suite {
    /// The file with the Sensor.
    sensor: Option<String>,
    /// Its name, where the file has several.
    sensor_name: Option<String>,
    /// The spec of the Sensor, instead of a file.
    spec: Option<Value>,
    /// The annotations of the Sensor, instead of a file.
    #[serde(default)]
    annotations: Value,
    /// The cases, in order.
    pub cases: Vec<Case>,
}

/// One case.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Case {
    /// What it tries, for people.
    pub name: String,
    /// Values put into the Sensor's spec, by path.
    #[serde(default)]
    set: serde_json::Map<String, Value>,
    #[serde(default)]
    given: Vec<Given>,
    #[serde(default)]
    expect: Vec<Expect>,
    /// The Sensor must be refused, with a message that holds this text.
    invalid: Option<String>,
}

/// What is to be played for a case.
#[derive(Debug, Clone, PartialEq)]
pub struct Play {
    /// The Sensor at the beginning.
    pub sensor: SensorObject,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// One thing that happens in a case.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// An event comes, for these dependencies of the Sensor.
    Event(Box<Event>, Vec<String>),
    /// The Sensor is from now on this one.
    Change(Box<SensorObject>),
    /// The Sensor stops and starts.
    Restart,
    /// The Sensor is deleted and created anew.
    Delete,
}

/// What a case has said before anything is played.
#[derive(Debug)]
pub enum Staged {
    /// The Sensor stands; this is to be played and judged.
    Play(Box<Play>),
    /// The Sensor is refused, and this is what is wrong with that; empty where it must be.
    Judged(Vec<String>),
}

/// Every suite of a file.
///
/// # Errors
/// When the file is no list of cases.
pub fn suites(text: &str) -> Result<Vec<Suite>, CaseError> {
    let documents = manifest::parse(text).map_err(|error| not_yaml(&error))?;
    let suite = |document: &Document| {
        serde_json::from_value(document.object.clone())
            .map_err(|error| CaseError::new(format!("not a list of cases: {error}")))
    };
    documents.iter().map(suite).collect()
}

impl Case {
    /// Plays the case as a dry run, and gives what is not as it must be. Files are beside `folder`.
    ///
    /// # Errors
    /// When the case cannot be played.
    pub fn run(&self, suite: &Suite, folder: &Path) -> Result<Vec<String>, CaseError> {
        Ok(match self.stage(suite, folder)? {
            Staged::Judged(failures) => failures,
            Staged::Play(play) => self.judge(&play.rehearse()),
        })
    }

    /// Reads the Sensor and the events.
    ///
    /// # Errors
    /// When the case cannot be played.
    pub fn stage(&self, suite: &Suite, folder: &Path) -> Result<Staged, CaseError> {
        let mut object = suite.object(folder)?;
        let sensor = match (changed(&mut object, &self.set)?, &self.invalid) {
            (Ok(sensor), None) => sensor,
            (Ok(_), Some(text)) => {
                return Ok(Staged::Judged(vec![format!(
                    "the Sensor must be refused with {text:?}; it is accepted"
                )]));
            }
            (Err(said), Some(text)) if said.contains(text) => {
                return Ok(Staged::Judged(Vec::new()));
            }
            (Err(said), Some(text)) => {
                return Ok(Staged::Judged(vec![format!(
                    "the Sensor must be refused with {text:?}; it is refused with:\n{said}"
                )]));
            }
            (Err(said), None) => return Err(invalid(&said)),
        };
        let (mut steps, mut current) = (Vec::new(), sensor.clone());
        for (index, given) in self.given.iter().enumerate() {
            match given {
                Given::Event(given) => {
                    let (event, dependencies) = given.event(&current.spec, index, folder)?;
                    steps.push(Step::Event(Box::new(event), dependencies));
                }
                Given::Change { change } => {
                    current = changed(&mut object, change)?.map_err(|said| invalid(&said))?;
                    steps.push(Step::Change(Box::new(current.clone())));
                }
                Given::Restart { restart: true } => steps.push(Step::Restart),
                Given::Delete { delete: true } => steps.push(Step::Delete),
                Given::Restart { .. } | Given::Delete { .. } => {
                    return Err(CaseError::new("restart and delete are true or left out"));
                }
            }
        }
        Ok(Staged::Play(Box::new(Play { sensor, steps })))
    }

    /// What is not as it must be.
    #[must_use]
    pub fn judge(&self, report: &DryRun) -> Vec<String> {
        let mut failures = Vec::new();
        for trigger in &report.triggers {
            let mut expected = self
                .expect
                .iter()
                .filter(|expect| expect.trigger == trigger.trigger);
            match expected.next() {
                Some(expect) => expect.judge(trigger, &report.events, &mut failures),
                None if trigger.firings.is_empty() => {}
                None => failures.push(format!(
                    "trigger {:?} must not fire, because the case does not name it; it fires {} times",
                    trigger.trigger,
                    trigger.firings.len()
                )),
            }
            if expected.next().is_some() {
                failures.push(format!(
                    "the case names trigger {:?} twice: write all of it once, what several firings make under `objects`",
                    trigger.trigger
                ));
            }
        }
        for expect in &self.expect {
            let named = |trigger: &crate::TriggerReport| trigger.trigger == expect.trigger;
            if !report.triggers.iter().any(named) {
                failures.push(format!("the Sensor has no trigger {:?}", expect.trigger));
            }
        }
        failures
    }
}

fn invalid(said: &str) -> CaseError {
    CaseError::new(format!("the Sensor is not valid: {said}"))
}

impl Play {
    /// Plays it with nothing done outside.
    #[must_use]
    pub fn rehearse(&self) -> DryRun {
        let mut rehearsal = Rehearsal::new(&self.sensor);
        for step in &self.steps {
            match step {
                Step::Event(event, dependencies) => rehearsal.event(event, dependencies),
                Step::Change(sensor) => rehearsal.change(sensor),
                // What is held outlives the process.
                Step::Restart => {}
                Step::Delete => rehearsal.forget(),
            }
        }
        rehearsal.finish()
    }
}

impl Suite {
    fn object(&self, folder: &Path) -> Result<Value, CaseError> {
        match (&self.sensor, &self.spec) {
            (None, Some(spec)) => Ok(json!({
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "Sensor",
                "metadata": {"name": "case", "annotations": self.annotations},
                "spec": spec,
            })),
            (Some(file), None) => from_file(&folder.join(file), self.sensor_name.as_deref()),
            _ => Err(CaseError::new(
                "a file of cases needs `sensor`, the file of a Sensor, or `spec`",
            )),
        }
    }
}

/// The Sensor with changes made to its spec, or what is wrong with it then.
fn changed(
    object: &mut Value,
    changes: &serde_json::Map<String, Value>,
) -> Result<Result<SensorObject, String>, CaseError> {
    for (path, value) in changes {
        let spec = object.get_mut("spec");
        let spec = spec.ok_or_else(|| CaseError::new("the Sensor has no spec"))?;
        set(spec, path, value.clone())
            .map_err(|error| CaseError::new(format!("cannot set {path:?}: {error}")))?;
    }
    let mut problems = Problems::default();
    let sensor = Sensor::read(&Document::from_object(object.clone()), &mut problems);
    Ok(match sensor {
        Some(sensor) if !problems.has_errors() => Ok(SensorObject::new(sensor, NAMESPACE)),
        _ => Err(problems.errors()),
    })
}

fn not_yaml(error: &YamlError) -> CaseError {
    CaseError::new(match error.position {
        Some(at) => format!("not YAML in line {}: {error}", at.line),
        None => format!("not YAML: {error}"),
    })
}

fn from_file(path: &Path, name: Option<&str>) -> Result<Value, CaseError> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| CaseError::new(format!("cannot read {shown}: {error}")))?;
    let documents = manifest::parse(&text)
        .map_err(|error| CaseError::new(format!("{shown}: {}", not_yaml(&error))))?;
    let sensors = documents.into_iter().filter(|document| {
        document.kind() == "Sensor" && name.is_none_or(|name| name == document.name())
    });
    let mut sensors: Vec<Value> = sensors.map(|document| document.object).collect();
    match sensors.len() {
        1 => Ok(sensors.remove(0)),
        0 => Err(CaseError::new(format!("{shown} has no such Sensor"))),
        _ => Err(CaseError::new(format!(
            "{shown} has several Sensors; choose one with sensorName"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUITE: &str = r#"
spec:
  dependencies:
    - {name: a, eventSourceName: s, eventName: a}
    - {name: b, eventSourceName: s, eventName: b}
  triggers: [{template: {name: t, conditions: a && b, log: {}}}]
cases:
"#;

    fn run(case: &str) -> Result<Vec<String>, CaseError> {
        let suites = suites(&format!("{SUITE}  - {case}")).unwrap();
        suites[0].cases[0].run(&suites[0], Path::new("."))
    }

    #[test]
    fn what_happens_to_the_sensor_between_events_is_played_too() {
        for (steps, expect) in [
            ("", "events: [{a: a1, b: b1}]"),
            ("{restart: true},", "events: [{a: a1, b: b1}]"),
            ("{delete: true},", "none: waits for a, held: {b: b1}"),
            (
                "{change: {triggers.0.template.conditions: b && a}},",
                "none: waits for a",
            ),
            (
                "{change: {triggers.0.template.log: {intervalSeconds: 1}}},",
                "events: [{a: a1, b: b1}]",
            ),
            (
                "{change: {triggers.0.template.conditionsReset: [{byTime: {cron: 0 12 * * *}}]}},",
                "none: waits for a, held: {b: b1}",
            ),
        ] {
            let case = format!(
                "{{name: case, given: [{{dependency: a, id: a1, time: '2026-01-01T11:00:00Z'}}, {steps}\
                 {{dependency: b, id: b1, time: '2026-01-01T13:00:00Z'}}], expect: [{{trigger: t, {expect}}}]}}"
            );
            assert_eq!(run(&case), Ok(Vec::new()), "{case}");
        }
    }

    #[test]
    fn a_trigger_that_is_expected_twice_is_not_taken_for_expected_once() {
        let case = "{name: case, expect: [{trigger: t, none: waits}, {trigger: t, none: wrong}]}";
        let failures = run(case).unwrap();
        assert!(
            failures[0].contains("names trigger \"t\" twice"),
            "{failures:?}"
        );
    }

    #[test]
    fn a_case_that_cannot_be_played_says_why() {
        for (case, said) in [
            (
                "{name: case, given: [{dependency: c}]}",
                "the Sensor has no dependency \"c\"",
            ),
            (
                "{name: case, given: [{restart: false}]}",
                "restart and delete are true or left out",
            ),
            (
                "{name: case, given: [{dependency: a, payload: {}, text: x}]}",
                "an event has one of payload, text and file",
            ),
            (
                "{name: case, set: {triggers.7.x: 1}}",
                "the list has only 1 items",
            ),
            (
                "{name: case, set: {triggers.0.template.conditions: c}}",
                "the Sensor is not valid",
            ),
        ] {
            let error = run(case).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        let error = suites("cases:\n  - {name: case").unwrap_err().to_string();
        assert!(error.starts_with("not YAML in line 2: "), "{error}");
        let error = suites("cases: [{name: case, gven: []}]").unwrap_err();
        assert!(
            error.to_string().contains("unknown field `gven`"),
            "{error}"
        );
    }
}
