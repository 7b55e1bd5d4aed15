//! One case: its Sensor, its events, and what must come of them. It compares with the dry run and does nothing else.

use std::path::Path;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tiphys_controller::check::{self, Checked};
use tiphys_core::manifest::{self, Document};
use tiphys_core::{Event, Problems, envelope};
use tiphys_sensor::spec::template_engine;
use tiphys_sensor::{DryRun, EventReport, SensorObject, TriggerReport, Verdict, dry_run};

use super::compare::{set, subset};

/// The namespace of cases.
const NAMESPACE: &str = "default";

/// The cases of one Sensor.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Suite {
    /// The file with the Sensor.
    sensor: Option<String>,
    /// Its name, where the file has several.
    sensor_name: Option<String>,
    /// The spec of the Sensor, instead of a file.
    spec: Option<Value>,
    /// The annotations of the Sensor, instead of a file.
    #[serde(default)]
    annotations: Value,
    pub(super) cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Case {
    pub(super) name: String,
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

/// An event.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Given {
    /// Only for this dependency; for every one that wants its source and name where nothing is said.
    dependency: Option<String>,
    source: Option<String>,
    event: Option<String>,
    id: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    time: Option<String>,
    content_type: Option<String>,
    extensions: std::collections::BTreeMap<String, String>,
    /// The payload as YAML.
    payload: Option<Value>,
    /// The payload as it is, for what YAML cannot say.
    text: Option<String>,
    /// The payload, or a whole CloudEvent, in a file beside.
    file: Option<String>,
}

/// What one trigger must do.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Expect {
    trigger: String,
    /// How often it fires; once for each of `objects`, else once.
    firings: Option<usize>,
    /// The ids of the events of each firing, by dependency.
    #[serde(default)]
    events: Vec<std::collections::BTreeMap<String, String>>,
    /// Contained in what the first firing makes.
    object: Option<Value>,
    /// Contained in what each firing makes.
    #[serde(default)]
    objects: Vec<Value>,
    /// It must not fire, with a reason that holds this text.
    none: Option<String>,
    /// It must fire, and what it makes must fail with a message that holds this text.
    fails: Option<String>,
}

/// Every suite of a file.
pub(super) fn suites(text: &str) -> anyhow::Result<Vec<Suite>> {
    let documents = manifest::parse(text).map_err(|error| anyhow::anyhow!("not YAML: {error}"))?;
    let suite = |document: &Document| {
        serde_json::from_value(document.object.clone()).context("not a list of cases")
    };
    documents.iter().map(suite).collect()
}

impl Case {
    /// What is not as it must be.
    pub(super) fn run(&self, suite: &Suite, folder: &Path) -> anyhow::Result<Vec<String>> {
        let sensor = match (self.sensor(suite, folder)?, &self.invalid) {
            (Ok(sensor), None) => sensor,
            (Ok(_), Some(text)) => {
                return Ok(vec![format!(
                    "the Sensor must be refused with {text:?}; it is accepted"
                )]);
            }
            (Err(said), Some(text)) if said.contains(text) => return Ok(Vec::new()),
            (Err(said), Some(text)) => {
                return Ok(vec![format!(
                    "the Sensor must be refused with {text:?}; it is refused with:\n{said}"
                )]);
            }
            (Err(said), None) => bail!("the Sensor is not valid: {said}"),
        };
        let mut events = Vec::new();
        for (index, given) in self.given.iter().enumerate() {
            given.events(&sensor, index, folder, &mut events)?;
        }
        let engine = template_engine(&sensor.annotations).unwrap_or_default();
        let report = dry_run(
            &sensor.spec,
            engine,
            &sensor.namespace,
            &sensor.name,
            &events,
        );
        Ok(self.judge(&report))
    }

