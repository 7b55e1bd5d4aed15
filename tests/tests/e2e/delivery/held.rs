//! What waits for other events on a real NATS server: how much of it, for how long, and what is left when a Sensor goes.

use async_nats::jetstream;
use futures::TryStreamExt as _;
use serde_json::json;
use tiphys_sensor::{End, SensorObject, SensorRuntime};
use tiphys_tests::{Nats, NatsOptions, eventually};

use super::{books, on_three};
use crate::inside::{Inside, event};
use crate::support::LIMIT;

/// What a server keeps of Sensors: consumers, and keys of their state.
pub(super) async fn left(nats: &Nats) -> (Vec<String>, Vec<String>) {
    let context = jetstream::new(nats.connect().await);
    let stream = context.get_stream("default").await.unwrap();
    let consumers: Vec<String> = stream.consumer_names().try_collect().await.unwrap();
    let keys = match context.get_stream("KV_tiphys-sensors").await {
        Ok(state) => {
            let subjects = state.info_with_subjects(">").await.unwrap();
            let subjects: Vec<(String, usize)> = subjects.try_collect().await.unwrap();
            subjects.into_iter().map(|(subject, _)| subject).collect()
        }
        Err(_) => Vec::new(),
    };
    (consumers, keys)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_keys_that_wait_do_not_stop_a_join_although_the_server_takes_little() {
    const KEYS: usize = 1500;
    let mut options = NatsOptions::default();
    options
        .settings
        .insert("max_payload".to_owned(), json!(8 << 10));
    let nats = Nats::start(options).await;
    let inside = Inside::on(&nats).await;
    let join = "      join: {key: key, within: 1h}\n      log: {}\n";
    let object = on_three("s", "a && b", join);
    let running = inside.start(object.clone()).await;
    // The events of one shelf together are larger than what the server takes at once.
    let padding = "x".repeat(2000);
    let payload = |key: usize| format!(r#"{{"key":"k{key}","padding":"{padding}"}}"#);
    for key in 0..KEYS {
        inside
            .publish(&event("a", &format!("a{key}"), &payload(key)))
            .await;
    }
    let waiting = KEYS as u64;
    inside
        .reaches("s", "t", books(waiting, 0, 0, 0, waiting))
        .await;
    running.stop().await;
    // Another process finds them all.
    let inside = Inside::on(&nats).await;
    let running = inside.start(object).await;
    for key in (0..KEYS).step_by(10) {
        inside
            .publish(&event("b", &format!("b{key}"), &payload(key)))
            .await;
    }
    let met = waiting / 10;
    let wanted = books(waiting + met, 2 * met, 0, 0, waiting - met);
    inside.reaches("s", "t", wanted).await;
    running.stop().await;
    SensorRuntime::forget(&inside.bus, "default", "s")
        .await
        .unwrap();
    assert_eq!(left(&nats).await, (Vec::new(), Vec::new()));
}

#[tokio::test]
async fn events_that_are_large_together_are_held_although_the_server_takes_one_at_a_time() {
    let mut options = NatsOptions::default();
    options
        .settings
        .insert("max_payload".to_owned(), json!(64 << 10));
    let nats = Nats::start(options).await;
    let inside = Inside::on(&nats).await;
    let object = on_three("s", "a && b && c", "      log: {}\n");
    let running = inside.start(object.clone()).await;
    let large = format!(r#"{{"x":"{}"}}"#, "x".repeat(40 << 10));
    inside.publish(&event("a", "a1", &large)).await;
    inside.publish(&event("b", "b1", &large)).await;
    inside.reaches("s", "t", books(2, 0, 0, 0, 2)).await;
    running.stop().await;
    let running = inside.start(object).await;
    inside.publish(&event("c", "c1", &large)).await;
    inside.reaches("s", "t", books(3, 3, 0, 0, 0)).await;
    running.stop().await;
    SensorRuntime::forget(&inside.bus, "default", "s")
        .await
        .unwrap();
    assert_eq!(left(&nats).await, (Vec::new(), Vec::new()));
}

#[tokio::test]
async fn an_event_that_meets_nobody_in_time_is_dead_also_while_others_come() {
    let (_nats, inside) = Inside::on_nats().await;
    let join = "      join: {key: key, within: 1s}\n      log: {}\n";
    let running = inside.start(on_three("s", "a && b", join)).await;
    inside
        .publish(&event("a", "lonely", r#"{"key":"lonely"}"#))
        .await;
    let mut number = 0;
    eventually("the lonely one to be given up", LIMIT, async || {
        number += 1;
        let key = format!(r#"{{"key":"k{number}"}}"#);
        inside
            .publish(&event("a", &format!("a{number}"), &key))
            .await;
        inside
            .publish(&event("b", &format!("b{number}"), &key))
            .await;
        (inside.books("s", "t").dead > 0).then_some(())
    })
    .await;
    // On a machine that stands still others may miss each other as well.
    let reason = eventually("why the lonely one was given up", LIMIT, async || {
        let decisions = inside.decisions().await;
        let lonely = decisions.into_iter().find(|decision| {
            let of_lonely = decision
                .event
                .as_ref()
                .is_some_and(|event| event.id == "lonely");
            of_lonely && decision.end == End::Dead
        });
        lonely?.reason
    })
    .await;
    assert_eq!(reason, "met no other event of key lonely within 1s");
    running.stop().await;
}

#[tokio::test]
async fn a_changed_a_renamed_and_a_deleted_sensor_leave_nothing_behind() {
    let (nats, inside) = Inside::on_nats().await;
    let object = on_three("s", "a && b", "      log: {}\n");
    let held = async |object: &SensorObject, id: &str| {
        let trigger = &object.spec.triggers[0].template.as_ref().unwrap().name;
        let before = inside.books(&object.name, trigger).accepted;
        let running = inside.start(object.clone()).await;
        inside.publish(&event("a", id, r#"{"key":"k"}"#)).await;
        eventually("an event to be held", LIMIT, async || {
            let now = inside.books(&object.name, trigger);
            (now.accepted > before && now.pending == 1).then_some(())
        })
        .await;
        running.stop().await;
        left(&nats).await
    };
    let (consumers, keys) = held(&object, "a1").await;
    assert_eq!((consumers.len(), keys.len()), (1, 1));
    // Another condition, then a join, then a condition again: what was held goes each time.
    let join = "      join: {key: key, within: 1h}\n      log: {}\n";
    for (number, changed) in [
        on_three("s", "a && c", "      log: {}\n"),
        on_three("s", "a && b", join),
        on_three("s", "a && b", "      log: {}\n"),
    ]
    .into_iter()
    .enumerate()
    {
        let (same, keys) = held(&changed, &format!("changed-{number}")).await;
        assert_eq!((same, keys.len()), (consumers.clone(), 1), "{keys:?}");
    }
    let counted = inside.books("s", "t");
    assert_eq!(counted, books(4, 0, 0, 3, 1));
    // Another trigger.
    let mut renamed = object.clone();
    renamed.spec.triggers[0].template.as_mut().unwrap().name = "u".to_owned();
    let (others, keys) = held(&renamed, "renamed").await;
    assert_eq!((others.len(), keys.len()), (1, 1));
    assert_ne!(others, consumers);
    // Another Sensor beside it is not touched.
    held(&on_three("other", "a && b", "      log: {}\n"), "other").await;
    SensorRuntime::forget(&inside.bus, "default", "s")
        .await
        .unwrap();
    let (consumers, keys) = left(&nats).await;
    assert_eq!((consumers.len(), keys.len()), (1, 1));
    SensorRuntime::forget(&inside.bus, "default", "other")
        .await
        .unwrap();
    assert_eq!(left(&nats).await, (Vec::new(), Vec::new()));
}
