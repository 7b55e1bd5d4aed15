//! Snapshots of what is made of EventSources and Sensors, and the rules that a snapshot does not show.
//! They never speak to an API server.

use std::collections::BTreeMap;

use expect_test::{ExpectFile, expect_file};
use serde_json::{Value, json};
use tiphys_core::manifest;
use tiphys_eventbus::BusStatusConfig;
use tiphys_eventsource::EventSourceSpec;
use tiphys_sensor::SensorSpec;

use super::references::{Holder, of_spec};
use super::{Workload, deployment_name, plan};
use crate::hosting::Kind;
use crate::operator::settings::Settings;

fn jetstream() -> Value {
    json!({ "jetstream": {
        "url": "nats://eventbus-default-js-svc.ns.svc:4222",
        "accessSecret": { "name": "eventbus-default-js-client-auth", "key": "client-auth" },
    }})
}

/// What is made of an EventSource or Sensor, as a list of objects.
fn made(text: &str, bus: Value) -> Vec<Value> {
    let object = manifest::parse(text).unwrap().remove(0).object;
    let strings = |key: &str| -> BTreeMap<String, String> {
        let value = object["metadata"].get(key).cloned();
        value.map_or_else(BTreeMap::new, |value| {
            serde_json::from_value(value).unwrap()
        })
    };
    let (labels, annotations) = (strings("labels"), strings("annotations"));
    let bus: BusStatusConfig = serde_json::from_value(bus).unwrap();
    let name = object["metadata"]["name"].as_str().unwrap();
    let sensor = object["kind"] == "Sensor";
    let source: EventSourceSpec = if sensor {
        EventSourceSpec::default()
    } else {
        serde_json::from_value(object["spec"].clone()).unwrap()
    };
    let other: SensorSpec = if sensor {
        serde_json::from_value(object["spec"].clone()).unwrap()
    } else {
        SensorSpec::default()
    };
    let kind = if sensor {
        Kind::Sensor
    } else {
        Kind::EventSource
    };
    let deployment = deployment_name(kind, name, "uid");
    let workload = Workload {
        kind,
        namespace: "ns",
        name,
        labels: &labels,
        annotations: &annotations,
        spec: &object["spec"],
        template: source.template.as_ref().or(other.template.as_ref()),
        replicas: source.replicas.or(other.replicas),
        revision_history_limit: other.revision_history_limit,
        service: source.service.as_ref(),
        single: !sensor && source.replicas_of_kinds() == tiphys_eventsource::Replicas::One,
        bus: &bus,
        bus_uid: "the-bus",
        deployment: &deployment,
        contents: None,
    };
    let wanted = plan(&workload, &Settings::new("tiphys:test"));
    wanted.into_iter().map(|wanted| wanted.object).collect()
}

/// The same with the long texts of the environment read.
fn readable(mut object: Value) -> Value {
    use base64::Engine as _;
    let env = object.pointer_mut("/spec/template/spec/containers/0/env");
    for variable in env.and_then(Value::as_array_mut).into_iter().flatten() {
        let name = variable["name"].as_str().unwrap().to_owned();
        if name.ends_with("_OBJECT") || name == "EVENTBUS_CONFIG" {
            let text = variable["value"].as_str().unwrap();
            let bytes = base64::engine::general_purpose::STANDARD
                .decode(text)
                .unwrap();
            variable["value"] = serde_json::from_slice(&bytes).unwrap();
        }
    }
    object
}

fn check(objects: Vec<Value>, expected: &ExpectFile) {
    let text: Vec<String> = objects
        .into_iter()
        .map(|object| serde_json::to_string_pretty(&readable(object)).unwrap())
        .collect();
    expected.assert_eq(&format!("{}\n", text.join("\n---\n")));
}

