//! Each row that can be found is found where it is met, and nowhere else; and nothing is found twice under one name.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tiphys_core::manifest::Document;

use super::*;

const BY_BUILD: [&str; 2] = ["trigger-not-built", "source-not-built"];

fn object(kind: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": kind,
        "metadata": { "name": "x" },
        "spec": spec,
    })
}

/// A Sensor that meets nothing that must be looked at.
fn sensor() -> Value {
    object(
        "Sensor",
        json!({
            "dependencies": [{ "name": "d", "eventSourceName": "s", "eventName": "e" }],
            "triggers": [{ "template": { "name": "t", "log": {} } }],
        }),
    )
}

fn with(mut object: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match object.pointer_mut(parent).unwrap() {
        Value::Array(items) => items[key.parse::<usize>().unwrap()] = value,
        members => members[key] = value,
    }
    object
}

fn dependency(key: &str, value: Value) -> Value {
    with(sensor(), &format!("/spec/dependencies/0/{key}"), value)
}

fn trigger(value: Value) -> Value {
    with(sensor(), "/spec/triggers/0", value)
}

/// A Sensor with two dependencies.
fn two(template: Value) -> Value {
    let mut template = template;
    template["name"] = json!("t");
    template["log"] = json!({});
    let sensor = trigger(json!({ "template": template }));
    let named = |name: &str| json!({ "name": name, "eventSourceName": "s", "eventName": name });
    with(
        sensor,
        "/spec/dependencies",
        json!([named("d"), named("e")]),
    )
}

fn parameter(src: Value) -> Value {
    let mut src = src;
    src["dependencyName"] = json!("d");
    trigger(json!({
        "atLeastOnce": true,
        "template": { "name": "t", "http": {
            "url": "http://a", "payload": [{ "src": src, "dest": "a" }],
        }},
        "dlqTrigger": { "atLeastOnce": true, "template": { "name": "u", "log": {} } },
    }))
}

fn webhook(extra: Value) -> Value {
    let mut event = json!({ "port": "12000", "endpoint": "/e", "method": "POST" });
    for (key, value) in extra.as_object().unwrap() {
        event[key] = value.clone();
    }
    object("EventSource", json!({ "webhook": { "e": event } }))
}

fn bus(spec: Value) -> Value {
    object("EventBus", spec)
}

/// What is found in an object: `id path`, what is only safer left out.
fn found(object: &Value) -> Vec<String> {
    let findings = examine(&Document::from_object(object.clone()));
    findings
        .iter()
        .filter(|finding| finding.difference.level != Level::Safer)
        // What a build runs changes; nobody should have to come here for that.
        .filter(|finding| !BY_BUILD.contains(&finding.difference.id))
        .map(|finding| format!("{} {}", finding.difference.id, finding.path))
        .collect()
}

