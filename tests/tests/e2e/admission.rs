//! The admission webhook on the way that every object takes: kubectl or a client, a real API server, our program.

mod certificates;
mod refusals;

use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tiphys_core::manifest;
use tiphys_tests::ports::free_port;
use tiphys_tests::{ApiServer, Tiphys, TiphysCommand, eventually_ok, temp_dir};

use crate::crds::{api, create, install, kubectl, manifests, object, said};
use crate::examples::examples;
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
    webhook_with(server, port, "off")
}

fn webhook_with(server: &ApiServer, port: u16, admin: &str) -> TiphysCommand {
    Tiphys::command(["webhook", "--namespace", NAMESPACE, "--host", "127.0.0.1"])
        .args(["--admin", admin])
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
    let (port, admin) = (free_port(), free_port());
    let mut process = webhook_with(&server, port, &format!("127.0.0.1:{admin}")).start();
    process
        .wait_until_ready(&format!("http://127.0.0.1:{admin}/readyz"), LIMIT)
        .await;
    register(&client, port).await;
    asked(&client).await;

    everything_wrong_is_said_at_once(&server);
    warnings_arrive(&server);
    a_sensor_needs_its_bus(&client).await;
    only_the_spec_is_looked_at(&client).await;
    a_bus_stays_what_it_is(&client).await;
    the_examples_pass(&client).await;
    refusals::are_denied(&client).await;
    fields_without_a_value_pass(&server);
    every_review_is_counted(admin).await;

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

async fn every_review_is_counted(admin: u16) {
    let answer = reqwest::get(format!("http://127.0.0.1:{admin}/metrics")).await;
    let text = answer.unwrap().text().await.unwrap();
    let sample = |name: &str| -> f64 {
        let line = text.lines().find(|line| line.starts_with(name));
        line.unwrap_or_else(|| panic!("{name}\n{text}"))
            .rsplit_once(' ')
            .unwrap()
            .1
            .parse()
            .unwrap()
    };
    for kind in ["EventBus", "EventSource", "Sensor"] {
        let verdict = |verdict: &str| {
            sample(&format!(
                "tiphys_webhook_requests_total{{kind=\"{kind}\",verdict=\"{verdict}\"}}"
            ))
        };
        let all = verdict("allowed") + verdict("warned") + verdict("denied");
        assert!(
            verdict("allowed") > 0.0 && verdict("denied") > 0.0,
            "{text}"
        );
        let times = format!("tiphys_webhook_request_duration_seconds_count{{kind=\"{kind}\"}}");
        assert_eq!(sample(&times), all, "{text}");
    }
    let warned = "tiphys_webhook_requests_total{kind=\"EventBus\",verdict=\"warned\"}";
    assert!(sample(warned) > 0.0, "{text}");
    let failed = "tiphys_webhook_requests_total{kind=\"unknown\",verdict=\"failed\"}";
    assert_eq!(sample(failed), 0.0, "{text}");
    // It looks for the EventBuses of Sensors.
    let found = "tiphys_api_requests_total{code=\"200\",method=\"GET\"}";
    assert!(sample(found) > 0.0, "{text}");
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
    for fewer in [json!(3), json!(4), Value::Null] {
        let fewer = json!({ "spec": { "jetstream": { "replicas": fewer } } });
        let denied = buses.patch("default", &merge, &Patch::Merge(fewer)).await;
        let denied = denied.unwrap_err().to_string();
        let path = "spec.jetstream.replicas: must stay 5 or become more";
        assert!(denied.contains(path), "{denied}");
    }
}

/// Server-side apply hands them on as they are.
fn fields_without_a_value_pass(server: &ApiServer) {
    let args = ["apply", "--server-side", "-n", NAMESPACE, "-f", "-"];
    let text = crate::operator::nulls::EMPTY;
    for _ in ["new", "as before"] {
        let output = kubectl(server, &args, &text.replace("NAME", "empty"));
        let said = said(&output);
        assert!(
            output.status.success() && !said.contains("Warning"),
            "{said}"
        );
    }
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
        let output = Tiphys::command(["webhook", "--admin", "off"])
            .args(args)
            .env("KUBECONFIG", &config)
            .output(LIMIT)
            .await;
        assert!(
            output.code != Some(0) && output.stderr.contains(says),
            "{output:?}"
        );
    }
}
