//! Sources against real servers on this machine: what they bring, and what they refuse to bring.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use axum::routing::{any, get};
use bytes::Bytes;
use serde_json::{Value, json};
use tiphys_core::refs::KeyRef;
use tiphys_core::tasks::chain;
use tiphys_core::{Secret, SecretError, Secrets};
use tokio_util::task::AbortOnDropHandle;

use super::{Artifacts, Found, LARGEST, PRIVATE_ADDRESSES_ANNOTATION, PrivateAddresses};
use crate::triggers::FireError;

/// Secrets whose value is their key.
struct Keys;

#[async_trait]
impl Secrets for Keys {
    async fn secret(&self, at: &KeyRef) -> Result<Secret, SecretError> {
        Ok(Secret::new(at.key.clone()))
    }

    async fn config(&self, at: &KeyRef) -> Result<Bytes, SecretError> {
        Ok(at.key.clone().into())
    }
}

pub(super) struct Server {
    pub(super) port: u16,
    _task: AbortOnDropHandle<()>,
}

#[expect(
    clippy::disallowed_methods,
    reason = "the server ends with the test, whose runtime it is in"
)]
pub(super) async fn serve(router: Router) -> Server {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    Server {
        port,
        _task: AbortOnDropHandle::new(task),
    }
}

pub(super) fn artifacts(allowed: &str) -> Artifacts {
    let annotations =
        BTreeMap::from([(PRIVATE_ADDRESSES_ANNOTATION.to_owned(), allowed.to_owned())]);
    let private = PrivateAddresses::new(&annotations).unwrap();
    Artifacts::new(private, Arc::default())
}

pub(super) async fn read(artifacts: &Artifacts, source: Value) -> Result<Bytes, FireError> {
    let spec = serde_json::from_value(source).unwrap();
    match Found::new(&spec, Some(&spec))? {
        Found::Here(bytes) => Ok(bytes),
        Found::Elsewhere(source) => artifacts.read(&source, &Keys).await,
    }
}

fn url(path: String) -> Value {
    json!({"url": {"path": path}})
}

fn pages() -> Router {
    let endless = || {
        let chunk = Bytes::from(vec![b'x'; 64 * 1024]);
        let chunks = futures::stream::repeat_with(move || Ok::<_, std::io::Error>(chunk.clone()));
        Body::from_stream(chunks)
    };
    Router::new()
        .route("/wf.yaml", get("kind: Workflow"))
        .route("/endless", get(move || async move { endless() }))
        .route("/announced", get(|| async { vec![b'x'; LARGEST + 1] }))
        .route("/busy", get(StatusCode::SERVICE_UNAVAILABLE))
        .route("/moved", get(Redirect::temporary("/wf.yaml")))
        .route("/loop", get(Redirect::temporary("/loop")))
        .route("/out", get(Redirect::temporary("http://127.0.0.2:1/x")))
        .route(
            "/cloud",
            get(Redirect::temporary("http://169.254.169.254/latest/")),
        )
        .route("/disk", get(Redirect::temporary("file:///etc/passwd")))
        .route("/never", get(std::future::pending::<&str>))
}

#[tokio::test]
async fn a_page_is_read_where_its_address_is_allowed() {
    let server = serve(pages()).await;
    let at = |path: &str| url(format!("http://127.0.0.1:{}{path}", server.port));
    let some = artifacts("127.0.0.1");
    assert_eq!(read(&some, at("/wf.yaml")).await.unwrap(), "kind: Workflow");
    assert_eq!(read(&some, at("/moved")).await.unwrap(), "kind: Workflow");
    for (path, transient, said) in [
        ("/absent", false, "the server answered 404"),
        ("/busy", true, "the server answered 503"),
        ("/endless", false, "it is larger than"),
        ("/announced", false, "it is larger than"),
        ("/loop", false, "too many redirects"),
        (
            "/out",
            false,
            "\"127.0.0.2\" is at the private address 127.0.0.2",
        ),
        ("/cloud", false, "private address 169.254.169.254"),
        ("/disk", false, ""),
    ] {
        let error = read(&some, at(path)).await.unwrap_err();
        assert!(chain(&error).contains(said), "{path}: {}", chain(&error));
        assert_eq!(error.is_transient(), transient, "{path}: {}", chain(&error));
    }
}

