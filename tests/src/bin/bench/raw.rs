//! The bare programs that ours is compared with: as little code as does the same with the same crates. They guarantee
//! nothing: no names, no filters, no limits, no retries, no metrics.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::{self, Context};
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::serve::ListenerExt as _;
use axum::{Json, Router};
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::api::{DynamicObject, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::Value;
use tiphys_tests::argo_crds::argo;
use tiphys_tests::ports::loopback;
use tokio::net::TcpListener;

use crate::machine;
use crate::options::{Raw, RawArgs};
use crate::program::Finished;
use crate::yaml;

/// Pulled at a time: enough that no pull is waited for.
const BATCH: usize = 1_000;

/// Runs one of them.
pub(crate) async fn run(args: RawArgs) -> anyhow::Result<()> {
    match args.raw {
        Raw::Serve { port, nats } => serve(port, nats).await,
        Raw::Consume { nats, first, count } => consume(&nats, first, count).await,
        Raw::Create {
            kubeconfig,
            object,
            prefix,
            count,
            parallel,
        } => create(&kubeconfig, &object, &prefix, count, parallel).await,
    }
}

/// Says how long the work took, and the time on a processor of all of the program.
fn finished(start: Instant) -> anyhow::Result<()> {
    let finished = Finished {
        seconds: start.elapsed().as_secs_f64(),
        busy: machine::busy(std::process::id())?.as_secs_f64(),
    };
    println!("{}", serde_json::to_string(&finished)?);
    Ok(())
}

async fn serve(port: u16, nats: Option<String>) -> anyhow::Result<()> {
    let mut app = Router::new().route("/plain", post(async |_: Bytes| "ok"));
    if let Some(nats) = nats {
        let bus = jetstream::new(async_nats::connect(nats).await?);
        let publishing = Router::new()
            .route("/publish", post(publish))
            .route("/json", post(read_and_publish))
            .with_state(bus);
        app = app.merge(publishing);
    }
    // As every server does that minds latency.
    let listener = TcpListener::bind(loopback(port)).await?.tap_io(|stream| {
        stream.set_nodelay(true).ok();
    });
    axum::serve(listener, app).await?;
    Ok(())
}

async fn publish(State(bus): State<Context>, body: Bytes) -> StatusCode {
    match store(&bus, body).await {
        Ok(()) => StatusCode::OK,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

async fn read_and_publish(bus: State<Context>, Json(body): Json<Value>) -> StatusCode {
    publish(bus, body.to_string().into()).await
}

async fn store(bus: &Context, body: Bytes) -> Result<(), jetstream::context::PublishError> {
    bus.publish("default.bare.event", body).await?.await?;
    Ok(())
}

async fn consume(nats: &str, first: u64, count: usize) -> anyhow::Result<()> {
    let bus = jetstream::new(async_nats::connect(nats).await?);
    let stream = bus.get_stream("default").await?;
    let config = pull::Config {
        durable_name: Some(format!("bare-{first}")),
        deliver_policy: DeliverPolicy::ByStartSequence {
            start_sequence: first,
        },
        ack_policy: AckPolicy::Explicit,
        filter_subject: yaml::SUBJECT.to_owned(),
        max_ack_pending: i64::try_from(BATCH * 2)?,
        ..pull::Config::default()
    };
    let consumer = stream.create_consumer(config).await?;
    let start = Instant::now();
    let mut messages = consumer
        .stream()
        .max_messages_per_batch(BATCH)
        .messages()
        .await?;
    for _ in 0..count {
        let message = messages.next().await.context("the consumer ended")??;
        message.ack().await.map_err(anyhow::Error::from_boxed)?;
    }
    finished(start)
}

async fn create(
    kubeconfig: &Path,
    object: &Path,
    prefix: &str,
    count: usize,
    parallel: usize,
) -> anyhow::Result<()> {
    ensure!(parallel > 0, "nothing in parallel is nothing at all");
    let file = Kubeconfig::read_from(kubeconfig)?;
    let client = Client::try_from(
        Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?,
    )?;
    let api: Api<DynamicObject> = Api::namespaced_with(client, yaml::NAMESPACE, &argo("Workflow"));
    // One request opens the connection.
    api.get_opt("none").await?;
    let object: DynamicObject = serde_json::from_slice(&std::fs::read(object)?)?;
    let objects = (0..count).map(|index| {
        let mut object = object.clone();
        object.metadata.name = Some(format!("{prefix}-{index}"));
        object
    });
    let objects: Vec<_> = objects.collect();
    let start = Instant::now();
    stream::iter(objects)
        .map(|object| {
            let api = &api;
            async move { api.create(&PostParams::default(), &object).await }
        })
        .buffer_unordered(parallel)
        .try_for_each(async |_| Ok(()))
        .await?;
    finished(start)
}
