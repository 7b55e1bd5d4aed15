//! POST until the embedded log has synced it to disk, in one `tiphys run`; beside a bare handler that keeps nothing.

use std::time::Duration;

use anyhow::ensure;

use crate::load::{self, CONNECTIONS, Outcome, Request, Until};
use crate::machine;
use crate::options::Size;
use crate::program::{Bare, Start, Tiphys};
use crate::report::{Budget, Row, Unit, median};
use crate::yaml;

/// Between two looks at the memory.
const LOOK: Duration = Duration::from_millis(100);

/// Raw, ours without a sensor, and ours with one, in turns.
pub(crate) async fn measure(size: Size) -> anyhow::Result<Vec<Row>> {
    let bus = ("bus.yaml", yaml::EMBEDDED_BUS.to_owned());
    let source = ("source.yaml", yaml::SOURCE.to_owned());
    let sensor = ("sensor.yaml", yaml::SENSOR.to_owned());
    let alone = [bus.clone(), source.clone()];
    let alone = Start {
        role: "run",
        files: &alone,
        kubeconfig: None,
        silent: true,
        data: None,
    }
    .ready()
    .await?;
    let whole = [bus, source, sensor];
    let mut whole = Start {
        role: "run",
        files: &whole,
        kubeconfig: None,
        silent: true,
        data: None,
    }
    .ready()
    .await?;
    let bare = Bare::start(None).await?;
    let body = yaml::body();
    let requests = [
        Request::post(bare.port, "/plain", &body),
        Request::post(alone.port, yaml::ENDPOINT, &body),
        Request::post(whole.port, yaml::ENDPOINT, &body),
    ];
    let [plain, kept, logged] = &requests;
    for request in [plain, kept] {
        load::run(request, CONNECTIONS, Until::Time(size.load / 3)).await?;
    }
    // The list of events that are known again grows up to here, and no further.
    load::run(logged, CONNECTIONS, Until::Count(size.known)).await?;
    let mut sent = size.known;
    whole.wait_fired(sent).await?;
    let mut rounds: [Vec<Outcome>; 3] = Default::default();
    let mut memory = Vec::new();
    for _ in 0..size.rounds {
        for (request, outcomes) in requests.iter().zip(&mut rounds) {
            let load = load::run(request, CONNECTIONS, Until::Time(size.load));
            let outcome = watched(&whole, load, &mut memory).await?;
            outcomes.push(outcome);
        }
        let accepted = rounds.get(2).and_then(|outcomes| outcomes.last());
        sent += accepted.map_or(0, |outcome| outcome.requests);
        // The next round must not share the machine with the rest of this one.
        whole.wait_fired(sent).await?;
    }
    let stored = whole.metric("argo_events_events_sent_total", "bench").await;
    ensure!(
        stored == Some(sent),
        "{sent} POSTs were accepted and {stored:?} events stored"
    );
    let (early, late) = halves(&memory);
    alone.stop().await;
    whole.stop().await;
    let [raw, ours, whole] = rounds;
    let rates = |outcomes: &[Outcome]| outcomes.iter().map(Outcome::rate).collect::<Vec<f64>>();
    let p99 = ours.iter().map(|outcome| outcome.percentile(99)).collect();
    let row = |what: &str, unit, raw, ours, budget| Row {
        what: what.to_owned(),
        unit,
        raw,
        ours,
        budget,
    };
    Ok(vec![
        row(
            "webhook → embedded log, synced → 200",
            Unit::PerSecond,
            rates(&raw),
            rates(&ours),
            Budget::AtLeast(10_000.0),
        ),
        row(
            "the same, latency p99",
            Unit::Millis,
            Vec::new(),
            p99,
            Budget::None,
        ),
        row(
            "the same, with a sensor that logs each",
            Unit::PerSecond,
            rates(&raw),
            rates(&whole),
            Budget::None,
        ),
        row(
            "its memory: first half of the load, second",
            Unit::Megabytes,
            early,
            late,
            Budget::RatioAtMost(1.2),
        ),
    ])
}

/// Lets a load run and looks at the memory of `tiphys` meanwhile.
async fn watched(
    tiphys: &Tiphys,
    load: impl Future<Output = anyhow::Result<Outcome>>,
    memory: &mut Vec<f64>,
) -> anyhow::Result<Outcome> {
    let mut load = std::pin::pin!(load);
    loop {
        tokio::select! {
            outcome = &mut load => return outcome,
            () = tokio::time::sleep(LOOK) => memory.push(machine::resident(tiphys.pid())?),
        }
    }
}

/// The medians of both halves.
fn halves(memory: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let (early, late) = memory.split_at(memory.len() / 2);
    (
        median(early).into_iter().collect(),
        median(late).into_iter().collect(),
    )
}
