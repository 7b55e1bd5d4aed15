//! The runtime against real sockets: a small bus that can fail, secrets that can change, and a client.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use reqwest::{Client, RequestBuilder};
use tiphys_core::metrics::Metrics;
use tiphys_core::refs::KeyRef;
use tiphys_core::{Event, Problems, Secret, SecretError, Secrets, Tasks, manifest};
use tiphys_eventbus::{Publish, PublishError, Stored};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::{Applied, EventSourceSpec, EventState, Limits, PortMap, SourceObject, SourceRuntime};

mod http;
mod limits;
mod reload;
mod tls;

/// Keeps events in memory, or fails as it is told.
pub(crate) struct FakeBus {
    pub(crate) events: Mutex<Vec<Event>>,
    pub(crate) fails: Mutex<Option<fn() -> PublishError>>,
    /// How often it was asked.
    pub(crate) asked: AtomicUsize,
    /// A publish takes one of these; without any it hangs.
    pub(crate) gate: Semaphore,
}

impl Default for FakeBus {
    fn default() -> Self {
        Self {
            events: Mutex::default(),
            fails: Mutex::default(),
            asked: AtomicUsize::default(),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
        }
    }
}

#[async_trait]
impl Publish for FakeBus {
    async fn publish(&self, event: &Event) -> Result<Stored, PublishError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.gate.acquire().await.unwrap().forget();
        if let Some(fail) = *self.fails.lock().unwrap() {
            return Err(fail());
        }
        let mut events = self.events.lock().unwrap();
        events.push(event.clone());
        let seq = events.len() as u64;
        Ok(Stored {
            seq,
            duplicate: false,
        })
    }
}

/// Secrets `<name>/<key>`, changed at will.
#[derive(Default)]
pub(crate) struct FakeSecrets {
    values: Mutex<BTreeMap<String, String>>,
    pub(crate) away: AtomicBool,
}

impl FakeSecrets {
    pub(crate) fn set(&self, at: &str, value: &str) {
        self.values
            .lock()
            .unwrap()
            .insert(at.to_owned(), value.to_owned());
    }
}

#[async_trait]
impl Secrets for FakeSecrets {
    async fn secret(&self, at: &KeyRef) -> Result<Secret, SecretError> {
        let KeyRef { name, key, .. } = at.clone();
        if self.away.load(Ordering::Relaxed) {
            return Err(SecretError::Unavailable {
                kind: "secret",
                name,
                source: Arc::new(std::io::Error::from(std::io::ErrorKind::ConnectionRefused)),
            });
        }
        let known = self.values.lock().unwrap();
        let value = known.get(&format!("{name}/{key}"));
        let value = value.map(|value| Secret::new(value.clone()));
        value.ok_or(SecretError::Missing {
            kind: "secret",
            name,
            key,
        })
    }

    async fn config(&self, _: &KeyRef) -> Result<Bytes, SecretError> {
        Ok(Bytes::new())
    }
}

/// A runtime on free loopback ports, and what it talks to.
pub(crate) struct World {
    pub(crate) tasks: Tasks,
    pub(crate) runtime: SourceRuntime,
    pub(crate) bus: Arc<FakeBus>,
    pub(crate) secrets: Arc<FakeSecrets>,
    pub(crate) metrics: Metrics,
    pub(crate) client: Client,
}

/// A short limit, so that the test of it is short. The others stay: a busy machine may need them.
pub(crate) const SHORT: Duration = Duration::from_millis(300);

impl World {
    pub(crate) fn new(limits: Limits) -> Self {
        let tasks = Tasks::new();
        // Ports 1 to 3 of the specs are any free ports.
        let ports = (1..=3).fold(PortMap::default(), |ports, spec| ports.publish(0, spec));
        let ports = ports.bind(IpAddr::V4(Ipv4Addr::LOCALHOST));
        // Somebody else may have installed it: that is as good.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        Self {
            runtime: SourceRuntime::with_limits(&tasks, ports, limits),
            tasks,
            bus: Arc::default(),
            secrets: Arc::default(),
            metrics: Metrics::try_new("test").unwrap(),
            client: Client::builder().no_proxy().build().unwrap(),
        }
    }

    /// Applies the events of `spec.webhook`, written in YAML.
    pub(crate) async fn apply(&self, name: &str, webhook: &str) -> Applied {
        let object = SourceObject {
            namespace: "ns".to_owned(),
            name: name.to_owned(),
            spec: spec(&format!("{{webhook: {webhook}}}")),
        };
        let applied = self.runtime.apply(
            &object,
            self.bus.clone(),
            self.secrets.clone(),
            &self.metrics,
        );
        applied.await.unwrap()
    }

    /// Applies one event `ev` at `/example` of port 1, with further fields, and returns where it listens.
    pub(crate) async fn example(&self, more: &str) -> SocketAddr {
        let webhook = format!("{{ev: {{port: \"1\", endpoint: /example{more}}}}}");
        addr(&self.apply("es", &webhook).await, "ev")
    }

    pub(crate) fn post(&self, addr: SocketAddr, path: &str) -> RequestBuilder {
        self.client.post(format!("http://{addr}{path}"))
    }

    pub(crate) fn stored(&self) -> Vec<Event> {
        self.bus.events.lock().unwrap().clone()
    }
}

pub(crate) fn spec(yaml: &str) -> EventSourceSpec {
    let document = manifest::parse(yaml).unwrap().remove(0);
    let mut problems = Problems::default();
    let spec = document.typed(&mut problems).unwrap();
    assert!(problems.is_empty(), "{problems}");
    spec
}

#[track_caller]
pub(crate) fn addr(applied: &Applied, event: &str) -> SocketAddr {
    match &applied.events[event] {
        EventState::Listening { addr } => *addr,
        EventState::Failed { error } => panic!("{error}"),
    }
}

#[track_caller]
pub(crate) fn failure(applied: &Applied, event: &str) -> String {
    match &applied.events[event] {
        EventState::Listening { addr } => panic!("listens on {addr}"),
        EventState::Failed { error } => tiphys_core::tasks::chain(error),
    }
}

/// Sends raw bytes and returns all that comes back until the connection ends.
pub(crate) async fn raw(addr: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    // Whoever is refused before the end may be told so, or find nobody who reads on.
    let _written = stream.write_all(request).await;
    rest(&mut stream).await
}

/// All that comes back until the connection ends.
pub(crate) async fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A reset behind the answer is an end too.
    let _ended = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}
