//! `tiphys eventsource` and `tiphys sensor` as pods run them: given in the environment, or followed by name, against a
//! real API server and a real bus.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use tiphys_tests::nats::{Nats, NatsAuth, NatsOptions};
use tiphys_tests::ports::free_port;
use tiphys_tests::tls::http_client;
use tiphys_tests::{ApiServer, Tiphys, eventually, temp_dir};

use crate::cluster::{Ground, Pod, encoded, given, kubeconfig, to_workflows, webhook};
use crate::scene::{send, send_patiently};
use crate::support::{LIMIT, LocalRun, NAMESPACE, wait_for_workflows, workflows};

/// How many Workflows say each message.
fn messages(workflows: &[Value]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for workflow in workflows {
        let parameter = &workflow["spec"]["arguments"]["parameters"][0]["value"];
        *counts
            .entry(parameter.as_str().unwrap().to_owned())
            .or_default() += 1;
    }
    counts
}

/// Waits until every message has become one Workflow.
async fn exactly_once(ground: &Ground, sent: &[String]) {
    let what = format!("{} workflows", sent.len());
    eventually(&what, LIMIT * 3, async || {
        let found = messages(&workflows(&ground.client).await);
        sent.iter()
            .all(|message| found.contains_key(message))
            .then_some(())
    })
    .await;
    let found = messages(&workflows(&ground.client).await);
    assert!(found.values().all(|count| *count == 1), "{found:?}");
    assert_eq!(found.len(), sent.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_run_what_their_environment_gives_them_and_write_nothing() {
    let auth = NatsAuth::User {
        user: "js".to_owned(),
        password: "secret".to_owned(),
    };
    let options = NatsOptions {
        auth,
        ..NatsOptions::default()
    };
    let mut ground = Ground::start().await;
    ground.nats = Nats::start(options).await;
    // As the kubelet mounts what the controller's Deployments name.
    let mounts = temp_dir();
    for (path, text) in [
        (
            "etc/eventbus/auth/auth.yaml",
            "username: js\npassword: secret\n",
        ),
        ("argo-events/secrets/tokens/hook", "open sesame\n"),
    ] {
        let path = mounts.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let config = json!({"jetstream": {
        "url": ground.nats.url(),
        "accessSecret": {"name": "eventbus-default-js-client-auth", "key": "client-auth"},
        "streamConfig": "replicas: 1\n",
    }});
    let port = free_port();
    let mut source = webhook(port);
    source["webhook"]["in"]["authSecret"] = json!({"name": "tokens", "key": "hook"});
    let at = |command: tiphys_tests::TiphysCommand| command.env("TIPHYS_MOUNTS", mounts.path());
    let mut sensor = Pod::start(
        at(given("Sensor", "s", &to_workflows("in"), &config))
            .env("KUBECONFIG", kubeconfig(&ground)),
    );
    // It is given no cluster, and needs none.
    let mut source = Pod::start(at(given("EventSource", "in", &source, &config)));
    sensor.ready().await;
    source.ready().await;
    let post = |token: &str| {
        http_client(None)
            .post(format!("http://127.0.0.1:{port}/in"))
            .bearer_auth(token)
            .json(&json!({"message": "hello"}))
            .send()
    };
    assert_eq!(post("wrong").await.unwrap().status(), 401);
    assert_eq!(post("open sesame").await.unwrap().status(), 200);
    let made = wait_for_workflows(&ground.client, 1).await;
    assert_eq!(messages(&made), BTreeMap::from([("hello".to_owned(), 1)]));
    for pod in [&sensor, &source] {
        let written: Vec<_> = std::fs::read_dir(pod.process.folder()).unwrap().collect();
        assert!(written.is_empty(), "{written:?}");
    }
    sensor.ends_well().await;
    source.ends_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_followed_by_its_name_and_its_bus_may_come_late() {
    let ground = Ground::start().await;
    let (first, second) = (free_port(), free_port());
    ground.apply("EventSource", "in", webhook(first)).await;
    ground.apply("Sensor", "s", to_workflows("in")).await;
    let named = |kind: &str, name: &str| {
        Tiphys::command([kind, "--name", name, "-n", NAMESPACE])
            .env("KUBECONFIG", kubeconfig(&ground))
    };
    let mut source = Pod::start(named("eventsource", "in"));
    let mut sensor = Pod::start(named("sensor", "s"));
    source.waits_for("there is no EventBus \"default\"").await;
    // It is there and its controller has not come to it.
    let url = ground.nats.url();
    ground
        .apply(
            "EventBus",
            "default",
            json!({"jetstreamExotic": {"url": url}}),
        )
        .await;
    source
        .waits_for("its status says nothing of a server yet")
        .await;
    // Nobody here uses this one.
    ground
        .apply(
            "EventBus",
            "other",
            json!({"jetstream": {"version": "latest"}}),
        )
        .await;
    ground.bus().await;
    source.ready().await;
    sensor.ready().await;
    let http = http_client(None);
    let (status, _) = send(&http, &format!("http://127.0.0.1:{first}/in"), "one")
        .await
        .unwrap();
    assert_eq!(status, 200);
    wait_for_workflows(&ground.client, 1).await;

    // A changed object is taken up without a restart.
    ground.apply("EventSource", "in", webhook(second)).await;
    let moved = format!("http://127.0.0.1:{second}/in");
    eventually("the new port", LIMIT, async || {
        let (status, _) = send(&http, &moved, "two").await?;
        (status == 200).then_some(())
    })
    .await;
    wait_for_workflows(&ground.client, 2).await;

    // One that is broken is said, and one that is gone is no more served.
    ground
        .apply(
            "EventSource",
            "in",
            json!({"webhook": {"in": {"endpoint": "/in"}}}),
        )
        .await;
    source.waits_for("spec.webhook.in.port").await;
    ground.apply("EventSource", "in", webhook(second)).await;
    source.ready().await;
    ground.delete("EventSource", "in").await;
    eventually("the port to be closed", LIMIT, async || {
        send(&http, &moved, "three").await.is_none().then_some(())
    })
    .await;
    source.ends_well().await;
    sensor.ends_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_found_is_said_at_once_with_a_remedy() {
    let mut api = ApiServer::start().await;
    let good = json!({"metadata": {"name": "s"}, "spec": {
        "dependencies": [{"name": "d", "eventSourceName": "e", "eventName": "n"}],
        "triggers": [{"template": {"name": "t", "log": {}}}],
    }});
    let said = async |command: tiphys_tests::TiphysCommand| {
        let output = command.args(["--admin", "off"]).output(LIMIT).await;
        assert_eq!(output.code, Some(1), "{}", output.stderr);
        output.stderr
    };
    let with = |text: &str| {
        Tiphys::command(["sensor"])
            .env("SENSOR_OBJECT", text)
            .env("EVENTBUS_CONFIG", "e30=")
    };
    for (command, expected) in [
        (
            Tiphys::command(["sensor"]),
            "--file, or an object of the API server with --name, or set SENSOR_OBJECT",
        ),
        (
            Tiphys::command(["sensor", "--name", "s"]),
            "no cluster is known to read the Sensor from: set KUBECONFIG",
        ),
        (with("no base64"), "SENSOR_OBJECT must be base64 of JSON"),
        (
            with(&encoded(&json!({"metadata": {"name": "s"}, "spec": {}}))),
            "spec.triggers",
        ),
        (
            with(&encoded(&good)),
            "EVENTBUS_CONFIG names no event bus that can be used",
        ),
    ] {
        let text = said(command).await;
        assert!(text.contains(expected), "{text}");
    }
    let named = |api: &ApiServer| {
        Tiphys::command(["sensor", "--name", "s", "-n", "default"])
            .env("KUBECONFIG", api.kubeconfig_path())
    };
    let text = said(named(&api)).await;
    assert!(
        text.contains("the API server does not know Sensor objects: install their definitions"),
        "{text}"
    );
    tiphys_tests::kubernetes::apply_crds(&api.client().await).await;
    let text = said(named(&api)).await;
    assert!(
        text.contains("Sensor \"s\" does not exist in namespace \"default\""),
        "{text}"
    );
    api.kill();
    let text = said(named(&api)).await;
    assert!(
        text.contains("cannot read Sensor \"s\" in namespace \"default\""),
        "{text}"
    );
}

/// Sends until told to stop, and gives what was taken.
async fn load(url: String, stop: Arc<AtomicBool>, least: usize) -> Vec<String> {
    let http = http_client(None);
    let mut taken = Vec::new();
    while !stop.load(Ordering::Relaxed) || taken.len() < least {
        let message = format!("m{}", taken.len());
        let answer = send_patiently(&http, &url, &message, &message).await;
        assert_eq!(answer.unwrap().0, 200);
        taken.push(message);
    }
    taken
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_share_the_work_and_one_that_is_killed_loses_and_doubles_nothing() {
    let ground = Ground::start().await;
    let port = free_port();
    let config = ground.bus_config();
    let sensor = || {
        Pod::start(
            given("Sensor", "s", &to_workflows("in"), &config)
                .env("KUBECONFIG", kubeconfig(&ground)),
        )
    };
    let (mut one, mut two) = (sensor(), sensor());
    one.ready().await;
    two.ready().await;
    let mut source = Pod::start(given("EventSource", "in", &webhook(port), &config));
    source.ready().await;
    let stop = Arc::new(AtomicBool::new(false));
    let url = format!("http://127.0.0.1:{port}/in");
    let load = tokio::spawn(load(url, stop.clone(), 60));
    let fired = async |pod: &Pod| {
        let text = reqwest::get(pod.url("/metrics"))
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        let line = text
            .lines()
            .find(|line| line.starts_with("argo_events_action_triggered_total{"));
        line.and_then(|line| line.rsplit_once(' '))
            .map_or(0.0, |(_, count)| count.parse().unwrap())
    };
    eventually("both replicas to have fired", LIMIT, async || {
        (fired(&one).await > 3.0 && fired(&two).await > 3.0).then_some(())
    })
    .await;
    one.process.kill_9();
    stop.store(true, Ordering::Relaxed);
    let sent = load.await.unwrap();
    println!(
        "{} events, one of two replicas killed among them",
        sent.len()
    );
    exactly_once(&ground, &sent).await;
    two.ends_well().await;
    source.ends_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_is_asked_to_stop_takes_requests_until_everybody_knows() {
    let nats = Nats::start(NatsOptions::default()).await;
    let config = json!({"jetstream": {"url": nats.url()}});
    let port = free_port();
    let command = given("EventSource", "in", &webhook(port), &config);
    // Long enough to be asked once more, also where the machine stands still for a while.
    let mut source = Pod::start(command.args(["--linger", "15"]));
    source.ready().await;
    source.process.terminate();
    source.waits_for("the process is stopping").await;
    let http = http_client(None);
    let url = format!("http://127.0.0.1:{port}/in");
    let (status, _) = send(&http, &url, "late").await.unwrap();
    assert_eq!(status, 200);
    let status = source.process.wait_exit(LIMIT).await;
    assert_eq!(status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_is_missing_is_said_with_its_key() {
    let mut run = LocalRun::empty();
    run.write(
        "source.yaml",
        &crate::scene::source(
            "in",
            "in: {endpoint: /in, port: \"12000\", authSecret: {name: tokens, key: hook}}",
        ),
    );
    run.start().await;
    let condition = run.condition("EventSource", "in", "SecretMissing").await;
    assert_eq!(
        condition["message"],
        "secret \"tokens\" does not exist (its key \"hook\" is needed): create it, or mend the reference"
    );
    assert_eq!(condition["status"], "False");
    let secret = |key: &str| {
        format!(
            "{{apiVersion: v1, kind: Secret, metadata: {{name: tokens, namespace: {NAMESPACE}}}, stringData: {{{key}: t}}}}\n"
        )
    };
    run.write("secret.yaml", &secret("other"));
    let expected = "secret \"tokens\" has no key \"hook\": create it, or mend the reference";
    eventually("the key to be missed", LIMIT, async || {
        let condition = run.condition("EventSource", "in", "SecretMissing").await;
        (condition["message"] == expected).then_some(())
    })
    .await;
    run.write("secret.yaml", &secret("hook"));
    run.condition("EventSource", "in", "Running").await;
}
