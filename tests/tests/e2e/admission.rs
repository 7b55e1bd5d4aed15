//! The admission webhook on the way that every object takes: kubectl or a client, a real API server, our program.

mod certificates;

use std::time::Duration;

use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tiphys_core::manifest;
use tiphys_tests::ports::free_port;
use tiphys_tests::{ApiServer, Tiphys, TiphysCommand, eventually_ok, temp_dir};

use crate::crds::{api, create, examples, install, kubectl, manifests, object, said};
use crate::support::{LIMIT, NAMESPACE};

const CONFIGURATION: &str = "webhook.tiphys.dev";

/// The configuration of the manifests, but for a program on this machine, and with nothing let through unasked.
async fn register(client: &Client, port: u16) {
    let text = std::fs::read_to_string(manifests("webhook/configuration.yaml")).unwrap();
    let mut configuration = manifest::parse(&text).unwrap().remove(0).object;
    let webhook = &mut configuration["webhooks"][0];
    webhook["clientConfig"] = json!({ "url": format!("https://127.0.0.1:{port}/") });
    webhook["failurePolicy"] = json!("Fail");
    Api::<ValidatingWebhookConfiguration>::all(client.clone())
        .patch(
            CONFIGURATION,
            &PatchParams::apply("tiphys-tests"),
            &Patch::Apply(configuration),
        )
        .await
        .unwrap();
}

fn webhook(server: &ApiServer, port: u16) -> TiphysCommand {
    Tiphys::command(["webhook", "--namespace", NAMESPACE, "--host", "127.0.0.1"])
        .args(["--listen", &format!("127.0.0.1:{port}")])
        .env("KUBECONFIG", server.kubeconfig_path())
}

