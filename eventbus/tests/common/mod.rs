//! What the tests of the bus share: a real nats-server, secrets in memory, and a bus of either kind.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tiphys_core::refs::KeyRef;
use tiphys_core::{Event, Secret, SecretError, Secrets, Tasks};
use tiphys_eventbus::{
    Bus, EmbeddedConfig, Health, JetStreamConfig, Publish as _, PublishError, Start, Stored,
    SubjectPattern, Subscriber, Subscription,
};
use tokio::net::TcpSocket;

/// Long enough for a busy machine, and for what was lost on its way and comes again when its time to acknowledge is over;
/// a test that reaches it has failed.
pub const LONG: Duration = Duration::from_secs(120);

/// A server of its own, killed with it.
pub struct NatsServer {
    child: Child,
    pub dir: tempfile::TempDir,
    pub port: u16,
    /// Bound and never listening: nobody else is given the port, also while the server is down.
    _held: TcpSocket,
    args: Vec<String>,
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests find their servers by the environment"
)]
fn binary() -> PathBuf {
    let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let cache = || {
        env("XDG_CACHE_HOME").map_or_else(
            || PathBuf::from(env("HOME").unwrap_or_default()).join(".cache"),
            PathBuf::from,
        )
    };
    let servers =
        env("TIPHYS_TEST_SERVERS").map_or_else(|| cache().join("tiphys/servers"), PathBuf::from);
    let mut found: Vec<PathBuf> = std::fs::read_dir(&servers)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("nats-server")))
        .filter(|path| path.is_file())
        .collect();
    found.sort();
    found.pop().unwrap_or_else(|| {
        panic!(
            "no nats-server in {}: run scripts/test-servers",
            servers.display()
        )
    })
}

/// A free port of the loopback address, as long as the socket is held.
pub fn held_port() -> (TcpSocket, u16) {
    let held = TcpSocket::new_v4().unwrap();
    held.set_reuseaddr(true).unwrap();
    held.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let port = held.local_addr().unwrap().port();
    (held, port)
}

fn spawn(dir: &std::path::Path, port: u16, args: &[String]) -> Child {
    let mut child = Command::new(binary())
        .args(["-a", "127.0.0.1", "-p", &port.to_string(), "-sd"])
        .arg(dir)
        .args(args)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut log = String::new();
    loop {
        let Some(Ok(line)) = lines.next() else {
            panic!("nats-server ended:\n{log}")
        };
        if line.contains("Server is ready") {
            break;
        }
        log.push_str(&line);
        log.push('\n');
    }
    // A full pipe would stop the server.
    std::thread::spawn(move || lines.for_each(drop));
    child
}

impl NatsServer {
    pub fn start() -> Self {
        Self::with(&["-js"])
    }

