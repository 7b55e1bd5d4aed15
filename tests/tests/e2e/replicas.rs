//! What holds for a whole Sensor, however many processes run it, on a real NATS server: the order of a key, and a rate.
//! Processes are killed in the middle.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use tiphys_tests::http_sink::{Answer, Received};
use tiphys_tests::ports::free_port;
use tiphys_tests::{HttpSink, Nats, NatsOptions, Tiphys, eventually, temp_dir};

use crate::support::{LIMIT, NAMESPACE, exotic_bus};

/// A process that runs the Sensor from files, and its admin port.
struct Replica {
    name: &'static str,
    files: TempDir,
    admin: u16,
    process: Option<Tiphys>,
}

impl Replica {
    /// One whose requests say which replica sent them.
    fn new(name: &'static str, nats: &Nats, sink: &HttpSink, more: &Value) -> Self {
        let mut trigger = json!({"template": {"name": "act", "http": {
        "url": format!("{}/{name}", sink.url()), "method": "POST",
        "payload": [
            {"src": {"dependencyName": "in", "dataKey": "key"}, "dest": "key"},
            {"src": {"dependencyName": "in", "dataKey": "n", "useRawData": true}, "dest": "n"},
        ]}}});
        for (field, value) in more.as_object().unwrap() {
            trigger[field] = value.clone();
        }
        let sensor = json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Sensor",
            "metadata": {"name": "out", "namespace": NAMESPACE},
            "spec": {
                "replicas": 2,
                "dependencies": [{"name": "in", "eventSourceName": "in", "eventName": "in"}],
                "triggers": [trigger],
            },
        });
        let files = temp_dir();
        std::fs::write(files.path().join("bus.yaml"), exotic_bus(&nats.url())).unwrap();
        std::fs::write(files.path().join("sensor.yaml"), sensor.to_string()).unwrap();
        Self {
            name,
            files,
            admin: free_port(),
            process: None,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.admin)
    }

    fn start(&mut self) {
        let file = |name: &str| self.files.path().join(name);
        let command = Tiphys::command(["sensor", "--namespace", NAMESPACE, "--file"])
            .args([file("bus.yaml"), file("sensor.yaml")])
            .args(["--admin", &format!("127.0.0.1:{}", self.admin)])
            .args(["--bind", "127.0.0.1"]);
        self.process = Some(command.start());
    }

    async fn ready(&mut self) {
        let url = self.url("/readyz");
        let process = self.process.as_mut().unwrap();
        process.wait_until_ready(&url, LIMIT).await;
    }

    fn kill(&mut self) {
        self.process.take().unwrap().kill_9();
    }
}

/// Events with a key and a number, straight onto the bus.
struct Publisher {
    context: async_nats::jetstream::Context,
    next: u64,
}

impl Publisher {
    async fn new(nats: &Nats) -> Self {
        Self {
            context: async_nats::jetstream::new(nats.connect().await),
            next: 0,
        }
    }

    async fn send(&mut self, count: u64, keys: u64) {
        for _ in 0..count {
            let n = self.next;
            self.next += 1;
            let envelope = json!({
                "specversion": "1.0", "id": format!("e{n}"), "source": "in", "type": "webhook", "subject": "in",
                "datacontenttype": "application/json", "time": "2026-07-18T10:00:00Z",
                "data": {"key": format!("k{}", n % keys), "n": n},
            });
            let stored = self
                .context
                .publish("default.in.in", envelope.to_string().into())
                .await;
            stored.unwrap().await.unwrap();
        }
    }
}

fn number(request: &Received) -> u64 {
    request.json()["n"].as_u64().unwrap()
}

/// Waits until each event has had its effect.
async fn all(sink: &HttpSink, count: u64) -> Vec<Received> {
    eventually(
        &format!("effects of {count} events"),
        5 * LIMIT,
        async || {
            let received = sink.received();
            let seen: BTreeSet<u64> = received.iter().map(number).collect();
            (seen.len() as u64 >= count).then_some(received)
        },
    )
    .await
}

