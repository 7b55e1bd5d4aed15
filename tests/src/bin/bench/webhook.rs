//! POST to a webhook until JetStream has it, beside a bare handler that publishes and awaits the same acknowledgement.

use tiphys_tests::{Nats, NatsOptions};

use crate::load::{self, CONNECTIONS, Outcome, Request, Until};
use crate::options::Size;
use crate::program::{Bare, Start};
use crate::report::{Budget, Row, Unit};
use crate::yaml;

/// Raw, ours, and raw with a JSON body that is read and written, in turns.
pub(crate) async fn measure(size: Size) -> anyhow::Result<Vec<Row>> {
    let nats = Nats::start(NatsOptions::default()).await;
    let files = [
        ("bus.yaml", yaml::bus_on(&nats.url())),
        ("source.yaml", yaml::SOURCE.to_owned()),
    ];
    // Ours first: it makes the stream.
    let ours = Start {
        role: "eventsource",
        files: &files,
        kubeconfig: None,
        silent: false,
        data: None,
    }
    .ready()
    .await?;
    let bare = Bare::start(Some(&nats.url())).await?;
    let body = yaml::body();
    let requests = [
        Request::post(bare.port, "/publish", &body),
        Request::post(ours.port, yaml::ENDPOINT, &body),
        Request::post(bare.port, "/json", &body),
    ];
    for request in &requests {
        load::run(request, CONNECTIONS, Until::Time(size.load / 3)).await?;
    }
    let mut rounds: [Vec<Outcome>; 3] = Default::default();
    for _ in 0..size.rounds {
        for (request, outcomes) in requests.iter().zip(&mut rounds) {
            outcomes.push(load::run(request, CONNECTIONS, Until::Time(size.load)).await?);
        }
    }
    ours.stop().await;
    let [raw, ours, json] = rounds;
    let rates = |outcomes: &[Outcome]| outcomes.iter().map(Outcome::rate).collect::<Vec<f64>>();
    let percentiles = |outcomes: &[Outcome], percent| {
        outcomes
            .iter()
            .map(|outcome| outcome.percentile(percent))
            .collect()
    };
    let row = |what: &str, unit, raw, ours, budget| Row {
        what: what.to_owned(),
        unit,
        raw,
        ours,
        budget,
    };
    Ok(vec![
        row(
            "webhook → JetStream → 200",
            Unit::PerSecond,
            rates(&raw),
            rates(&ours),
            Budget::RatioAtLeast(0.7),
        ),
        row(
            "the same, latency p50",
            Unit::Millis,
            percentiles(&raw, 50),
            percentiles(&ours, 50),
            Budget::None,
        ),
        row(
            "the same, latency p99",
            Unit::Millis,
            percentiles(&raw, 99),
            percentiles(&ours, 99),
            Budget::RatioAtMost(2.0),
        ),
        row(
            "the same, raw reads the JSON too",
            Unit::PerSecond,
            rates(&json),
            rates(&ours),
            Budget::None,
        ),
    ])
}