/// Names of volumes, and where they are mounted.
fn volumes(object: &Value) -> Vec<(String, String)> {
    let pod = &object["spec"]["template"]["spec"];
    let mounts = pod["containers"][0]["volumeMounts"].as_array().unwrap();
    let names = pod["volumes"].as_array().unwrap().iter();
    names
        .map(|volume| {
            let name = volume["name"].as_str().unwrap();
            let mount = mounts.iter().find(|mount| mount["name"] == name);
            let path = mount.map_or("", |mount| mount["mountPath"].as_str().unwrap());
            (name.to_owned(), path.to_owned())
        })
        .collect()
}

#[test]
fn a_webhook_has_a_deployment_and_a_service() {
    let objects = made(
        "
apiVersion: argoproj.io/v1alpha1
kind: EventSource
metadata: {name: webhook, namespace: ns, labels: {team: a}}
spec:
  service:
    ports: [{port: 12000, targetPort: 12000}]
    metadata: {labels: {team: b, tier: front}, annotations: {note: x}}
  webhook:
    example: {port: '12000', endpoint: /example, method: POST}
",
        jetstream(),
    );
    check(objects, &expect_file!["snapshots/webhook.json"]);
}

#[test]
fn a_sensor_takes_everything_from_its_template() {
    let objects = made(
        "
apiVersion: argoproj.io/v1alpha1
kind: Sensor
metadata:
  name: s
  namespace: ns
  labels: {controller: mine}
  annotations:
    events.argoproj.io/leader-election: k8s
    tiphys.dev/start-from: oldest
    kubectl.kubernetes.io/last-applied-configuration: '{}'
spec:
  replicas: 2
  revisionHistoryLimit: 3
  template:
    metadata: {labels: {app: x, sensor-name: other}, annotations: {note: why}}
    serviceAccountName: operate-workflow-sa
    container:
      resources: {limits: {memory: 64Mi}}
      imagePullPolicy: Never
      securityContext: {runAsUser: 1000}
      env: [{name: A, value: '1'}, {name: POD_NAME, value: mine}, {name: A, value: '2'}]
      envFrom: [{configMapRef: {name: shared}}]
      volumeMounts: [{name: data, mountPath: /data}]
    volumes: [{name: data, emptyDir: {}}]
    securityContext: {fsGroup: 2000}
    nodeSelector: {disk: ssd}
    tolerations: [{key: a, operator: Exists}]
    imagePullSecrets: [{name: pull}]
    priorityClassName: high
    priority: 7
    affinity: {nodeAffinity: {}}
  dependencies: [{name: d, eventSourceName: s, eventName: e}]
  triggers: [{template: {name: t, log: {}}}]
",
        json!({ "jetstream": { "url": "nats://a:4222" } }),
    );
    check(objects, &expect_file!["snapshots/sensor.json"]);
}

#[test]
fn volumes_are_those_of_the_reference_in_its_order() {
    let sensor = made(
        "
kind: Sensor
metadata: {name: s}
spec:
  template: {volumes: [{name: test-data, emptyDir: {}}]}
",
        json!({ "nats": { "url": "nats://a", "auth": "token", "accessSecret": { "name": "n", "key": "k" } } }),
    );
    let names: Vec<String> = volumes(&sensor[0])
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["test-data", "auth-volume", "tmp"]);

    let source = made(
        "
kind: EventSource
metadata: {name: e}
spec:
  webhook:
    one:
      authSecret: {name: webhook1, key: k}
      serverCertSecret: {name: webhook2, key: k}
      serverKeySecret: {name: webhook2, key: other}
  kafka:
    three:
      config: ''
      tls: {caCertSecret: {name: test-secret, key: k}}
  github:
    four: {apiToken: {name: dotted.name, key: k}, metadata: {name: a, key: b}}
    five: {apiToken: {name: under_score, key: k}}
  template:
    container:
      env:
      - {name: A, valueFrom: {configMapKeyRef: {name: test-cm, key: k}}}
",
        jetstream(),
    );
    let found = volumes(&source[0]);
    let found: Vec<(&str, &str)> = found
        .iter()
        .map(|(name, path)| (name.as_str(), path.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            ("auth-volume", "/etc/eventbus/auth"),
            ("cm-test-cm", "/argo-events/config/test-cm"),
            (
                "secret-dotted-name-6d886d7e",
                "/argo-events/secrets/dotted.name"
            ),
            ("secret-test-secret", "/argo-events/secrets/test-secret"),
            ("secret-under-score", "/argo-events/secrets/under_score"),
            ("secret-webhook1", "/argo-events/secrets/webhook1"),
            ("secret-webhook2", "/argo-events/secrets/webhook2"),
            ("tmp", "/tmp"),
        ]
    );
}

