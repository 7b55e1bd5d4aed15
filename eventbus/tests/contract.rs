//! What every bus promises, tried on each of them.
#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use common::{World, event, named, next, stored, subscription, take};
use tiphys_core::Event;
use tiphys_eventbus::{
    Publish as _, PublishError, Start, StateError, SubscribeError, Subscription,
};

macro_rules! contract {
    ($($name:ident),* $(,)?) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(super::World::embedded()).await;
            })*
        }
        mod jetstream {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(super::World::jetstream()).await;
            })*
        }
    };
}

contract!(
    an_event_arrives_as_it_was_sent,
    an_event_is_stored_once,
    what_is_not_acknowledged_comes_again,
    a_retry_comes_after_its_wait,
    work_in_progress_is_left_alone,
    subscribers_of_one_name_share,
    no_more_than_max_in_flight_is_delivered,
    a_consumer_keeps_its_place_over_a_restart,
    a_consumer_keeps_its_place_when_its_subjects_change,
    a_new_consumer_begins_where_it_says,
    patterns_choose_events,
    a_forgotten_consumer_begins_anew,
    names_that_no_bus_can_carry_are_refused,
    state_is_changed_only_where_it_is_known,
    a_dropped_wait_loses_nothing,
    a_backlog_is_delivered_in_order,
);

fn from_oldest(durable: &str, subjects: &[&str]) -> Subscription {
    Subscription {
        start: Start::Oldest,
        ..subscription(durable, subjects)
    }
}

async fn an_event_arrives_as_it_was_sent(world: World) {
    let bus = world.bus().await;
    let mut subscriber = bus
        .subscribe(subscription("d", &["source.event"]))
        .await
        .unwrap();
    let mut sent = event("a");
    sent.data = Some(Bytes::from_static(&[0, 255, 10]));
    sent.extensions.insert("trace".to_owned(), "x".to_owned());
    let stored = bus.publish(&sent).await.unwrap();
    let message = next(&mut subscriber).await;
    assert_eq!((message.seq, message.delivery), (stored.seq, 1));
    assert_eq!(message.event.as_ref().unwrap(), &sent);
    assert!(!stored.duplicate && message.stored_at >= sent.time.unwrap());
    message.ack_confirmed().await.unwrap();
    bus.close().await;
}

async fn an_event_is_stored_once(world: World) {
    let bus = world.bus().await;
    let first = bus.publish(&event("a")).await.unwrap();
    let again = bus.publish(&event("a")).await.unwrap();
    assert_eq!((again.seq, again.duplicate), (first.seq, true));
    let keyed = |key: &str| Event {
        dedup: Some(key.to_owned()),
        ..event("a")
    };
    assert!(!bus.publish(&keyed("sender-1\na")).await.unwrap().duplicate);
    assert!(!bus.publish(&keyed("sender-2\na")).await.unwrap().duplicate);
    assert!(bus.publish(&keyed("sender-1\na")).await.unwrap().duplicate);
    bus.close().await;
    let bus = world.bus().await;
    assert!(bus.publish(&event("a")).await.unwrap().duplicate);
    bus.close().await;
}

async fn what_is_not_acknowledged_comes_again(world: World) {
    let bus = world.bus().await;
    let mut subscriber = bus
        .subscribe(Subscription {
            ack_wait: Duration::from_millis(200),
            ..subscription("d", &["*.*"])
        })
        .await
        .unwrap();
    bus.publish(&event("a")).await.unwrap();
    for delivery in 1..=3 {
        let message = next(&mut subscriber).await;
        assert_eq!(
            (message.delivery, message.event.unwrap().id.as_str()),
            (delivery, "a")
        );
    }
    bus.close().await;
}

