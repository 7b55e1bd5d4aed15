//! The part of a kubelet that an API server asks for logs, over HTTPS as it does, and the Node and Pods that lead it there.
//!
//! No container runs: what one has printed, and when, is what the test says. For pods that run see `pods`.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::Listener;
use futures::stream;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::ports::loopback;
use crate::temp_dir;
use crate::tls::TlsFiles;

/// The Node that stands for the kubelet.
const NODE: &str = "node";

/// A container: its namespace, its pod, its name.
type Key = (String, String, String);

/// What a container has printed: lines with their times, as RFC 3339 writes them.
#[derive(Debug, Clone, Default)]
struct Log {
    lines: Vec<(String, String)>,
    previous: Vec<(String, String)>,
    ended: bool,
}

#[derive(Debug, Default)]
struct Shared {
    logs: HashMap<Key, watch::Sender<Log>>,
    asked: Vec<String>,
    cut: CancellationToken,
}

/// See the module.
pub struct Kubelet {
    client: Client,
    shared: Arc<Mutex<Shared>>,
    stop: CancellationToken,
    _files: TempDir,
}

impl Kubelet {
    /// Serves logs, and registers its Node.
    ///
    /// # Panics
    ///
    /// When the API server does not take the Node.
    pub async fn start(client: Client) -> Self {
        let files = temp_dir();
        let tls = TlsFiles::create(files.path());
        let listener = TcpListener::bind(loopback(0)).await;
        let listener = listener.expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let shared = Arc::new(Mutex::new(Shared::default()));
        let router = Router::new()
            .route("/containerLogs/{namespace}/{pod}/{container}", get(answer))
            .with_state(shared.clone());
        let stop = CancellationToken::new();
        let listener = Tls {
            listener,
            acceptor: acceptor(&tls),
        };
        let serving = axum::serve(listener, router).into_future();
        let stopped = stop.clone();
        #[expect(
            clippy::disallowed_methods,
            reason = "it ends with the test's runtime, or before it when it is dropped"
        )]
        tokio::spawn(async move {
            tokio::select! {
                () = stopped.cancelled() => {}
                _ = serving => {}
            }
        });
        register(&client, address).await;
        Self {
            client,
            shared,
            stop,
            _files: files,
        }
    }

    /// Makes a Pod that runs on the Node.
    ///
    /// # Panics
    ///
    /// When the API server does not take it.
    pub async fn run(&self, namespace: &str, name: &str, metadata: Value, containers: &[&str]) {
        let list: Vec<Value> = containers
            .iter()
            .map(|name| json!({ "name": name, "image": "any" }))
            .collect();
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": metadata,
            "spec": { "nodeName": NODE, "containers": list },
        });
        let mut pod: Pod = serde_json::from_value(pod).expect("it is a pod");
        pod.metadata.name = Some(name.to_owned());
        let api = Api::<Pod>::namespaced(self.client.clone(), namespace);
        api.create(&PostParams::default(), &pod)
            .await
            .unwrap_or_else(|error| panic!("make the pod {name}: {error}"));
        let status = json!({ "status": { "phase": "Running" } });
        api.patch_status(name, &PatchParams::default(), &Patch::Merge(&status))
            .await
            .unwrap_or_else(|error| panic!("run the pod {name}: {error}"));
    }

    /// A container prints a line at a time. Before its first line it has not begun.
    pub fn print(&self, key: (&str, &str, &str), at: &str, line: &str) {
        let line = (at.to_owned(), line.to_owned());
        self.log(key).send_modify(|log| log.lines.push(line));
    }

    /// A container is restarted: what it has printed is what it printed before.
    pub fn restart(&self, key: (&str, &str, &str)) {
        self.log(key)
            .send_modify(|log| log.previous = std::mem::take(&mut log.lines));
    }

    /// A container ends, and with it whoever follows its log.
    pub fn end(&self, key: (&str, &str, &str)) {
        self.log(key).send_modify(|log| log.ended = true);
    }

    /// Cuts every connection that a log goes through now.
    pub fn cut(&self) {
        let mut shared = lock(&self.shared);
        std::mem::take(&mut shared.cut).cancel();
    }

    /// What it was asked for: paths and queries.
    pub fn asked(&self) -> Vec<String> {
        lock(&self.shared).asked.clone()
    }

    fn log(&self, (namespace, pod, container): (&str, &str, &str)) -> watch::Sender<Log> {
        let key = (namespace.to_owned(), pod.to_owned(), container.to_owned());
        lock(&self.shared).logs.entry(key).or_default().clone()
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn register(client: &Client, address: SocketAddr) {
    let nodes = Api::<Node>::all(client.clone());
    let mut node = Node::default();
    node.metadata.name = Some(NODE.to_owned());
    let made = nodes.create(&PostParams::default(), &node).await;
    made.unwrap_or_else(|error| panic!("make a node: {error}"));
    let status = json!({ "status": {
        "addresses": [{ "type": "InternalIP", "address": address.ip().to_string() }],
        "daemonEndpoints": { "kubeletEndpoint": { "Port": address.port() } },
    }});
    let told = nodes
        .patch_status(NODE, &PatchParams::default(), &Patch::Merge(&status))
        .await;
    told.unwrap_or_else(|error| panic!("say where the node is: {error}"));
}

async fn answer(
    State(shared): State<Arc<Mutex<Shared>>>,
    Path((namespace, pod, container)): Path<(String, String, String)>,
    Query(query): Query<HashMap<String, String>>,
    request: Uri,
) -> Response {
    let (log, cut) = {
        let mut shared = lock(&shared);
        shared.asked.push(request.to_string());
        let key = (namespace, pod.clone(), container.clone());
        (shared.logs.get(&key).cloned(), shared.cut.clone())
    };
    let begun = log.filter(|log| {
        let log = log.borrow();
        !log.lines.is_empty() || !log.previous.is_empty()
    });
    let Some(log) = begun else {
        // In a kubelet's own words.
        let text = format!(
            "container \"{container}\" in pod \"{pod}\" is waiting to start: ContainerCreating"
        );
        return (StatusCode::BAD_REQUEST, text).into_response();
    };
    let flag = |name: &str| query.get(name).is_some_and(|value| value == "true");
    let now = log.borrow().clone();
    let lines = if flag("previous") {
        &now.previous
    } else {
        &now.lines
    };
    let since = query.get("sinceTime").map_or("", String::as_str);
    let first = lines.iter().position(|(at, _)| is_since(at, since));
    let first = first.unwrap_or(lines.len());
    let tail = query.get("tailLines").and_then(|text| text.parse().ok());
    let first = first.max(lines.len().saturating_sub(tail.unwrap_or(usize::MAX)));
    let times = flag("timestamps");
    if !flag("follow") {
        return shown(lines.get(first..).unwrap_or_default(), times).into_response();
    }
    let state = (log.subscribe(), first, cut);
    let body = stream::unfold(state, move |(mut log, first, cut)| async move {
        loop {
            let (text, count, ended) = {
                let log = log.borrow_and_update();
                let new = log.lines.get(first..).unwrap_or_default();
                (shown(new, times), new.len(), log.ended)
            };
            if count > 0 {
                let next = (log, first + count, cut);
                return Some((Ok::<_, Infallible>(text), next));
            }
            if ended {
                return None;
            }
            tokio::select! {
                () = cut.cancelled() => return None,
                changed = log.changed() => changed.ok()?,
            }
        }
    });
    Body::from_stream(body).into_response()
}

/// Times of one form, of which a kubelet is asked for whole seconds.
fn is_since(at: &str, since: &str) -> bool {
    at.trim_end_matches('Z') >= since.trim_end_matches('Z')
}

fn shown(lines: &[(String, String)], times: bool) -> String {
    let shown = lines.iter().map(|(at, line)| {
        if times {
            format!("{at} {line}\n")
        } else {
            format!("{line}\n")
        }
    });
    shown.collect()
}

fn acceptor(tls: &TlsFiles) -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_file(&tls.certificate).expect("it was written");
    let key = PrivateKeyDer::from_pem_file(&tls.key).expect("it was written");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider speaks the default versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("the key is the certificate's");
    TlsAcceptor::from(Arc::new(config))
}

struct Tls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = Listener::accept(&mut self.listener).await;
            // Only the API server comes here, so one handshake after the other will do.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