#[test]
fn what_a_bus_refers_to_is_mounted_in_both() {
    let kafka = json!({ "kafka": {
        "url": "k:9092",
        "tls": { "caCertSecret": { "name": "tls-secret", "key": "ca" } },
        "sasl": {
            "userSecret": { "name": "sasl-secret", "key": "user" },
            "passwordSecret": { "name": "sasl-secret", "key": "password" },
        },
    }});
    let jetstream = json!({ "jetstream": { "url": "nats://a", "tls": {
        "caCertSecret": { "name": "secret-0", "key": "ca" },
        "clientCertSecret": { "name": "secret-1", "key": "cert" },
        "clientKeySecret": { "name": "secret-1", "key": "key" },
    }}});
    for kind in ["EventSource", "Sensor"] {
        let text = format!(
            "kind: {kind}\nmetadata: {{name: x}}\nspec: {{webhook: {{a: {{authSecret: {{name: secret-1, key: t}}}}}}}}"
        );
        let names = |bus: Value| -> Vec<String> {
            let objects = made(&text, bus);
            volumes(&objects[0])
                .into_iter()
                .map(|(name, _)| name)
                .collect()
        };
        assert_eq!(
            names(kafka.clone()),
            [
                "secret-sasl-secret",
                "secret-secret-1",
                "secret-tls-secret",
                "tmp"
            ]
        );
        let objects = made(&text, jetstream.clone());
        let pod = &objects[0]["spec"]["template"]["spec"];
        assert_eq!(
            pod["volumes"][0]["secret"],
            json!({ "secretName": "secret-0", "items": [{ "key": "ca", "path": "ca" }] }),
            "no more of a bus's Secret than it names"
        );
        assert_eq!(
            names(jetstream.clone()),
            ["secret-secret-0", "secret-secret-1", "tmp"]
        );
    }
}

#[test]
fn no_name_and_no_path_is_there_twice() {
    let objects = made(
        "
kind: EventSource
metadata: {name: e}
spec:
  webhook: {a: {authSecret: {name: s, key: k}}}
  template:
    container:
      volumeMounts: [{name: mine, mountPath: /tmp/}, {name: secret-s, mountPath: /x}]
    volumes: [{name: mine, emptyDir: {}}, {name: secret-s, emptyDir: {}}, {name: mine, hostPath: {path: /y}}]
",
        json!({ "jetstream": { "url": "nats://a" } }),
    );
    assert_eq!(
        objects[0]["spec"]["template"]["spec"]["volumes"],
        json!([
            { "name": "mine", "hostPath": { "path": "/y" } },
            { "name": "secret-s", "emptyDir": {} },
            { "name": "secret-s-1", "secret": { "secretName": "s" } },
        ])
    );
    let mounts = &objects[0]["spec"]["template"]["spec"]["containers"][0]["volumeMounts"];
    let paths: Vec<&str> = mounts
        .as_array()
        .unwrap()
        .iter()
        .map(|mount| mount["mountPath"].as_str().unwrap())
        .collect();
    assert_eq!(paths, ["/tmp/", "/x", "/argo-events/secrets/s"]);
}

