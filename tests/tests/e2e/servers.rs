//! The harness itself: the servers start, do what the other tests need of them,
//! and come back with what they had after a SIGKILL.
//!
//! Nothing here runs the program under test.

use std::collections::BTreeSet;
use std::time::Duration;

use async_nats::jetstream::{self, consumer, stream};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DynamicObject, ListParams, PostParams, WatchEvent, WatchParams};
use serde_json::json;
use tiphys_tests::argo_crds::{apply_crds, argo};
use tiphys_tests::{
    ApiServer, ApiServerOptions, Authorization, Nats, NatsAuth, NatsCluster, NatsOptions,
    eventually_ok,
};

/// Long: a cluster on a busy machine elects more than once.
const LIMIT: Duration = Duration::from_secs(120);

fn file_stream(replicas: usize) -> stream::Config {
    stream::Config {
        name: "kept".to_owned(),
        subjects: vec!["kept.>".to_owned()],
        num_replicas: replicas,
        ..Default::default()
    }
}

async fn publish(bus: &jetstream::Context, text: &'static str) {
    let acknowledged = bus.publish("kept.one", text.into()).await.unwrap();
    acknowledged.await.unwrap();
}

/// After the loss of a node the others take a moment to agree on who answers.
async fn stored(bus: &jetstream::Context) -> Vec<String> {
    eventually_ok("the stream to be read", LIMIT, async || {
        read(bus).await.map_err(|error| error.to_string())
    })
    .await
}

async fn read(bus: &jetstream::Context) -> Result<Vec<String>, async_nats::Error> {
    let stream = bus.get_stream("kept").await?;
    let consumer = stream
        .create_consumer(consumer::pull::Config::default())
        .await?;
    let batch = consumer.fetch().max_messages(100).messages().await?;
    batch
        .map_ok(|message| String::from_utf8_lossy(&message.payload).into_owned())
        .try_collect()
        .await
}

#[tokio::test]
async fn jetstream_keeps_its_messages_and_its_port_over_a_kill() {
    let mut server = Nats::start(NatsOptions {
        sync_interval: Some("always".to_owned()),
        ..Default::default()
    })
    .await;
    let port = server.port();
    let bus = jetstream::new(server.connect().await);
    bus.create_stream(file_stream(1)).await.unwrap();
    publish(&bus, "before").await;

    server.kill();
    server.restart().await;

    assert_eq!(server.port(), port);
    let bus = jetstream::new(server.connect().await);
    publish(&bus, "after").await;
    assert_eq!(stored(&bus).await, ["before", "after"]);
}

#[tokio::test]
async fn a_nats_server_admits_only_who_it_should() {
    let auths = [
        NatsAuth::User {
            user: "u".to_owned(),
            password: "p".to_owned(),
        },
        NatsAuth::Token("t".to_owned()),
    ];
    for auth in auths {
        let server = Nats::start(NatsOptions {
            auth,
            ..Default::default()
        })
        .await;
        server.connect().await.flush().await.unwrap();
        async_nats::connect(server.url()).await.unwrap_err();
    }
}

#[tokio::test]
async fn a_nats_server_with_tls_is_reached_with_its_authority() {
    let server = Nats::start(NatsOptions {
        tls: true,
        ..Default::default()
    })
    .await;
    server.connect().await.flush().await.unwrap();
    async_nats::connect(server.url()).await.unwrap_err();
}

#[tokio::test]
async fn a_paused_nats_server_answers_again_after_the_pause() {
    let mut server = Nats::start(NatsOptions::default()).await;
    let bus = jetstream::new(server.connect().await);
    bus.query_account().await.unwrap();
    server.pause();
    let silence = tokio::time::timeout(Duration::from_millis(200), bus.query_account()).await;
    server.resume();
    assert!(silence.is_err(), "{silence:?}");
    eventually_ok("the server to answer", LIMIT, async || {
        bus.query_account().await
    })
    .await;
}

