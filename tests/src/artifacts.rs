//! Servers that trigger sources are read from: git repositories by git's own web program, and a bucket that checks
//! signatures. Each runs on a thread of its own. They never hold anything that a test has not put there.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread::JoinHandle;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio_util::sync::CancellationToken;

use crate::git::Repository;
use crate::ports::loopback;
use crate::temp_dir;

/// The access key of every bucket.
pub const ACCESS_KEY: &str = "test-access-key";

/// The secret key of every bucket. It opens nothing but a server that lives as long as one test.
pub const SECRET_KEY: &str = "test-secret-key";

/// A thread that serves until it is dropped.
#[derive(Debug)]
struct Serving {
    address: SocketAddr,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Serving {
    fn start<F: Future<Output = ()>>(
        serve: impl FnOnce(tokio::net::TcpListener) -> F + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind(loopback(0)).expect("a port is free");
        listener
            .set_nonblocking(true)
            .expect("a listener can be non-blocking");
        let address = listener.local_addr().expect("a listener has an address");
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime can be built");
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener)
                    .expect("the listener is non-blocking");
                tokio::select! {
                    () = stopped.cancelled() => {}
                    () = serve(listener) => {}
                }
            });
        };
        let thread = std::thread::Builder::new()
            .name("artifacts".to_owned())
            .spawn(run)
            .expect("a thread can be started");
        Self {
            address,
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            // Its panic has been printed.
            drop(thread.join());
        }
    }
}

/// A git repository `repo.git` behind HTTP.
#[derive(Debug)]
pub struct GitServer {
    serving: Serving,
    repository: Repository,
}

impl GitServer {
    /// Starts a server with an empty repository whose branch is `main`.
    ///
    /// # Panics
    ///
    /// When git is not installed.
    pub fn start() -> Self {
        let repository = Repository::new();
        let folder: PathBuf = repository.root().into();
        let serving = Serving::start(move |listener| async move {
            let answer = move |request: Request| {
                let folder = folder.clone();
                async move { backend(&folder, request).await }
            };
            let router = Router::new().fallback(answer);
            axum::serve(listener, router)
                .await
                .expect("it serves until it is stopped");
        });
        Self {
            serving,
            repository,
        }
    }

    /// The repository's URL.
    pub fn url(&self) -> String {
        format!("http://{}/repo.git", self.serving.address)
    }

    /// What it serves.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }
}

/// Answers as a web server does that has git's program behind it.
async fn backend(root: &Path, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let header = |name: &str| {
        let value = parts.headers.get(name);
        value
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    let Ok(body) = to_bytes(body, 1024 * 1024).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let mut child = tokio::process::Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_PROTOCOL", header("git-protocol"))
        .env("PATH_INFO", parts.uri.path())
        .env("QUERY_STRING", parts.uri.query().unwrap_or_default())
        .env("REQUEST_METHOD", parts.method.as_str())
        .env("CONTENT_TYPE", header("content-type"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("git is installed");
    let mut input = child.stdin.take().expect("it has an input");
    // A program that has answered already closes its input early.
    drop(input.write_all(&body).await);
    drop(input);
    let output = child
        .wait_with_output()
        .await
        .expect("the program ends")
        .stdout;
    let end = output
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .expect("the program answers with headers");
    let (head, rest) = output.split_at(end);
    let mut answer = (StatusCode::OK, HeaderMap::new());
    for line in String::from_utf8_lossy(head).lines() {
        let Some((name, value)) = line.split_once(": ") else {
            continue;
        };
        if name == "Status" {
            let code = value.split(' ').next().unwrap_or_default();
            answer.0 = code.parse().expect("a status is a number");
        } else if let (Ok(name), Ok(value)) =
            (name.parse::<HeaderName>(), value.parse::<HeaderValue>())
        {
            answer.1.insert(name, value);
        }
    }
    let body = rest.get(4..).unwrap_or_default().to_vec();
    (answer.0, answer.1, body).into_response()
}

/// A bucket `bucket` of a server that speaks like S3, and only to who signs with its keys.
#[derive(Debug)]
pub struct Bucket {
    serving: Serving,
    root: TempDir,
}

impl Bucket {
    /// Starts a server with an empty bucket.
    ///
    /// # Panics
    ///
    /// When the test's folder cannot be written.
    pub fn start() -> Self {
        let root = temp_dir();
        std::fs::create_dir(root.path().join("bucket")).expect("the folder can be written");
        let files = s3s_fs::FileSystem::new(root.path()).expect("the folder can be served");
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let service = service.build();
        let serving = Serving::start(move |listener| serve_bucket(listener, service));
        Self { serving, root }
    }

    /// The endpoint, as `host:port`.
    pub fn endpoint(&self) -> String {
        self.serving.address.to_string()
    }

    /// Puts an object into the bucket.
    ///
    /// # Panics
    ///
    /// When the test's folder cannot be written.
    pub fn put(&self, key: &str, text: &str) {
        let file = self.root.path().join("bucket").join(key);
        let parent = file.parent().expect("a file is in a folder");
        std::fs::create_dir_all(parent).expect("the folder can be written");
        std::fs::write(file, text).expect("the file can be written");
    }
}

async fn serve_bucket(listener: tokio::net::TcpListener, service: S3Service) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((socket, _)) = listener.accept().await else {
            continue;
        };
        let service = service.clone();
        connections.spawn(async move {
            let http = Builder::new(TokioExecutor::new());
            // A connection that breaks is the test's business, which sees no answer.
            drop(http.serve_connection(TokioIo::new(socket), service).await);
        });
    }
}