/// Of no key anything older comes after anything newer; the same one may come again.
fn in_order(received: &[Received]) {
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    for request in received {
        let key = request.json()["key"].as_str().unwrap().to_owned();
        let n = number(request);
        let before = last.insert(key.clone(), n);
        let log: Vec<u64> = received.iter().map(number).collect();
        assert!(before <= Some(n), "{key}: {n} after {before:?} in {log:?}");
    }
}

/// The replica that sends now, as an index.
async fn holder(sink: &HttpSink, replicas: &[Replica; 2], after: usize) -> usize {
    let received = sink.wait_for(after + 1, 2 * LIMIT).await;
    let path = &received.last().unwrap().path;
    let sends = |replica: &Replica| *path == format!("/{}", replica.name);
    replicas.iter().position(sends).unwrap()
}

#[tokio::test]
async fn two_replicas_keep_the_order_of_each_key_when_the_one_at_work_is_killed() {
    const EVENTS: u64 = 120;
    let nats = Nats::start(NatsOptions::default()).await;
    let sink = HttpSink::start();
    // Slow enough that there is always something in hand.
    sink.answer(Answer::status(StatusCode::OK).after(Duration::from_millis(40)));
    let order = json!({"orderBy": "key"});
    let mut replicas = ["a", "b"].map(|name| Replica::new(name, &nats, &sink, &order));
    for replica in &mut replicas {
        replica.start();
        replica.ready().await;
    }
    let mut publisher = Publisher::new(&nats).await;
    publisher.send(EVENTS / 2, 7).await;
    let first = holder(&sink, &replicas, 15).await;
    replicas[first].kill();
    publisher.send(EVENTS / 2, 7).await;
    let received = all(&sink, EVENTS).await;
    in_order(&received);
    let senders: BTreeSet<&str> = received.iter().map(|request| &*request.path).collect();
    assert_eq!(senders.len(), 2);
    // What was at work when it was killed comes again, one of each key.
    assert!(
        received.len() as u64 <= EVENTS + 3 * 7,
        "{}",
        received.len()
    );
}

#[tokio::test]
async fn a_killed_sensor_goes_on_in_order_with_what_it_had_in_hand() {
    const EVENTS: u64 = 90;
    let nats = Nats::start(NatsOptions::default()).await;
    let sink = HttpSink::start();
    sink.answer(Answer::status(StatusCode::OK).after(Duration::from_millis(40)));
    let order = json!({"orderBy": "key"});
    let mut sensor = Replica::new("a", &nats, &sink, &order);
    sensor.start();
    sensor.ready().await;
    let mut publisher = Publisher::new(&nats).await;
    for kill in 1..=2_usize {
        publisher.send(EVENTS / 3, 5).await;
        sink.wait_for(20 * kill, 2 * LIMIT).await;
        sensor.kill();
        // It is away while more comes.
        publisher.send(3, 5).await;
        sensor.start();
    }
    let rest = EVENTS - publisher.next;
    publisher.send(rest, 5).await;
    let received = all(&sink, EVENTS).await;
    in_order(&received);
    assert!(
        received.len() as u64 <= EVENTS + 2 * 5,
        "one of each key may come again"
    );
}

#[tokio::test]
async fn two_replicas_keep_one_rate_also_when_the_one_at_work_is_killed() {
    const SPACING: Duration = Duration::from_secs(20);
    // How late a busy machine may hear of a request.
    const LATE: Duration = Duration::from_secs(6);
    let nats = Nats::start(NatsOptions::default()).await;
    let sink = HttpSink::start();
    let limit = json!({"rateLimit": {"unit": "Minute", "requestsPerUnit": 3}});
    let mut replicas = ["a", "b"].map(|name| Replica::new(name, &nats, &sink, &limit));
    for replica in &mut replicas {
        replica.start();
        replica.ready().await;
    }
    Publisher::new(&nats).await.send(3, 1).await;
    let first = holder(&sink, &replicas, 0).await;
    replicas[first].kill();
    let received = all(&sink, 3).await;
    for (one, other) in received.iter().zip(received.iter().skip(1)) {
        let apart = other.at.duration_since(one.at);
        assert!(apart + LATE >= SPACING, "{apart:?} apart: {received:?}");
    }
    assert_ne!(received[0].path, received[1].path);
}
