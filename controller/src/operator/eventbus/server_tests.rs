//! The generated configuration on the real nats-server: one server and three, with TLS and the generated credentials,
//! and the bus connected to them as the status says.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use rcgen::ExtendedKeyUsagePurpose;
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use serde_json::{Value, json};
use tiphys_core::refs::KeyRef;
use tiphys_core::{Event, Secret, SecretError, Tasks};
use tiphys_eventbus::{
    Bus as OpenBus, BusConfig, Durability, Health, JetStreamConfig, Publish as _, Start,
    SubjectPattern, Subscription,
};
use tiphys_tests::eventually_ok;
use tiphys_tests::ports::free_port;
use tiphys_tests::process::{Process, tail};
use tiphys_tests::servers::nats_server;

use super::tests::{Given, object, secrets, server_config, text};
use super::{Made, Plan, Secrets};
use crate::admission::authority::{Request, issue};

const LONG: Duration = Duration::from_secs(120);
const SERVER: &str = "eventbus-default-js-server";

/// The Secrets of a plan, as a pod has them.
struct Mounted(Secrets);

#[async_trait]
impl tiphys_core::Secrets for Mounted {
    async fn secret(&self, at: &KeyRef) -> Result<Secret, SecretError> {
        let found = self.0.get(&at.name).and_then(|data| data.get(&at.key));
        found
            .map(|value| Secret::new(value.clone()))
            .ok_or_else(|| SecretError::Missing {
                kind: "secret",
                name: at.name.clone(),
                key: at.key.clone(),
            })
    }

    async fn config(&self, at: &KeyRef) -> Result<Bytes, SecretError> {
        let secret = self.secret(at).await?;
        Ok(Bytes::copy_from_slice(secret.expose()))
    }
}

