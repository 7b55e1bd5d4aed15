//! What the tests of faults share: small objects of their own, the state of objects, and the books of a trigger.
//! It never starts a server.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kube::Api;
use kube::api::DynamicObject;
use serde_json::{Value, json};
use tiphys_tests::argo_crds::argo;
use tiphys_tests::ends::{End, Ends};
use tiphys_tests::ports::free_port;
use tiphys_tests::tls::http_client;
use tiphys_tests::{TiphysCommand, eventually, eventually_ok, temp_dir};

use crate::support::{LIMIT, LocalRun, NAMESPACE};

/// An EventSource on the published port 12000 whose events stand for themselves: `name: {fields}` lines.
pub(crate) fn source(name: &str, events: &str) -> String {
    let events: String = events
        .lines()
        .map(|line| format!("    {}\n", line.trim()))
        .collect();
    format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: EventSource\nmetadata: {{name: {name}, namespace: {NAMESPACE}}}\n\
         spec:\n  webhook:\n{events}"
    )
}

/// An EventSource `in` with one event `in` on `/in`.
pub(crate) fn plain_source() -> String {
    source("in", "in: {endpoint: /in, port: \"12000\"}")
}

/// A Sensor on event `in` of EventSource `in`, with one trigger `act` of this kind.
pub(crate) fn sensor(name: &str, trigger: &Value) -> String {
    let mut template = trigger.clone();
    template["name"] = "act".into();
    let sensor = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Sensor",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "dependencies": [{"name": "in", "eventSourceName": "in", "eventName": "in"}],
            "triggers": [{"template": template}],
        },
    });
    format!("{sensor}\n")
}

/// A Sensor that sends `{id, message}` of each event to `url`; the message is what `template` makes of the event.
pub(crate) fn forward(name: &str, url: &str, template: &str) -> String {
    sensor(
        name,
        &json!({"http": {"url": url, "method": "POST", "payload": [
            {"src": {"dependencyName": "in", "contextKey": "id"}, "dest": "id"},
            {"src": {"dependencyName": "in", "dataTemplate": template}, "dest": "message"},
        ]}}),
    )
}

/// A webhook answers 503 where the bus has not stored an event after so long.
const STORED_WITHIN: Duration = Duration::from_secs(2);

/// What became of the events of a trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Books {
    pub(crate) accepted: u64,
    pub(crate) fired: u64,
    pub(crate) filtered: u64,
    pub(crate) dead: u64,
    pub(crate) pending: u64,
}

impl LocalRun {
    /// A run without any files, not started yet.
    pub(crate) fn empty() -> Self {
        Self {
            files: temp_dir(),
            data: temp_dir(),
            webhook: free_port(),
            admin: free_port(),
            process: None,
        }
    }

    /// A run of the plain source and a Sensor that sends each event's `message` to `url`.
    pub(crate) fn forwarding(url: &str) -> Self {
        let run = Self::empty();
        run.write("source.yaml", &plain_source());
        run.write(
            "sensor.yaml",
            &forward("out", url, "{{ .Input.body.message }}"),
        );
        run
    }

    /// Starts it, and waits only until it answers at all.
    pub(crate) async fn start_unready(&mut self, command: TiphysCommand) {
        let mut process = command.start();
        process.wait_for_http(&self.admin("/livez"), LIMIT).await;
        self.process = Some(process);
    }

    /// Waits until readiness is success.
    pub(crate) async fn ready(&mut self) {
        let url = self.admin("/readyz");
        let process = self.process.as_mut().unwrap();
        process.wait_until_ready(&url, LIMIT).await;
    }