async fn a_retry_comes_after_its_wait(world: World) {
    let bus = world.bus().await;
    let mut subscriber = bus.subscribe(subscription("d", &["*.*"])).await.unwrap();
    bus.publish(&event("a")).await.unwrap();
    let message = next(&mut subscriber).await;
    let begun = tokio::time::Instant::now();
    let wait = Duration::from_millis(300);
    message.retry_after(wait).await.unwrap();
    let again = next(&mut subscriber).await;
    assert!(begun.elapsed() >= Duration::from_millis(290));
    assert_eq!((again.seq, again.delivery), (message.seq, 2));
    // It holds up nobody while it waits, however slow the others are.
    let wait = Duration::from_secs(3600);
    again.retry_after(wait).await.unwrap();
    bus.publish(&event("b")).await.unwrap();
    assert_eq!(take(&mut subscriber, 1).await, ["b"]);
    bus.close().await;
}

async fn work_in_progress_is_left_alone(world: World) {
    let bus = world.bus().await;
    // A machine that stands still for so long between two signs of progress breaks its promise.
    let ack_wait = Duration::from_secs(5);
    let mut subscriber = bus
        .subscribe(Subscription {
            ack_wait,
            ..subscription("d", &["*.*"])
        })
        .await
        .unwrap();
    bus.publish(&event("a")).await.unwrap();
    let message = next(&mut subscriber).await;
    let begun = tokio::time::Instant::now();
    while begun.elapsed() < ack_wait * 3 / 2 {
        let waited = tokio::time::timeout(Duration::from_millis(300), subscriber.next()).await;
        assert!(waited.is_err(), "delivered again while in progress");
        message.in_progress().await.unwrap();
    }
    message.ack().await.unwrap();
    bus.publish(&event("b")).await.unwrap();
    assert_eq!(take(&mut subscriber, 1).await, ["b"]);
    bus.close().await;
}

async fn subscribers_of_one_name_share(world: World) {
    let bus = world.bus().await;
    let mut one = bus
        .subscribe(Subscription {
            max_in_flight: 5,
            ..subscription("d", &["*.*"])
        })
        .await
        .unwrap();
    let mut two = bus
        .subscribe(Subscription {
            max_in_flight: 5,
            ..subscription("d", &["*.*"])
        })
        .await
        .unwrap();
    for number in 0..40 {
        bus.publish(&event(&number.to_string())).await.unwrap();
    }
    let mut seen = BTreeSet::new();
    while seen.len() < 40 {
        let message = tokio::select! {
            message = one.next() => message.unwrap(),
            message = two.next() => message.unwrap(),
        };
        message.ack().await.unwrap();
        assert!(seen.insert(message.event.unwrap().id), "delivered twice");
    }
    bus.close().await;
}

async fn no_more_than_max_in_flight_is_delivered(world: World) {
    let bus = world.bus().await;
    let mut subscriber = bus
        .subscribe(Subscription {
            max_in_flight: 2,
            ..subscription("d", &["*.*"])
        })
        .await
        .unwrap();
    for id in ["a", "b", "c"] {
        bus.publish(&event(id)).await.unwrap();
    }
    let first = next(&mut subscriber).await;
    let _second = next(&mut subscriber).await;
    let third = tokio::time::timeout(Duration::from_millis(200), subscriber.next()).await;
    assert!(third.is_err(), "a third one was delivered");
    first.ack().await.unwrap();
    assert_eq!(take(&mut subscriber, 1).await, ["c"]);
    bus.close().await;
}

async fn a_consumer_keeps_its_place_over_a_restart(world: World) {
    let bus = world.bus().await;
    let mut subscriber = bus.subscribe(subscription("d", &["*.*"])).await.unwrap();
    for id in ["a", "b", "c", "d"] {
        bus.publish(&event(id)).await.unwrap();
    }
    let held = next(&mut subscriber).await;
    assert_eq!(take(&mut subscriber, 2).await, ["b", "c"]);
    held.retry_after(Duration::ZERO).await.unwrap();
    drop(subscriber);
    bus.close().await;
    let bus = world.bus().await;
    bus.publish(&event("e")).await.unwrap();
    let mut subscriber = bus.subscribe(subscription("d", &["*.*"])).await.unwrap();
    let ids: BTreeSet<String> = take(&mut subscriber, 3).await.into_iter().collect();
    assert_eq!(ids, ["a", "d", "e"].map(str::to_owned).into());
    assert_eq!(bus.durables("").await.unwrap(), ["d"]);
    bus.close().await;
}

