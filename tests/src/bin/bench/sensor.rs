//! A sensor with one data filter, one parameter and the `log` trigger, beside a bare loop that pulls and acknowledges the
//! same messages of the same stream.
//!
//! The stream is filled before either starts: the sensor's durable consumer is made by a first start and waits there.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use async_nats::jetstream::{self, stream::Stream};
use base64::Engine as _;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::json;
use tiphys_tests::{Nats, NatsOptions};

use crate::load::count;
use crate::options::Size;
use crate::program::{Start, Tiphys, bare};
use crate::report::{Budget, Row, Unit};
use crate::yaml;

/// Acknowledgements under way while the stream is filled.
const PIPELINE: usize = 1_000;

/// Between two looks at the sensor's counters. Each costs it the text of all metrics.
const LOOK: Duration = Duration::from_millis(10);

/// Raw and ours in turns over the same messages.
pub(crate) async fn measure(size: Size) -> anyhow::Result<Vec<Row>> {
    let nats = Nats::start(NatsOptions::default()).await;
    let files = [
        ("bus.yaml", yaml::bus_on(&nats.url())),
        ("sensor.yaml", yaml::SENSOR.to_owned()),
    ];
    let start = || Start {
        role: "sensor",
        files: &files,
        kubeconfig: None,
        silent: true,
    };
    start().ready().await?.stop().await;
    let bus = jetstream::new(nats.connect().await);
    let stream = bus
        .get_stream("default")
        .await
        .context("the sensor has made the stream")?;
    let (mut raw, mut ours) = (Vec::new(), Vec::new());
    for round in 0..size.rounds {
        let first = last(&stream).await? + 1;
        fill(&bus, round, size.messages).await?;
        let filled = last(&stream).await? + 1 - first;
        ensure!(
            filled == u64::try_from(size.messages)?,
            "{filled} messages were stored"
        );
        let (first, messages) = (first.to_string(), size.messages.to_string());
        let finished = bare(&[
            "consume",
            "--nats",
            &nats.url(),
            "--first",
            &first,
            "--count",
            &messages,
        ])
        .await?;
        raw.push(count(size.messages) / finished.seconds);
        let sensor = start().start()?;
        ours.push(rate(&sensor, size.messages).await?);
        sensor.stop().await;
    }
    Ok(vec![Row {
        what: "sensor: filter, parameter, log".to_owned(),
        unit: Unit::PerSecond,
        raw,
        ours,
        budget: Budget::RatioAtLeast(0.4),
    }])
}

async fn last(stream: &Stream) -> anyhow::Result<u64> {
    Ok(stream.get_info().await?.state.last_sequence)
}

/// From the first sight of a firing to the last firing: without the start of the program.
async fn rate(sensor: &Tiphys, messages: usize) -> anyhow::Result<f64> {
    let end = Instant::now() + Duration::from_secs(60);
    let mut first = None;
    loop {
        let fired = sensor.fired().await.unwrap_or(0);
        let now = Instant::now();
        match first {
            None if fired > 0 => first = Some((now, fired)),
            Some((then, before)) if fired >= messages => {
                ensure!(
                    before < messages,
                    "all fired before the first look: too few messages to measure"
                );
                return Ok(count(messages - before) / now.duration_since(then).as_secs_f64());
            }
            _ => {}
        }
        ensure!(now < end, "only {fired} of {messages} events have fired");
        tokio::time::sleep(LOOK).await;
    }
}

async fn fill(bus: &jetstream::Context, round: usize, messages: usize) -> anyhow::Result<()> {
    stream::iter(0..messages)
        .map(|index| async move {
            let stored = bus.publish(yaml::SUBJECT, envelope(round, index)).await?;
            stored.await
        })
        .buffer_unordered(PIPELINE)
        .try_for_each(async |_| Ok(()))
        .await?;
    Ok(())
}

/// An event as a webhook source writes it.
fn envelope(round: usize, index: usize) -> Bytes {
    let data = json!({
        "header": {
            "Accept": ["*/*"], "Content-Length": ["57"], "Content-Type": ["application/json"],
            "Host": ["localhost"], "User-Agent": ["bench"],
        },
        "body": { "kind": "wanted", "interval": 0, "message": "hello", "who": "world" },
    });
    let event = json!({
        "specversion": "1.0",
        "id": format!("{round}-{index}"),
        "source": "bench",
        "type": "webhook",
        "subject": "event",
        "datacontenttype": "application/json",
        "time": "2026-01-01T00:00:00Z",
        "data_base64": base64::engine::general_purpose::STANDARD.encode(data.to_string()),
    });
    event.to_string().into()
}
