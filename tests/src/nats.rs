//! Real NATS servers with JetStream: one, or a cluster of three.
//!
//! The port and the store outlive [`Nats::kill`], so that a test can take the
//! server away and give it back. Nothing here knows of streams or subjects.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use async_nats::jetstream::context::ContextBuilder;
use async_nats::jetstream::stream::{self, StorageType};
use async_nats::{Client, ConnectOptions};
use rustix::process::Signal;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;

use crate::ports::{free_port, loopback};
use crate::process::{Process, tail};
use crate::tls::TlsFiles;
use crate::wait::eventually_ok;
use crate::{servers, temp_dir};

/// Long for a server that starts in milliseconds: the machine may be busy.
const START: Duration = Duration::from_secs(120);

/// A second as a rule. An election that a busy machine spoils is repeated after
/// up to nine seconds, and that can happen several times.
const ELECTION: Duration = Duration::from_secs(120);

/// Between two questions to a cluster that has not elected anyone.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// What the server asks of its clients.
#[derive(Debug, Clone, Default)]
pub enum NatsAuth {
    /// Nothing.
    #[default]
    None,
    /// A user and a password.
    User {
        /// The user's name.
        user: String,
        /// The user's password.
        password: String,
    },
    /// A token.
    Token(String),
}

/// How to start a server. The default asks nothing of its clients and syncs its
/// store as an untouched server does (every two minutes).
#[derive(Debug, Clone, Default)]
pub struct NatsOptions {
    /// What the server asks of its clients.
    pub auth: NatsAuth,
    /// Whether clients must use TLS, with the authority of [`Nats::tls`].
    pub tls: bool,
    /// When the store is synced: `always`, or a time such as `10s`.
    pub sync_interval: Option<String>,
    /// Any other settings, as they stand at the top of the server's own
    /// configuration, for example `max_payload`.
    pub settings: Map<String, Value>,
}

/// A running server, killed and removed when dropped.
#[derive(Debug)]
pub struct Nats {
    folder: TempDir,
    port: u16,
    options: NatsOptions,
    tls: Option<TlsFiles>,
    process: Option<Process>,
}

impl Nats {
    /// Starts a server and waits until it takes connections.
    ///
    /// # Panics
    ///
    /// When the server is not installed or does not start.
    pub async fn start(options: NatsOptions) -> Self {
        let mut server = Self::prepare(options);
        server.restart().await;
        server
    }

    fn prepare(options: NatsOptions) -> Self {
        let folder = temp_dir();
        let tls = options.tls.then(|| TlsFiles::create(folder.path()));
        Self {
            port: free_port(),
            folder,
            options,
            tls,
            process: None,
        }
    }

    /// Where clients connect: `nats://` or, with TLS, `tls://`, without credentials.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "tls" } else { "nats" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// The port it listens on, the same after a restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The files of a server with TLS.
    pub fn tls(&self) -> Option<&TlsFiles> {
        self.tls.as_ref()
    }

    /// The folder of the store.
    pub fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// A client with the server's own credentials.
    ///
    /// # Panics
    ///
    /// When it cannot connect.
    pub async fn connect(&self) -> Client {
        let mut options = match &self.options.auth {
            NatsAuth::None => ConnectOptions::new(),
            NatsAuth::User { user, password } => {
                ConnectOptions::with_user_and_password(user.clone(), password.clone())
            }
            NatsAuth::Token(token) => ConnectOptions::with_token(token.clone()),
        };
        if let Some(tls) = &self.tls {
            options = options.add_root_certificates(tls.ca.clone());
        }
        options
            .connect(self.url())
            .await
            .unwrap_or_else(|error| panic!("connect to {}: {error}", self.url()))
    }

