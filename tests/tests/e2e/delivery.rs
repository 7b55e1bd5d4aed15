//! How events reach their triggers on a real NATS server: who gets them, from when on, how fast, in which order, how
//! often, and what is left when a Sensor goes. The same rules on the embedded bus are tried beside the code.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use async_nats::jetstream;
use axum::http::StatusCode;
use futures::TryStreamExt as _;
use jiff::Timestamp;
use serde_json::{Value, json};
use tiphys_core::Event;
use tiphys_sensor::{End, Replay, SensorObject, SensorRuntime};
use tiphys_tests::{Answer, HttpSink, Nats, NatsOptions, eventually, eventually_ok};

use crate::inside::{Inside, event, sensor};
use crate::scene::Books;
use crate::support::LIMIT;

const fn books(accepted: u64, fired: u64, filtered: u64, dead: u64, pending: u64) -> Books {
    Books {
        accepted,
        fired,
        filtered,
        dead,
        pending,
    }
}

/// A Sensor on events `a`, `b` and `c` of source `s`; `trigger` is the rest of its only trigger, in YAML.
fn on_three(name: &str, conditions: &str, trigger: &str) -> SensorObject {
    let spec = format!(
        "dependencies:\n  - {{name: a, eventSourceName: s, eventName: a}}\n  - {{name: b, eventSourceName: s, eventName: b}}\n  \
         - {{name: c, eventSourceName: s, eventName: c}}\ntriggers:\n  - template:\n      name: t\n      conditions: {conditions}\n{trigger}"
    );
    sensor(name, &spec)
}

/// Sends the id of each event to a sink.
fn to_sink(sink: &HttpSink) -> String {
    format!(
        "      http:\n        url: {}\n        payload: [{{src: {{dependencyName: a, contextKey: id}}, dest: id}}]\n    \
         policy: {{status: {{allow: [200]}}}}\n",
        sink.url()
    )
}

fn ids(sink: &HttpSink) -> Vec<String> {
    let received = sink.received();
    let id = |request: &tiphys_tests::Received| request.json()["id"].as_str().unwrap().to_owned();
    received.iter().map(id).collect()
}

