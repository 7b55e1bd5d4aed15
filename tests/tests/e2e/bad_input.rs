//! Bad YAML, bad requests and bad events: each is answered in words, and harms nothing beside it.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use tiphys_tests::tls::{TlsFiles, http_client};
use tiphys_tests::{HttpSink, Tiphys, eventually};

use crate::scene::{error, forward, plain_source, send, sensor, source};
use crate::support::{LIMIT, LocalRun, NAMESPACE};

/// Files of which each is wrong in its own way, and what `lint` says of it.
const WRONG: [(&str, &str, &str); 6] = [
    (
        "broken.yaml",
        "kind: Sensor\nmetadata: {name: a\nspec: 3\n",
        "broken.yaml:3:5: error: not YAML: ",
    ),
    (
        "type.yaml",
        "apiVersion: argoproj.io/v1alpha1\nkind: EventSource\nmetadata: {name: type}\nspec:\n  webhook:\n    a:\n      endpoint: [1]\n      port: \"12000\"\n",
        "type.yaml:7:17: error: spec.webhook.a.endpoint: must be text, not a list",
    ),
    (
        "condition.yaml",
        "apiVersion: argoproj.io/v1alpha1\nkind: Sensor\nmetadata: {name: condition}\nspec:\n  dependencies:\n  - {name: d, eventSourceName: in, eventName: in}\n  triggers:\n  - template:\n      name: t\n      conditions: d && nosuch\n      log: {}\n",
        "condition.yaml:10:19: error: spec.triggers[0].template.conditions: \"nosuch\" at byte 5 is not a dependency of this sensor",
    ),
    (
        "template.yaml",
        "apiVersion: argoproj.io/v1alpha1\nkind: Sensor\nmetadata: {name: template}\nspec:\n  dependencies:\n  - {name: d, eventSourceName: in, eventName: in}\n  triggers:\n  - template:\n      name: t\n      http:\n        url: http://localhost\n        payload:\n        - src: {dependencyName: d, dataTemplate: \"{{ .Input\"}\n          dest: a\n",
        "template.yaml:13:50: error: spec.triggers[0].template.http.payload[0].src.dataTemplate: ",
    ),
    (
        "nameless.yaml",
        "apiVersion: argoproj.io/v1alpha1\nkind: Sensor\nspec: {}\n",
        "nameless.yaml:1:1: error: metadata: must be set, with a name in it",
    ),
    (
        "text.yaml",
        "hello\n",
        "text.yaml:1:1: error: must be an object with apiVersion, kind and metadata",
    ),
];

#[tokio::test]
async fn each_wrong_file_is_named_with_its_place_and_the_others_run() {
    let sink = HttpSink::start();
    let mut run = LocalRun::forwarding(&sink.url());
    for (file, text, _) in WRONG {
        run.write(file, text);
    }
    std::fs::write(run.files.path().join("bytes.yaml"), b"kind: \xff\xfe\n").unwrap();

    let lint = Tiphys::command(["lint".as_ref(), run.files.path().as_os_str()])
        .output(LIMIT)
        .await;
    assert_eq!(lint.code, Some(1), "{lint:?}");
    for (_, _, wanted) in WRONG {
        assert!(lint.stdout.contains(wanted), "{wanted}\n{}", lint.stdout);
    }
    assert!(
        lint.stdout
            .contains("bytes.yaml: error: not YAML: is not UTF-8: byte 6"),
        "{}",
        lint.stdout
    );

    run.start().await;
    run.takes("through").await;
    let received = sink.wait_for(1, LIMIT).await;
    assert_eq!(received[0].json()["message"], "through");
    for (_, _, wanted) in WRONG {
        // The log is JSON, in which quotes are escaped.
        let wanted = wanted.replace('"', "\\\"");
        let process = run.process.as_mut().unwrap();
        process.wait_for_line(&wanted, LIMIT).await;
    }
    // A file that is no YAML counts as one object.
    let process = run.process.as_mut().unwrap();
    process
        .wait_for_line("ready, but for 7 objects that cannot run", LIMIT)
        .await;
    run.accounted("out", 1).await;
}

