//! Sources against real servers on this machine: what they bring, and what they refuse to bring.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{any, get};
use bytes::Bytes;
use serde_json::{Value, json};
use tiphys_core::refs::KeyRef;
use tiphys_core::tasks::chain;
use tiphys_core::{Secret, SecretError, Secrets};
use tokio::io::AsyncWriteExt as _;
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

async fn read(artifacts: &Artifacts, source: Value) -> Result<Bytes, FireError> {
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

#[tokio::test]
async fn nobody_there_is_for_later() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
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

/// How the repository's server behaves.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Second,
    First,
    Locked,
}

/// Serves a folder of repositories as web servers do: by git's own CGI program.
async fn git_server(root: &Path, way: Way) -> Server {
    let root = root.to_owned();
    let answer = move |request: Request| {
        let root = root.clone();
        async move { backend(&root, way, request).await }
    };
    serve(Router::new().fallback(any(answer))).await
}

async fn backend(root: &Path, way: Way, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let header = |name: &str| {
        parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    // "user:word" as it is sent.
    if way == Way::Locked && header("authorization") != Some("Basic dXNlcjp3b3Jk") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let mut command = tokio::process::Command::new("git");
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", parts.uri.path())
        .env("QUERY_STRING", parts.uri.query().unwrap_or_default())
        .env("REQUEST_METHOD", parts.method.as_str())
        .env("CONTENT_TYPE", header("content-type").unwrap_or_default())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    if way != Way::First {
        command.env("GIT_PROTOCOL", header("git-protocol").unwrap_or_default());
    }
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(&body).await.unwrap();
    let output = child.wait_with_output().await.unwrap().stdout;
    let end = output
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap();
    let mut status = StatusCode::OK;
    let mut headers = HeaderMap::new();
    for line in str::from_utf8(&output[..end]).unwrap().lines() {
        let (name, value) = line.split_once(": ").unwrap();
        if name == "Status" {
            status = value.split(' ').next().unwrap().parse().unwrap();
        } else {
            let name: header::HeaderName = name.parse().unwrap();
            headers.insert(name, value.parse().unwrap());
        }
    }
    (status, headers, output[end + 4..].to_vec()).into_response()
}

fn git(folder: &Path, args: &[&str]) {
    let output = Command::new("git")
        .current_dir(folder)
        .args([
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@t",
            "-c",
            "commit.gpgsign=false",
        ])
        .args(args)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "git {args:?}: {output:?}");
}

/// A repository with a history, folders, links, a tag, and files that are stored as changes of others.
fn repository(root: &Path) {
    let folder = root.join("r.git");
    std::fs::create_dir(&folder).unwrap();
    git(&folder, &["init", "-q", "-b", "master"]);
    std::fs::create_dir_all(folder.join("deep/er")).unwrap();
    let lines = |count: usize| {
        (0..count)
            .map(|line| format!("- line {line}\n"))
            .collect::<String>()
    };
    for index in 0..30 {
        std::fs::write(
            folder.join(format!("deep/{index}.yaml")),
            lines(200 + index),
        )
        .unwrap();
    }
    std::fs::write(folder.join("deep/er/wf.yaml"), "version: 1\n").unwrap();
    std::os::unix::fs::symlink("deep/er/wf.yaml", folder.join("link")).unwrap();
    std::os::unix::fs::symlink("deep", folder.join("folder-link")).unwrap();
    git(&folder, &["add", "."]);
    git(&folder, &["commit", "-qm", "one"]);
    git(&folder, &["tag", "-a", "v1", "-m", "one"]);
    git(&folder, &["branch", "old"]);
    std::fs::write(folder.join("deep/er/wf.yaml"), "version: 2\n").unwrap();
    git(&folder, &["commit", "-qam", "two"]);
    git(&folder, &["gc", "-q"]);
}

