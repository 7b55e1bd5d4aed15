//! What users of Argo Events suffered from and reported, each issue as a test of the whole program.
//!
//! | issue | what hurt | test |
//! |---|---|---|
//! | #3448 | 200 although the event was not stored | `faults::a_run_starts_without_its_bus_and_loses_nothing_when_it_comes`, `faults::a_full_disk_is_told_and_goes_on_when_there_is_room` |
//! | #2340 | a killed sensor loses events | `crash::no_accepted_event_is_lost_or_doubled_with_jetstream`, fault runs |
//! | #2928 | no retry when the target answers 500 | here |
//! | #3326 | of events at one moment only one counts | here |
//! | #2851 | three a minute let eleven through | `delivery::a_rate_limit_lets_no_burst_through_and_waiting_events_stay_on_the_bus`, `limit::three_a_minute_are_never_more` |
//! | #3215, #3808 | `!=` with several values passes everything | the same by the book (case D22), and `lint` warns: here |
//! | #1515 | a pattern that is not anchored matches more than was meant | by the book (cases D20) |
//! | #1069, #2372 | paths of headers | here |
//! | #1127 | arrays in filters | here, and case D36 |
//! | – | `1e+06`, 2^53 + 1 | here |
//! | #3713 | the whole body as the payload | here, and cases P4 and P5 |
//! | #1336 | a bearer token in the log | here |
//! | #2011, #983 | an incoming CloudEvent loses its attributes | here |
//! | #3281 | a large sensor does not start | here |
//! | #1516 | two leaders double events | `delivery::replicas_share_the_events_and_use_each_once`, fault runs |
//! | #3458, #2376 | the bus does not survive its restarts | `faults::a_bus_that_is_killed_under_load_loses_no_accepted_event`, fault runs |
//! | #3497 | 200,000 lines of log for one restart | `faults::a_bus_that_is_killed_under_load_loses_no_accepted_event` |
//! | #1947 | files are read through links and `..` | `sources`, and the tests beside the readers of sources |
//!
//! #2265 (calendar) and #4129 (hooks of GitHub) are pains of sources that have their own tests.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use serde_json::{Value, json};
use tiphys_tests::tls::http_client;
use tiphys_tests::{Answer, HttpSink, Tiphys, eventually_ok, temp_dir};

use crate::scene::{plain_source, send, sensor};
use crate::support::{LIMIT, LocalRun};

/// A run of the plain source and a Sensor `out` with a trigger `act` of this kind, started.
async fn running(filters: &Value, trigger: &Value) -> LocalRun {
    let mut run = LocalRun::empty();
    run.write("source.yaml", &plain_source());
    let mut object: Value = serde_json::from_str(&sensor("out", trigger)).unwrap();
    object["spec"]["dependencies"][0]["filters"] = filters.clone();
    run.write("sensor.yaml", &object.to_string());
    run.start().await;
    run
}

/// A request with what `items` takes from the event.
fn to(sink: &HttpSink, items: &Value) -> Value {
    json!({"http": {"url": sink.url(), "payload": items}})
}

fn item(key: &str, dest: &str) -> Value {
    json!({"src": {"dependencyName": "in", "dataKey": key}, "dest": dest})
}

