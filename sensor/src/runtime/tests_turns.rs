//! Sensors of which several processes run, messages that are no events, and what the bus brings again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::StatusCode;
use tiphys_core::Event;
use tiphys_eventbus::{Publish as _, Turn};

use super::tests::World;
use super::tests_sink::Sink;
use crate::record::End;
use crate::testing::event;

/// A trigger that sends the id of each event, with one more field.
pub(super) fn sends(sink: &Sink, more: &str) -> String {
    format!(
        r#"
dependencies: [{{name: a, eventSourceName: webhook, eventName: a}}]
triggers:
  - template:
      name: send
      http: {{url: "http://{}/", payload: [{{src: {{dependencyName: a, contextKey: id}}, dest: id}}]}}
    policy: {{status: {{allow: [200]}}}}
    {more}
"#,
        sink.address
    )
}

#[tokio::test]
async fn one_replica_runs_what_has_an_order_and_the_next_goes_on_where_it_stopped() {
    let world = World::new();
    let open = Arc::new(AtomicBool::new(false));
    let opened = Arc::clone(&open);
    // The first event is refused until somebody opens.
    let sink = Sink::start(move |asked| {
        let first = asked.last().is_some_and(|asked| asked.id() == "x1");
        if first && !opened.load(Ordering::Relaxed) {
            StatusCode::SERVICE_UNAVAILABLE
        } else {
            StatusCode::OK
        }
    })
    .await;
    let spec = sends(&sink, "orderBy: repo");
    let stand = |who: &str| Turn::stand(world.bus.clone(), "s", who, &world.tasks);
    let one = stand("one");
    let first = world.start_in(&spec, one.clone()).await.unwrap();
    one.begins().await;
    let two = stand("two");
    let second = world.start_in(&spec, two.clone()).await.unwrap();
    for id in ["x1", "x2", "x3", "x4"] {
        world.publish("a", id, r#"{"repo":"x"}"#).await;
    }
    let tried = async {
        while sink.ids().len() < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), tried)
        .await
        .unwrap();
    // Another process would have sent the second one by now.
    assert!(sink.ids().iter().all(|id| id == "x1"), "{:?}", sink.ids());
    first.stop().await;
    one.give_back().await;
    two.begins().await;
    open.store(true, Ordering::Relaxed);
    let done = async {
        while sink.ids().last().is_none_or(|id| id != "x4") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), done)
        .await
        .unwrap();
    let mut ids = sink.ids();
    ids.dedup();
    assert_eq!(ids, ["x1", "x2", "x3", "x4"]);
    second.stop().await;
}

#[tokio::test]
async fn a_message_that_is_no_event_is_dead_with_its_place_and_what_can_be_read() {
    let world = World::new();
    let sink = Sink::start(|_| StatusCode::OK).await;
    let sensor = world.start(&sends(&sink, "")).await.unwrap();
    // A member that no CloudEvent may have.
    let mut unreadable = Event {
        subject: "a".to_owned(),
        ..event("u1", r#"{"password":"hunter2"}"#)
    };
    let member = ("not-allowed".to_owned(), "hunter2".to_owned());
    unreadable.extensions.extend([member]);
    let stored = world.bus.publish(&unreadable).await.unwrap();
    world.reaches("send", [1, 0, 0, 1, 0]).await;
    let decisions = world.decisions("\"u1\"").await;
    let event = decisions[0].event.as_ref().unwrap();
    assert_eq!(
        (event.seq, event.source.as_str(), event.name.as_str()),
        (stored.seq, "webhook", "a")
    );
    assert_eq!(decisions[0].end, End::Dead);
    let reason = decisions[0].reason.clone().unwrap();
    assert_eq!(
        reason,
        "the message is no event: its envelope has a member \"not-allowed\" that CloudEvents does not allow"
    );
    let letters = sensor.dead().list().await.unwrap();
    let dead = &letters[0].events[0];
    assert_eq!(
        (dead.id.as_str(), dead.seq, dead.from.as_deref()),
        ("u1", Some(stored.seq), Some("webhook/a"))
    );
    assert_eq!(letters[0].reason, reason);
    assert!(world.decisions("hunter2").await.is_empty());
    sensor.stop().await;
}

#[tokio::test]
async fn a_rate_goes_on_when_the_sensor_is_started_again() {
    let world = World::new();
    let sink = Sink::start(|_| StatusCode::OK).await;
    let spec = sends(&sink, "rateLimit: {unit: Second, requestsPerUnit: 1}");
    let began = std::time::Instant::now();
    for round in 1..=3_u64 {
        let sensor = world.start(&spec).await.unwrap();
        world.publish("a", &format!("e{round}"), "{}").await;
        world.reaches("send", [round, round, 0, 0, 0]).await;
        sensor.stop().await;
    }
    // A timer is never early; how late it is does not matter.
    assert!(began.elapsed() >= Duration::from_millis(1990));
}
