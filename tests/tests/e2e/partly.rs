//! An EventSource of which this program runs some events only: those run, in each shape, and the status says which do
//! not and why.

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
    let (port, _) = ground.service(NAMESPACE, "in").await;
    ground.says("Sensor", "s", "Ready", "\"True\"").await;
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
    one.pod.ends_well().await;
    two.pod.ends_well().await;
}