#[test]
fn an_object_that_is_too_long_for_one_variable_goes_into_several() {
    use base64::Engine as _;
    let long = "x".repeat(300_000);
    let text =
        format!("kind: Sensor\nmetadata: {{name: s}}\nspec: {{loggingFields: {{a: {long}}}}}");
    let objects = made(&text, json!({ "jetstream": { "url": "nats://a" } }));
    let env = &objects[0]["spec"]["template"]["spec"]["containers"][0]["env"];
    let pieces: Vec<(&str, &str)> = env
        .as_array()
        .unwrap()
        .iter()
        .filter(|variable| {
            variable["name"]
                .as_str()
                .unwrap()
                .starts_with("SENSOR_OBJECT")
        })
        .map(|variable| {
            let value = variable["value"].as_str().unwrap();
            (variable["name"].as_str().unwrap(), value)
        })
        .collect();
    assert!(pieces.iter().all(|(_, piece)| piece.len() < 128 << 10));
    let names: Vec<&str> = pieces.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        [
            "SENSOR_OBJECT",
            "SENSOR_OBJECT_1",
            "SENSOR_OBJECT_2",
            "SENSOR_OBJECT_3",
            "SENSOR_OBJECT_4"
        ]
    );
    let whole: String = pieces.iter().map(|(_, piece)| *piece).collect();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(whole)
        .unwrap();
    let object: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(object["spec"]["loggingFields"]["a"], long);
}

#[test]
fn what_sends_every_event_from_each_pod_has_one_and_never_two_at_once() {
    let text = "kind: EventSource\nmetadata: {name: c}\nspec: {replicas: 3, calendar: {a: {interval: 10s}}}";
    let spec = made(text, jetstream())[0]["spec"].clone();
    assert_eq!(spec["replicas"], 1);
    assert_eq!(spec["strategy"], json!({ "type": "Recreate" }));
}

#[test]
fn fewer_than_one_pod_is_one() {
    for replicas in [0, -3] {
        let text = format!("kind: Sensor\nmetadata: {{name: s}}\nspec: {{replicas: {replicas}}}");
        assert_eq!(made(&text, jetstream())[0]["spec"]["replicas"], 1);
    }
}

#[test]
fn references_are_found_wherever_they_stand_and_nothing_else_is_taken_for_one() {
    let spec = json!({
        "template": {
            "container": {
                "env": [{ "name": "A", "valueFrom": { "secretKeyRef": { "name": "env", "key": "k" } } }],
                "envFrom": [{ "secretRef": { "name": "whole", "optional": true } }, { "configMapRef": { "name": "map" } }],
            },
            "tolerations": [{ "key": "a", "name": "b" }],
            "volumes": [{ "name": "v", "secret": { "secretName": "live" } }],
        },
        "triggers": [{
            "template": {
                "http": { "secureHeaders": [{ "name": "h", "valueFrom": { "configMapKeyRef": { "name": "deep", "key": "k" } } }] },
                "k8s": { "source": {
                    "configmap": { "name": "source", "key": "yaml" },
                    "resource": { "spec": { "value": { "name": "not", "key": "this" } } },
                }},
            },
            "dlqTrigger": { "template": { "slack": { "slackToken": { "name": "dlq", "key": "k", "optional": true } } } },
        }],
        "webhook": { "e": { "metadata": { "name": "free", "key": "words" } } },
        "pulsar": { "e": { "authParams": { "name": "free", "key": "words" } } },
    });
    let found: Vec<_> = of_spec(&spec)
        .into_iter()
        .map(|found| {
            let secret = found.holder == Holder::Secret;
            (
                secret,
                found.name,
                found.key.is_some(),
                found.mounted,
                found.optional,
            )
        })
        .collect();
    let row = |secret, name: &str, key, mounted, optional| {
        (secret, name.to_owned(), key, mounted, optional)
    };
    assert_eq!(
        found,
        [
            row(true, "dlq", true, true, true),
            row(true, "env", true, true, false),
            row(true, "whole", false, false, true),
            row(false, "deep", true, true, false),
            row(false, "map", false, false, false),
            row(false, "source", true, true, false),
        ]
    );
}

#[test]
fn hostile_nesting_ends() {
    let mut spec = json!({ "name": "s", "key": "k" });
    for _ in 0..400 {
        spec = json!({ "a": [spec] });
    }
    assert_eq!(of_spec(&spec).len(), 0);
}