async fn a_consumer_keeps_its_place_when_its_subjects_change(world: World) {
    let bus = world.bus().await;
    let mut subscriber = bus.subscribe(subscription("d", &["s.a"])).await.unwrap();
    bus.publish(&named("1", "s", "a")).await.unwrap();
    assert_eq!(take(&mut subscriber, 1).await, ["1"]);
    drop(subscriber);
    bus.publish(&named("2", "s", "a")).await.unwrap();
    let mut subscriber = bus
        .subscribe(subscription("d", &["s.a", "s.b"]))
        .await
        .unwrap();
    bus.publish(&named("3", "s", "b")).await.unwrap();
    // A server may have handed "2" to the pull of the subscriber that went, and hand it out again later.
    let ids: BTreeSet<String> = take(&mut subscriber, 2).await.into_iter().collect();
    assert_eq!(ids, ["2", "3"].map(str::to_owned).into());
    bus.close().await;
}

async fn a_new_consumer_begins_where_it_says(world: World) {
    let bus = world.bus().await;
    bus.publish(&event("a")).await.unwrap();
    let mut new = bus.subscribe(subscription("new", &["*.*"])).await.unwrap();
    let mut oldest = bus
        .subscribe(from_oldest("oldest", &["*.*"]))
        .await
        .unwrap();
    bus.publish(&event("b")).await.unwrap();
    assert_eq!(take(&mut new, 1).await, ["b"]);
    assert_eq!(take(&mut oldest, 2).await, ["a", "b"]);
    bus.close().await;
}

async fn patterns_choose_events(world: World) {
    let bus = world.bus().await;
    for (durable, subjects, expected) in [
        ("one", &["s.a"][..], &["1"][..]),
        ("source", &["s.*"], &["1", "2"]),
        ("event", &["*.a"], &["1", "3"]),
        ("both", &["s.a", "t.b"], &["1", "4"]),
        ("crossing", &["s.*", "*.a"], &["1", "2", "3"]),
        ("all", &["*.*"], &["1", "2", "3", "4"]),
    ] {
        let mut subscriber = bus.subscribe(from_oldest(durable, subjects)).await.unwrap();
        for (id, source, name) in [
            ("1", "s", "a"),
            ("2", "s", "b"),
            ("3", "t", "a"),
            ("4", "t", "b"),
        ] {
            bus.publish(&named(id, source, name)).await.unwrap();
        }
        assert_eq!(
            take(&mut subscriber, expected.len()).await,
            expected,
            "{durable}"
        );
    }
    bus.close().await;
}

async fn a_forgotten_consumer_begins_anew(world: World) {
    let bus = world.bus().await;
    let mut subscriber = bus.subscribe(subscription("d", &["*.*"])).await.unwrap();
    bus.publish(&event("a")).await.unwrap();
    assert_eq!(take(&mut subscriber, 1).await, ["a"]);
    drop(subscriber);
    bus.forget("d").await.unwrap();
    bus.forget("d").await.unwrap();
    assert!(bus.durables("").await.unwrap().is_empty());
    let mut subscriber = bus.subscribe(from_oldest("d", &["*.*"])).await.unwrap();
    assert_eq!(take(&mut subscriber, 1).await, ["a"]);
    bus.close().await;
}

