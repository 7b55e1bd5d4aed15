//! How events reach their triggers on a real NATS server: who gets them, from when on, how fast, in which order and how
//! often. The same rules on the embedded bus are tried beside the code.

mod held;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use async_nats::jetstream;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use tiphys_core::Event;
use tiphys_sensor::{End, Replay, RunningSensor, SensorObject};
use tiphys_tests::{Answer, HttpSink, Nats, NatsOptions, eventually_ok};

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

/// A Sensor whose target is away has `a1` in hand and is replaced by one whose target, which is returned, is there.
async fn replaced(inside: &Inside, at_least_once: bool) -> (HttpSink, RunningSensor) {
    let (away, there) = (HttpSink::start(), HttpSink::start());
    away.answer(Answer::status(StatusCode::SERVICE_UNAVAILABLE));
    let retries = format!(
        "    retryStrategy: {{steps: 20, duration: 1h}}\n    atLeastOnce: {at_least_once}\n"
    );
    let failing = on_three("s", "a", &(to_sink(&away) + &retries));
    let failing = inside.start(failing).await;
    inside.publish(&event("a", "a1", "{}")).await;
    away.wait_for(1, LIMIT).await;
    failing.stop().await;
    let working = on_three("s", "a", &(to_sink(&there) + &retries));
    let working = inside.start(working).await;
    (there, working)
}

#[tokio::test]
async fn q18_what_a_failing_sensor_has_in_hand_is_done_by_the_one_that_replaces_it() {
    let (_nats, inside) = Inside::on_nats().await;
    let (sink, working) = replaced(&inside, true).await;
    sink.wait_for(1, LIMIT).await;
    inside.reaches("s", "t", books(1, 1, 0, 0, 0)).await;
    assert_eq!(ids(&sink), ["a1"]);
    working.stop().await;
}

#[tokio::test]
async fn q19_at_most_once_is_never_fired_again() {
    let (_nats, inside) = Inside::on_nats().await;
    let (sink, working) = replaced(&inside, false).await;
    inside.publish(&event("a", "a2", "{}")).await;
    inside.reaches("s", "t", books(2, 1, 0, 1, 0)).await;
    assert_eq!(ids(&sink), ["a2"]);
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
    let (consumers, _) = held::left(&nats).await;
    let stream = context.get_stream("default").await.unwrap();
    let info = stream.consumer_info(&consumers[0]).await.unwrap();
    let open = info.num_ack_pending as u64 + info.num_pending;
    // Read after the server was asked, so that those who are not at the sink were open then.
    let waiting = u64::from(EVENTS).saturating_sub(sink.received().len() as u64);
    assert!(open >= waiting, "{waiting} wait: {info:?}");
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