#[tokio::test]
async fn a_nats_cluster_takes_messages_without_one_of_its_nodes() {
    let mut cluster = NatsCluster::start(3).await;
    let client = async_nats::connect(cluster.urls()).await.unwrap();
    let bus = jetstream::new(client);
    bus.create_stream(file_stream(3)).await.unwrap();
    publish(&bus, "three").await;

    cluster.nodes[0].kill();

    let survivor = jetstream::new(cluster.nodes[1].connect().await);
    eventually_ok("a majority to take a message", LIMIT, async || {
        survivor
            .publish("kept.two", "two".into())
            .await
            .map_err(|error| error.to_string())?
            .await
            .map_err(|error| error.to_string())
    })
    .await;
    // The node that reads may hear of the last one a moment after it was stored by a majority.
    let all = BTreeSet::from(["three".to_owned(), "two".to_owned()]);
    eventually_ok("both messages to be kept", LIMIT, async || {
        let kept: BTreeSet<String> = stored(&survivor).await.into_iter().collect();
        (kept == all)
            .then_some(())
            .ok_or_else(|| format!("{kept:?}"))
    })
    .await;
}

/// One server for all of this: it is the heaviest thing that the tests start.
#[tokio::test]
async fn an_api_server_serves_argos_kinds_and_keeps_them_over_a_kill() {
    let mut server = ApiServer::start().await;
    let client = server.client().await;
    apply_crds(&client).await;
    server.create_namespace("argo-events").await;

    let sensors = objects(&client, "Sensor");
    let since = sensors.list(&ListParams::default()).await.unwrap();
    let since = since.metadata.resource_version.unwrap();
    let watch = sensors
        .watch(&WatchParams::default(), &since)
        .await
        .unwrap();
    let mut watch = watch.boxed();
    create(&client, "Sensor", "first").await;
    let event = tokio::time::timeout(LIMIT, watch.try_next()).await.unwrap();
    let Some(WatchEvent::Added(seen)) = event.unwrap() else {
        panic!("the first thing to see is the new object");
    };
    assert_eq!(
        seen.data["spec"]["anything"]["goes"],
        json!(9_007_199_254_740_993_u64)
    );

    // A workflow's status is written with the object, a sensor's is not.
    let workflow = create(&client, "Workflow", "w").await;
    assert_eq!(workflow.data["status"]["phase"], "Running");
    let sensor = create(&client, "Sensor", "s").await;
    assert_eq!(sensor.data.get("status"), None);

    let said = server
        .kubectl()
        .args(["get", "sn,wf", "-n", "argo-events", "-o", "name"])
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&said.stdout),
        "sensor.argoproj.io/first\nsensor.argoproj.io/s\nworkflow.argoproj.io/w\n",
        "{}",
        String::from_utf8_lossy(&said.stderr)
    );

    server.kill();
    server.restart().await;

    let sensors = objects(&server.client().await, "Sensor");
    eventually_ok("the sensor to be there again", LIMIT, async || {
        sensors.get("first").await
    })
    .await;
}

#[tokio::test]
async fn an_api_server_with_rbac_refuses_who_has_no_role() {
    let server = ApiServer::start_with(ApiServerOptions {
        authorization: Authorization::Rbac,
        ..Default::default()
    })
    .await;
    let administrator: Api<ConfigMap> = Api::default_namespaced(server.client().await);
    administrator.list(&ListParams::default()).await.unwrap();
    let user = "system:serviceaccount:default:nobody";
    let nobody: Api<ConfigMap> = Api::default_namespaced(server.client_as(user).await);
    let refusal = nobody.list(&ListParams::default()).await.unwrap_err();
    assert!(
        matches!(&refusal, kube::Error::Api(status) if status.code == 403),
        "{refusal}"
    );
}

fn objects(client: &kube::Client, kind: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), "argo-events", &argo(kind))
}

async fn create(client: &kube::Client, kind: &str, name: &str) -> DynamicObject {
    let object = DynamicObject::new(name, &argo(kind)).data(json!({
        "spec": { "anything": { "goes": 9_007_199_254_740_993_u64 } },
        "status": { "phase": "Running" },
    }));
    objects(client, kind)
        .create(&PostParams::default(), &object)
        .await
        .unwrap()
}
