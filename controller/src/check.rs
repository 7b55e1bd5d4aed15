//! Says what is wrong with an object, whatever its kind: the same answer for `lint`, `run` and the admission webhook.
//! Pure: it reads no file and asks no server.

use std::collections::BTreeMap;

use serde::Deserialize;
use tiphys_core::manifest::Document;
use tiphys_core::{Path, Problem, Problems, Severity};
use tiphys_eventbus::EventBusSpec;
use tiphys_eventsource::EventSourceSpec;
use tiphys_sensor::Sensor;
use tiphys_workflow::WorkflowSpec;

use crate::operator::{eventbus, workload};

/// The group and version of Argo's kinds.
pub const API_VERSION: &str = "argoproj.io/v1alpha1";

/// An object of a kind that Tiphys runs, typed.
#[derive(Debug, Clone)]
pub enum Checked {
    /// An EventBus.
    EventBus(Box<EventBusSpec>),
    /// An EventSource.
    EventSource(Box<EventSourceSpec>),
    /// A Sensor.
    Sensor(Box<Sensor>),
    /// A Workflow, WorkflowTemplate or ClusterWorkflowTemplate.
    Workflow(Box<WorkflowSpec>),
    /// Anything else, kept as it is.
    Other,
}

/// The part of an object that is checked.
#[derive(Deserialize)]
struct Whole<T> {
    spec: T,
}

/// Reads and validates one object. `None` where it cannot be read at all.
pub fn check(document: &Document, problems: &mut Problems) -> Option<Checked> {
    if !document.object.is_object() {
        problems.error("must be an object with apiVersion, kind and metadata");
        return None;
    }
    problems.require(
        "apiVersion",
        document.api_version(),
        ", as argoproj.io/v1alpha1",
    );
    problems.require("kind", document.kind(), ", as Sensor");
    let metadata = document.object.get("metadata");
    if !metadata.is_some_and(serde_json::Value::is_object) {
        problems.at("metadata", |problems| {
            problems.error("must be set, with a name in it");
        });
        return None;
    }
    name(document, problems);
    if document.kind().is_empty() || document.api_version().is_empty() {
        return None;
    }
    if document.api_version() != API_VERSION {
        if document.api_version().starts_with("argoproj.io/") {
            let message = format!(
                "{:?} is not a version of these kinds; use {API_VERSION}",
                document.api_version()
            );
            problems.at("apiVersion", |problems| problems.error(message));
        }
        return Some(Checked::Other);
    }
    match document.kind() {
        "EventBus" => {
            let spec: EventBusSpec = typed(document, problems)?;
            problems.at("spec", |problems| spec.validate(problems));
            Some(Checked::EventBus(Box::new(spec)))
        }
        "EventSource" => {
            let spec: EventSourceSpec = typed(document, problems)?;
            let mut own = Problems::default();
            spec.validate(&mut own);
            if !own.has_errors() {
                for (kind, name, reason) in spec.cannot_run() {
                    own.at(kind, |own| {
                        own.at(&name, |own| own.warning(format!("does not run: {reason}")));
                    });
                }
            }
            problems.at("spec", |problems| problems.extend(own));
            Some(Checked::EventSource(Box::new(spec)))
        }
        "Sensor" => {
            has_spec(document, problems)?;
            let sensor = Sensor::read(document, problems)?;
            Some(Checked::Sensor(Box::new(sensor)))
        }
        "Workflow" | "WorkflowTemplate" | "ClusterWorkflowTemplate" => {
            Some(Checked::Workflow(Box::new(typed(document, problems)?)))
        }
        "CronWorkflow" | "WorkflowEventBinding" | "WorkflowTaskSet" | "WorkflowTaskResult" => {
            Some(Checked::Other)
        }
        kind => {
            let message = format!(
                "{kind:?} is not a kind of {API_VERSION} that Tiphys knows; it is stored and has no effect"
            );
            problems.at("kind", |problems| problems.warning(message));
            Some(Checked::Other)
        }
    }
}