#[tokio::test]
async fn an_unknown_field_is_a_warning_and_the_object_runs() {
    let mut run = LocalRun::empty();
    run.write(
        "source.yaml",
        &source("in", "in: {endpoint: /in, port: \"12000\", endpiont: /x}"),
    );
    let lint = Tiphys::command(["lint".as_ref(), run.files.path().as_os_str()])
        .output(LIMIT)
        .await;
    assert_eq!(lint.code, Some(0), "{lint:?}");
    assert!(
        lint.stdout
            .contains("warning: spec.webhook.in.endpiont: is not a known field"),
        "{lint:?}"
    );
    run.start().await;
    run.takes("hello").await;
    let process = run.process.as_mut().unwrap();
    process
        .wait_for_line("spec.webhook.in.endpiont", LIMIT)
        .await;
}

#[tokio::test]
async fn a_trigger_kind_that_is_not_supported_says_so_and_the_others_fire() {
    let sink = HttpSink::start();
    let mut run = LocalRun::forwarding(&sink.url());
    let kafka = json!({"kafka": {"url": "localhost:9092", "topic": "t", "payload": [
        {"src": {"dependencyName": "in", "dataKey": "body"}, "dest": "a"},
    ]}});
    run.write("kafka.yaml", &sensor("kafka", &kafka));
    run.start().await;
    let state = run.condition("Sensor", "kafka", "NotSupported").await;
    assert_eq!(state["status"], "False");
    let message = state["message"].as_str().unwrap();
    assert!(
        message.contains("`kafka` is not supported yet"),
        "{message}"
    );
    run.takes("hello").await;
    sink.wait_for(1, LIMIT).await;
    let process = run.process.as_mut().unwrap();
    process
        .wait_for_line("ready, but for one object that cannot run", LIMIT)
        .await;
    run.accounted("out", 1).await;
}

