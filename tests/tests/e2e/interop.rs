//! On one JetStream bus with Argo Events: what we publish is read as bytes and compared with what Argo writes, and what
//! Argo writes, in every form that it reads, reaches our Sensors. What is Argo's on the server stays as it was.

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::header::HeaderMap;
use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy, Info, pull};
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType, Stream};
use async_nats::jetstream::{self, Context};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::StreamExt as _;
use serde_json::{Value, json};
use tiphys_tests::tls::http_client;
use tiphys_tests::{HttpSink, Nats, NatsOptions, eventually_ok};

use crate::scene::{plain_source, sensor};
use crate::support::{LIMIT, LocalRun, exotic_bus};

/// The stream as Argo's first process makes it from its controller's defaults, on one server.
fn argos_stream() -> Config {
    Config {
        name: "default".to_owned(),
        subjects: vec!["default.*.*".to_owned()],
        max_messages: 50_000,
        max_bytes: -1,
        max_age: Duration::from_secs(168 * 3600),
        num_replicas: 1,
        duplicate_window: Duration::from_secs(300),
        retention: RetentionPolicy::Limits,
        discard: DiscardPolicy::Old,
        storage: StorageType::File,
        ..Config::default()
    }
}

/// The name that Argo gives to the consumer of a Sensor's trigger and dependency.
fn argos_name(sensor: &str, trigger: &str, dependency: &str) -> String {
    let hash = format!("{sensor}-{trigger}-{dependency}")
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
    format!("group-{hash}")
}

/// The consumer of Sensor `s`, trigger `t`, dependency `d`, as Argo makes it.
fn argos_consumer() -> pull::Config {
    assert_eq!(argos_name("s", "t", "d"), "group-2871341474");
    pull::Config {
        durable_name: Some("group-2871341474".to_owned()),
        filter_subject: "default.in.in".to_owned(),
        deliver_policy: DeliverPolicy::New,
        ack_policy: AckPolicy::Explicit,
        ..pull::Config::default()
    }
}

struct Bus {
    server: Nats,
    context: Context,
    stream: Stream,
}

impl Bus {
    async fn of_argo() -> Self {
        let server = Nats::start(NatsOptions::default()).await;
        let context = jetstream::new(server.connect().await);
        let stream = context.create_stream(argos_stream()).await.unwrap();
        Self {
            server,
            context,
            stream,
        }
    }

    /// As an EventSource of Argo publishes.
    async fn publish(&self, id: &str, body: &str) {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", id);
        let subject = "default.in.in";
        let body = body.as_bytes().to_vec();
        let sent = self
            .context
            .publish_with_headers(subject, headers, body.into());
        sent.await.unwrap().await.unwrap();
    }
}

/// Waits until so many messages wait for a consumer, of which it hears a moment after they are stored.
async fn waiting(consumer: &Consumer<pull::Config>, count: u64) -> Info {
    let what = format!("{count} messages for the consumer");
    eventually_ok(&what, LIMIT, async || {
        let info = consumer
            .get_info()
            .await
            .map_err(|error| error.to_string())?;
        match info.num_pending == count {
            true => Ok(info),
            false => Err(format!("{info:?}")),
        }
    })
    .await
}

/// `YYYY-MM-DDThh:mm:ss[.f]Z` with no zero at the end of the fraction.
fn is_time(text: &str) -> bool {
    let shape: String = text
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    let Some(rest) = shape.strip_prefix("0000-00-00T00:00:00") else {
        return false;
    };
    let fraction = rest.trim_start_matches('.').trim_end_matches('Z');
    rest.ends_with('Z')
        && fraction.len() <= 9
        && fraction.chars().all(|c| c == '0')
        && rest.starts_with('.') != fraction.is_empty()
        && (fraction.is_empty() || !text.ends_with("0Z"))
}