fn typed<T: serde::de::DeserializeOwned>(
    document: &Document,
    problems: &mut Problems,
) -> Option<T> {
    has_spec(document, problems)?;
    document.typed::<Whole<T>>(problems).map(|whole| whole.spec)
}

fn has_spec(document: &Document, problems: &mut Problems) -> Option<()> {
    if document
        .object
        .get("spec")
        .is_some_and(|spec| !spec.is_null())
    {
        return Some(());
    }
    problems.at("spec", |problems| problems.error("must be set"));
    None
}

/// A name and a namespace as RFC 1123 has them, or no name where the API server makes one.
fn name(document: &Document, problems: &mut Problems) {
    let name = document.name();
    let generated = document
        .object
        .pointer("/metadata/generateName")
        .and_then(|name| name.as_str());
    let ok = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let good = name.len() <= 253
        && name.chars().all(ok)
        && ends(name.chars().next())
        && ends(name.chars().last());
    let absent = name.is_empty() && generated.is_some_and(|generated| !generated.is_empty());
    // A Sensor's own check says these, and is stricter.
    let said = document.kind() == "Sensor"
        && (name.is_empty()
            || name.contains(['.', '*', '>'])
            || name.contains(char::is_whitespace));
    if !good && !absent && !said {
        problems.at("metadata", |problems| {
            problems.at("name", |problems| {
                problems.error("must be small letters, digits, - and ., begin and end with a letter or digit, at most 253 characters");
            });
        });
    }
    let namespace = document.object.pointer("/metadata/namespace");
    let namespace = namespace
        .and_then(|namespace| namespace.as_str())
        .unwrap_or_default();
    let label = namespace.len() <= LONGEST_LABEL
        && namespace.chars().all(|c| ok(c) && c != '.')
        && !namespace.starts_with('-')
        && !namespace.ends_with('-');
    if !label {
        problems.at("metadata", |problems| {
            problems.at("namespace", |problems| {
                problems.error("must be small letters, digits and -, begin and end with a letter or digit, at most 63 characters");
            });
        });
    }
}

/// The most letters of a label and of a Service's name.
const LONGEST_LABEL: usize = 63;

/// What only a cluster asks of an object: its name becomes a label, and a part of the names of what is made for it.
pub fn names(document: &Document, checked: Option<&Checked>, problems: &mut Problems) {
    let name = document.name();
    let mut errors = Vec::new();
    let mut warnings = Vec::new();
    if name.len() > LONGEST_LABEL {
        errors.push("must have at most 63 letters, because it becomes a label".to_owned());
    }
    match checked {
        Some(Checked::EventBus(spec)) => errors.extend(eventbus::name_problem(name, spec)),
        Some(Checked::EventSource(spec)) => {
            let ports = spec.service.as_ref().map(|service| &service.ports);
            let service = workload::service_name(name);
            if ports.is_some_and(|ports| !ports.is_empty())
                && (service.len() > LONGEST_LABEL || name.contains('.'))
            {
                let most = LONGEST_LABEL.saturating_sub(workload::service_name("").len());
                warnings.push(format!(
                    "must have at most {most} letters, digits and \"-\" for spec.service to have an effect, because the Service is called {service}"
                ));
            }
        }
        _ => {}
    }
    problems.at("metadata", |problems| {
        problems.at("name", |problems| {
            errors.into_iter().for_each(|text| problems.error(text));
            warnings.into_iter().for_each(|text| problems.warning(text));
        });
    });
}

/// One object among others, for checks that need to see several.
pub struct Placed<'a> {
    /// Its namespace, the default filled in.
    pub namespace: String,
    /// The object.
    pub document: &'a Document,
    /// What it is.
    pub checked: &'a Checked,
}

