//! The decision on one object, from the request alone. Pure: no clock, no network.

use serde::Deserialize;
use serde_json::Value;
use tiphys_core::manifest::Document;
use tiphys_core::{Path, Problem, Problems, Severity};
use tiphys_eventbus::EventBusSpec;

use crate::check::{self, Checked};

/// The part of an admission review's request that decides.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Request {
    /// Comes back in the answer.
    pub(crate) uid: String,
    /// What the object is.
    pub(crate) kind: Kind,
    /// CREATE, UPDATE, DELETE or CONNECT.
    pub(crate) operation: String,
    /// Where the object is.
    #[serde(default)]
    pub(crate) namespace: String,
    /// The object as it would be kept.
    #[serde(default)]
    pub(crate) object: Value,
    /// The object as it is.
    #[serde(default)]
    pub(crate) old_object: Value,
}

/// A kind with its group.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Kind {
    #[serde(default)]
    pub(crate) group: String,
    pub(crate) kind: String,
}

/// What was found, and what is still to be asked of the API server.
#[derive(Debug, Default)]
pub(crate) struct Judgement {
    /// Errors deny, warnings are passed on.
    pub(crate) problems: Problems,
    /// The EventBus that the Sensor needs.
    pub(crate) needs_bus: Option<String>,
}

/// Judges one request.
pub(crate) fn judge(request: &Request) -> Judgement {
    let mut judgement = Judgement::default();
    if !matches!(request.operation.as_str(), "CREATE" | "UPDATE") {
        return judgement;
    }
    let known = matches!(
        request.kind.kind.as_str(),
        "EventBus" | "EventSource" | "Sensor"
    );
    if request.kind.group != "argoproj.io" || !known {
        judgement.problems.error(format!(
            "{:?} of group {:?} is not checked by this webhook; its rules must name only eventbus, eventsources and sensors of argoproj.io",
            request.kind.kind, request.kind.group
        ));
        return judgement;
    }
    let update = request.operation == "UPDATE";
    if update && (is_going(&request.object) || is_unchanged(&request.old_object, &request.object)) {
        return judgement;
    }
    let document = Document::from_object(request.object.clone());
    let checked = check::check(&document, &mut judgement.problems);
    check::names(&document, checked.as_ref(), &mut judgement.problems);
    match checked {
        Some(Checked::EventBus(new)) if update => {
            compare(&request.old_object, &new, &mut judgement.problems);
        }
        Some(Checked::Sensor(sensor)) => {
            let name = sensor.spec.event_bus_name.as_str();
            let name = if name.is_empty() { "default" } else { name };
            judgement.needs_bus = Some(name.to_owned());
        }
        Some(_) => {}
        None if judgement.problems.has_errors() => {}
        None => judgement.problems.error("cannot be read"),
    }
    judgement
}

/// The rules that hold between two states of an EventBus.
fn compare(old: &Value, new: &EventBusSpec, problems: &mut Problems) {
    // What was kept before there was a webhook may be anything; what cannot be read cannot be kept to.
    let old = Document::from_object(old.clone());
    if let Some(Checked::EventBus(old)) = check::check(&old, &mut Problems::default()) {
        problems.at("spec", |problems| new.validate_update(&old, problems));
    }
}

/// Whether the object is being deleted, when nothing may stand in the way of its finalizers.
fn is_going(object: &Value) -> bool {
    object
        .pointer("/metadata/deletionTimestamp")
        .is_some_and(Value::is_string)
}

/// Whether only metadata or status changes.
fn is_unchanged(old: &Value, new: &Value) -> bool {
    let generation = |object: &Value| {
        object
            .pointer("/metadata/generation")
            .and_then(Value::as_i64)
            .filter(|generation| *generation > 0)
    };
    match (generation(old), generation(new)) {
        (Some(old), Some(new)) => old == new,
        _ => old.get("spec").is_some() && old.get("spec") == new.get("spec"),
    }
}

