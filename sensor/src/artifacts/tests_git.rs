//! Repositories behind a web server with git's own program in it: both versions of the protocol, files in every way that
//! packs hold them, and credentials.

use std::path::Path;
use std::process::{Command, Stdio};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use serde_json::{Value, json};
use tiphys_core::tasks::chain;
use tokio::io::AsyncWriteExt as _;

use super::tests::{Server, artifacts, read, serve};

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
