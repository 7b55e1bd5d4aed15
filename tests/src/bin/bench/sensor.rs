//! A sensor with one data filter, one parameter and the `log` trigger, beside a bare loop that pulls and acknowledges the
//! same messages of the same stream; once more without its decision record; and on the embedded log.
//!
//! The stream is filled before anything starts: each sensor's durable consumer is made by a first start and waits there.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use async_nats::jetstream::{self, stream::Stream};
use base64::Engine as _;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::json;
use tiphys_tests::{Nats, NatsOptions, temp_dir};

use crate::load::{self, CONNECTIONS, Request, Until, count};
use crate::machine;
use crate::options::Size;
use crate::program::{Start, Tiphys, bare};
use crate::report::{Budget, Row, Unit};
use crate::yaml;

/// Acknowledgements under way while the stream is filled.
const PIPELINE: usize = 1_000;

/// Between two looks at the sensor's counters. Each costs it the text of all metrics.
const LOOK: Duration = Duration::from_millis(20);

/// The same sensor again, with a consumer of its own.
const OTHER: &str = "bench-unrecorded";

/// Messages a second, and microseconds on a processor for each.
#[derive(Default)]
struct Rounds {
    rates: Vec<f64>,
    costs: Vec<f64>,
}

impl Rounds {
    fn add(&mut self, (rate, cost): (f64, f64)) {
        self.rates.push(rate);
        self.costs.push(cost);
    }
}

/// On JetStream, then on the embedded log.
pub(crate) async fn measure(size: Size) -> anyhow::Result<Vec<Row>> {
    let mut rows = jetstream(size).await?;
    rows.push(embedded(size).await?);
    Ok(rows)
}

/// Raw, ours and ours without a record in turns over the same messages.
async fn jetstream(size: Size) -> anyhow::Result<Vec<Row>> {
    let nats = Nats::start(NatsOptions::default()).await;
    let bus = yaml::bus_on(&nats.url());
    let files = [
        ("bus.yaml", bus.clone()),
        ("sensor.yaml", yaml::SENSOR.to_owned()),
    ];
    let others = [
        ("bus.yaml", bus),
        ("sensor.yaml", yaml::sensor_called(OTHER)),
    ];
    let no_record = temp_dir();
    // A file where a folder should be: the sensor goes on without its record.
    std::fs::write(no_record.path().join("decisions"), "")?;
    let start = |recorded: bool| Start {
        role: "sensor",
        files: if recorded { &files } else { &others },
        kubeconfig: None,
        silent: true,
        data: (!recorded).then(|| no_record.path()),
    };
    for recorded in [true, false] {
        start(recorded).ready().await?.stop().await;
    }
    let bus = jetstream::new(nats.connect().await);
    let stream = bus
        .get_stream("default")
        .await
        .context("the sensor has made the stream")?;
    let (mut raw, mut ours, mut unrecorded) =
        (Rounds::default(), Rounds::default(), Rounds::default());
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
        let all = count(size.messages);
        raw.add((all / finished.seconds, finished.busy / all * 1e6));
        for (recorded, rounds) in [(true, &mut ours), (false, &mut unrecorded)] {
            let sensor = start(recorded).start()?;
            rounds.add(speed(&sensor, size.messages).await?);
            sensor.stop().await;
        }
    }
    let row = |what: &str, unit, raw: &[f64], ours: &[f64], budget| Row {
        what: what.to_owned(),
        unit,
        raw: raw.to_vec(),
        ours: ours.to_vec(),
        budget,
    };
    Ok(vec![
        row(
            "sensor: filter, parameter, log",
            Unit::PerSecond,
            &raw.rates,
            &ours.rates,
            Budget::RatioAtLeast(0.4),
        ),
        row(
            "the same, time on a processor for each event",
            Unit::Micros,
            &raw.costs,
            &ours.costs,
            Budget::None,
        ),
        row(
            "its decision record: without, with",
            Unit::PerSecond,
            &unrecorded.rates,
            &ours.rates,
            Budget::RatioAtLeast(0.95),
        ),
        row(
            "the same, time on a processor for each event",
            Unit::Micros,
            &unrecorded.costs,
            &ours.costs,
            Budget::None,
        ),
    ])
}

/// Ours on the embedded log, which is filled once; each round is a new sensor that begins with the oldest event.
async fn embedded(size: Size) -> anyhow::Result<Row> {
    let data = temp_dir();
    let mut source = run(data.path(), yaml::SOURCE.to_owned())?;
    source.wait_ready().await?;
    let request = Request::post(source.port, yaml::ENDPOINT, &yaml::small_body());
    load::run(&request, CONNECTIONS, Until::Count(size.messages)).await?;
    source.stop().await;
    let mut rates = Vec::new();
    for round in 0..size.rounds {
        let sensor = yaml::sensor_from_oldest(&format!("bench-{round}"));
        let sensor = run(data.path(), sensor)?;
        rates.push(speed(&sensor, size.messages).await?.0);
        sensor.stop().await;
    }
    Ok(Row {
        what: "the same sensor on the embedded log".to_owned(),
        unit: Unit::PerSecond,
        raw: Vec::new(),
        ours: rates,
        budget: Budget::None,
    })
}

/// Starts a run of one object on the events of a folder.
fn run(data: &Path, object: String) -> anyhow::Result<Tiphys> {
    let files = [
        ("bus.yaml", yaml::EMBEDDED_BUS.to_owned()),
        ("object.yaml", object),
    ];
    let start = Start {
        role: "run",
        files: &files,
        kubeconfig: None,
        silent: true,
        data: Some(data),
    };
    start.start()
}

async fn last(stream: &Stream) -> anyhow::Result<u64> {
    Ok(stream.get_info().await?.state.last_sequence)
}

/// From the first sight of a firing to the last firing, without the start of the program: the rate, and the time on a
/// processor for each event.
async fn speed(sensor: &Tiphys, messages: usize) -> anyhow::Result<(f64, f64)> {
    let end = Instant::now() + Duration::from_secs(60);
    let mut first = None;
    loop {
        let fired = sensor.fired().await.unwrap_or(0);
        let (now, busy) = (Instant::now(), machine::busy(sensor.pid())?);
        match first {
            None if fired > 0 => first = Some((now, fired, busy)),
            Some((then, before, busy_before)) if fired >= messages => {
                ensure!(
                    before < messages,
                    "all fired before the first look: too few messages to measure"
                );
                let events = count(messages - before);
                let busy = busy.saturating_sub(busy_before).as_secs_f64();
                return Ok((
                    events / now.duration_since(then).as_secs_f64(),
                    busy / events * 1e6,
                ));
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