    pub(crate) fn at(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.webhook)
    }

    /// What it has said on standard error.
    pub(crate) fn said(&self) -> String {
        self.process.as_ref().unwrap().stderr()
    }

    /// Sends `{"message": message}` to `/in`; status and `X-Event-Id`, or nothing without an answer.
    pub(crate) async fn send(&self, message: &str) -> Option<(u16, String)> {
        send(&http_client(None), &self.at("/in"), message).await
    }

    /// Sends a message, which must be taken, and gives the event's id.
    pub(crate) async fn takes(&self, message: &str) -> String {
        match self.send(message).await {
            Some((200, id)) => id,
            other => panic!("{message:?} is answered by {other:?}"),
        }
    }

    /// The `Ready` condition of an object once its reason is `reason`.
    pub(crate) async fn condition(&self, kind: &str, name: &str, reason: &str) -> Value {
        let api = Api::<DynamicObject>::namespaced_with(self.client(), NAMESPACE, &argo(kind));
        let what = format!("{kind} {name} to be {reason}");
        eventually_ok(&what, LIMIT, async || {
            let object = api.get(name).await.map_err(|error| error.to_string())?;
            let condition = object.data["status"]["conditions"][0].clone();
            if condition["reason"] == reason {
                Ok(condition)
            } else {
                Err(condition.to_string())
            }
        })
        .await
    }

    /// The books of trigger `act` of a Sensor.
    pub(crate) async fn books(&self, sensor: &str) -> Books {
        let answer = http_client(None).get(self.admin("/metrics")).send().await;
        let text = answer.unwrap().text().await.unwrap();
        let label = format!("sensor_name=\"{sensor}\"");
        let mut found = BTreeMap::new();
        for line in text.lines().filter(|line| line.contains(&label)) {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let outcome = if name.starts_with("tiphys_trigger_events_pending") {
                "pending"
            } else if let Some((_, rest)) = name.split_once("outcome=\"") {
                rest.split('"').next().unwrap()
            } else {
                continue;
            };
            found.insert(outcome, value.parse::<u64>().unwrap());
        }
        let count = |outcome| found.get(outcome).copied().unwrap_or_default();
        Books {
            accepted: count("accepted"),
            fired: count("fired"),
            filtered: count("filtered"),
            dead: count("dead"),
            pending: count("pending"),
        }
    }

    /// Waits until `accepted` events have come to an end, and checks that nothing is unaccounted for.
    pub(crate) async fn accounted(&self, sensor: &str, accepted: u64) -> Books {
        self.accounted_of(sensor, "act", accepted).await
    }

    /// The same for the only trigger of a Sensor, whatever it is called.
    pub(crate) async fn accounted_of(&self, sensor: &str, trigger: &str, accepted: u64) -> Books {
        let what = format!("an end of {accepted} events");
        let books = eventually_ok(&what, LIMIT * 4, async || {
            let books = self.books(sensor).await;
            // While events come to their ends the counters are read at different moments.
            let ended = books.fired + books.filtered + books.dead;
            if books.pending == 0 && books.accepted >= accepted && books.accepted == ended {
                Ok(books)
            } else {
                Err(format!(
                    "{books:?}; the run said\n{}",
                    last_lines(&self.said())
                ))
            }
        })
        .await;
        self.recorded(sensor, trigger).await;
        books
    }

    /// Waits until the decision record of this process says of each end how often it was counted.
    pub(crate) async fn recorded(&self, sensor: &str, trigger: &str) {
        let folder = self.data.path().join("decisions");
        let process = self.process.as_ref().unwrap().id();
        let what = format!("the counters and the record of {sensor} to agree");
        eventually_ok(&what, LIMIT, async || {
            let ends = Ends::read(&folder, Some(process), [sensor, trigger]).unwrap();
            let books = self.books(sensor).await;
            let recorded = [End::Fired, End::Filtered, End::Dead].map(|end| ends.count(end));
            // However often a bus that was killed brings an event, it counts once.
            if ends.dropped > 0 || recorded == [books.fired, books.filtered, books.dead] {
                Ok(())
            } else {
                Err(format!("{books:?}, recorded {recorded:?}"))
            }
        })
        .await;
    }
}

/// The end of what a program has said.
fn last_lines(said: &str) -> String {
    let lines: Vec<&str> = said.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

/// Sends `{"message": message}`; status and `X-Event-Id`, or nothing without an answer.
pub(crate) async fn send(
    http: &reqwest::Client,
    url: &str,
    message: &str,
) -> Option<(u16, String)> {
    told(http.post(url).json(&json!({"message": message}))).await
}

async fn told(request: reqwest::RequestBuilder) -> Option<(u16, String)> {
    let answer = request.send().await.ok()?;
    let id = answer
        .headers()
        .get("x-event-id")
        .map(|id| id.to_str().unwrap().to_owned());
    Some((answer.status().as_u16(), id.unwrap_or_default()))
}

/// Sends `{"message": message}` as an event of this id, and again where the bus took longer to store it than a sender is
/// let wait, as on a machine that stands still for a moment: under one id that is no second event.
pub(crate) async fn send_patiently(
    http: &reqwest::Client,
    url: &str,
    id: &str,
    message: &str,
) -> Option<(u16, String)> {
    let end = Instant::now() + LIMIT;
    loop {
        let began = Instant::now();
        let request = http.post(url).json(&json!({"message": message}));
        let request = request
            .header("ce-specversion", "1.0")
            .header("ce-type", "test")
            .header("ce-source", "/tests")
            .header("ce-id", id);
        let answer = told(request).await;
        let refused = answer.as_ref().is_some_and(|(status, _)| *status == 503);
        if !refused || began.elapsed() < STORED_WITHIN || Instant::now() > end {
            return answer;
        }
    }
}

/// The `error` of an answer, which every refusal has.
pub(crate) async fn error(answer: reqwest::Response) -> String {
    assert_eq!(answer.headers()["content-type"], "application/json");
    let body: Value = answer.json().await.unwrap();
    body["error"].as_str().unwrap().to_owned()
}

/// Sends until it is taken, and gives the event's id.
pub(crate) async fn send_until_taken(run: &LocalRun, message: &str) -> String {
    eventually(&format!("{message:?} to be taken"), LIMIT, async || {
        let (status, id) = run.send(message).await?;
        (status == 200).then_some(id)
    })
    .await
}