/// Certificates for this machine instead of names that only a cluster knows.
fn local_certificates() -> Secrets {
    let uses = [
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    let mut data = BTreeMap::new();
    for prefix in ["", "cluster-"] {
        let issued = issue(Request {
            authority: format!("{prefix}tests"),
            subject: "tests",
            hosts: &["127.0.0.1".to_owned()],
            uses: &uses,
            from: Timestamp::now(),
            until: Timestamp::now() + Duration::from_secs(3600),
        })
        .unwrap();
        for (key, value) in [
            ("private-key", issued.key),
            ("cert", issued.certificate),
            ("ca-cert", issued.authority),
        ] {
            data.insert(format!("{prefix}{key}"), value.into_bytes());
        }
    }
    Secrets::from([(SERVER.to_owned(), data)])
}

/// The pods of a plan, without their cluster.
struct Pods {
    folder: tempfile::TempDir,
    processes: Vec<Process>,
    clients: Vec<u16>,
    found: Secrets,
}

impl Pods {
    fn start(plan: &Plan) -> Self {
        let found = secrets(plan);
        let set = object(plan, Made::StatefulSet);
        let count = usize::try_from(set["spec"]["replicas"].as_u64().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let clients: Vec<u16> = (0..count).map(|_| free_port()).collect();
        let routes: Vec<u16> = (0..count).map(|_| free_port()).collect();
        let mut pods = Self {
            processes: Vec::new(),
            folder,
            clients,
            found,
        };
        for index in 0..count {
            pods.run(plan, set, index, &routes);
        }
        pods
    }

    fn run(&mut self, plan: &Plan, set: &Value, index: usize, routes: &[u16]) {
        let dir = self.folder.path().join(index.to_string());
        std::fs::create_dir(&dir).unwrap();
        let path = |name: &str| dir.join(name).display().to_string();
        let own = dir.display().to_string();
        let mut config = server_config(plan)
            .replace("/etc/nats-config", &own)
            .replace("/data/jetstream", &own)
            .replace("/var/run/nats", &own)
            .replace("\nport: 4222", &format!("\nport: {}", self.clients[index]))
            .replace("\nhttp: 8222", "\nhttp: \"127.0.0.1:-1\"")
            .replace("port: 6222", &format!("port: {}", routes[index]));
        for (other, port) in routes.iter().enumerate() {
            let name =
                format!("eventbus-default-js-{other}.eventbus-default-js-svc.argo-events.svc:6222");
            config = config.replace(&name, &format!("127.0.0.1:{port}"));
        }
        // The volume, as the pod's spec projects it.
        let pod = &set["spec"]["template"]["spec"];
        let volumes = pod["volumes"].as_array().unwrap();
        let projected = volumes
            .iter()
            .find(|volume| volume["name"] == "config-volume")
            .unwrap();
        std::fs::write(path("nats-js.conf"), config).unwrap();
        for item in projected["projected"]["sources"][1]["secret"]["items"]
            .as_array()
            .unwrap()
        {
            let value = text(&self.found, SERVER, item["key"].as_str().unwrap());
            let value = value.replace("/etc/nats-config", &own);
            std::fs::write(path(item["path"].as_str().unwrap()), value).unwrap();
        }
        let log = dir.join("log");
        let command = |test: bool| {
            let mut command = Command::new(nats_server());
            command
                .env("POD_NAME", format!("eventbus-default-js-{index}"))
                .env("CLUSTER_ADVERTISE", format!("127.0.0.1:{}", routes[index]))
                .env("JS_KEY", text(&self.found, SERVER, "encryption"))
                .arg("--config")
                .arg(path("nats-js.conf"));
            if test {
                command.arg("-t");
            }
            command
        };
        let checked = command(true).output().unwrap();
        assert!(
            checked.status.success(),
            "{}",
            String::from_utf8_lossy(&checked.stderr)
        );
        let process = Process::start_logged("nats-server", &mut command(false), &log);
        self.processes.push(process);
    }

    fn urls(&self) -> String {
        let urls: Vec<String> = self
            .clients
            .iter()
            .map(|port| format!("nats://127.0.0.1:{port}"))
            .collect();
        urls.join(",")
    }

    /// The bus as the status tells of it, at this machine's addresses.
    async fn open(&self, plan: &Plan) -> OpenBus {
        let BusConfig::JetStream(config) = BusConfig::from_status(&plan.config).unwrap() else {
            panic!("{:?}", plan.config)
        };
        assert_eq!(
            config.url,
            "nats://eventbus-default-js-svc.argo-events.svc:4222"
        );
        let bus = self.connect(JetStreamConfig {
            url: self.urls(),
            ..config
        });
        let mut health = bus.health();
        let connected = health.wait_for(|health| *health == Health::Connected);
        let connected = tokio::time::timeout(LONG, connected).await.is_ok();
        assert!(connected, "{:?}\n{}", bus.health().borrow(), self.logs());
        bus
    }

    fn connect(&self, config: JetStreamConfig) -> OpenBus {
        OpenBus::jetstream(config, Arc::new(Mounted(self.found.clone())), &Tasks::new()).unwrap()
    }

    fn logs(&self) -> String {
        let log = |index: usize| tail(&self.folder.path().join(index.to_string()).join("log"));
        (0..self.processes.len()).map(log).collect()
    }

    fn store(&self, index: usize) -> std::path::PathBuf {
        self.folder.path().join(index.to_string()).join("store")
    }
}

fn event(id: &str) -> Event {
    let mut event = Event::new("source", "webhook", "event", Bytes::from_static(b"{}"));
    event.id = id.to_owned();
    event
}

async fn goes_through(bus: &OpenBus, id: &str) {
    let subscription = Subscription {
        durable: format!("d{id}"),
        subjects: vec![SubjectPattern {
            source: "source".to_owned(),
            event: "event".to_owned(),
        }],
        start: Start::New,
        ack_wait: Duration::from_secs(30),
        max_in_flight: 10,
    };
    // Servers that have just found each other may elect again.
    let mut subscriber = eventually_ok("a subscription", LONG, async || {
        bus.subscribe(subscription.clone()).await
    })
    .await;
    eventually_ok("an event to be stored", LONG, async || {
        bus.publish(&event(id)).await
    })
    .await;
    let message = tokio::time::timeout(LONG, subscriber.next())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(message.event.as_ref().unwrap().id, id);
    message.ack().await.unwrap();
}

async fn refuses(pods: &Pods, config: JetStreamConfig, why: &str) {
    let bus = pods.connect(config);
    let mut health = bus.health();
    let told = health.wait_for(
        |health| matches!(health, Health::Unavailable { reason } if reason.contains(why)),
    );
    let told = tokio::time::timeout(LONG, told).await.is_ok();
    assert!(told, "{why}: {:?}", bus.health().borrow());
    bus.close().await;
}

#[tokio::test]
async fn one_generated_server_takes_events_from_those_who_have_its_secrets() {
    let given = Given::new(json!({ "jetstream": { "version": "latest", "replicas": 1 } }));
    let plan = given.plan(&local_certificates()).unwrap();
    let pods = Pods::start(&plan);
    let bus = pods.open(&plan).await;
    goes_through(&bus, "a").await;
    assert_eq!(bus.durability(), Durability::Disk);
    bus.close().await;

    let BusConfig::JetStream(config) = BusConfig::from_status(&plan.config).unwrap() else {
        panic!("{:?}", plan.config)
    };
    let here = JetStreamConfig {
        url: pods.urls(),
        ..config
    };
    let nobody = JetStreamConfig {
        access_secret: None,
        ..here.clone()
    };
    refuses(&pods, nobody, "refuses the credentials").await;
    let blind = JetStreamConfig { tls: None, ..here };
    refuses(&pods, blind, "invalid peer certificate").await;
}

#[tokio::test]
async fn three_generated_servers_are_a_quorum() {
    let given = Given::new(json!({ "jetstream": { "version": "latest" } }));
    let plan = given.plan(&local_certificates()).unwrap();
    let mut pods = Pods::start(&plan);
    let bus = pods.open(&plan).await;
    goes_through(&bus, "a").await;
    assert_eq!(bus.durability(), Durability::Quorum);
    // The other two go on.
    pods.processes.remove(0).kill();
    let sent = async {
        while bus.publish(&event("b")).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let sent = tokio::time::timeout(LONG, sent).await.is_ok();
    assert!(sent, "{:?}\n{}", bus.health().borrow(), pods.logs());
    bus.close().await;
}

#[tokio::test]
async fn servers_of_nats_streaming_take_a_token() {
    let given = Given::new(json!({ "nats": { "native": { "auth": "token" } } }));
    let plan = given.plan(&local_certificates()).unwrap();
    let pods = Pods::start(&plan);
    let bus = pods.open(&plan).await;
    goes_through(&bus, "a").await;
    bus.close().await;
}

#[tokio::test]
async fn a_store_hides_the_events_with_either_key() {
    for annotation in ["secret", ""] {
        let spec = json!({ "jetstream": { "version": "latest", "replicas": 1 } });
        let given = Given::new(spec).annotated("tiphys.dev/bus-encryption", annotation);
        let plan = given.plan(&local_certificates()).unwrap();
        let pods = Pods::start(&plan);
        let bus = pods.open(&plan).await;
        bus.publish(&event("needle-in-the-store")).await.unwrap();
        bus.close().await;
        assert!(
            !holds(&pods.store(0), b"needle-in-the-store"),
            "{annotation}"
        );
    }
}

fn holds(folder: &Path, needle: &[u8]) -> bool {
    // The server is at work in it, and may remove what was just listed.
    let mut entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return holds(&path, needle);
        }
        let bytes = std::fs::read(&path).unwrap_or_default();
        bytes.windows(needle.len()).any(|window| window == needle)
    })
}

#[test]
fn the_certificates_are_good_for_the_names_that_are_used() {
    let given = Given::new(json!({ "jetstream": { "version": "latest" } }));
    let found = secrets(&given.plan(&Secrets::new()).unwrap());
    let service = "eventbus-default-js-svc.argo-events.svc";
    let pod = format!("eventbus-default-js-2.{service}");
    for (prefix, names) in [
        (
            "",
            vec![
                service.to_owned(),
                format!("{service}.cluster.local"),
                pod.clone(),
            ],
        ),
        (
            "cluster-",
            vec![pod.clone(), format!("{pod}.cluster.local")],
        ),
    ] {
        let pem = |key: &str| text(&found, SERVER, &format!("{prefix}{key}"));
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(pem("ca-cert").as_bytes()).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .unwrap();
        let cert = pem("cert");
        let cert = CertificateDer::from_pem_slice(cert.as_bytes()).unwrap();
        let verify = |name: &str| {
            let name = ServerName::try_from(name.to_owned()).unwrap();
            verifier.verify_server_cert(&cert, &[], &name, &[], UnixTime::now())
        };
        for name in names {
            verify(&name).unwrap();
        }
        verify("eventbus-default-js-svc.other.svc").unwrap_err();
    }
}