async fn names_that_no_bus_can_carry_are_refused(world: World) {
    let bus = world.bus().await;
    for (source, name) in [
        ("a.b", "e"),
        ("a", "e f"),
        ("*", "e"),
        ("a", ">"),
        ("", "e"),
    ] {
        let refused = bus.publish(&named("1", source, name)).await;
        assert!(
            matches!(refused, Err(PublishError::Refused { .. })),
            "{source} {name}"
        );
    }
    for (durable, subjects) in [
        ("a.b", &["*.*"][..]),
        ("", &["*.*"]),
        ("d", &["a.b c"]),
        ("d", &[]),
    ] {
        let refused = bus.subscribe(subscription(durable, subjects)).await;
        assert!(
            matches!(refused, Err(SubscribeError::Refused { .. })),
            "{durable}"
        );
    }
    bus.close().await;
}

async fn state_is_changed_only_where_it_is_known(world: World) {
    let bus = world.bus().await;
    let state = bus.state("sensor").await.unwrap();
    let value = |text: &'static str| Bytes::from_static(text.as_bytes());
    let key = "trigger.one/dep *";
    assert_eq!(state.get(key).await.unwrap(), None);
    let first = state.put(key, value("1"), None).await.unwrap();
    assert!(matches!(
        state.put(key, value("x"), None).await,
        Err(StateError::Conflict)
    ));
    let second = state.put(key, value("2"), Some(first)).await.unwrap();
    assert!(second > first);
    assert!(matches!(
        state.put(key, value("x"), Some(first)).await,
        Err(StateError::Conflict)
    ));
    state.put("other", value("o"), None).await.unwrap();
    assert_eq!(state.keys("trigger").await.unwrap(), [key]);
    assert_eq!(state.keys("").await.unwrap(), ["other", key]);
    let elsewhere = bus.state("sensor2").await.unwrap();
    assert!(elsewhere.keys("").await.unwrap().is_empty());
    bus.close().await;
    let bus = world.bus().await;
    let state = bus.state("sensor").await.unwrap();
    let entry = state.get(key).await.unwrap().unwrap();
    assert_eq!((entry.value, entry.revision), (value("2"), second));
    state.delete(key).await.unwrap();
    state.delete("absent").await.unwrap();
    assert_eq!(state.get(key).await.unwrap(), None);
    state.put(key, value("3"), None).await.unwrap();
    bus.close().await;
}

async fn a_dropped_wait_loses_nothing(world: World) {
    let bus = world.bus().await;
    let mut subscriber = bus.subscribe(subscription("d", &["*.*"])).await.unwrap();
    let mut ids = Vec::new();
    for number in 0..50 {
        bus.publish(&event(&number.to_string())).await.unwrap();
        // Polled once and dropped, over and over.
        if let Ok(message) = tokio::time::timeout(Duration::ZERO, subscriber.next()).await {
            let message = message.unwrap();
            message.ack().await.unwrap();
            ids.push(message.event.unwrap().id);
        }
    }
    let rest = 50 - ids.len();
    ids.extend(take(&mut subscriber, rest).await);
    let unique: BTreeSet<_> = ids.iter().collect();
    assert_eq!(unique.len(), 50);
    bus.close().await;
}

async fn a_backlog_is_delivered_in_order(world: World) {
    let bus = world.bus().await;
    let ids: Vec<String> = (0..6_000).map(|number| number.to_string()).collect();
    let mut places = Vec::new();
    for chunk in ids.chunks(500) {
        let events: Vec<_> = chunk.iter().map(|id| event(id)).collect();
        let answers =
            futures::future::join_all(events.iter().map(|event| stored(&bus, event))).await;
        places.extend(answers.into_iter().map(|answer| answer.seq).zip(chunk));
    }
    places.sort();
    let mut subscriber = bus
        .subscribe(from_oldest("d", &["source.event"]))
        .await
        .unwrap();
    let received = take(&mut subscriber, ids.len()).await;
    let same = received.iter().eq(places.iter().map(|(_, id)| *id));
    assert!(same, "not in the order of the stream");
    bus.close().await;
}