#[tokio::test]
async fn names_are_judged_by_the_address_that_is_connected_to() {
    let server = serve(pages()).await;
    for (host, allowed, works) in [
        ("localhost", "false", false),
        ("localhost", "other.svc", false),
        ("localhost", "localhost", true),
        ("LOCALHOST", "localhost", true),
        ("localhost", "127.0.0.0/8, ::1", true),
        ("localhost", "true", true),
        ("127.0.0.1", "localhost", false),
        ("0x7f.1", "false", false),
        ("2130706433", "false", false),
        ("[::ffff:127.0.0.1]", "false", false),
    ] {
        let source = url(format!("http://{host}:{}/wf.yaml", server.port));
        let result = read(&artifacts(allowed), source).await;
        assert_eq!(
            result.is_ok(),
            works,
            "{host} {allowed} {:?}",
            result.map_err(|e| chain(&e))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_is_given_up_for_now() {
    let server = serve(pages()).await;
    let source = url(format!("http://127.0.0.1:{}/never", server.port));
    let error = read(&artifacts("true"), source).await.unwrap_err();
    assert!(error.is_transient(), "{}", chain(&error));
}

/// A port on which nobody listens, as long as the socket is held.
pub(super) fn nobodys_port() -> (tokio::net::TcpSocket, u16) {
    let held = tokio::net::TcpSocket::new_v4().unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = held.local_addr().unwrap().port();
    (held, port)
}

#[tokio::test]
async fn nobody_there_is_for_later() {
    let (_held, port) = nobodys_port();
    let error = read(
        &artifacts("true"),
        url(format!("http://127.0.0.1:{port}/x")),
    )
    .await;
    assert!(error.unwrap_err().is_transient());
}

/// A bucket server that only looks at what it is asked.
fn bucket() -> Router {
    let answer = |request: Request| async move {
        let header = |name: &str| {
            request
                .headers()
                .get(name)
                .map(|value| value.to_str().unwrap().to_owned())
        };
        let authorization = header("authorization").unwrap_or_default();
        match request.uri().path() {
            "/b/dir/a%20b.yaml" if authorization.contains("/eu-west-1/s3/") => {
                "kind: X".into_response()
            }
            "/b/dir/a%20b.yaml" => (
                StatusCode::BAD_REQUEST,
                [("x-amz-bucket-region", "eu-west-1")],
            )
                .into_response(),
            "/b/out" => Redirect::temporary("/b/dir/a%20b.yaml").into_response(),
            _ => (
                StatusCode::NOT_FOUND,
                "<Error><Code>NoSuchKey</Code></Error>",
            )
                .into_response(),
        }
    };
    Router::new().fallback(any(answer))
}

#[tokio::test]
async fn a_bucket_says_where_it_is_and_what_it_lacks() {
    let server = serve(bucket()).await;
    let at = |key: &str| {
        let secret = |key: &str| json!({"name": "s", "key": key});
        json!({"s3": {"endpoint": format!("127.0.0.1:{}", server.port), "insecure": true,
            "bucket": {"name": "b", "key": key}, "accessKey": secret("a"), "secretKey": secret("b")}})
    };
    // An endpoint that the spec names may be private.
    let none = artifacts("false");
    assert_eq!(read(&none, at("dir/a b.yaml")).await.unwrap(), "kind: X");
    let error = read(&none, at("absent")).await.unwrap_err();
    assert!(
        chain(&error).contains("(NoSuchKey): the server answered 404"),
        "{}",
        chain(&error)
    );
    let error = read(&none, at("out")).await.unwrap_err();
    assert!(chain(&error).contains("answered 307"), "{}", chain(&error));
}