/// A problem with the EventBus that a Sensor names.
pub(crate) fn bus_problem(severity: Severity, message: String) -> Problem {
    Problem {
        severity,
        path: Path::default().key("spec").key("eventBusName"),
        message,
        inner: None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(kind: &str, generation: i64, spec: Value) -> Value {
        json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": kind,
            "metadata": { "name": "x", "namespace": "n", "generation": generation },
            "spec": spec,
        })
    }

    fn request(operation: &str, old: Value, new: Value) -> Request {
        let kind = new["kind"].as_str().unwrap_or("EventBus").to_owned();
        Request {
            uid: "u".to_owned(),
            kind: Kind {
                group: "argoproj.io".to_owned(),
                kind,
            },
            operation: operation.to_owned(),
            namespace: "n".to_owned(),
            object: new,
            old_object: old,
        }
    }

    fn errors(operation: &str, old: Value, new: Value) -> String {
        judge(&request(operation, old, new)).problems.errors()
    }

    #[test]
    fn all_problems_are_reported_with_their_paths() {
        let spec = json!({
            "dependencies": [{ "name": "" }],
            "triggers": [{ "template": { "name": "t", "http": { "url": "", "method": "TRACE" } } }],
        });
        let errors = errors("CREATE", Value::Null, object("Sensor", 1, spec));
        for path in [
            "spec.dependencies[0].name",
            "spec.dependencies[0].eventSourceName",
            "spec.triggers[0].template.http.url",
            "spec.triggers[0].template.http.method",
        ] {
            assert!(errors.contains(path), "{path}\n{errors}");
        }
    }

    #[test]
    fn names_of_which_nothing_can_be_made_are_denied() {
        let webhook =
            json!({ "webhook": { "e": { "port": "1", "endpoint": "/e", "method": "POST" } } });
        let mut service = webhook.clone();
        service["service"] = json!({ "ports": [{ "port": 1 }] });
        let jetstream = json!({ "jetstream": { "version": "latest" } });
        let exotic = json!({ "jetstreamExotic": { "url": "nats://a:4222" } });
        for (kind, spec, name, said) in [
            ("EventBus", &jetstream, "a".repeat(40), ""),
            ("EventBus", &jetstream, "a".repeat(41), "error"),
            ("EventBus", &jetstream, "a.b".to_owned(), "error"),
            ("EventBus", &exotic, "a.b".to_owned(), ""),
            ("EventBus", &exotic, "a".repeat(64), "error"),
            ("EventSource", &webhook, "a.b".to_owned(), ""),
            ("EventSource", &webhook, "a".repeat(64), "error"),
            ("EventSource", &service, "a".repeat(47), ""),
            ("EventSource", &service, "a".repeat(48), "warning"),
            ("EventSource", &service, "a.b".to_owned(), "warning"),
        ] {
            let mut object = object(kind, 1, spec.clone());
            object["metadata"]["name"] = json!(name);
            let problems = judge(&request("CREATE", Value::Null, object)).problems;
            let found: Vec<String> = problems
                .list()
                .iter()
                .filter(|problem| problem.path.to_string() == "metadata.name")
                .map(|problem| format!("{:?}", problem.severity).to_lowercase())
                .collect();
            assert_eq!(found.join(" "), said, "{kind} {name}: {problems}");
        }
    }

    #[test]
    fn unknown_fields_warn_and_do_not_deny() {
        let spec = json!({ "jetstream": { "version": "2.10.10", "repicas": 3 } });
        let problems = judge(&request("CREATE", Value::Null, object("EventBus", 1, spec))).problems;
        assert!(!problems.has_errors(), "{problems}");
        assert!(
            problems.to_string().contains("spec.jetstream.repicas"),
            "{problems}"
        );
    }

    #[test]
    fn updates_of_metadata_and_deletions_always_pass() {
        let bad = || object("EventBus", 3, json!({}));
        assert_eq!(errors("UPDATE", bad(), bad()), "");
        assert_eq!(errors("DELETE", bad(), Value::Null), "");
        assert_eq!(errors("CONNECT", Value::Null, bad()), "");
        let mut going = object("EventBus", 4, json!({}));
        going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert_eq!(errors("UPDATE", bad(), going), "");
        assert_ne!(
            errors("UPDATE", bad(), object("EventBus", 4, json!({"x": 1}))),
            ""
        );
        // An object without generations is compared itself.
        assert_eq!(
            errors(
                "UPDATE",
                object("EventBus", 0, json!({})),
                object("EventBus", 0, json!({}))
            ),
            ""
        );
    }

    #[test]
    fn an_event_bus_stays_what_it_is() {
        let native = json!({ "nats": { "native": { "auth": "token" } } });
        let exotic = json!({ "nats": { "exotic": { "clusterID": "c", "url": "nats://a:4222" } } });
        let jetstream = json!({ "jetstream": { "version": "latest" } });
        let foreign = json!({ "jetstreamExotic": { "url": "nats://a:4222" } });
        for (from, to) in [
            (&native, &exotic),
            (&exotic, &native),
            (&native, &foreign),
            (&native, &json!({ "nats": { "native": {} } })),
            (&foreign, &jetstream),
        ] {
            let (old, new) = (
                object("EventBus", 1, from.clone()),
                object("EventBus", 2, to.clone()),
            );
            assert!(
                errors("UPDATE", old, new).contains("must stay"),
                "{from} {to}"
            );
        }
        let more = json!({ "jetstream": { "version": "latest", "replicas": 5 } });
        let (old, new) = (
            object("EventBus", 1, jetstream),
            object("EventBus", 2, more),
        );
        assert_eq!(errors("UPDATE", old, new), "");
    }

    #[test]
    fn what_is_kept_already_and_cannot_be_read_binds_nobody() {
        let old = object("EventBus", 1, json!("what?"));
        let new = object(
            "EventBus",
            2,
            json!({ "jetstream": { "version": "latest" } }),
        );
        assert_eq!(errors("UPDATE", old, new), "");
    }

    #[test]
    fn other_kinds_are_denied_with_the_reason() {
        let mut pod = object("Pod", 1, json!({}));
        pod["apiVersion"] = json!("v1");
        assert!(errors("CREATE", Value::Null, pod).contains("is not checked by this webhook"));
    }

    #[test]
    fn a_sensor_asks_for_its_bus() {
        let spec = |bus: &str| {
            json!({
                "eventBusName": bus,
                "dependencies": [{ "name": "d", "eventSourceName": "s", "eventName": "e" }],
                "triggers": [{ "template": { "name": "t", "log": {} } }],
            })
        };
        for (given, asked) in [("", "default"), ("other", "other")] {
            let judgement = judge(&request(
                "CREATE",
                Value::Null,
                object("Sensor", 1, spec(given)),
            ));
            assert_eq!(
                judgement.needs_bus.as_deref(),
                Some(asked),
                "{}",
                judgement.problems
            );
        }
    }

    #[test]
    fn an_object_of_the_wrong_shape_is_denied_and_not_a_panic() {
        for object in [
            json!(null),
            json!(1),
            json!([]),
            json!({}),
            json!({ "spec": 1 }),
        ] {
            let mut request = request("CREATE", Value::Null, object);
            request.kind.kind = "Sensor".to_owned();
            assert!(judge(&request).problems.has_errors());
        }
    }
}