    /// The Sensor with this case's changes, or what is wrong with it.
    fn sensor(&self, suite: &Suite, folder: &Path) -> anyhow::Result<Result<SensorObject, String>> {
        let mut object = match (&suite.sensor, &suite.spec) {
            (None, Some(spec)) => json!({
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "Sensor",
                "metadata": {"name": "case", "annotations": suite.annotations},
                "spec": spec,
            }),
            (Some(file), None) => from_file(&folder.join(file), suite.sensor_name.as_deref())?,
            _ => bail!("a file of cases needs `sensor`, the file of a Sensor, or `spec`"),
        };
        for (path, value) in &self.set {
            let spec = object.get_mut("spec").context("the Sensor has no spec")?;
            set(spec, path, value.clone()).with_context(|| format!("cannot set {path:?}"))?;
        }
        let mut problems = Problems::default();
        let checked = check::check(&Document::from_object(object), &mut problems);
        Ok(match checked {
            Some(Checked::Sensor(sensor)) if !problems.has_errors() => {
                Ok(SensorObject::new(*sensor, NAMESPACE))
            }
            _ => Err(problems.errors()),
        })
    }

    fn judge(&self, report: &DryRun) -> Vec<String> {
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
        }
        for expect in &self.expect {
            if report
                .triggers
                .iter()
                .all(|trigger| trigger.trigger != expect.trigger)
            {
                failures.push(format!("the Sensor has no trigger {:?}", expect.trigger));
            }
        }
        failures
    }
}

fn from_file(path: &Path, name: Option<&str>) -> anyhow::Result<Value> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let documents = manifest::parse(&text)
        .map_err(|error| anyhow::anyhow!("{}: not YAML: {error}", path.display()))?;
    let sensors = documents.into_iter().filter(|document| {
        document.kind() == "Sensor" && name.is_none_or(|name| name == document.name())
    });
    let mut sensors: Vec<Value> = sensors.map(|document| document.object).collect();
    match sensors.len() {
        1 => Ok(sensors.remove(0)),
        0 => bail!("{} has no such Sensor", path.display()),
        _ => bail!(
            "{} has several Sensors; choose one with sensorName",
            path.display()
        ),
    }
}

impl Given {
    /// The event, once for each dependency that it is meant for.
    fn events(
        &self,
        sensor: &SensorObject,
        index: usize,
        folder: &Path,
        events: &mut Vec<(String, Event)>,
    ) -> anyhow::Result<()> {
        let dependencies = &sensor.spec.dependencies;
        let named = match &self.dependency {
            None => None,
            Some(name) => {
                let found = dependencies
                    .iter()
                    .find(|dependency| dependency.name == *name);
                Some(found.with_context(|| format!("the Sensor has no dependency {name:?}"))?)
            }
        };
        let mut event = self.event(index, folder)?;
        // A dependency for any event takes one with a name like any other.
        let plain = |name: &str| {
            if name == "*" {
                "any".to_owned()
            } else {
                name.to_owned()
            }
        };
        if let Some(dependency) = named {
            if event.source.is_empty() {
                event.source = plain(&dependency.event_source_name);
            }
            if event.subject.is_empty() {
                event.subject = plain(&dependency.event_name);
            }
            events.push((dependency.name.clone(), event));
            return Ok(());
        }
        let fits = |want: &str, have: &str| want == "*" || want == have;
        for dependency in dependencies {
            if fits(&dependency.event_source_name, &event.source)
                && fits(&dependency.event_name, &event.subject)
            {
                events.push((dependency.name.clone(), event.clone()));
            }
        }
        Ok(())
    }

    fn event(&self, index: usize, folder: &Path) -> anyhow::Result<Event> {
        let data = match (&self.payload, &self.text, &self.file) {
            (Some(payload), None, None) => Some(payload.to_string().into_bytes()),
            (None, Some(text), None) => Some(text.clone().into_bytes()),
            (None, None, Some(file)) => {
                let path = folder.join(file);
                Some(
                    std::fs::read(&path)
                        .with_context(|| format!("cannot read {}", path.display()))?,
                )
            }
            (None, None, None) => None,
            _ => bail!("an event has one of payload, text and file"),
        };
        let whole = data
            .as_ref()
            .filter(|_| self.file.is_some())
            .and_then(|data| serde_json::from_slice::<Value>(data).ok())
            .is_some_and(|value| value.get("specversion").is_some());
        let mut event = match (&data, whole) {
            (Some(data), true) => envelope::decode(data).context("not a CloudEvent")?,
            _ => {
                let mut event = Event::new("", "webhook", "", Bytes::new());
                event.id = format!("event-{}", index + 1);
                event.time = Some(jiff::Timestamp::UNIX_EPOCH);
                event.data = data.map(Bytes::from);
                event
            }
        };
        let put = |field: &mut String, value: &Option<String>| {
            if let Some(value) = value {
                field.clone_from(value);
            }
        };
        put(&mut event.source, &self.source);
        put(&mut event.subject, &self.event);
        put(&mut event.id, &self.id);
        put(&mut event.kind, &self.kind);
        put(&mut event.content_type, &self.content_type);
        if let Some(time) = &self.time {
            event.time = Some(
                time.parse()
                    .with_context(|| format!("time {time:?} is not RFC 3339"))?,
            );
        }
        event.extensions.extend(self.extensions.clone());
        Ok(event)
    }
}