#[test]
fn what_must_be_looked_at_is_found_at_its_place() {
    let http = json!({ "name": "t", "http": { "url": "http://a", "payload": [] } });
    let cases: Vec<(Value, &[&str])> = vec![
        (sensor(), &[]),
        (
            trigger(json!({ "template": http })),
            &["at-least-once spec.triggers[0]"],
        ),
        (
            trigger(json!({ "atLeastOnce": false, "template": http })),
            &[],
        ),
        (
            trigger(
                json!({ "template": { "name": "t", "log": {} }, "retryStrategy": { "steps": 3 } }),
            ),
            &["retries-in-force spec.triggers[0].retryStrategy"],
        ),
        (
            trigger(
                json!({ "atLeastOnce": true, "template": http, "retryStrategy": {},
                "dlqTrigger": { "template": http, "rateLimit": { "requestsPerUnit": 1 } } }),
            ),
            &[
                "at-least-once spec.triggers[0].dlqTrigger",
                "rate-limit spec.triggers[0].dlqTrigger.rateLimit",
            ],
        ),
        (
            parameter(json!({ "dataTemplate": "{{ env \"HOME\" }}" })),
            &["template-environment spec.triggers[0].template.http.payload[0].src.dataTemplate"],
        ),
        (
            parameter(json!({ "dataTemplate": "{{ .env }} {{ .Input.x | default \"env\" }}" })),
            &[],
        ),
        (
            parameter(
                json!({ "dataTemplate": "{{ .x | toString | replace \"e+06\" \"000000\" }}" }),
            ),
            &["number-digits spec.triggers[0].template.http.payload[0].src.dataTemplate"],
        ),
        (
            parameter(json!({ "dataKey": "$.a" })),
            &["jsonpath spec.triggers[0].template.http.payload[0].src.dataKey"],
        ),
        (
            dependency("filters", json!({ "script": "return os.time() > 0" })),
            &["lua-sandbox spec.dependencies[0].filters.script"],
        ),
        (
            dependency(
                "transform",
                json!({ "script": "event.os = 'io' -- io\nreturn event" }),
            ),
            &[],
        ),
        (
            dependency("filtersLogicalOperator", json!("or")),
            &["or-filters spec.dependencies[0].filtersLogicalOperator"],
        ),
        (
            dependency("eventName", json!("*")),
            &["wildcards spec.dependencies[0].eventName"],
        ),
        (
            with(
                sensor(),
                "/spec/dependencies",
                json!([
                    { "name": "a-b", "eventSourceName": "s", "eventName": "e" },
                    { "name": "a_b", "eventSourceName": "s", "eventName": "f" },
                ]),
            ),
            &[
                "condition-names spec.dependencies[1].name",
                "own-consumers spec.triggers[0].template",
            ],
        ),
        (
            trigger(json!({ "template": { "name": "t", "log": {}, "conditions": "d && nobody" } })),
            &["read-before-run spec.triggers[0].template.conditions"],
        ),
        (
            with(
                two(json!({ "conditions": "d && e" })),
                "/metadata/annotations",
                json!({}),
            ),
            &["own-consumers spec.triggers[0].template.conditions"],
        ),
        (two(json!({ "conditions": "d || e" })), &[]),
        (
            with(sensor(), "/spec/replicas", json!(2)),
            &["shared-work spec.replicas"],
        ),
        (
            with(
                webhook(json!({})),
                "/spec/template",
                json!({ "volumes": [{ "name": "v", "emptyDir": {} }, { "name": "w", "hostPath": { "path": "/data" } }] }),
            ),
            &["pod-security spec.template.volumes[1].hostPath"],
        ),
        (
            with(
                webhook(json!({})),
                "/spec/template",
                json!({
                    "securityContext": { "runAsUser": 0 },
                    "volumes": [{ "name": "w", "hostPath": { "path": "/data" } }],
                }),
            ),
            &[],
        ),
        (
            with(
                trigger(
                    json!({ "template": { "name": "t", "argoWorkflow": { "source": { "resource": {
                    "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": { "generateName": "a-" } } } } } }),
                ),
                "/spec/template",
                json!({ "container": { "imagePullPolicy": "Always", "env": [{ "name": "A" }, { "name": "ARGO_SERVER", "value": "a:1" }] } }),
            ),
            &[
                "no-argo-program spec.template.container.env[1]",
                "image-pull-policy spec.template.container.imagePullPolicy",
            ],
        ),
        (
            trigger(
                json!({ "template": { "name": "t", "argoWorkflow": { "operation": "submit-from", "source": { "resource": {
                "apiVersion": "argoproj.io/v1alpha1", "kind": "WorkflowTemplate", "metadata": { "name": "a" } } } } } }),
            ),
            &["submit-from spec.triggers[0].template.argoWorkflow.operation"],
        ),
        (
            trigger(
                json!({ "template": { "name": "t", "k8s": { "source": { "url": { "path": "https://git.tools.svc:8443/a.yaml" } } } } }),
            ),
            &[
                "url-certificate spec.triggers[0].template.k8s.source.url",
                "private-addresses spec.triggers[0].template.k8s.source.url.path",
            ],
        ),
        (
            trigger(
                json!({ "template": { "name": "t", "k8s": { "source": { "url": { "path": "https://example.com/a.yaml", "verifyCert": true } } } } }),
            ),
            &[],
        ),
        (
            with(
                object(
                    "EventSource",
                    json!({ "calendar": { "e": { "interval": "10s" } } }),
                ),
                "/spec/replicas",
                json!(2),
            ),
            &["one-pod spec.replicas"],
        ),
        (with(webhook(json!({})), "/spec/replicas", json!(2)), &[]),
        (
            bus(json!({ "jetstream": { "version": "2.8.1", "streamConfig": "discard: 0" } })),
            &["bus-versions spec.jetstream.version"],
        ),
        (webhook(json!({})), &[]),
        (
            webhook(json!({ "method": "" })),
            &["empty-method spec.webhook.e.method"],
        ),
        (
            webhook(json!({ "method": "PUT" })),
            &["more-methods spec.webhook.e.method"],
        ),
        (
            webhook(json!({ "serverCertSecret": { "name": "a", "key": "b" } })),
            &["half-tls spec.webhook.e"],
        ),
        (
            bus(json!({ "jetstream": { "version": "latest", "streamConfig": "maxMsgs: 1\n" } })),
            &["stream-discard spec.jetstream.streamConfig"],
        ),
        (
            bus(
                json!({ "jetstream": { "version": "latest", "replicas": 1, "streamConfig": "discard: 1" } }),
            ),
            &[],
        ),
        (
            bus(json!({ "nats": { "native": {} } })),
            &["stan spec.nats.native"],
        ),
        (
            bus(json!({ "nats": { "exotic": { "url": "nats://a:1", "clusterID": "c" } } })),
            &["stan-exotic spec.nats.exotic"],
        ),
        (
            bus(json!({ "kafka": { "url": "a:1" } })),
            &["kafka-bus spec.kafka"],
        ),
        (bus(json!({})), &["read-before-run spec"]),
        (
            json!({ "apiVersion": "v1", "kind": "Sensor", "metadata": { "name": "x" }, "spec": {} }),
            &[],
        ),
    ];
    let mut wrong = Vec::new();
    let mut met = BTreeSet::new();
    for (object, wanted) in cases {
        let found = found(&object);
        met.extend(
            found
                .iter()
                .filter_map(|line| line.split(' ').next().map(str::to_owned)),
        );
        if found != wanted {
            wrong.push(format!("{object}\n  {found:?}\n  {wanted:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // What no object of today's build shows any more need not be found; the rest is tried above.
    let rows = sections().iter().flat_map(|section| section.rows);
    for row in rows.filter(|row| row.is_detectable() && row.level != Level::Safer) {
        let by_build = BY_BUILD.contains(&row.id);
        assert!(
            by_build || met.contains(row.id),
            "{} is never found",
            row.id
        );
    }
}

#[test]
fn what_is_only_safer_is_found_too() {
    for (object, id) in [
        (webhook(json!({})), "bus-away-503"),
        (
            bus(json!({ "jetstream": { "version": "latest", "replicas": 1 } })),
            "stream-replicas",
        ),
        (
            with(
                webhook(json!({})),
                "/metadata/annotations",
                json!({ "events.argoproj.io/leader-election": "k8s" }),
            ),
            "no-election",
        ),
        (parameter(json!({ "dataKey": "a" })), ""),
    ] {
        let found = examine(&Document::from_object(object));
        let safer: Vec<_> = found
            .iter()
            .filter(|one| one.difference.level == Level::Safer)
            .collect();
        assert_eq!(
            safer.iter().any(|one| one.difference.id == id),
            !id.is_empty(),
            "{id}"
        );
    }
}

#[test]
fn names_are_unique_and_say_what_to_do() {
    let mut seen = BTreeSet::new();
    for row in sections().iter().flat_map(|section| section.rows) {
        assert!(seen.insert(row.id), "{} is there twice", row.id);
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(row.id.chars().all(plain), "{}", row.id);
        assert!(!row.argo.is_empty() && !row.tiphys.is_empty(), "{}", row.id);
        if row.is_detectable() && row.level != Level::Safer {
            assert!(!row.remedy.is_empty(), "{} has no remedy", row.id);
        }
    }
}

#[test]
fn any_object_is_looked_at_without_harm() {
    for object in [
        json!(null),
        json!([]),
        json!({ "apiVersion": "argoproj.io/v1alpha1", "kind": "Sensor" }),
        object("Sensor", json!([])),
        object("Sensor", json!({ "dependencies": {}, "triggers": "x" })),
        object(
            "Sensor",
            json!({ "dependencies": [1, null, { "filters": [] }], "triggers": [null, { "template": [], "dlqTrigger": 1 }] }),
        ),
        object(
            "EventSource",
            json!({ "webhook": [], "nokind": { "e": 1 } }),
        ),
        object(
            "EventBus",
            json!({ "jetstream": { "streamConfig": 5, "replicas": "one" } }),
        ),
    ] {
        drop(examine(&Document::from_object(object)));
    }
}