/// What a server keeps of Sensors: consumers, and keys of their state.
async fn left(nats: &Nats) -> (Vec<String>, Vec<String>) {
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

#[tokio::test]
async fn q17_a_second_sensor_sees_only_what_comes_after_it() {
    let (_nats, inside) = Inside::on_nats().await;
    let first = inside
        .start(on_three("first", "a && b", "      log: {}\n"))
        .await;
    inside.publish(&event("a", "a1", "{}")).await;
    inside.reaches("first", "t", books(1, 0, 0, 0, 1)).await;
    let second = inside
        .start(on_three("second", "a && b", "      log: {}\n"))
        .await;
    inside.publish(&event("b", "b1", "{}")).await;
    inside.reaches("first", "t", books(2, 2, 0, 0, 0)).await;
    inside.reaches("second", "t", books(1, 0, 0, 0, 1)).await;
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn q18_what_a_failing_sensor_has_in_hand_is_done_by_the_one_that_replaces_it() {
    let (_nats, inside) = Inside::on_nats().await;
    let (away, there) = (HttpSink::start(), HttpSink::start());
    away.answer(Answer::status(StatusCode::SERVICE_UNAVAILABLE));
    let retries = "    retryStrategy: {steps: 20, duration: 1h}\n    atLeastOnce: true\n";
    let failing = inside
        .start(on_three("s", "a", &(to_sink(&away) + retries)))
        .await;
    inside.publish(&event("a", "a1", "{}")).await;
    away.wait_for(1, LIMIT).await;
    failing.stop().await;
    let working = inside
        .start(on_three("s", "a", &(to_sink(&there) + retries)))
        .await;
    there.wait_for(1, LIMIT).await;
    inside.reaches("s", "t", books(1, 1, 0, 0, 0)).await;
    assert_eq!(ids(&there), ["a1"]);
    working.stop().await;
}

#[tokio::test]
async fn q19_at_most_once_is_never_fired_again() {
    let (_nats, inside) = Inside::on_nats().await;
    let (away, there) = (HttpSink::start(), HttpSink::start());
    away.answer(Answer::status(StatusCode::SERVICE_UNAVAILABLE));
    let retries = "    retryStrategy: {steps: 20, duration: 1h}\n    atLeastOnce: false\n";
    let failing = inside
        .start(on_three("s", "a", &(to_sink(&away) + retries)))
        .await;
    inside.publish(&event("a", "a1", "{}")).await;
    away.wait_for(1, LIMIT).await;
    failing.stop().await;
    let working = inside
        .start(on_three("s", "a", &(to_sink(&there) + retries)))
        .await;
    inside.publish(&event("a", "a2", "{}")).await;
    inside.reaches("s", "t", books(2, 1, 0, 1, 0)).await;
    assert_eq!(ids(&there), ["a2"]);
    working.stop().await;
}

#[tokio::test]
async fn a_message_that_is_no_event_is_dead_and_the_next_one_fires() {
    let (nats, inside) = Inside::on_nats().await;
    let running = inside.start(on_three("s", "a", "      log: {}\n")).await;
    let context = jetstream::new(nats.connect().await);
    for garbage in ["", "no json", "{}", r#"{"specversion":"9"}"#] {
        let sent = context
            .publish("default.s.a", garbage.into())
            .await
            .unwrap();
        sent.await.unwrap();
    }
    inside.publish(&event("a", "a1", "{}")).await;
    inside.reaches("s", "t", books(5, 1, 0, 4, 0)).await;
    assert_eq!(running.dead().list().await.unwrap().len(), 4);
    running.stop().await;
}

#[tokio::test]
async fn a_sensor_begins_where_it_is_told() {
    let (_nats, inside) = Inside::on_nats().await;
    // The stream is there once somebody has connected.
    inside.publish(&event("a", "before", "{}")).await;
    let between = Timestamp::now().to_string();
    inside.publish(&event("a", "since", "{}")).await;
    let start = async |name: &str, from: &str| {
        let mut object = on_three(name, "a", "      log: {}\n");
        let annotation = "tiphys.dev/start-from".to_owned();
        object.annotations.insert(annotation, from.to_owned());
        inside.start(object).await
    };
    let mut running = Vec::new();
    for (name, from) in [
        ("new", "new"),
        ("oldest", "oldest"),
        ("time", between.as_str()),
    ] {
        running.push(start(name, from).await);
    }
    inside.publish(&event("a", "after", "{}")).await;
    for (name, events) in [("new", 1), ("oldest", 3), ("time", 2)] {
        inside
            .reaches(name, "t", books(events, events, 0, 0, 0))
            .await;
    }
    for running in running {
        running.stop().await;
    }
    // One that the bus knows goes on where it was, whatever the annotation says.
    inside.publish(&event("a", "meanwhile", "{}")).await;
    let again = start("oldest", "new").await;
    inside.reaches("oldest", "t", books(4, 4, 0, 0, 0)).await;
    again.stop().await;
}

#[tokio::test]
async fn a_wildcard_takes_every_event_of_every_source() {
    let (_nats, inside) = Inside::on_nats().await;
    let spec = |source: &str, name: &str| {
        format!(
            "dependencies: [{{name: d, eventSourceName: '{source}', eventName: '{name}'}}]\ntriggers: [{{template: {{name: t, log: {{}}}}}}]"
        )
    };
    let mut running = Vec::new();
    for (name, source, event) in [("all", "*", "*"), ("named", "*", "a"), ("of-s", "s", "*")] {
        running.push(inside.start(sensor(name, &spec(source, event))).await);
    }
    for (source, name) in [("s", "a"), ("s", "b"), ("t", "a"), ("t", "c")] {
        let mut event = event(name, &format!("{source}-{name}"), "{}");
        event.source = source.to_owned();
        inside.publish(&event).await;
    }
    for (name, events) in [("all", 4), ("named", 2), ("of-s", 2)] {
        inside
            .reaches(name, "t", books(events, events, 0, 0, 0))
            .await;
    }
    for running in running {
        running.stop().await;
    }
}

#[tokio::test]
async fn a_rate_limit_lets_no_burst_through_and_waiting_events_stay_on_the_bus() {
    const EVENTS: u32 = 6;
    let (nats, inside) = Inside::on_nats().await;
    let sink = HttpSink::start();
    let limit = "    rateLimit: {unit: Second, requestsPerUnit: 2}\n";
    let running = inside
        .start(on_three("s", "a", &(to_sink(&sink) + limit)))
        .await;
    let began = Instant::now();
    for number in 0..EVENTS {
        inside
            .publish(&event("a", &format!("a{number}"), "{}"))
            .await;
    }
    sink.wait_for(1, LIMIT).await;
    let context = jetstream::new(nats.connect().await);
    let (consumers, _) = left(&nats).await;
    let stream = context.get_stream("default").await.unwrap();
    let info = stream.consumer_info(&consumers[0]).await.unwrap();
    let open = info.num_ack_pending as u64 + info.num_pending;
    assert!(open > 0, "{info:?}");
    sink.wait_for(EVENTS as usize, LIMIT).await;
    // Never sooner than half a second after the one before; later is the machine's business.
    assert!(began.elapsed() >= Duration::from_millis(500) * (EVENTS - 1));
    inside.reaches("s", "t", books(6, 6, 0, 0, 0)).await;
    running.stop().await;
}

#[tokio::test]
async fn a_time_of_conditions_reset_that_passed_while_nobody_ran_drops_what_was_held() {
    let (_nats, inside) = Inside::on_nats().await;
    let spec = on_three(
        "s",
        "a && b",
        "      conditionsReset: [{byTime: {cron: '0 0 1 1 *', timezone: UTC}}]\n      log: {}\n",
    );
    let running = inside.start(spec.clone()).await;
    inside.publish(&event("a", "a1", "{}")).await;
    inside.reaches("s", "t", books(1, 0, 0, 0, 1)).await;
    running.stop().await;
    // Two years pass.
    let state = inside.bus.state("tiphys-sensors").await.unwrap();
    let key = state.keys("").await.unwrap().remove(0);
    let entry = state.get(&key).await.unwrap().unwrap();
    let mut held: Value = serde_json::from_slice(&entry.value).unwrap();
    let long_ago = Timestamp::now() - jiff::SignedDuration::from_hours(2 * 366 * 24);
    held["held"]["a"]["at"] = json!(long_ago.to_string());
    let value = serde_json::to_vec(&held).unwrap();
    state
        .put(&key, value.into(), Some(entry.revision))
        .await
        .unwrap();
    let running = inside.start(spec).await;
    inside.publish(&event("b", "b1", "{}")).await;
    inside.reaches("s", "t", books(2, 0, 0, 1, 1)).await;
    let decisions = inside.decisions().await;
    let last = decisions.last().unwrap();
    assert_eq!(
        last.held,
        BTreeMap::from([("b".to_owned(), "b1".to_owned())])
    );
    let dropped = decisions.iter().any(|decision| {
        let of_first = decision
            .event
            .as_ref()
            .is_some_and(|event| event.id == "a1");
        of_first && decision.end == End::Dead
    });
    assert!(dropped, "{decisions:#?}");
    running.stop().await;
}

#[tokio::test]
async fn a_dead_event_is_driven_again_and_stored_events_are_replayed() {
    let (_nats, inside) = Inside::on_nats().await;
    let sink = HttpSink::start();
    sink.answer_next([Answer::status(StatusCode::BAD_REQUEST)]);
    let running = inside.start(on_three("s", "a", &to_sink(&sink))).await;
    inside.publish(&event("a", "a1", "{}")).await;
    inside.reaches("s", "t", books(1, 0, 0, 1, 0)).await;
    inside.publish(&event("a", "a2", "{}")).await;
    inside.reaches("s", "t", books(2, 1, 0, 1, 0)).await;
    let letters = running.dead().list().await.unwrap();
    assert_eq!(letters.len(), 1);
    running.redrive(&letters[0]).await.unwrap();
    assert_eq!(ids(&sink), ["a1", "a2", "a1"]);
    assert!(running.dead().list().await.unwrap().is_empty());
    let replayed = running.replay(&Replay::default()).await.unwrap();
    assert_eq!((replayed.read, replayed.fired), (2, 2), "{replayed:?}");
    assert_eq!(ids(&sink), ["a1", "a2", "a1", "a1", "a2"]);
    running.stop().await;
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
    let decisions = inside.decisions().await;
    let dead = decisions.iter().find(|decision| decision.end == End::Dead);
    let dead = dead.unwrap();
    assert_eq!(dead.event.as_ref().unwrap().id, "lonely");
    let reason = dead.reason.as_deref().unwrap();
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_share_the_events_and_use_each_once() {
    const EVENTS: usize = 300;
    let nats = Nats::start(NatsOptions::default()).await;
    let replicas = [Inside::on(&nats).await, Inside::on(&nats).await];
    let sink = HttpSink::start();
    let pairs = on_three("pairs", "a && b", "      log: {}\n");
    let mut running = Vec::new();
    for replica in &replicas {
        running.push(
            replica
                .start(on_three("single", "a", &to_sink(&sink)))
                .await,
        );
        running.push(replica.start(pairs.clone()).await);
    }
    for number in 0..EVENTS {
        for name in ["a", "b"] {
            let event = event(name, &format!("{name}{number}"), "{}");
            replicas[0].publish(&event).await;
        }
    }
    let sum = |name: &str| {
        let of = |replica: &Inside| replica.books(name, "t");
        let all = replicas.iter().map(of);
        all.fold(books(0, 0, 0, 0, 0), |sum, one| Books {
            accepted: sum.accepted + one.accepted,
            fired: sum.fired + one.fired,
            filtered: sum.filtered + one.filtered,
            dead: sum.dead + one.dead,
            pending: sum.pending + one.pending,
        })
    };
    let wanted = EVENTS as u64;
    eventually_ok("each event to be fired", LIMIT, async || {
        let single = sum("single");
        if (single.fired, single.pending) == (wanted, 0) {
            Ok(())
        } else {
            Err(format!("{single:?}"))
        }
    })
    .await;
    let seen = ids(&sink);
    assert_eq!(
        seen.len(),
        EVENTS,
        "nothing failed, so nothing is sent twice"
    );
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), EVENTS);
    // Of a pair each event is used at most once, whoever has it.
    eventually_ok(
        "each half to be fired, replaced or held",
        LIMIT,
        async || {
            let mut fired = BTreeMap::<String, usize>::new();
            let mut dead = BTreeSet::new();
            for replica in &replicas {
                for decision in replica.decisions().await {
                    if decision.sensor != "pairs" {
                        continue;
                    }
                    if let (End::Dead, Some(event)) = (decision.end, &decision.event) {
                        dead.insert(event.id.clone());
                    }
                    for firing in decision
                        .parts
                        .iter()
                        .filter_map(|part| part.firing.as_ref())
                    {
                        for id in firing.events.values() {
                            *fired.entry(id.clone()).or_default() += 1;
                        }
                    }
                }
            }
            assert!(fired.values().all(|count| *count == 1), "{fired:?}");
            assert!(dead.iter().all(|id| !fired.contains_key(id)), "{dead:?}");
            // One may be held in the end.
            let ended = fired.len() + dead.len();
            if ended + 1 >= 2 * EVENTS {
                Ok(())
            } else {
                Err(format!("{} fired and {} dead", fired.len(), dead.len()))
            }
        },
    )
    .await;
    for running in running {
        running.stop().await;
    }
}

/// An event with a payload of some bytes is stored whatever it holds; this one has none at all.
#[tokio::test]
async fn an_event_without_a_payload_fires_too() {
    let (_nats, inside) = Inside::on_nats().await;
    let running = inside.start(on_three("s", "a", "      log: {}\n")).await;
    let mut empty: Event = event("a", "a1", "");
    empty.data = None;
    inside.publish(&empty).await;
    inside.reaches("s", "t", books(1, 1, 0, 0, 0)).await;
    running.stop().await;
}
