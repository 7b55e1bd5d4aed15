//! An EventSource or a Sensor of which this program runs a part only: that part runs, in each shape, and the status says
//! what does not and why.

use serde_json::{Value, json};
use tiphys_tests::ports::free_port;
use tiphys_tests::tls::http_client;
use tiphys_tests::{HttpSink, Tiphys, eventually};

use crate::cluster::{Ground, Pod, given, kubeconfig, to_url, webhook};
use crate::pooled::Replica;
use crate::scene::{send, source};
use crate::support::{LIMIT, LocalRun, NAMESPACE};

const WHY: &str = "EventSource kind `stripe` is not supported yet";

/// A webhook, and a kind that cannot run.
fn half(port: u16) -> Value {
    let mut spec = webhook(port);
    spec["stripe"] = paid(port);
    spec
}

fn paid(port: u16) -> Value {
    json!({"paid": {"webhook": {"endpoint": "/paid", "port": port.to_string()}}})
}

/// The same behind a file's webhook.
const PAID: &str = "  stripe: {paid: {webhook: {endpoint: /paid, port: \"12000\"}}}\n";

#[tokio::test]
async fn a_local_run_is_ready_for_the_events_that_it_can_run() {
    let sink = HttpSink::start();
    let mut run = LocalRun::forwarding(&sink.url());
    let text = source("in", "in: {endpoint: /in, port: \"12000\", method: POST}");
    run.write("source.yaml", &format!("{text}{PAID}"));
    run.start().await;
    let condition = run.condition("EventSource", "in", "PartlyListening").await;
    assert_eq!(condition["status"], "False");
    let message = condition["message"].as_str().unwrap();
    assert!(
        message.contains(&format!("event \"paid\": {WHY}"))
            && message.contains("listening for in on port"),
        "{message}"
    );
    assert_eq!(run.send("hello").await.unwrap().0, 200);
    sink.wait_for(1, LIMIT).await;
    // A value that is missing is said as well.
    let text = source(
        "in",
        "in: {endpoint: /in, port: \"12000\", authSecret: {name: absent, key: k}}",
    );
    run.write("source.yaml", &format!("{text}{PAID}"));
    let condition = run.condition("EventSource", "in", "SecretMissing").await;
    let message = condition["message"].as_str().unwrap();
    assert!(
        message.contains("\"absent\"") && message.contains(WHY),
        "{message}"
    );
}

/// A trigger that runs, and one of a kind that is only read.
fn half_sensor(url: &str) -> Value {
    let mut spec = to_url("in", url);
    let mut more = spec["triggers"][0].clone();
    more["template"] = json!({"name": "later", "kafka": {"url": "k:9092", "topic": "t", "payload": [
        {"src": {"dependencyName": "in", "dataKey": "body"}, "dest": "a"},
    ]}});
    spec["triggers"].as_array_mut().unwrap().push(more);
    spec
}

const KAFKA: &str = "trigger kind `kafka` is not supported yet";