/// What is wrong between objects that are used together: doubled names, dependencies on events that nobody sends.
///
/// Each problem comes with the index of the object that it is about.
#[must_use]
pub fn across(objects: &[Placed<'_>]) -> Vec<(usize, Problem)> {
    let mut found = Vec::new();
    let mut seen: BTreeMap<(String, &str, &str, &str), usize> = BTreeMap::new();
    for (index, object) in objects.iter().enumerate() {
        let document = object.document;
        if document.name().is_empty() {
            continue;
        }
        let key = (
            object.namespace.clone(),
            document.api_version(),
            document.kind(),
            document.name(),
        );
        if seen.insert(key, index).is_some() {
            let path = Path::default().key("metadata").key("name");
            let message = format!(
                "{} {:?} is defined twice; the later one wins",
                document.kind(),
                document.name()
            );
            found.push((index, problem(Severity::Warning, path, message)));
        }
    }
    let sources: BTreeMap<(&str, &str), Vec<String>> = objects
        .iter()
        .filter_map(|object| match object.checked {
            Checked::EventSource(spec) => Some((
                (object.namespace.as_str(), object.document.name()),
                spec.event_names(),
            )),
            _ => None,
        })
        .collect();
    for (index, object) in objects.iter().enumerate() {
        let Checked::Sensor(sensor) = object.checked else {
            continue;
        };
        // A sensor that is checked alone says nothing about sources that are elsewhere.
        if sources
            .keys()
            .all(|(namespace, _)| *namespace != object.namespace)
        {
            continue;
        }
        for (at, dependency) in sensor.spec.dependencies.iter().enumerate() {
            let (source, event) = (
                dependency.event_source_name.as_str(),
                dependency.event_name.as_str(),
            );
            if source.contains('*') || event.contains('*') || source.is_empty() || event.is_empty()
            {
                continue;
            }
            let path = Path::default().key("spec").key("dependencies").index(at);
            match sources.get(&(object.namespace.as_str(), source)) {
                None => found.push((
                    index,
                    problem(
                        Severity::Warning,
                        path.key("eventSourceName"),
                        format!(
                            "no EventSource {source:?} is among these files in namespace {:?}",
                            object.namespace
                        ),
                    ),
                )),
                Some(events) if !events.iter().any(|known| known == event) => found.push((
                    index,
                    problem(
                        Severity::Warning,
                        path.key("eventName"),
                        format!(
                            "EventSource {source:?} has no event {event:?}; it has {}",
                            events.join(", ")
                        ),
                    ),
                )),
                Some(_) => {}
            }
        }
    }
    found
}

fn problem(severity: Severity, path: Path, message: String) -> Problem {
    Problem {
        severity,
        path,
        message,
        inner: None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_that_no_api_takes_are_refused_for_every_kind() {
        let long = "a".repeat(64);
        for (kind, name, namespace, said) in [
            ("Sensor", "U_6", "ns", vec!["metadata.name: must be small"]),
            (
                "Sensor",
                "a b",
                "ns",
                vec!["metadata.name: must not contain"],
            ),
            (
                "Sensor",
                "a.b",
                "ns",
                vec!["metadata.name: must not contain"],
            ),
            ("Sensor", "", "ns", vec!["metadata.name: must be set"]),
            ("Sensor", "s", "a.b", vec!["metadata.namespace: must be"]),
            ("Sensor", "s", "-a", vec!["metadata.namespace: must be"]),
            ("Sensor", "s", &long, vec!["metadata.namespace: must be"]),
            (
                "ConfigMap",
                "U",
                "bad ns",
                vec!["metadata.name", "metadata.namespace"],
            ),
            ("ConfigMap", "a.b", "", vec![]),
            ("Sensor", "s-1", "ns-1", vec![]),
        ] {
            let object = json!({
                "apiVersion": if kind == "Sensor" { API_VERSION } else { "v1" },
                "kind": kind,
                "metadata": { "name": name, "namespace": namespace },
                "spec": {
                    "dependencies": [{ "name": "d", "eventSourceName": "s", "eventName": "e" }],
                    "triggers": [{ "template": { "name": "t", "log": {} } }],
                },
            });
            let mut problems = Problems::default();
            check(&Document::from_object(object), &mut problems);
            let errors = problems.errors();
            let found = problems.list().len();
            assert_eq!(found, said.len(), "{name:?} in {namespace:?}: {errors}");
            for said in said {
                assert!(errors.contains(said), "{said}: {errors}");
            }
        }
    }
}