#[tokio::test]
async fn issue_2928_a_target_that_answers_500_is_asked_again() {
    let sink = HttpSink::start();
    let failing = Answer::status(StatusCode::INTERNAL_SERVER_ERROR);
    sink.answer_next([failing.clone(), failing]);
    let mut object: Value = serde_json::from_str(&sensor(
        "out",
        &to(&sink, &json!([item("body.message", "message")])),
    ))
    .unwrap();
    let trigger = &mut object["spec"]["triggers"][0];
    trigger["policy"] = json!({"status": {"allow": [200]}});
    trigger["retryStrategy"] = json!({"steps": 3, "duration": "10ms"});
    let mut run = LocalRun::empty();
    run.write("source.yaml", &plain_source());
    run.write("sensor.yaml", &object.to_string());
    run.start().await;
    run.takes("again").await;
    let received = sink.wait_for(3, LIMIT).await;
    assert!(
        received
            .iter()
            .all(|request| request.json()["message"] == "again")
    );
    let books = run.accounted("out", 1).await;
    assert_eq!((books.fired, books.dead), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn issue_3326_each_of_many_events_of_one_moment_has_its_effect() {
    const SENDERS: usize = 64;
    let sink = HttpSink::start();
    let run = running(
        &json!({}),
        &to(&sink, &json!([item("body.message", "message")])),
    )
    .await;
    let url = run.at("/in");
    let http = http_client(None);
    let posts = (0..SENDERS).map(|number| {
        let (http, url) = (http.clone(), url.clone());
        async move { send(&http, &url, &number.to_string()).await.unwrap().0 }
    });
    let statuses = futures::future::join_all(posts).await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    let received = sink.wait_for(SENDERS, LIMIT).await;
    let messages: BTreeSet<String> = received
        .iter()
        .map(|request| request.json()["message"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(messages.len(), SENDERS);
    run.accounted("out", SENDERS as u64).await;
}

#[tokio::test]
async fn issues_3215_and_3808_lint_warns_of_several_values_that_something_must_differ_from() {
    let folder = temp_dir();
    let mut object: Value = serde_json::from_str(&sensor("out", &json!({"log": {}}))).unwrap();
    let filter = json!({"path": "body.action", "type": "string", "comparator": "!=", "value": ["opened", "closed"]});
    object["spec"]["dependencies"][0]["filters"] = json!({"data": [filter]});
    let file = folder.path().join("sensor.yaml");
    std::fs::write(&file, object.to_string()).unwrap();
    let linted = Tiphys::command(["lint"]).args([&file]).output(LIMIT).await;
    let said = format!("{}{}", linted.stdout, linted.stderr);
    assert_eq!(linted.code, Some(0), "{said}");
    assert!(
        said.contains("filters.data[0].comparator") && said.contains("any one value differs"),
        "{said}"
    );
}

#[tokio::test]
async fn issues_1069_2372_and_1127_headers_and_arrays_are_reached_by_their_paths() {
    let sink = HttpSink::start();
    let filters = json!({"data": [
        {"path": "header.X-Github-Event.0", "type": "string", "value": ["^push$"]},
        {"path": "body.labels.#(name==\"ci\").name", "type": "string", "value": ["^ci$"]},
        {"path": "body.commits.#", "type": "number", "comparator": ">=", "value": ["2"]},
    ]});
    let items = json!([
        item("header.X-Github-Event.0", "event"),
        item("body.commits.1.id", "second")
    ]);
    let run = running(&filters, &to(&sink, &items)).await;
    let http = http_client(None);
    for (event, labels, passes) in [
        ("push", "ci", true),
        ("pull", "ci", false),
        ("push", "doc", false),
    ] {
        let body = json!({"labels": [{"name": "other"}, {"name": labels}], "commits": [{"id": "1"}, {"id": "2"}], "passes": passes});
        let request = http
            .post(run.at("/in"))
            .header("x-github-event", event)
            .json(&body);
        assert_eq!(request.send().await.unwrap().status(), 200);
    }
    let books = run.accounted("out", 3).await;
    assert_eq!((books.fired, books.filtered), (1, 2), "{books:?}");
    assert_eq!(
        sink.received()[0].json(),
        json!({"event": "push", "second": "2"})
    );
}

#[tokio::test]
async fn numbers_are_never_mangled() {
    let sink = HttpSink::start();
    let template = |text: &str, dest: &str| json!({"src": {"dependencyName": "in", "dataTemplate": text}, "dest": dest});
    let raw = json!({"src": {"dependencyName": "in", "dataKey": "body.big", "useRawData": true}, "dest": "raw"});
    let items = json!([
        template("{{ .Input.body.million }}", "million"),
        template(
            "{{ .Input.body.big }} {{ .Input.body.big | toJson }}",
            "big"
        ),
        template("{{ .Input.body.price }}", "price"),
        item("body.big", "key"),
        raw,
    ]);
    let run = running(&json!({}), &to(&sink, &items)).await;
    let body = r#"{"million": 1000000, "big": 9007199254740993, "price": 0.10}"#;
    let request = http_client(None).post(run.at("/in"));
    let request = request
        .header("content-type", "application/json")
        .body(body);
    assert_eq!(request.send().await.unwrap().status(), 200);
    let received = sink.wait_for(1, LIMIT).await;
    assert_eq!(
        String::from_utf8_lossy(&received[0].body),
        r#"{"million":"1000000","big":"9007199254740993 9007199254740993","price":"0.10","key":"9007199254740993","raw":9007199254740993}"#
    );
}

#[tokio::test]
async fn issue_3713_the_whole_body_is_the_payload() {
    let sink = HttpSink::start();
    let run = running(&json!({}), &to(&sink, &json!([item("body", "")]))).await;
    let body = r#"{"b":1.50,"a":[1,2],"c":"é"}"#;
    let request = http_client(None).post(run.at("/in"));
    let request = request
        .header("content-type", "application/json")
        .body(body);
    assert_eq!(request.send().await.unwrap().status(), 200);
    let received = sink.wait_for(1, LIMIT).await;
    assert_eq!(String::from_utf8_lossy(&received[0].body), body);
}

#[tokio::test]
async fn issue_1336_a_token_of_a_sender_is_in_no_log_and_no_record() {
    const TOKEN: &str = "s3cr3t-t0k3n-of-the-sender";
    let sink = HttpSink::start();
    let run = running(
        &json!({}),
        &to(&sink, &json!([item("body.nowhere", "text")])),
    )
    .await;
    let request = http_client(None).post(run.at("/in")).bearer_auth(TOKEN);
    let answer = request
        .json(&json!({"message": "hello"}))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let id = answer.headers()["x-event-id"].to_str().unwrap().to_owned();
    let books = run.accounted("out", 1).await;
    assert_eq!(books.dead, 1);
    assert!(
        sink.received().is_empty(),
        "nothing is sent where a value is missing"
    );
    let why = run.tiphys(&["why", &id]).await;
    assert!(
        why.stdout
            .contains("unable to resolve 'in' parameter value"),
        "{why:?}"
    );
    let events = run.tiphys(&["events", "-o", "json"]).await;
    let dead = run.tiphys(&["dead", "list", "-o", "wide"]).await;
    for said in [run.said(), why.stdout, events.stdout, dead.stdout] {
        assert!(!said.contains(TOKEN), "{said}");
    }
}

#[tokio::test]
async fn issues_2011_and_983_an_incoming_cloudevent_keeps_what_it_is() {
    let sink = HttpSink::start();
    let context =
        |key: &str| json!({"src": {"dependencyName": "in", "contextKey": key}, "dest": key});
    let items = json!([context("id"), context("type"), context("time")]);
    let run = running(&json!({}), &to(&sink, &items)).await;
    let request = http_client(None)
        .post(run.at("/in"))
        .json(&json!({"message": "hello"}));
    let request = request
        .header("ce-specversion", "1.0")
        .header("ce-id", "order-4711")
        .header("ce-source", "/shop")
        .header("ce-type", "shop.order")
        .header("ce-time", "2026-07-18T10:00:00Z");
    assert_eq!(request.send().await.unwrap().status(), 200);
    let received = sink.wait_for(1, LIMIT).await;
    let wanted = json!({"id": "order-4711", "type": "shop.order", "time": "2026-07-18T10:00:00Z"});
    assert_eq!(received[0].json(), wanted);
}

#[tokio::test]
async fn issue_3281_a_sensor_of_a_megabyte_starts_and_fires() {
    const TRIGGERS: usize = 400;
    let sink = HttpSink::start();
    let trigger = to(&sink, &json!([item("body.message", "message")]));
    let mut object: Value = serde_json::from_str(&sensor("out", &trigger)).unwrap();
    let mut triggers = object["spec"]["triggers"].as_array().unwrap().clone();
    for number in 1..TRIGGERS {
        let mut other = triggers[0].clone();
        other["template"]["name"] = format!("other-{number}").into();
        other["template"]["conditions"] = "never".into();
        other["template"]["http"]["headers"] = json!({"X-Long": "x".repeat(3000)});
        triggers.push(other);
    }
    object["spec"]["triggers"] = triggers.into();
    let never = json!({"name": "never", "eventSourceName": "in", "eventName": "never"});
    object["spec"]["dependencies"]
        .as_array_mut()
        .unwrap()
        .push(never);
    object["spec"]["triggers"][0]["template"]["conditions"] = "in".into();
    let text = object.to_string();
    assert!(text.len() > 1 << 20);
    let mut run = LocalRun::empty();
    run.write("source.yaml", &plain_source());
    run.write("sensor.yaml", &text);
    run.start().await;
    eventually_ok("an event to be taken", LIMIT, async || {
        let (status, _) = run.send("large").await.ok_or("no answer")?;
        if status == 200 {
            Ok(())
        } else {
            Err("not yet")
        }
    })
    .await;
    assert_eq!(
        sink.wait_for(1, LIMIT).await[0].json(),
        json!({"message": "large"})
    );
}
