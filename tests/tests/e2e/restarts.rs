//! The API server restarts under pods that watch it: the replicas of a pool, and pods that follow one object by name.
//! Events go on meanwhile, because the bus is somebody else. For the controller see `operator/restart.rs`.

use tiphys_tests::ports::free_port;
use tiphys_tests::tls::http_client;
use tiphys_tests::{HttpSink, Tiphys, eventually};

use crate::cluster::{Ground, Pod, kubeconfig, to_url, webhook};
use crate::pooled::Replica;
use crate::scene::send;
use crate::support::{LIMIT, NAMESPACE};

/// Waits until an URL takes an event.
async fn taken(url: &str, message: &str) {
    let http = http_client(None);
    eventually(&format!("{url} to take {message:?}"), LIMIT, async || {
        let (status, _) = send(&http, url, message).await?;
        (status == 200).then_some(())
    })
    .await;
}

/// Waits until a sink has a message.
async fn arrives(sink: &HttpSink, message: &str) {
    eventually(&format!("{message:?} to arrive"), LIMIT, async || {
        let received = sink.received();
        let here = |one: &tiphys_tests::Received| one.json()["message"] == message;
        received.iter().any(here).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_goes_on_while_the_api_server_is_away_and_takes_up_what_changes_after() {
    let mut ground = Ground::start().await;
    let (first, second) = (HttpSink::start(), HttpSink::start());
    let replica = Replica::start(&ground, "pool-1").await;
    ground.pool_bus().await;
    ground.apply("EventSource", "in", webhook(12000)).await;
    ground
        .apply("Sensor", "s", to_url("in", &first.url()))
        .await;
    let (port, _) = ground.service(NAMESPACE, "in").await;
    ground.says("Sensor", "s", "Ready", "\"True\"").await;
    replica.takes(port, "before").await;
    arrives(&first, "before").await;

    ground.api.kill();
    replica.takes(port, "meanwhile").await;
    arrives(&first, "meanwhile").await;
    ground.api.restart().await;

    ground
        .apply("Sensor", "s", to_url("in", &second.url()))
        .await;
    ground.apply("EventSource", "late", webhook(13000)).await;
    let (late, _) = ground.service(NAMESPACE, "late").await;
    replica.takes(late, "to a new source").await;
    let number = std::cell::Cell::new(0);
    eventually("the changed sensor to fire", LIMIT, async || {
        number.set(number.get() + 1);
        replica
            .takes(port, &format!("after {}", number.get()))
            .await;
        (!second.received().is_empty()).then_some(())
    })
    .await;
    replica.pod.ends_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_that_follow_one_object_see_its_changes_after_a_restart_of_the_api_server() {
    let mut ground = Ground::start().await;
    let (first, second) = (HttpSink::start(), HttpSink::start());
    let (port, later) = (free_port(), free_port());
    ground.bus().await;
    ground.apply("EventSource", "in", webhook(port)).await;
    ground
        .apply("Sensor", "s", to_url("in", &first.url()))
        .await;
    let named = |kind: &str, name: &str| {
        Tiphys::command([kind, "--name", name, "-n", NAMESPACE])
            .env("KUBECONFIG", kubeconfig(&ground))
    };
    let mut sensor = Pod::start(named("sensor", "s"));
    let mut source = Pod::start(named("eventsource", "in"));
    sensor.ready().await;
    source.ready().await;
    let at = |port: u16| format!("http://127.0.0.1:{port}/in");
    taken(&at(port), "before").await;
    arrives(&first, "before").await;

    ground.api.kill();
    taken(&at(port), "meanwhile").await;
    arrives(&first, "meanwhile").await;
    ground.api.restart().await;

    ground.apply("EventSource", "in", webhook(later)).await;
    taken(&at(later), "at the new port").await;
    ground
        .apply("Sensor", "s", to_url("in", &second.url()))
        .await;
    let number = std::cell::Cell::new(0);
    eventually("the changed sensor to fire", LIMIT, async || {
        number.set(number.get() + 1);
        taken(&at(later), &format!("after {}", number.get())).await;
        (!second.received().is_empty()).then_some(())
    })
    .await;
    sensor.ready().await;
    source.ready().await;
    source.ends_well().await;
    sensor.ends_well().await;
}