/// Waits until the API server asks the webhook and trusts it.
async fn asked(client: &Client) {
    eventually_ok("the webhook to be asked", LIMIT, async || {
        let answer = create(
            &api(client, "EventBus"),
            &object("EventBus", "asked", json!({})),
        )
        .await;
        match answer {
            Err(kube::Error::Api(status)) if status.message.contains("denied the request") => {
                Ok(())
            }
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

fn sensor(bus: &str) -> Value {
    json!({
        "eventBusName": bus,
        "dependencies": [{ "name": "d", "eventSourceName": "s", "eventName": "e" }],
        "triggers": [{ "template": { "name": "t", "log": {} } }],
    })
}

async fn refusal(client: &Client, kind: &str, spec: Value) -> String {
    let object = object(kind, "refused", spec);
    let made = create(&api(client, kind), &object).await;
    made.unwrap_err().to_string()
}

#[tokio::test]
async fn objects_are_let_in_or_denied_with_every_reason() {
    let server = ApiServer::start().await;
    let client = server.client().await;
    server.create_namespace(NAMESPACE).await;
    install(&server).await;
    // From before there was a webhook.
    let old = object("EventSource", "old", json!({ "webhook": { "e": {} } }));
    let typed = serde_json::from_value(old).unwrap();
    api(&client, "EventSource")
        .create(&PostParams::default(), &typed)
        .await
        .unwrap();
    let port = free_port();
    let mut process = webhook(&server, port).start();
    register(&client, port).await;
    asked(&client).await;

    everything_wrong_is_said_at_once(&server);
    warnings_arrive(&server);
    a_sensor_needs_its_bus(&client).await;
    only_the_spec_is_looked_at(&client).await;
    a_bus_stays_what_it_is(&client).await;
    the_examples_pass(&client).await;
    the_rules_deny(&client).await;

    process.terminate();
    assert!(
        process.wait_exit(LIMIT).await.success(),
        "{}",
        process.stderr()
    );
}

fn everything_wrong_is_said_at_once(server: &ApiServer) {
    let text = "apiVersion: argoproj.io/v1alpha1\nkind: Sensor\nmetadata: {name: bad, namespace: argo-events}\nspec:\n  dependencies: [{name: d, eventName: e, eventSorceName: s}]\n  triggers:\n  - template: {name: a, http: {url: '', timeout: 1}}\n  - template: {name: a, conditions: 'd && nobody', log: {}}\n";
    let output = kubectl(server, &["apply", "-f", "-"], text);
    let said = said(&output);
    assert!(!output.status.success(), "{said}");
    for line in [
        "admission webhook \"webhook.tiphys.dev\" denied the request: invalid Sensor:",
        "\n- spec.dependencies[0].eventSourceName: must be set",
        "\n- spec.triggers[0].template.http.url: must be set",
        "\n- spec.triggers[1].template.name:",
        "\n- spec.triggers[1].template.conditions",
        "Warning: spec.dependencies[0].eventSorceName: is not a known field",
    ] {
        assert!(said.contains(line), "{line}\n{said}");
    }
}

fn warnings_arrive(server: &ApiServer) {
    let text = "apiVersion: argoproj.io/v1alpha1\nkind: EventBus\nmetadata: {name: default, namespace: argo-events}\nspec: {jetstream: {version: latest, repicas: 3}}\n";
    let output = kubectl(server, &["apply", "-f", "-"], text);
    let said = said(&output);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains(
            "Warning: spec.jetstream.repicas: is not a known field; it is kept and has no effect"
        ),
        "{said}"
    );
}

async fn a_sensor_needs_its_bus(client: &Client) {
    let said = refusal(client, "Sensor", sensor("absent")).await;
    assert!(
        said.contains("spec.eventBusName") && said.contains("failed to get EventBus \"absent\""),
        "{said}"
    );
    create(
        &api(client, "Sensor"),
        &object("Sensor", "fine", sensor("default")),
    )
    .await
    .unwrap();
}

async fn only_the_spec_is_looked_at(client: &Client) {
    let sources = api(client, "EventSource");
    let label = json!({ "metadata": { "labels": { "a": "b" }, "finalizers": ["tests/held"] } });
    let merge = PatchParams::default();
    sources
        .patch("old", &merge, &Patch::Merge(label))
        .await
        .unwrap();
    let status = json!({ "status": { "conditions": [] } });
    sources
        .patch_status("old", &merge, &Patch::Merge(status))
        .await
        .unwrap();
    let spec = json!({ "spec": { "webhook": { "e": { "endpoint": "/e" } } } });
    let denied = sources
        .patch("old", &merge, &Patch::Merge(spec))
        .await
        .unwrap_err();
    assert!(
        denied.to_string().contains("spec.webhook.e.port"),
        "{denied}"
    );
    sources
        .delete("old", &DeleteParams::default())
        .await
        .unwrap();
    let going = json!({ "metadata": { "finalizers": [] } });
    sources
        .patch("old", &merge, &Patch::Merge(going))
        .await
        .unwrap();
    assert!(sources.get_opt("old").await.unwrap().is_none());
}

async fn a_bus_stays_what_it_is(client: &Client) {
    let buses = api(client, "EventBus");
    let merge = PatchParams::default();
    let other =
        json!({ "spec": { "jetstream": null, "jetstreamExotic": { "url": "nats://a:4222" } } });
    let denied = buses
        .patch("default", &merge, &Patch::Merge(other))
        .await
        .unwrap_err();
    assert!(
        denied.to_string().contains("spec: must stay jetstream"),
        "{denied}"
    );
    let more = json!({ "spec": { "jetstream": { "replicas": 5 } } });
    buses
        .patch("default", &merge, &Patch::Merge(more))
        .await
        .unwrap();
}

async fn the_examples_pass(client: &Client) {
    let mut refused = Vec::new();
    for (path, mut object) in examples() {
        let kind = object["kind"].as_str().unwrap().to_owned();
        if kind == "Sensor" {
            object["spec"]["eventBusName"] = json!("default");
        }
        if kind == "EventBus" {
            object["metadata"]["name"] = json!("example");
        }
        if let Err(error) = create(&api(client, &kind), &object).await {
            refused.push(format!("{path}: {error}"));
        }
    }
    assert!(refused.is_empty(), "{refused:#?}");
}

/// Each for its own reason.
async fn the_rules_deny(client: &Client) {
    let dependency = |extra: Value| {
        let mut spec = sensor("default");
        let members = extra.as_object().unwrap().clone();
        spec["dependencies"][0]
            .as_object_mut()
            .unwrap()
            .extend(members);
        spec
    };
    let trigger = |extra: Value| {
        let mut spec = sensor("default");
        spec["triggers"][0] = extra;
        spec
    };
    let cases = [
        ("EventBus", json!({}), "spec:"),
        (
            "EventBus",
            json!({"nats": {"native": {}, "exotic": {"url": "nats://a", "clusterID": "c"}}}),
            "spec.nats:",
        ),
        (
            "EventBus",
            json!({"nats": {"exotic": {"url": "nats://a"}}}),
            "spec.nats.exotic.clusterID",
        ),
        (
            "EventBus",
            json!({"jetstream": {}}),
            "spec.jetstream.version",
        ),
        (
            "EventBus",
            json!({"jetstream": {"version": "latest", "replicas": 2}}),
            "spec.jetstream.replicas",
        ),
        (
            "EventBus",
            json!({"jetstreamExotic": {}}),
            "spec.jetstreamExotic.url",
        ),
        ("EventBus", json!({"kafka": {}}), "spec.kafka.url"),
        (
            "EventSource",
            json!({"webhook": {"e": {"port": "x", "endpoint": "/e"}}}),
            "spec.webhook.e.port",
        ),
        (
            "EventSource",
            json!({"calendar": {"e": {}}}),
            "spec.calendar.e",
        ),
        (
            "EventSource",
            json!({"calendar": {"e": {"schedule": "@daily"}}}),
            "spec.calendar.e.schedule",
        ),
        (
            "EventSource",
            json!({"calendar": {"e": {"interval": "1s"}}, "webhook": {"e": {"port": "1", "endpoint": "/"}}}),
            "spec",
        ),
        (
            "EventSource",
            json!({"kafka": {"e": {"url": "a:1", "topic": "t"}}}),
            "spec.kafka.e",
        ),
        (
            "EventSource",
            json!({"file": {"e": {"watchPathConfig": {"directory": "rel", "path": "x"}}}}),
            "spec.file.e",
        ),
        (
            "Sensor",
            json!({"dependencies": [], "triggers": []}),
            "spec.triggers",
        ),
        (
            "Sensor",
            dependency(json!({"name": ""})),
            "spec.dependencies[0].name",
        ),
        (
            "Sensor",
            dependency(json!({"filters": {"context": {}}})),
            "spec.dependencies[0].filters.context",
        ),
        (
            "Sensor",
            dependency(json!({"filters": {"time": {"start": "00:00:00", "stop": "00:00:00"}}})),
            "spec.dependencies[0].filters.time",
        ),
        (
            "Sensor",
            dependency(
                json!({"filters": {"time": {"start": "00:00:00", "stop": "06:00:00", "timezone": "No/Where"}}}),
            ),
            "timezone",
        ),
        (
            "Sensor",
            dependency(
                json!({"filters": {"data": [{"path": "a", "type": "string", "value": [""]}]}}),
            ),
            "spec.dependencies[0].filters.data[0].value",
        ),
        (
            "Sensor",
            dependency(json!({"filters": {"exprs": [{"expr": "", "fields": []}]}})),
            "spec.dependencies[0].filters.exprs[0]",
        ),
        ("Sensor", trigger(json!({})), "spec.triggers[0].template"),
        (
            "Sensor",
            trigger(
                json!({"template": {"name": "t", "log": {}, "conditionsReset": [{"byTime": {"cron": "a * * * *"}}]}}),
            ),
            "conditionsReset[0].byTime.cron",
        ),
        (
            "Sensor",
            trigger(
                json!({"template": {"name": "t", "log": {}}, "dlqTrigger": {"template": {"name": "u", "log": {}}, "atLeastOnce": false}, "atLeastOnce": false}),
            ),
            "spec.triggers[0]",
        ),
        (
            "Sensor",
            trigger(json!({"template": {"name": "t", "k8s": {"operation": "create"}}})),
            "spec.triggers[0].template.k8s.source",
        ),
        (
            "Sensor",
            trigger(
                json!({"template": {"name": "t", "http": {"url": "http://a", "parameters": [{}]}}}),
            ),
            "spec.triggers[0].template.http.parameters[0]",
        ),
        (
            "Sensor",
            trigger(json!({"template": {"name": "t", "kafka": {"url": "a:1", "topic": "t"}}})),
            "spec.triggers[0].template.kafka.payload",
        ),
        (
            "Sensor",
            trigger(json!({"template": {"name": "t", "email": {"host": "h", "port": 70000}}})),
            "spec.triggers[0].template.email.port",
        ),
    ];
    let mut wrong = Vec::new();
    for (kind, spec, path) in cases {
        let shown = spec.to_string();
        match create(&api(client, kind), &object(kind, "refused", spec)).await {
            Err(kube::Error::Api(status)) if status.message.contains(path) => {}
            other => wrong.push(format!("{kind} {shown} wants {path}: {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A program that could not start says what to do about it.
#[tokio::test]
async fn a_webhook_that_cannot_start_says_why() {
    let folder = temp_dir();
    let config = folder.path().join("config");
    std::fs::write(&config, json!({"apiVersion": "v1", "kind": "Config", "current-context": "c", "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}], "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}]}).to_string()).unwrap();
    for (args, says) in [
        (vec!["--validity", "soon"], "must be a duration"),
        (vec!["--cert", "a.crt", "--key", "a.key"], "a.crt"),
        (vec!["--listen", "nowhere"], "--listen"),
    ] {
        let output = Tiphys::command(["webhook"])
            .args(args)
            .env("KUBECONFIG", &config)
            .output(Duration::from_secs(60))
            .await;
        assert!(
            output.code != Some(0) && output.stderr.contains(says),
            "{output:?}"
        );
    }
}