    pub fn with(args: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        let (held, port) = held_port();
        Self {
            child: spawn(dir.path(), port, &args),
            dir,
            port,
            _held: held,
            args,
        }
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The same server again, with its data.
    pub fn restart(&mut self) {
        self.child = spawn(self.dir.path(), self.port, &self.args);
    }

    /// The same server again, with nothing.
    pub fn restart_empty(&mut self) {
        std::fs::remove_dir_all(self.dir.path().join("jetstream")).unwrap();
        self.restart();
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Secrets by `name/key`.
#[derive(Default)]
pub struct MapSecrets(pub BTreeMap<String, String>);

#[async_trait]
impl Secrets for MapSecrets {
    async fn secret(&self, at: &KeyRef) -> Result<Secret, SecretError> {
        let found = self.0.get(&format!("{}/{}", at.name, at.key));
        found
            .map(|value| Secret::new(value.clone()))
            .ok_or_else(|| SecretError::Missing {
                kind: "secret",
                name: at.name.clone(),
                key: at.key.clone(),
            })
    }

    async fn config(&self, at: &KeyRef) -> Result<Bytes, SecretError> {
        self.secret(at)
            .await
            .map(|secret| Bytes::copy_from_slice(secret.expose()))
    }
}

pub fn secrets(entries: &[(&str, &str)]) -> Arc<dyn Secrets> {
    let entries = entries
        .iter()
        .map(|(at, value)| ((*at).to_owned(), (*value).to_owned()));
    Arc::new(MapSecrets(entries.collect()))
}

pub fn key(at: &str) -> Option<KeyRef> {
    let (name, key) = at.split_once('/').unwrap();
    Some(KeyRef {
        name: name.to_owned(),
        key: key.to_owned(),
        optional: None,
    })
}

/// Where a bus of either kind lives.
pub enum World {
    Embedded(tempfile::TempDir),
    JetStream(NatsServer),
}

impl World {
    pub fn embedded() -> Self {
        Self::Embedded(tempfile::tempdir().unwrap())
    }

    pub fn jetstream() -> Self {
        Self::JetStream(NatsServer::start())
    }

    /// The bus, ready for use. Close it before the next one.
    pub async fn bus(&self) -> Bus {
        match self {
            Self::Embedded(dir) => Bus::embedded(EmbeddedConfig::new(dir.path())).unwrap(),
            Self::JetStream(server) => {
                let bus = jetstream(&server.url());
                connected(&bus).await;
                bus
            }
        }
    }
}

pub fn jetstream(url: &str) -> Bus {
    let config = JetStreamConfig {
        url: url.to_owned(),
        ..JetStreamConfig::default()
    };
    Bus::jetstream(config, secrets(&[]), &Tasks::new()).unwrap()
}

pub async fn connected(bus: &Bus) {
    let mut health = bus.health();
    let wait = health.wait_for(|health| *health == Health::Connected);
    tokio::time::timeout(LONG, wait).await.unwrap().unwrap();
}

/// Waits for a reason that contains `text`.
pub async fn unavailable(bus: &Bus, text: &str) {
    let mut health = bus.health();
    let wait = health.wait_for(
        |health| matches!(health, Health::Unavailable { reason } if reason.contains(text)),
    );
    let waited = tokio::time::timeout(LONG, wait)
        .await
        .map(|found| found.is_ok());
    assert_eq!(waited, Ok(true), "{text}: {:?}", *bus.health().borrow());
}

/// Publishes as a sender does that is told to come back, where a busy machine may well need longer than a sender waits.
pub async fn stored(bus: &Bus, event: &Event) -> Stored {
    let stored = async {
        loop {
            match bus.publish(event).await {
                Ok(stored) => return stored,
                Err(PublishError::Unavailable { .. } | PublishError::Full { .. }) => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(other) => panic!("{other}"),
            }
        }
    };
    tokio::time::timeout(LONG, stored).await.unwrap()
}

pub fn event(id: &str) -> Event {
    named(id, "source", "event")
}

pub fn named(id: &str, source: &str, name: &str) -> Event {
    let mut event = Event::new(
        source,
        "webhook",
        name,
        Bytes::from(format!("{{\"id\":\"{id}\"}}")),
    );
    event.id = id.to_owned();
    event
}

pub fn subscription(durable: &str, subjects: &[&str]) -> Subscription {
    let subjects = subjects.iter().map(|text| {
        let (source, event) = text.split_once('.').unwrap();
        SubjectPattern {
            source: source.to_owned(),
            event: event.to_owned(),
        }
    });
    Subscription {
        durable: durable.to_owned(),
        subjects: subjects.collect(),
        start: Start::New,
        ack_wait: Duration::from_secs(30),
        max_in_flight: 100,
    }
}

pub async fn next(subscriber: &mut Subscriber) -> tiphys_eventbus::Message {
    tokio::time::timeout(LONG, subscriber.next())
        .await
        .unwrap()
        .unwrap()
}

/// Takes and acknowledges so many.
pub async fn take(subscriber: &mut Subscriber, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..count {
        let message = next(subscriber).await;
        message.ack().await.unwrap();
        ids.push(message.event.unwrap().id);
    }
    ids
}
