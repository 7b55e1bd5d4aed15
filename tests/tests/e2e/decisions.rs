//! Why a sensor fired or did not, what was given up, and what is sent again: through the command line, on both buses.

use std::path::Path;

use serde_json::Value;
use tiphys_tests::nats::{Nats, NatsOptions};
use tiphys_tests::tiphys::TiphysOutput;
use tiphys_tests::tls::http_client;
use tiphys_tests::{Tiphys, eventually, temp_dir};

use crate::support::{LIMIT, LocalRun, exotic_bus, post, wait_for_workflows};

const REJECTING: &str = r#"
apiVersion: argoproj.io/v1alpha1
kind: Sensor
metadata: {name: strict, namespace: argo-events}
spec:
  dependencies:
    - name: hook
      eventSourceName: myproject-webhook
      eventName: myproject-start
      filters: {data: [{path: body.message, type: string, value: ["^good"]}]}
  triggers:
    - template:
        name: make
        k8s:
          source: {resource: {apiVersion: v1, kind: ConfigMap, metadata: {generateName: made-}, data: {}}}
          parameters: [{src: {dependencyName: hook, dataKey: body.more}, dest: data.more}]
"#;

fn json(output: &TiphysOutput) -> Value {
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// Waits for decisions of the sensor above.
async fn decisions(run: &LocalRun, outcome: &str, count: usize) -> Vec<Value> {
    eventually(&format!("{count} decisions {outcome}"), LIMIT, async || {
        let args = [
            "events",
            "--sensor",
            "strict",
            "--outcome",
            outcome,
            "-o",
            "json",
        ];
        let found = json(&run.tiphys(&args).await).as_array().unwrap().clone();
        (found.len() >= count).then_some(found)
    })
    .await
}

async fn asks_and_sends_again(mut run: LocalRun) {
    run.write("strict.yaml", REJECTING);
    run.start().await;
    let http = http_client(None);
    for message in ["bad", "good"] {
        let answer = post(&http, &run.url(), message, "somebody").await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    wait_for_workflows(&run.client(), 2).await;

    // Why not: the filter, what it wants and what it met.
    let filtered = decisions(&run, "filtered", 1).await;
    let id = filtered[0]["event"]["id"].as_str().unwrap();
    let why = run.tiphys(&["why", id]).await;
    assert!(why.stdout.contains("trigger make: filtered"), "{why:?}");
    assert!(
        why.stdout.contains("wants body.message = ^good, has bad"),
        "{why:?}"
    );
    assert!(
        why.stdout.contains("created Workflow argo-events/webhook-"),
        "{why:?}"
    );
    let unknown = run.tiphys(&["why", "nobody-knows"]).await;
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    let waits = run.tiphys(&["why", "--sensor", "strict"]).await;
    assert!(waits.stdout.contains("waits for hook"), "{waits:?}");

    // Given up, kept, and driven again in vain.
    decisions(&run, "dead", 1).await;
    let dead = json(&run.tiphys(&["dead", "list", "-o", "json"]).await);
    assert_eq!(dead.as_array().unwrap().len(), 1, "{dead}");
    let letter = dead[0]["id"].as_str().unwrap();
    let again = run.tiphys(&["dead", "redrive", letter]).await;
    assert_eq!(again.code, Some(1), "{again:?}");
    let replay = ["replay", "strict", "-n", "argo-events", "-o", "json"];
    let replayed = json(&run.tiphys(&replay).await);
    assert_eq!(replayed["failed"], 1, "{replayed}");
    // Each of the three times the log says whose trigger it was.
    let failures = |said: &str| {
        let lines = said.lines().map(str::to_owned);
        let failed = lines.filter(|line| line.contains("Failed to execute a trigger"));
        failed.collect::<Vec<_>>()
    };
    let failed = eventually("all three to be read", LIMIT, async || {
        let failed = failures(&run.process.as_ref().unwrap().stderr());
        (failed.len() >= 3).then_some(failed)
    })
    .await;
    let named = [
        "\"namespace\":\"argo-events\"",
        "\"sensor\":\"strict\"",
        "\"trigger\":\"make\"",
        "\"events\":\"",
    ];
    assert_eq!(failed.len(), 3, "{failed:#?}");
    for line in failed {
        assert!(named.iter().all(|name| line.contains(name)), "{line}");
    }

    // The run is killed and the sensor mended: the letter is still there, and makes one object.
    run.kill();
    run.write(
        "strict.yaml",
        &REJECTING.replace("dataKey: body.more", "dataKey: body.who"),
    );
    run.start().await;
    let again = run.tiphys(&["dead", "redrive", letter]).await;
    assert_eq!(again.code, Some(0), "{again:?}");
    let dead = json(&run.tiphys(&["dead", "list", "-o", "json"]).await);
    assert_eq!(dead, Value::Array(Vec::new()));

    // A replay finds that object and makes no second one.
    let replayed = json(&run.tiphys(&replay).await);
    let counts = ["read", "fired", "existed", "filtered", "failed"]
        .map(|key| replayed[key].as_u64().unwrap());
    assert_eq!(counts, [2, 1, 1, 1, 0], "{replayed}");
    let forced = json(&run.tiphys(&[&replay[..], &["--force-new"]].concat()).await);
    assert_eq!(
        (&forced["fired"], &forced["existed"]),
        (&1.into(), &0.into())
    );
    assert_eq!(
        wait_for_workflows(&run.client(), 2).await.len(),
        2,
        "nobody else saw the replays"
    );
    let fired = decisions(&run, "fired", 3).await;
    assert_eq!(fired[2]["replay"], forced["id"]);
}

#[tokio::test]
async fn an_embedded_run_says_why_keeps_its_dead_and_sends_events_again() {
    asks_and_sends_again(LocalRun::of_tutorial()).await;
}

#[tokio::test]
async fn a_run_on_a_nats_server_says_why_keeps_its_dead_and_sends_events_again() {
    let nats = Nats::start(NatsOptions::default()).await;
    let run = LocalRun::of_tutorial();
    run.write("eventbus.yaml", &exotic_bus(&nats.url()));
    asks_and_sends_again(run).await;
}

#[tokio::test]
async fn a_message_that_is_no_event_is_told_as_every_dead_event_is() {
    let nats = Nats::start(NatsOptions::default()).await;
    let mut run = LocalRun::of_tutorial();
    run.write("eventbus.yaml", &exotic_bus(&nats.url()));
    run.write("strict.yaml", REJECTING);
    run.start().await;
    let context = async_nats::jetstream::new(nats.connect().await);
    let subject = "default.myproject-webhook.myproject-start";
    // Nothing can be read of the first, the name and no more of the second.
    for body in [
        "hunter2",
        r#"{"specversion":"1.0","id":"half","time":"Bearer hunter2"}"#,
    ] {
        let stored = context.publish(subject, body.into()).await;
        stored.unwrap().await.unwrap();
    }
    let dead = decisions(&run, "dead", 2).await;
    let at = |decision: &Value| {
        ["id", "source", "name"].map(|key| decision["event"][key].as_str().unwrap().to_owned())
    };
    let mut events: Vec<_> = dead.iter().map(at).collect();
    events.sort();
    let place = ["myproject-webhook", "myproject-start"].map(str::to_owned);
    let named = |id: &str| [id.to_owned(), place[0].clone(), place[1].clone()];
    assert_eq!(events, [named("half"), named("unreadable-1")]);
    let why = run.tiphys(&["why", "unreadable-1"]).await;
    assert!(
        why.stdout.contains("number 1") && why.stdout.contains("its envelope is no JSON"),
        "{why:?}"
    );
    let why = run.tiphys(&["why", "half"]).await;
    assert!(
        why.stdout.contains("number 2") && why.stdout.contains("a time that is not RFC 3339"),
        "{why:?}"
    );
    let events = run.tiphys(&["events", "--outcome", "dead"]).await;
    let list = run.tiphys(&["dead", "list", "--sensor", "strict"]).await;
    for shown in [&why, &events, &list] {
        assert!(!shown.stdout.contains("hunter2"), "{shown:?}");
    }
    assert!(
        list.stdout.contains("unreadable-1") && list.stdout.contains("its envelope is no JSON"),
        "{list:?}"
    );
    // What can be mended by nobody is not driven again, and is kept.
    let letters = json(
        &run.tiphys(&["dead", "list", "--sensor", "strict", "-o", "json"])
            .await,
    );
    assert_eq!(letters.as_array().unwrap().len(), 2);
    assert_eq!(letters[0]["events"][0]["seq"], 1);
    let again = run.tiphys(&["dead", "redrive", "--all"]).await;
    assert!(
        again.code == Some(1) && again.stdout.contains("was no event"),
        "{again:?}"
    );
}

#[tokio::test]
async fn cases_beside_sensors_and_the_reference_s_cases_pass() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folders = ["examples", "tests/cases"].map(|folder| root.join(folder));
    let folder = temp_dir();
    let report = folder.path().join("report.xml");
    let done = Tiphys::command(["test", "--junit"])
        .args([&report, &folders[0], &folders[1]])
        .output(LIMIT)
        .await;
    assert_eq!(done.code, Some(0), "{}\n{}", done.stdout, done.stderr);
    let report = std::fs::read_to_string(report).unwrap();
    assert!(
        report.contains("failures=\"0\"") && !report.contains("<failure"),
        "{report}"
    );
}

#[tokio::test]
async fn a_case_that_fails_says_where_the_object_differs() {
    let folder = temp_dir();
    let text = "spec:\n  dependencies: [{name: a, eventSourceName: s, eventName: e}]\n  triggers: [{template: {name: t, log: {}}}]\n\
        cases:\n  - name: differs\n    given: [{dependency: a, payload: {x: 1}}]\n    expect: [{trigger: t, object: {b: '2'}}]\n";
    std::fs::write(folder.path().join("a.test.yaml"), text).unwrap();
    let done = Tiphys::command(["test"])
        .args([folder.path()])
        .output(LIMIT)
        .await;
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(
        done.stdout.contains("- b: \"2\"") && done.stdout.contains("0 passed, 1 failed"),
        "{done:?}"
    );
}