#[tokio::test]
async fn a_file_of_a_repository_is_read_in_every_protocol() {
    for (way, filter) in [
        (Way::Second, "true"),
        (Way::Second, "false"),
        (Way::First, "true"),
    ] {
        let root = tempfile::tempdir().unwrap();
        repository(root.path());
        let folder = root.path().join("r.git");
        git(&folder, &["config", "uploadpack.allowFilter", filter]);
        let server = git_server(root.path(), way).await;
        let all = artifacts("127.0.0.1");
        let base = format!("http://127.0.0.1:{}/r.git", server.port);
        let source = |more: Value| {
            let mut spec = json!({"url": base, "filePath": "deep/er/wf.yaml"});
            spec.as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            json!({"git": spec})
        };
        for (more, expected) in [
            (json!({}), "version: 2\n"),
            (json!({"branch": "old"}), "version: 1\n"),
            (json!({"tag": "v1", "branch": "master"}), "version: 1\n"),
            (
                json!({"ref": "refs/heads/old", "tag": "none"}),
                "version: 1\n",
            ),
            (
                json!({"remote": {"name": "origin", "urls": [base]}, "url": "http://127.0.0.1:1/x"}),
                "version: 2\n",
            ),
            (json!({"url": format!("{base}/")}), "version: 2\n"),
        ] {
            let read = read(&all, source(more.clone())).await;
            let read = read.unwrap_or_else(|error| panic!("{more}: {}", chain(&error)));
            assert_eq!(read, expected, "{more}");
        }
        for index in [0, 17, 29] {
            let more = json!({"filePath": format!("/deep/{index}.yaml")});
            let read = read(&all, source(more)).await.unwrap();
            assert!(
                read.ends_with(format!("- line {}\n", 199 + index).as_bytes()),
                "{index}"
            );
        }
        for (more, said) in [
            (
                json!({"branch": "none"}),
                "has no refs/heads/none; its default branch is \"master\"",
            ),
            (
                json!({"filePath": "deep/none"}),
                "there is no \"deep/none\"",
            ),
            (json!({"filePath": "deep"}), "\"deep\" must be a file"),
            (json!({"filePath": "deep/er/wf.yaml/x"}), "there is no"),
            (
                json!({"filePath": "link"}),
                "\"link\" is a symbol link which is not allowed",
            ),
            (
                json!({"filePath": "folder-link/er/wf.yaml"}),
                "symbol link which is not allowed",
            ),
            (json!({"filePath": "../x"}), "must not contain"),
            (
                json!({"url": format!("http://127.0.0.1:{}/none.git", server.port)}),
                "answered 404",
            ),
            (
                json!({"url": "git@github.com:o/r.git"}),
                "git.sshKeySecret must be set",
            ),
            (json!({"url": "file:///etc"}), "must be a whole URL"),
        ] {
            let error = read(&all, source(more.clone())).await.unwrap_err();
            assert!(chain(&error).contains(said), "{more}: {}", chain(&error));
            assert!(!error.is_transient(), "{more}");
        }
        // What has changed since is seen.
        std::fs::write(folder.join("deep/er/wf.yaml"), "version: 3\n").unwrap();
        git(&folder, &["commit", "-qam", "three"]);
        assert_eq!(read(&all, source(json!({}))).await.unwrap(), "version: 3\n");
        let refused = read(&artifacts("false"), source(json!({})))
            .await
            .unwrap_err();
        assert!(
            chain(&refused).contains("private address"),
            "{}",
            chain(&refused)
        );
    }
}

#[tokio::test]
async fn credentials_open_a_repository_and_wrong_ones_are_told() {
    let root = tempfile::tempdir().unwrap();
    repository(root.path());
    let server = git_server(root.path(), Way::Locked).await;
    let all = artifacts("true");
    let source = |user: &str, creds: Value| {
        json!({"git": {"url": format!("http://{user}127.0.0.1:{}/r.git", server.port),
            "filePath": "deep/er/wf.yaml", "creds": creds}})
    };
    let creds = |word: &str| json!({"username": {"name": "s", "key": "user"}, "password": {"name": "s", "key": word}});
    for source in [source("", creds("word")), source("user:word@", Value::Null)] {
        assert_eq!(read(&all, source).await.unwrap(), "version: 2\n");
    }
    for source in [source("", creds("other")), source("", Value::Null)] {
        let error = read(&all, source).await.unwrap_err();
        assert!(
            chain(&error).contains("wants other credentials"),
            "{}",
            chain(&error)
        );
    }
}

#[tokio::test]
async fn a_page_that_is_no_repository_is_told_apart() {
    let server = serve(Router::new().fallback(any("hello"))).await;
    let source =
        json!({"git": {"url": format!("http://127.0.0.1:{}/r", server.port), "filePath": "x"}});
    let error = read(&artifacts("true"), source).await.unwrap_err();
    assert!(chain(&error).contains("speaks no git"), "{}", chain(&error));
}