/// Requests that become no event, and what their senders are told.
#[tokio::test]
async fn bad_requests_are_answered_in_words_and_counted_as_no_event() {
    let sink = HttpSink::start();
    let mut run = LocalRun::forwarding(&sink.url());
    run.write(
        "source.yaml",
        &source(
            "in",
            "in: {endpoint: /in, port: \"12000\"}\n\
             guarded: {endpoint: /guarded, port: \"12000\", authSecret: {name: token, key: token}}",
        ),
    );
    run.write(
        "secret.yaml",
        &format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: token, namespace: {NAMESPACE}}}\nstringData: {{token: open sesame}}\n"),
    );
    run.start().await;
    let http = http_client(None);
    let post = |path: &str, body: Vec<u8>| {
        http.post(run.at(path))
            .header("content-type", "application/json")
            .body(body)
    };
    let deep = [vec![b'['; 10_000], vec![b']'; 10_000]].concat();
    let cases = [
        (
            post("/in", b"{\"a\": ".to_vec()),
            400,
            "the body is not JSON: unexpected end at line 1",
        ),
        (
            post("/in", b"{\"a\": \"\xff\"}".to_vec()),
            400,
            "the body is not UTF-8: invalid byte at offset 7",
        ),
        (
            post("/in", deep),
            400,
            "nested too deeply at line 1, column 500",
        ),
        (
            post("/in", vec![b' '; (1 << 20) + 1]),
            413,
            "longer than 1048576 bytes: raise maxPayloadSize",
        ),
        (
            post("/nowhere", b"{}".to_vec()),
            404,
            "no event source serves this path",
        ),
        (http.get(run.at("/in")), 405, "this path takes POST only"),
        (
            post("/guarded", b"{}".to_vec()),
            401,
            "the header Authorization must be set",
        ),
        (
            post("/guarded", b"{}".to_vec()).bearer_auth("guess"),
            401,
            "the bearer token is not the right one",
        ),
    ];
    for (request, status, words) in cases {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status, "{words}");
        match status {
            405 => assert_eq!(answer.headers()["allow"], "POST"),
            401 => assert_eq!(answer.headers()["www-authenticate"], "Bearer"),
            _ => {}
        }
        let said = error(answer).await;
        assert!(said.contains(words), "{words}: {said}");
    }
    let good = post("/guarded", b"{}".to_vec()).bearer_auth("open sesame");
    assert_eq!(good.send().await.unwrap().status(), 200);
    run.takes("good").await;
    let books = run.accounted("out", 1).await;
    assert_eq!((books.accepted, books.fired), (1, 1));
    assert_eq!(sink.received().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_of_a_hundred_megabytes_take_no_memory() {
    const BODY: usize = 100 << 20;
    let mut run = LocalRun::empty();
    run.write("source.yaml", &plain_source());
    run.start().await;
    run.takes("warm").await;
    let before = resident(&run);
    let http = http_client(None);
    // One that says how long it is, and several that do not.
    let announced = http.post(run.at("/in")).body(vec![b'x'; BODY]);
    if let Ok(answer) = announced.send().await {
        assert_eq!(answer.status(), 413);
    }
    let streams = (0..4).map(|_| {
        let piece = bytes::Bytes::from_static(&[b'x'; 64 << 10]);
        let pieces =
            std::iter::repeat_n(Ok::<_, std::convert::Infallible>(piece), BODY / (64 << 10));
        let body = reqwest::Body::wrap_stream(futures::stream::iter(pieces));
        let request = http.post(run.at("/in")).body(body);
        async move {
            // The connection closes after the answer, which may reach a sender that still writes as a reset.
            if let Ok(answer) = request.send().await {
                assert_eq!(answer.status(), 413);
            }
        }
    });
    futures::future::join_all(streams).await;
    run.takes("after").await;
    let grown = resident(&run).saturating_sub(before);
    assert!(grown < 40 << 10, "{grown} KiB more than {before} KiB");
}

/// Resident memory of the process in KiB.
fn resident(run: &LocalRun) -> u64 {
    let id = run.process.as_ref().unwrap().id();
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn slow_senders_hold_up_nobody_else() {
    const SLOW: usize = 300;
    // Sooner than slow senders are given up, which takes half a minute.
    const SOON: Duration = Duration::from_secs(25);
    let mut run = LocalRun::empty();
    run.write("source.yaml", &plain_source());
    run.start().await;
    let heads = [
        "POST /in HTTP/1.1\r\nhost: a\r\nx-sl",
        "POST /in HTTP/1.1\r\nhost: a\r\ncontent-length: 900000\r\n\r\n{\"a\": \"",
    ];
    let mut slow: Vec<TcpStream> = (0..SLOW)
        .map(|number| {
            let mut stream = TcpStream::connect(("127.0.0.1", run.webhook)).unwrap();
            stream.write_all(heads[number % 2].as_bytes()).unwrap();
            stream
        })
        .collect();
    for _ in 0..5 {
        for stream in &mut slow {
            stream.write_all(b"o").unwrap();
        }
        let sent = tokio::time::timeout(SOON, run.send("quick")).await;
        assert_eq!(sent.unwrap().unwrap().0, 200);
    }
    drop(slow);
    run.takes("last").await;
}

/// Events that a trigger can do nothing with, each with a word of the reason.
const HOPELESS: [(&str, &str); 3] = [
    (r#"{"message": "fail"}"#, "it must not be"),
    (r#"{"message": "index"}"#, "cannot pad an array"),
    (
        r#"{"message": "word"}"#,
        "cannot set array element for non-numeric key",
    ),
];

#[tokio::test]
async fn an_event_that_a_trigger_cannot_use_is_dead_and_the_next_one_fires() {
    let mut run = LocalRun::empty();
    run.write("source.yaml", &plain_source());
    let parameter = |template: &str, dest: &str| json!({"src": {"dependencyName": "in", "dataTemplate": template}, "dest": dest});
    let create = |parameters: Value| {
        json!({"k8s": {"operation": "create", "parameters": parameters, "source": {"resource": {
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "made-"},
            "data": {"a": "b"}, "list": [1],
        }}}})
    };
    let fails = "{{ if eq .Input.body.message \"fail\" }}{{ fail \"it must not be\" }}{{ end }}x";
    run.write(
        "fails.yaml",
        &sensor("fails", &create(json!([parameter(fails, "data.a")]))),
    );
    let index = create(json!([parameter("x", "list.999999999")]));
    run.write("index.yaml", &sensor("index", &index));
    let word = create(json!([parameter("x", "list.message.value")]));
    run.write("word.yaml", &sensor("word", &word));
    run.start().await;
    for (body, reason) in HOPELESS {
        let http = http_client(None);
        let answer = http.post(run.at("/in")).body(body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let process = run.process.as_mut().unwrap();
        let line = process.wait_for_line(reason, LIMIT).await;
        assert!(line.contains("the events are dead"), "{line}");
    }
    for (name, dead, fired) in [("fails", 1, 2), ("index", 3, 0), ("word", 3, 0)] {
        let books = run.accounted(name, 3).await;
        assert_eq!((books.dead, books.fired), (dead, fired), "{name} {books:?}");
    }
}

#[tokio::test]
async fn a_missing_secret_is_told_and_mended_by_bringing_it() {
    let sink = HttpSink::start();
    let mut run = LocalRun::empty();
    let guarded = "in: {endpoint: /in, port: \"12000\", authSecret: {name: token, key: token}}\n\
                   open: {endpoint: /open, port: \"12000\"}";
    run.write("source.yaml", &source("in", guarded));
    run.write(
        "sensor.yaml",
        &forward("out", &sink.url(), "{{ .Input.body.message }}"),
    );
    run.start().await;
    let http = http_client(None);
    let send = |path: &str| {
        http.post(run.at(path))
            .bearer_auth("secret")
            .json(&json!({"message": "hello"}))
            .send()
    };
    let answer = send("/in").await.unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["retry-after"], "1");
    let said = error(answer).await;
    assert!(
        said.contains("the token to compare with cannot be read now"),
        "{said}"
    );
    assert_eq!(send("/open").await.unwrap().status(), 200);
    for _ in 0..20 {
        assert_eq!(send("/in").await.unwrap().status(), 503);
    }
    // The object's state says it, and so does the first request that is refused; nobody says it again.
    let told = |run: &LocalRun| {
        let said = run.said();
        said.matches("create it, or mend the reference").count()
    };
    eventually("both to be read", LIMIT, async || {
        (told(&run) >= 2).then_some(())
    })
    .await;
    assert_eq!(told(&run), 2, "{}", run.said());

    run.write(
        "secret.yaml",
        &format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: token, namespace: {NAMESPACE}}}\nstringData: {{token: secret}}\n"),
    );
    eventually("the token to be known", LIMIT, async || {
        (send("/in").await.unwrap().status() == 200).then_some(())
    })
    .await;
    assert_eq!(sink.wait_for(1, LIMIT).await[0].json()["message"], "hello");
    run.accounted("out", 1).await;
}

#[tokio::test]
async fn a_missing_certificate_is_told_and_mended_by_bringing_it() {
    let mut run = LocalRun::empty();
    let event = "in: {endpoint: /in, port: \"12000\", serverCertSecret: {name: tls, key: crt}, serverKeySecret: {name: tls, key: key}}";
    run.write("source.yaml", &source("in", event));
    run.start_unready(run.command()).await;
    let state = run.condition("EventSource", "in", "NotListening").await;
    let message = state["message"].as_str().unwrap();
    assert!(message.contains("\"tls\""), "{message}");

    let files = TlsFiles::create(run.data.path());
    let pem = |path: &std::path::Path| std::fs::read_to_string(path).unwrap();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "tls", "namespace": NAMESPACE},
        "stringData": {"crt": pem(&files.certificate), "key": pem(&files.key)},
    });
    run.write("secret.yaml", &secret.to_string());
    run.ready().await;
    let http = http_client(Some(&files.ca));
    let url = run.at("/in").replace("http:", "https:");
    assert_eq!(send(&http, &url, "hello").await.unwrap().0, 200);
}