#[tokio::test]
async fn what_we_publish_is_argos_envelope_byte_for_byte() {
    let bus = Bus::of_argo().await;
    let before = bus.stream.get_info().await.unwrap().config;
    let consumer: Consumer<pull::Config> =
        bus.stream.create_consumer(argos_consumer()).await.unwrap();
    let mut run = LocalRun::empty();
    run.write("eventbus.yaml", &exotic_bus(&bus.server.url()));
    run.write("source.yaml", &plain_source());
    run.start().await;
    let body = r#"{"big":9007199254740993,"float":1.0,"text":"a<b>&c é"}"#;
    let answer = http_client(None)
        .post(run.at("/in"))
        .header("content-type", "application/json")
        .body(body)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);

    let message = bus.stream.get_raw_message(1).await.unwrap();
    assert_eq!(message.subject.as_str(), "default.in.in");
    let raw = String::from_utf8(message.payload.to_vec()).unwrap();
    let envelope: Value = serde_json::from_str(&raw).unwrap();
    let text = |key: &str| envelope[key].as_str().unwrap_or_default();
    let (id, time, data) = (text("id"), text("time"), text("data_base64"));
    assert_eq!(
        raw,
        format!(
            r#"{{"specversion":"1.0","id":"{id}","source":"in","type":"webhook","subject":"in","datacontenttype":"application/json","time":"{time}","data_base64":"{data}"}}"#
        )
    );
    let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    assert!(id.len() == 32 && id.chars().all(hex), "{id}");
    assert_eq!(id.as_bytes()[12], b'4', "a random UUID: {id}");
    assert!(is_time(time), "{time}");
    let headers: Vec<(String, Vec<String>)> = message
        .headers
        .iter()
        .map(|(name, values)| {
            let values = values.iter().map(ToString::to_string).collect();
            (name.to_string(), values)
        })
        .collect();
    assert_eq!(headers, [("Nats-Msg-Id".to_owned(), vec![id.to_owned()])]);
    let payload = STANDARD.decode(data).unwrap();
    assert_eq!(STANDARD.encode(&payload), data);
    let payload = String::from_utf8(payload).unwrap();
    // As Go writes JSON: the text as it came, with three letters that HTML minds escaped.
    let written =
        r#""body":{"big":9007199254740993,"float":1.0,"text":"a\u003cb\u003e\u0026c é"}}"#;
    assert!(payload.ends_with(written), "{payload}");

    // What is Argo's stays as it was made: the stream, and the place of its Sensor.
    assert_eq!(bus.stream.get_info().await.unwrap().config, before);
    let info = waiting(&consumer, 1).await;
    assert_eq!(info.num_ack_pending, 0);
    assert_eq!(info.config, consumer.cached_info().config);
}

/// The text of a whole event in a parameter, as Argo has it, beside its id.
fn seen(context: [&str; 6], data: Value) -> (String, String) {
    let [id, source, kind, content_type, subject, time] = context;
    let time = if time.is_empty() {
        Value::Null
    } else {
        time.into()
    };
    let event = json!({
        "context": {
            "id": id,
            "source": source,
            "specversion": "1.0",
            "type": kind,
            "datacontenttype": content_type,
            "subject": subject,
            "time": time,
        },
        "data": data,
    });
    (id.to_owned(), event.to_string())
}