#[tokio::test]
async fn a_sensor_runs_but_for_a_trigger_of_an_unsupported_kind_whose_events_are_kept() {
    let sink = HttpSink::start();
    let mut run = LocalRun::empty();
    run.write(
        "source.yaml",
        &source("in", "in: {endpoint: /in, port: \"12000\"}"),
    );
    let metadata = json!({"name": "half", "namespace": NAMESPACE});
    let mut sensor = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Sensor"});
    sensor["metadata"] = metadata;
    sensor["spec"] = half_sensor(&sink.url());
    run.write("half.yaml", &sensor.to_string());
    run.start().await;
    let condition = run.condition("Sensor", "half", "PartlyRunning").await;
    let message = condition["message"].as_str().unwrap();
    assert!(
        message.contains(&format!("trigger \"later\": {KAFKA}"))
            && message.contains("2 triggers subscribed"),
        "{message}"
    );
    assert_eq!(run.send("hello").await.unwrap().0, 200);
    sink.wait_for(1, LIMIT).await;
    // The other one has an end too, which says why and can be taken up by another build.
    let said = eventually("the event to be kept", LIMIT, async || {
        let list = run.tiphys(&["dead", "list", "-o", "json"]).await.stdout;
        list.contains(KAFKA).then_some(list)
    })
    .await;
    let letters: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(letters.as_array().unwrap().len(), 1, "{said}");
    assert_eq!(letters[0]["trigger"], "later");
    let waits = run.tiphys(&["why", "--sensor", "half"]).await;
    assert!(waits.stdout.contains(KAFKA), "{waits:?}");
    // Whatever is sent again is called by its sensor and its trigger in the log.
    let again = run
        .tiphys(&["replay", "half", "-n", NAMESPACE, "--trigger", "later"])
        .await;
    assert_eq!(again.code, Some(1), "{again:?}");
    let id = letters[0]["id"].as_str().unwrap();
    let again = run.tiphys(&["dead", "redrive", id]).await;
    assert_eq!(again.code, Some(1), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_takes_requests_for_the_events_that_it_can_run() {
    let ground = Ground::start().await;
    let port = free_port();
    let config = ground.bus_config();
    let mut pod = Pod::start(given("EventSource", "in", &half(port), &config));
    pod.ready().await;
    let answer = send(
        &http_client(None),
        &format!("http://127.0.0.1:{port}/in"),
        "one",
    )
    .await;
    assert_eq!(answer.unwrap().0, 200);
    let metrics = reqwest::get(pod.url("/metrics")).await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let running = "argo_events_event_service_running_total{eventsource_name=\"in\",namespace=\"argo-events\"} 1";
    assert!(metrics.contains(running), "{metrics}");
    pod.ends_well().await;
    // One that runs nothing is not ready, and says why.
    let none = json!({"stripe": paid(port)});
    let mut pod = Pod::start(given("EventSource", "in", &none, &config));
    pod.waits_for(WHY).await;
    pod.ends_well().await;

    // The controller makes pods for it, and its status says what they do not do.
    let admin = free_port();
    let mut controller = Tiphys::command(["controller", "-n", NAMESPACE, "--image", "tiphys:test"])
        .args(["--admin", &format!("127.0.0.1:{admin}")])
        .env("KUBECONFIG", kubeconfig(&ground))
        .start();
    controller
        .wait_until_ready(&format!("http://127.0.0.1:{admin}/readyz"), LIMIT)
        .await;
    ground.pool_bus().await;
    ground.apply("EventSource", "in", half(port)).await;
    let why = format!("spec.stripe.paid: {WHY}; the others run");
    ground
        .says("EventSource", "in", "SourcesProvided", &why)
        .await;
    ground
        .says("EventSource", "in", "Deployed", "\"True\"")
        .await;
    ground.says("EventSource", "in", "Ready", &why).await;
    let spec = half_sensor("http://localhost:1");
    ground.apply("Sensor", "half", spec.clone()).await;
    let why = format!("spec.triggers[1]: {KAFKA}; what these would fire for is kept as dead");
    ground
        .says("Sensor", "half", "TriggersProvided", &why)
        .await;
    ground.says("Sensor", "half", "Deployed", "\"True\"").await;
    ground.says("Sensor", "half", "Ready", &why).await;
    // Its pod is ready for what it can do.
    let mut pod = Pod::start(given("Sensor", "half", &spec, &config));
    pod.ready().await;
    pod.ends_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_replica_of_a_pool_runs_what_can_run() {
    let ground = Ground::start().await;
    let sink = HttpSink::start();
    let one = Replica::start(&ground, "pool-1").await;
    let two = Replica::start(&ground, "pool-2").await;
    ground.pool_bus().await;
    ground.apply("EventSource", "in", half(12000)).await;
    ground.apply("Sensor", "s", to_url("in", &sink.url())).await;
    let other = HttpSink::start();
    let spec = half_sensor(&other.url());
    ground.apply("Sensor", "half", spec).await;
    let (port, _) = ground.service(NAMESPACE, "in").await;
    ground.says("Sensor", "s", "Ready", "\"True\"").await;
    ground.says("Sensor", "half", "Ready", KAFKA).await;
    ground.says("Sensor", "half", "Deployed", "\"True\"").await;
    // The Service leads to both, so both must listen.
    one.takes(port, "one").await;
    two.takes(port, "two").await;
    let why = format!("spec.stripe.paid: {WHY}; the others run");
    ground
        .says("EventSource", "in", "SourcesProvided", &why)
        .await;
    ground
        .says("EventSource", "in", "Deployed", "\"True\"")
        .await;
    ground
        .says("EventSource", "in", "Ready", "UnsupportedSources")
        .await;
    eventually("both to arrive", LIMIT, async || {
        (sink.received().len() >= 2).then_some(())
    })
    .await;
    // What it says comes of its spec, before it has subscribed.
    eventually("the half of a Sensor to fire", LIMIT, async || {
        one.takes(port, "again").await;
        (!other.received().is_empty()).then_some(())
    })
    .await;
    one.pod.ends_well().await;
    two.pod.ends_well().await;
}
