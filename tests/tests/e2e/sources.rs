//! Where the objects of triggers come from: each source of a Sensor in a local run, with real servers behind.

use serde_json::{Value, json};
use tiphys_tests::artifacts::{ACCESS_KEY, SECRET_KEY};
use tiphys_tests::http_sink::Answer;
use tiphys_tests::{Bucket, GitServer, HttpSink, eventually_ok, temp_dir};

use crate::scene::plain_source;
use crate::support::{LIMIT, LocalRun, NAMESPACE};

/// An object that says where it was read from.
fn object(name: &str, said: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{generateName: from-{name}-}}\ndata: {{said: {said}}}\n"
    )
}

/// A Sensor `NAME` that creates what it finds at a source for each event `in`.
fn sensor(name: &str, source: &Value, allow: &str) -> String {
    let sensor = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Sensor",
        "metadata": {"name": name, "namespace": NAMESPACE,
            "annotations": {"tiphys.dev/allow-private-addresses": allow}},
        "spec": {
            "dependencies": [{"name": "in", "eventSourceName": "in", "eventName": "in"}],
            "triggers": [{"template": {"name": "act", "k8s": {
                "source": source,
                "parameters": [{"src": {"dependencyName": "in", "dataKey": "body.message"}, "dest": "data.message"}],
            }}}],
        },
    });
    sensor.to_string()
}

/// What was made for an event, by the source that it was read from.
async fn made(run: &LocalRun, name: &str, message: &str) -> String {
    let url = format!("/api/v1/namespaces/{NAMESPACE}/configmaps");
    eventually_ok(&format!("{name} {message}"), LIMIT, async || {
        let request = http::Request::get(&url).body(Vec::new()).unwrap();
        let list: Value = run
            .client()
            .request(request)
            .await
            .map_err(|error| error.to_string())?;
        let found = list["items"].as_array().unwrap().iter().find(|item| {
            let prefix = format!("from-{name}-");
            item["metadata"]["name"]
                .as_str()
                .unwrap()
                .starts_with(&prefix)
                && item["data"]["message"] == message
        });
        found
            .map(|item| item["data"]["said"].as_str().unwrap().to_owned())
            .ok_or_else(|| run.said())
    })
    .await
}

#[tokio::test]
async fn objects_come_from_every_source_and_what_changes_there_is_seen() {
    let (git, bucket, page) = (GitServer::start(), Bucket::start(), HttpSink::start());
    let folder = temp_dir();
    let file = folder.path().join("object.yaml");
    git.repository()
        .commit("deep/object.yaml", &object("git", "one"));
    bucket.put("deep/object.yaml", &object("s3", "one"));
    page.answer(Answer::status(http::StatusCode::OK).with_body(object("url", "one")));
    std::fs::write(&file, object("file", "one")).unwrap();

    let mut run = LocalRun::empty();
    run.write("source.yaml", &plain_source());
    let key = |key: &str| json!({"name": "bucket", "key": key});
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "bucket", "namespace": NAMESPACE},
        "stringData": {"access": format!("{ACCESS_KEY}\n"), "secret": SECRET_KEY}});
    let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "objects", "namespace": NAMESPACE},
        "data": {"object.yaml": object("configmap", "one")}});
    run.write("secret.yaml", &secret.to_string());
    run.write("config.yaml", &config.to_string());
    for (name, source) in [
        (
            "git",
            json!({"git": {"url": git.url(), "branch": "main", "filePath": "deep/object.yaml"}}),
        ),
        (
            "s3",
            json!({"s3": {"endpoint": bucket.endpoint(), "insecure": true, "accessKey": key("access"),
            "secretKey": key("secret"), "bucket": {"name": "bucket", "key": "deep/object.yaml"}}}),
        ),
        ("url", json!({"url": {"path": page.url()}})),
        ("file", json!({"file": {"path": file}})),
        (
            "configmap",
            json!({"configmap": {"name": "objects", "key": "object.yaml"}}),
        ),
        ("inline", json!({"inline": object("inline", "one")})),
    ] {
        run.write(&format!("{name}.yaml"), &sensor(name, &source, "127.0.0.1"));
    }
    // Of these, nothing may come: a page that nobody allowed, and a key that signs nothing.
    run.write(
        "closed.yaml",
        &sensor("closed", &json!({"url": {"path": page.url()}}), "false"),
    );
    run.start().await;

    run.send("first").await.unwrap();
    for name in ["git", "s3", "url", "file", "configmap", "inline"] {
        assert_eq!(made(&run, name, "first").await, "one", "{name}");
    }
    git.repository()
        .commit("deep/object.yaml", &object("git", "two"));
    bucket.put("deep/object.yaml", &object("s3", "two"));
    page.answer(Answer::status(http::StatusCode::OK).with_body(object("url", "two")));
    std::fs::write(&file, object("file", "two")).unwrap();
    run.send("second").await.unwrap();
    for name in ["git", "s3", "url", "file"] {
        assert_eq!(made(&run, name, "second").await, "two", "{name}");
    }
    let books = run.accounted("closed", 2).await;
    assert_eq!((books.fired, books.dead), (0, 2));
}

#[tokio::test]
async fn a_bucket_opens_to_its_keys_only_and_a_page_that_is_away_comes_back() {
    let (bucket, page) = (Bucket::start(), HttpSink::start());
    bucket.put("object.yaml", &object("s3", "one"));
    page.answer_next([Answer::status(http::StatusCode::SERVICE_UNAVAILABLE)]);
    page.answer(Answer::status(http::StatusCode::OK).with_body(object("url", "one")));
    let mut run = LocalRun::empty();
    run.write("source.yaml", &plain_source());
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "bucket", "namespace": NAMESPACE},
        "stringData": {"access": ACCESS_KEY, "secret": "another"}});
    run.write("secret.yaml", &secret.to_string());
    let key = |key: &str| json!({"name": "bucket", "key": key});
    let source = json!({"s3": {"endpoint": bucket.endpoint(), "insecure": true, "accessKey": key("access"),
        "secretKey": key("secret"), "bucket": {"name": "bucket", "key": "object.yaml"}}});
    run.write("s3.yaml", &sensor("s3", &source, "false"));
    run.write(
        "url.yaml",
        &sensor("url", &json!({"url": {"path": page.url()}}), "true"),
    );
    run.start().await;
    run.send("first").await.unwrap();
    // Away is no refusal: the event waits.
    assert_eq!(made(&run, "url", "first").await, "one");
    let books = run.accounted("s3", 1).await;
    assert_eq!((books.fired, books.dead), (0, 1));
}