#[tokio::test]
async fn every_form_of_argos_envelope_reaches_our_sensor_and_what_is_none_harms_nobody() {
    let bus = Bus::of_argo().await;
    let sink = HttpSink::start();
    let mut run = LocalRun::empty();
    run.write("eventbus.yaml", &exotic_bus(&bus.server.url()));
    let whole = json!({"http": {"url": sink.url(), "method": "POST", "payload": [
        {"src": {"dependencyName": "in"}, "dest": "event"},
    ]}});
    run.write("sensor.yaml", &sensor("out", &whole));
    run.start().await;

    let json_type = "application/json";
    let at = "2026-07-18T10:00:00Z";
    let b64 = |text: &str| Value::from(STANDARD.encode(text));
    let good = [
        // As the reference's own example writes it.
        (
            r#"{"specversion":"1.0","id":"a1","source":"in","type":"webhook","subject":"in","datacontenttype":"application/json","time":"2026-07-18T10:00:00.12Z","data_base64":"eyJib2R5Ijp7fX0="}"#,
            seen(
                ["a1", "in", "webhook", json_type, "in", at],
                b64(r#"{"body":{}}"#),
            ),
        ),
        // Members in any order, and blanks between them.
        (
            " {\n\"data_base64\" : \"e30=\", \"subject\":\"in\",\"time\":\"2026-07-18T12:00:00+02:00\", \"type\":\"calendar\", \"datacontenttype\":\"application/json\",\"source\":\"in\", \"id\":\"a2\", \"specversion\":\"1.0\" }\n",
            seen(
                ["a2", "in", "calendar", json_type, "in", at],
                b64("{}"),
            ),
        ),
        // Data as JSON keeps its text: blanks and digits.
        (
            r#"{"specversion":"1.0","id":"a3","source":"in","type":"t","subject":"in","datacontenttype":"application/json","data":{ "n" : 9007199254740993, "e": 1e+06 }}"#,
            seen(
                ["a3", "in", "t", json_type, "in", ""],
                b64(r#"{ "n" : 9007199254740993, "e": 1e+06 }"#),
            ),
        ),
        // JSON where no type says otherwise.
        (
            r#"{"specversion":"1.0","id":"a4","source":"in","type":"t","subject":"in","data":[1,2]}"#,
            seen(["a4", "in", "t", "", "in", ""], b64("[1,2]")),
        ),
        (
            r#"{"specversion":"1.0","id":"a5","source":"in","type":"t","subject":"in","datacontenttype":"text/json","time":"","data":"x"}"#,
            seen(
                ["a5", "in", "t", "text/json", "in", ""],
                b64("\"x\""),
            ),
        ),
        // Other types carry text.
        (
            r#"{"specversion":"1.0","id":"a6","source":"in","type":"t","subject":"in","datacontenttype":"text/plain","data":"a\nb \u00e9"}"#,
            seen(
                ["a6", "in", "t", "text/plain", "in", ""],
                b64("a\nb é"),
            ),
        ),
        // The version before is shown as this one, and members that nobody knows stay in the context.
        (
            r#"{"specversion":"0.3","id":"a7","source":"in","type":"t","subject":"in","datacontenttype":"application/json","extra":"1","other":2,"data":{}}"#,
            (
                "a7".to_owned(),
                r#"{"context":{"id":"a7","source":"in","specversion":"1.0","type":"t","datacontenttype":"application/json","subject":"in","time":null,"extra":"1","other":"2"},"data":"e30="}"#.to_owned(),
            ),
        ),
        // No data, and data that is empty.
        (
            r#"{"specversion":"1.0","id":"a8","source":"in","type":"t","subject":"in","datacontenttype":"application/json"}"#,
            seen(["a8", "in", "t", json_type, "in", ""], Value::Null),
        ),
        (
            r#"{"specversion":"1.0","id":"a9","source":"in","type":"t","subject":"in","datacontenttype":"application/json","data_base64":""}"#,
            seen(["a9", "in", "t", json_type, "in", ""], b64("")),
        ),
        // An id that an event source of Kafka makes.
        (
            r#"{"specversion":"1.0","id":"in:in:broker:9092:topic:0:7","source":"in","type":"kafka","subject":"in","datacontenttype":"application/json","time":"2026-07-18T10:00:00.123456789Z","data_base64":"e30="}"#,
            seen(
                [
                    "in:in:broker:9092:topic:0:7",
                    "in",
                    "kafka",
                    json_type,
                    "in",
                    at,
                ],
                b64("{}"),
            ),
        ),
    ];
    let bad = [
        "",
        "not json",
        "[]",
        r#"{"id":"b1","source":"in","subject":"in"}"#,
        r#"{"specversion":"2.0","id":"b2","source":"in","subject":"in"}"#,
        r#"{"specversion":"1.0","specversion":"1.0","id":"b3","source":"in","subject":"in"}"#,
        r#"{"specversion":"1.0","datacontenttype":"a","datacontenttype":"a","id":"b4","source":"in","subject":"in"}"#,
        r#"{"specversion":"1.0","id":"b5","source":"in","subject":"in","time":"yesterday"}"#,
        r#"{"specversion":"1.0","id":"b6","source":"in","subject":"in","data_base64":"*"}"#,
        r#"{"specversion":"1.0","id":"b7","source":"in","subject":"in","datacontenttype":"text/plain","data":{}}"#,
        r#"{"specversion":"1.0","id":"b8","source":"in","subject":"in","not-allowed":"x"}"#,
    ];
    // A bad one between any two good ones.
    let mut wanted = BTreeMap::new();
    for (number, (body, (id, event))) in good.iter().enumerate() {
        if let Some(body) = bad.get(number) {
            bus.publish(&format!("bad-{number}"), body).await;
        }
        bus.publish(id, body).await;
        wanted.insert(id.clone(), event.clone());
    }
    bus.publish("bad-last", bad[bad.len() - 1]).await;

    let sent = u64::try_from(good.len() + bad.len()).unwrap();
    let fired = u64::try_from(good.len()).unwrap();
    eventually_ok("an end of each message", LIMIT, async || {
        let books = run.books("out").await;
        let ended = (books.accepted, books.fired, books.dead, books.pending);
        if ended == (sent, fired, sent - fired, 0) {
            Ok(())
        } else {
            Err(format!("{books:?}"))
        }
    })
    .await;
    let received = sink.wait_for(good.len(), LIMIT).await;
    let mut found = BTreeMap::new();
    for request in received {
        let event = request.json()["event"].as_str().unwrap().to_owned();
        let read: Value = serde_json::from_str(&event).unwrap();
        found.insert(read["context"]["id"].as_str().unwrap().to_owned(), event);
    }
    assert_eq!(found, wanted);
    assert_eq!(
        bus.stream.get_info().await.unwrap().config.discard,
        DiscardPolicy::Old
    );
}

#[tokio::test]
async fn a_stream_of_argos_that_ate_events_of_a_sensor_is_told_in_the_buss_status() {
    let server = Nats::start(NatsOptions::default()).await;
    let context = jetstream::new(server.connect().await);
    let small = Config {
        max_messages: 5,
        ..argos_stream()
    };
    let stream = context.create_stream(small).await.unwrap();
    // A Sensor that is away, of whichever side.
    let away: Consumer<pull::Config> = stream.create_consumer(argos_consumer()).await.unwrap();
    let bus = Bus {
        server,
        context,
        stream,
    };
    let mut run = LocalRun::empty();
    run.write("eventbus.yaml", &exotic_bus(&bus.server.url()));
    run.start().await;
    eventually_ok("a first look at the stream", LIMIT, async || {
        let store = bus.context.get_key_value("tiphys_bus").await;
        let store = store.map_err(|error| error.to_string())?;
        let found = store
            .get("survey")
            .await
            .map_err(|error| error.to_string())?;
        found.map(drop).ok_or_else(|| "none yet".to_owned())
    })
    .await;
    run.kill();
    for number in 0..12 {
        bus.publish(&number.to_string(), "{}").await;
    }
    waiting(&away, 5).await;
    // Whoever comes next tells of it.
    run.start().await;
    let api = kube::Api::<kube::api::DynamicObject>::namespaced_with(
        run.client(),
        crate::support::NAMESPACE,
        &tiphys_tests::argo_crds::argo("EventBus"),
    );
    eventually_ok("the bus to tell of its loss", LIMIT * 2, async || {
        let found = api
            .get("default")
            .await
            .map_err(|error| error.to_string())?;
        let message = found.data["status"]["conditions"][0]["message"].clone();
        match message.as_str() {
            Some(text) if text.contains("7 events") => Ok(()),
            _ => Err(message.to_string()),
        }
    })
    .await;
    eventually_ok("the metric to tell of it too", LIMIT, async || {
        let answer = http_client(None).get(run.admin("/metrics")).send().await;
        let answer = answer.map_err(|error| error.to_string())?;
        let metrics = answer.text().await.map_err(|error| error.to_string())?;
        let mut lines = metrics.lines();
        let line = lines.find(|line| line.starts_with("tiphys_bus_events_lost{"));
        let told = line.is_some_and(|line| line.ends_with(" 7"));
        told.then_some(()).ok_or_else(|| format!("{line:?}"))
    })
    .await;
}

#[tokio::test]
async fn our_sensor_goes_on_where_argos_ended() {
    let bus = Bus::of_argo().await;
    let config = pull::Config {
        durable_name: Some(argos_name("out", "act", "in")),
        ..argos_consumer()
    };
    let argos: Consumer<pull::Config> = bus.stream.create_consumer(config).await.unwrap();
    for number in 0..5 {
        let id = number.to_string();
        let body = json!({
            "specversion": "1.0", "id": id, "source": "in", "type": "webhook", "subject": "in",
            "datacontenttype": "application/json", "data": {"body": {"message": id}},
        });
        bus.publish(&id, &body.to_string()).await;
    }
    // A batch that waits until it is full: the consumer hears of what was stored a moment later.
    let batch = argos.batch().max_messages(2).expires(LIMIT);
    let messages: Vec<_> = batch.messages().await.unwrap().collect().await;
    assert_eq!(messages.len(), 2);
    for message in messages {
        message.unwrap().double_ack().await.unwrap();
    }

    let sink = HttpSink::start();
    let mut run = LocalRun::forwarding(&sink.url());
    run.write("eventbus.yaml", &exotic_bus(&bus.server.url()));
    run.start().await;
    run.takes("5").await;
    let received = sink.wait_for(4, LIMIT).await;
    let mut messages: Vec<String> = received
        .iter()
        .map(|request| request.json()["message"].as_str().unwrap().to_owned())
        .collect();
    messages.sort();
    assert_eq!(messages, ["2", "3", "4", "5"]);
    let books = run.accounted("out", 4).await;
    assert_eq!((books.accepted, books.fired), (4, 4), "{books:?}");
}
