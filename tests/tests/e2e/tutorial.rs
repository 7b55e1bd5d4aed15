//! The tutorial of Argo Events from a POST to its Workflow: on a laptop, with a real NATS server, on a real API server.

use serde_json::Value;
use tiphys_tests::ports::free_port;
use tiphys_tests::tls::http_client;
use tiphys_tests::{ApiServer, Nats, NatsOptions, Tiphys, argo_crds, eventually, temp_dir};

use crate::support::{self, LIMIT, LocalRun, NAMESPACE, exotic_bus, parameters, post, tutorial};

#[tokio::test]
async fn the_demo_shows_a_succeeded_tree_and_the_whale() {
    let output = Tiphys::command(["demo"]).output(LIMIT).await;
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert!(
        output.stdout.contains("Status:              Succeeded"),
        "{}",
        output.stdout
    );
    assert!(output.stdout.contains("✔ webhook-"), "{}", output.stdout);
    assert!(
        output.stdout.contains("< hello world >"),
        "{}",
        output.stdout
    );
}

#[tokio::test]
async fn a_post_becomes_a_finished_workflow_on_a_laptop() {
    let mut run = LocalRun::of_tutorial();
    run.start().await;
    let answer = post(&http_client(None), &run.url(), "hello", "world")
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let event = answer.headers()["x-event-id"].to_str().unwrap().to_owned();
    let workflow = eventually("a finished workflow", LIMIT, async || {
        run.workflows()
            .await
            .into_iter()
            .find(|workflow| workflow["status"]["phase"] == "Succeeded")
    })
    .await;
    assert_eq!(parameters(&workflow), ["hello", "world"]);
    let metadata = &workflow["metadata"];
    assert_eq!(
        metadata["labels"]["events.argoproj.io/sensor"],
        "myproject-start"
    );
    assert_eq!(
        metadata["labels"]["events.argoproj.io/trigger"],
        "webhook-workflow-trigger"
    );
    assert!(
        metadata["annotations"]["tiphys.dev/event-ids"]
            .as_str()
            .unwrap()
            .contains(&event)
    );

    let got = run.tiphys(&["get", "@latest", "-n", NAMESPACE]).await;
    assert!(
        got.stdout.contains("Succeeded") && got.stdout.contains("message:"),
        "{got:?}"
    );
    let listed = run.tiphys(&["list", "-n", NAMESPACE]).await;
    assert!(
        listed.stdout.contains(metadata["name"].as_str().unwrap()),
        "{listed:?}"
    );
    let logs = run.tiphys(&["logs", "@latest", "-n", NAMESPACE]).await;
    assert!(logs.stdout.contains("< hello world >"), "{logs:?}");

    let metrics = http_client(None)
        .get(run.admin("/metrics"))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    for line in [
        r#"argo_events_events_sent_total{event_name="myproject-start",eventsource_name="myproject-webhook",namespace="argo-events"} 1"#,
        r#"argo_events_action_triggered_total{namespace="argo-events",sensor_name="myproject-start",trigger_name="webhook-workflow-trigger"} 1"#,
        r#"outcome="accepted",sensor_name="myproject-start",trigger_name="webhook-workflow-trigger"} 1"#,
        r#"outcome="fired",sensor_name="myproject-start",trigger_name="webhook-workflow-trigger"} 1"#,
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    let process = run.process.as_mut().unwrap();
    process.interrupt();
    assert!(
        process.wait_exit(LIMIT).await.success(),
        "{}",
        process.stderr()
    );
}

#[tokio::test]
async fn the_same_yaml_runs_on_a_real_jetstream() {
    let nats = Nats::start(NatsOptions::default()).await;
    let mut run = LocalRun::of_tutorial();
    run.write("eventbus.yaml", &exotic_bus(&nats.url()));
    run.start().await;
    let answer = post(&http_client(None), &run.url(), "hello", "world")
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let event = answer.headers()["x-event-id"].to_str().unwrap().to_owned();
    let workflows = support::wait_for_workflows(&run.client(), 1).await;
    assert_eq!(parameters(&workflows[0]), ["hello", "world"]);

    // What is on the wire is Argo's: either side could be swapped.
    let jetstream = async_nats::jetstream::new(nats.connect().await);
    let stream = jetstream.get_stream("default").await.unwrap();
    let message = stream
        .get_last_raw_message_by_subject("default.myproject-webhook.myproject-start")
        .await
        .unwrap();
    assert_eq!(
        message
            .headers
            .get("Nats-Msg-Id")
            .map(async_nats::HeaderValue::as_str),
        Some(event.as_str())
    );
    let envelope: Value = serde_json::from_slice(&message.payload).unwrap();
    assert_eq!(envelope["id"], event);
    assert_eq!(envelope["source"], "myproject-webhook");
    assert_eq!(envelope["type"], "webhook");
    assert_eq!(envelope["subject"], "myproject-start");
    assert_eq!(envelope["datacontenttype"], "application/json");
    assert!(envelope.get("data").is_none() && envelope["data_base64"].is_string());
}

#[tokio::test]
async fn the_workflow_appears_in_a_real_cluster() {
    let (nats, cluster) = tokio::join!(Nats::start(NatsOptions::default()), ApiServer::start());
    let client = cluster.client().await;
    argo_crds::apply_crds(&client).await;
    cluster.create_namespace(NAMESPACE).await;
    let files = temp_dir();
    let bus = files.path().join("bus.yaml");
    std::fs::write(&bus, exotic_bus(&nats.url())).unwrap();
    let (webhook, sensor_admin, source_admin) = (free_port(), free_port(), free_port());
    let mut sensor = Tiphys::command(["sensor", "--file"])
        .args([tutorial("sensor.yaml"), bus.clone()])
        .args(["--admin", &format!("127.0.0.1:{sensor_admin}")])
        .env("KUBECONFIG", cluster.kubeconfig_path())
        .start();
    sensor
        .wait_until_ready(&format!("http://127.0.0.1:{sensor_admin}/readyz"), LIMIT)
        .await;
    let mut source = Tiphys::command(["eventsource", "--file"])
        .args([tutorial("eventsource.yaml"), bus])
        .args([
            "--publish",
            &format!("{webhook}:12000"),
            "--admin",
            &format!("127.0.0.1:{source_admin}"),
        ])
        .start();
    source
        .wait_until_ready(&format!("http://127.0.0.1:{source_admin}/readyz"), LIMIT)
        .await;
    let url = format!("http://127.0.0.1:{webhook}/myproject/start");
    let answer = post(&http_client(None), &url, "hello", "world")
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let workflows = support::wait_for_workflows(&client, 1).await;
    assert_eq!(workflows.len(), 1);
    assert_eq!(parameters(&workflows[0]), ["hello", "world"]);
    assert!(
        workflows[0]["metadata"]["name"]
            .as_str()
            .unwrap()
            .starts_with("webhook-")
    );
    for process in [&mut sensor, &mut source] {
        process.terminate();
        assert!(
            process.wait_exit(LIMIT).await.success(),
            "{}",
            process.stderr()
        );
    }
}