    /// Ends the server with SIGKILL. Port and store stay.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts the server again, after a kill where it still runs, on the same
    /// port and store, and waits until it takes connections.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn restart(&mut self) {
        self.spawn();
        self.ready().await;
    }

    /// Stops the server from running at all, with its connections open: what a
    /// network that loses everything looks like.
    pub fn pause(&mut self) {
        if let Some(process) = &mut self.process {
            process.pause();
        }
    }

    /// Ends a pause.
    pub fn resume(&mut self) {
        if let Some(process) = &mut self.process {
            process.signal(Signal::CONT);
        }
    }

    fn spawn(&mut self) {
        self.kill();
        let config = self.folder.path().join("nats.conf");
        fs::write(&config, self.config().to_string())
            .unwrap_or_else(|error| panic!("write {}: {error}", config.display()));
        self.process = Some(Process::start_logged(
            "nats-server",
            Command::new(servers::nats_server()).arg("-c").arg(&config),
            &self.log(),
        ));
    }

    /// The server's own format takes JSON as it is.
    fn config(&self) -> Value {
        let mut config = self.options.settings.clone();
        let mut set = |key: &str, value: Value| config.insert(key.to_owned(), value);
        set("listen", json!(loopback(self.port).to_string()));
        let mut store = json!({ "store_dir": self.store() });
        if let (Some(interval), Some(store)) = (&self.options.sync_interval, store.as_object_mut())
        {
            store.insert("sync_interval".to_owned(), json!(interval));
        }
        set("jetstream", store);
        match &self.options.auth {
            NatsAuth::None => {}
            NatsAuth::User { user, password } => {
                set(
                    "authorization",
                    json!({ "user": user, "password": password }),
                );
            }
            NatsAuth::Token(token) => {
                set("authorization", json!({ "token": token }));
            }
        }
        if let Some(tls) = &self.tls {
            set(
                "tls",
                json!({ "cert_file": tls.certificate, "key_file": tls.key }),
            );
        }
        Value::Object(config)
    }

    async fn ready(&mut self) {
        let address = loopback(self.port);
        let log = self.log();
        eventually_ok("nats-server to take connections", START, async || {
            if let Some(status) = self.process.as_mut().and_then(Process::ended) {
                panic!("nats-server ended ({status}):\n{}", tail(&log));
            }
            greets(address)
                .await
                .map_err(|error| format!("{error}\n{}", tail(&log)))
        })
        .await;
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("nats.log")
    }
}

/// The server speaks first, and only once JetStream is up.
async fn greets(address: std::net::SocketAddr) -> std::io::Result<()> {
    let mut stream = BufReader::new(TcpStream::connect(address).await?);
    let mut greeting = String::new();
    stream.read_line(&mut greeting).await?;
    if greeting.starts_with("INFO ") {
        Ok(())
    } else {
        Err(std::io::Error::other(format!("it says {greeting:?}")))
    }
}

/// Servers that keep streams together.
#[derive(Debug)]
pub struct NatsCluster {
    /// The servers, each of which can be killed and restarted by itself.
    pub nodes: Vec<Nats>,
}

impl NatsCluster {
    /// Starts `size` servers and waits until a stream can be kept by all of them.
    ///
    /// # Panics
    ///
    /// When they do not start or do not find each other.
    pub async fn start(size: usize) -> Self {
        let ports: Vec<u16> = (0..size).map(|_| free_port()).collect();
        let routes: Vec<String> = ports
            .iter()
            .map(|port| format!("nats://127.0.0.1:{port}"))
            .collect();
        let mut nodes: Vec<Nats> = ports
            .iter()
            .enumerate()
            .map(|(index, port)| {
                let mut options = NatsOptions::default();
                options
                    .settings
                    .insert("server_name".to_owned(), json!(format!("node-{index}")));
                options.settings.insert(
                    "cluster".to_owned(),
                    json!({
                        "name": "tests",
                        "listen": loopback(*port).to_string(),
                        "routes": routes,
                    }),
                );
                Nats::prepare(options)
            })
            .collect();
        nodes.iter_mut().for_each(Nats::spawn);
        for node in &mut nodes {
            node.ready().await;
        }
        let cluster = Self { nodes };
        cluster.elected().await;
        cluster
    }

    /// Where clients connect: every server's address.
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Nats::url).collect()
    }

    async fn elected(&self) {
        let client = async_nats::connect(self.urls())
            .await
            .unwrap_or_else(|error| panic!("connect to the cluster: {error}"));
        // A request before the election gets no answer at all: ask again soon.
        let bus = ContextBuilder::new().timeout(ASK_AGAIN).build(client);
        let probe = stream::Config {
            name: "cluster-is-ready".to_owned(),
            num_replicas: self.nodes.len(),
            storage: StorageType::Memory,
            ..Default::default()
        };
        eventually_ok("the cluster to keep a stream", ELECTION, async || {
            bus.create_stream(&probe).await.map_err(|error| {
                let logs: Vec<String> = self.nodes.iter().map(|node| tail(&node.log())).collect();
                format!("{error}\n{}", logs.join("\n\n"))
            })
        })
        .await;
        bus.delete_stream(&probe.name)
            .await
            .expect("the stream that was just made can be removed");
    }
}
