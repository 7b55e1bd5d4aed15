//! Sensors when something goes wrong: targets that fail, crashes, replicas, objects of others.

use std::time::Duration;

use tiphys_core::Event;
use tiphys_eventbus::Publish as _;

use super::tests::{BOTH, World};
use super::tests_sink::Sink;
use crate::testing::event;

#[tokio::test]
async fn what_can_never_work_is_dead_and_fires_the_dlq_trigger() {
    let world = World::new();
    let spec = r#"
dependencies: [{name: a, eventSourceName: webhook, eventName: a}]
triggers:
  - template:
      name: broken
      k8s:
        source: {resource: {apiVersion: argoproj.io/v1alpha1, kind: Workflow, metadata: {generateName: x-}}}
        parameters: [{src: {dependencyName: a, dataKey: not.there}, dest: spec.x}]
    retryStrategy: {steps: 2, duration: 1ms}
    dlqTrigger:
      template:
        name: letter
        k8s: {source: {configmap: {name: wf, key: wf}}}
"#;
    let sensor = world.start(spec).await.unwrap();
    world.publish("a", "a1", "{}").await;
    world.reaches("broken", [1, 0, 0, 1, 0]).await;
    assert_eq!(world.counters("broken").failed.get(), 2);
    let workflows = world.workflows().await;
    assert_eq!(workflows.len(), 1);
    assert!(
        workflows[0]
            .metadata
            .name
            .as_ref()
            .unwrap()
            .starts_with("cm-")
    );
    sensor.stop().await;
}

#[tokio::test]
async fn an_object_of_somebody_else_is_not_taken_for_ours() {
    let world = World::new();
    let spec = r#"
dependencies: [{name: a, eventSourceName: webhook, eventName: a}]
triggers:
  - template:
      name: fixed
      k8s: {source: {resource: {apiVersion: argoproj.io/v1alpha1, kind: Workflow, metadata: {name: one}}}}
"#;
    let sensor = world.start(spec).await.unwrap();
    world.publish("a", "a1", "{}").await;
    world.publish("a", "a2", "{}").await;
    world.reaches("fixed", [2, 1, 0, 1, 0]).await;
    sensor.stop().await;
}

#[tokio::test]
async fn a_request_is_sent_with_its_payload_and_again_while_the_server_is_busy() {
    let sink = Sink::start(|asked| match asked.len() {
        1 => http::StatusCode::SERVICE_UNAVAILABLE,
        _ => http::StatusCode::OK,
    })
    .await;
    let world = World::new();
    let spec = r#"
dependencies: [{name: a, eventSourceName: webhook, eventName: a}]
triggers:
  - template:
      name: call
      http:
        url: http://ADDRESS/hello
        method: PUT
        payload: [{src: {dependencyName: a, dataKey: big, useRawData: true}, dest: big}]
        dynamicHeaders: [{src: {dependencyName: a, contextKey: id}, dest: X-Id}]
    policy: {status: {allow: [200]}}
"#;
    let sensor = world
        .start(&spec.replace("ADDRESS", &sink.address.to_string()))
        .await
        .unwrap();
    world
        .publish("a", "a1", r#"{"big":9007199254740993}"#)
        .await;
    world.reaches("call", [1, 1, 0, 0, 0]).await;
    let asked = sink.asked();
    assert_eq!(asked.len(), 2);
    for asked in asked {
        assert_eq!(asked.headers["x-id"], "a1");
        assert_eq!(asked.body, r#"{"big":9007199254740993}"#);
    }
    sensor.stop().await;
}

#[tokio::test]
async fn at_most_once_acknowledges_first_and_counts_all_the_same() {
    let world = World::new();
    let spec = format!(
        "{}    atLeastOnce: false\n",
        BOTH.replace("a && b", "a || b")
    );
    let sensor = world.start(&spec).await.unwrap();
    world.publish("a", "a1", "{}").await;
    world.reaches("both", [1, 1, 0, 0, 0]).await;
    sensor.stop().await;
    let joined = format!("{BOTH}    atLeastOnce: false\n").replace("name: both", "name: joined");
    let sensor = world.start(&joined).await.unwrap();
    world.publish("a", "a2", "{}").await;
    world.publish("b", "b2", "{}").await;
    world.reaches("joined", [2, 2, 0, 0, 0]).await;
    sensor.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_never_use_one_event_twice() {
    let world = World::new();
    let replicas = [
        world.start(BOTH).await.unwrap(),
        world.start(BOTH).await.unwrap(),
    ];
    for id in 0..100 {
        world.publish("a", &format!("a{id}"), "{}").await;
        world.publish("b", &format!("b{id}"), "{}").await;
    }
    let counters = world.counters("both");
    let ended = async {
        while counters.fired.get() + counters.dead.get() < 199 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    // One event may be left waiting for a partner.
    tokio::time::timeout(Duration::from_secs(120), ended)
        .await
        .unwrap();
    for replica in replicas {
        replica.stop().await;
    }
    let workflows = world.workflows().await;
    assert_eq!(
        u64::try_from(workflows.len() * 2).unwrap(),
        counters.fired.get()
    );
    for key in ["a", "b"] {
        let used: Vec<_> = workflows
            .iter()
            .map(|object| object.data["spec"][key].clone())
            .collect();
        let mut distinct: Vec<String> = used.iter().map(ToString::to_string).collect();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), used.len(), "{key}");
    }
}

#[tokio::test]
async fn a_crash_between_the_effect_and_its_acknowledgement_makes_no_second_object() {
    let world = World::new();
    let sensor = world.start(BOTH).await.unwrap();
    world.publish("a", "a1", "{}").await;
    world.reaches("both", [1, 0, 0, 0, 1]).await;
    sensor.stop().await;
    // The state as it stands when the process dies right after the effect: the firing is written down.
    let state = world.bus.state(super::store::BUCKET).await.unwrap();
    let key = state.keys("tiphys-").await.unwrap().remove(0);
    let before = state.get(&key).await.unwrap().unwrap();
    let sensor = world.start(BOTH).await.unwrap();
    world.publish("b", "b1", "{}").await;
    world.reaches("both", [2, 2, 0, 0, 0]).await;
    sensor.stop().await;
    let now = state.get(&key).await.unwrap().unwrap();
    state
        .put(&key, before.value, Some(now.revision))
        .await
        .unwrap();
    let sensor = world.start(BOTH).await.unwrap();
    let again = Event {
        subject: "b".to_owned(),
        dedup: Some("again".to_owned()),
        ..event("b1", "{}")
    };
    world.bus.publish(&again).await.unwrap();
    world.reaches("both", [4, 4, 0, 0, 0]).await;
    assert_eq!(world.workflows().await.len(), 1);
    sensor.stop().await;
}