impl Expect {
    fn judge(&self, trigger: &TriggerReport, events: &[EventReport], failures: &mut Vec<String>) {
        let name = &trigger.trigger;
        let mut fail = |text: String| failures.push(format!("trigger {name:?} {text}"));
        if let Some(text) = &self.none {
            let reasons = reasons(trigger, events);
            if !trigger.firings.is_empty() {
                fail(format!(
                    "must not fire; it fires {} times",
                    trigger.firings.len()
                ));
            } else if !reasons.iter().any(|reason| reason.contains(text)) {
                fail(format!(
                    "does not fire, and the reason must hold {text:?}; it is:\n  {}",
                    reasons.join("\n  ")
                ));
            }
            return;
        }
        if trigger.firings.is_empty() {
            fail(format!(
                "must fire; it does not:\n  {}",
                reasons(trigger, events).join("\n  ")
            ));
            return;
        }
        let wanted: Vec<&Value> = self.object.iter().chain(&self.objects).collect();
        let count = self
            .firings
            .unwrap_or_else(|| wanted.len().max(self.events.len()).max(1));
        if trigger.firings.len() != count {
            fail(format!(
                "must fire {count} times; it fires {} times",
                trigger.firings.len()
            ));
        }
        for (index, firing) in trigger.firings.iter().enumerate() {
            if let Some(ids) = self.events.get(index)
                && firing.events != *ids
            {
                fail(format!(
                    "firing {}: its events must be {ids:?}; they are {:?}",
                    index + 1,
                    firing.events
                ));
            }
            match (&firing.effect, &self.fails) {
                (Ok(_), Some(text)) => fail(format!(
                    "firing {}: must fail with {text:?}; it does not",
                    index + 1
                )),
                (Err(error), Some(text)) if error.contains(text) => {}
                (Err(error), _) => fail(format!("firing {}: {error}", index + 1)),
                (Ok(effect), None) => {
                    let Some(want) = wanted.get(index) else {
                        continue;
                    };
                    let made = serde_json::from_str(effect)
                        .unwrap_or_else(|_| Value::String(effect.clone()));
                    let mut differences = Vec::new();
                    subset("", want, &made, &mut differences);
                    if !differences.is_empty() {
                        fail(format!(
                            "firing {} makes something else:\n{}",
                            index + 1,
                            differences.join("\n")
                        ));
                    }
                }
            }
        }
    }
}

/// Why a trigger does not fire.
fn reasons(trigger: &TriggerReport, events: &[EventReport]) -> Vec<String> {
    let mut reasons = Vec::new();
    for event in events {
        let dependency = &event.dependency;
        match &event.verdict {
            Verdict::Passed => continue,
            Verdict::Failed(why) => reasons.push(format!("{dependency}: a filter failed: {why}")),
            Verdict::Filtered => reasons.push(format!("{dependency}: filtered")),
        }
        for leaf in event.leaves.iter().filter(|leaf| !leaf.verdict.passed()) {
            let (path, expected, actual) = (&leaf.path, &leaf.expected, &leaf.actual);
            reasons.push(format!(
                "{dependency}: {path} wants {expected}, has {actual}"
            ));
        }
    }
    reasons.extend(trigger.error.clone());
    let sets: Vec<String> = trigger
        .missing
        .iter()
        .map(|set| set.join(" and "))
        .collect();
    if !sets.is_empty() {
        reasons.push(format!("waits for {}", sets.join(", or ")));
    }
    reasons
}
