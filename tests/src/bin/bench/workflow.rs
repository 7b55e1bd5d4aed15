//! POST to Workflow in a real API server, beside bare `create` calls of the same object with the same client library; and
//! POST to object in one `tiphys run`, whose bus and API are built in.

use std::fs;
use std::time::{Duration, Instant};

use tiphys_tests::argo_crds::apply_crds;
use tiphys_tests::{ApiServer, Nats, NatsOptions};

use crate::load::{self, CONNECTIONS, Request, Until, count};
use crate::machine;
use crate::options::Size;
use crate::program::{Start, bare, text};
use crate::report::{Budget, Row, Unit};
use crate::yaml;

/// The servers do most of the work here and clean up after themselves when they like: more turns than elsewhere.
const ROUNDS: usize = 3;

/// Raw and ours in turns. Ours is timed from the first POST to the last created Workflow.
pub(crate) async fn measure(size: Size) -> anyhow::Result<Vec<Row>> {
    let (nats, cluster) = tokio::join!(Nats::start(NatsOptions::default()), ApiServer::start());
    apply_crds(&cluster.client().await).await;
    cluster.create_namespace(yaml::NAMESPACE).await;
    let bus = ("bus.yaml", yaml::bus_on(&nats.url()));
    let object = |file| Ok::<_, std::io::Error>((file, fs::read_to_string(yaml::tutorial(file))?));
    let kubeconfig = cluster.kubeconfig_path();
    let files = [bus.clone(), object("sensor.yaml")?];
    let mut sensor = Start {
        role: "sensor",
        files: &files,
        kubeconfig: Some(kubeconfig.clone()),
        silent: false,
        data: None,
    }
    .ready()
    .await?;
    let files = [bus, object("eventsource.yaml")?];
    let source = Start {
        role: "eventsource",
        files: &files,
        kubeconfig: None,
        silent: false,
        data: None,
    }
    .ready()
    .await?;
    let request = Request::post(source.port, "/myproject/start", yaml::TUTORIAL_BODY);

    let parallel = CONNECTIONS.to_string();
    let create = async |prefix: &str, count: usize| {
        let (path, count) = (text(&kubeconfig)?, count.to_string());
        bare(&[
            "create",
            "--kubeconfig",
            path,
            "--prefix",
            prefix,
            "--count",
            &count,
            "--parallel",
            &parallel,
        ])
        .await
    };
    let warm = size.workflows / 5;
    create("warm", warm).await?;
    load::run(&request, CONNECTIONS, Until::Count(warm)).await?;
    sensor.wait_fired(warm).await?;
    let (mut raw, mut ours, mut fired) = (Rounds::default(), Rounds::default(), warm);
    for round in 0..size.rounds * ROUNDS {
        let busy = machine::busy_family()?;
        let finished = create(&format!("raw-{round}"), size.workflows).await?;
        raw.add(size, finished.seconds, busy)?;
        let (busy, start) = (machine::busy_family()?, Instant::now());
        load::run(&request, CONNECTIONS, Until::Count(size.workflows)).await?;
        fired += size.workflows;
        sensor.wait_fired(fired).await?;
        ours.add(size, start.elapsed().as_secs_f64(), busy)?;
    }
    sensor.stop().await;
    source.stop().await;
    let rate = Row {
        what: "webhook → Workflow in a cluster".to_owned(),
        unit: Unit::PerSecond,
        raw: raw.rates,
        ours: ours.rates,
        budget: Budget::RatioAtLeast(0.9),
    };
    let cost = Row {
        what: "the same, time on processors, servers too".to_owned(),
        unit: Unit::Micros,
        raw: raw.costs,
        ours: ours.costs,
        budget: Budget::None,
    };
    Ok(vec![rate, cost, in_one_process(size).await?])
}

/// What each round took.
#[derive(Default)]
struct Rounds {
    /// Workflows in a second.
    rates: Vec<f64>,
    /// Microseconds on processors for each Workflow, of everything that was started here.
    costs: Vec<f64>,
}

impl Rounds {
    fn add(&mut self, size: Size, seconds: f64, busy_before: Duration) -> anyhow::Result<()> {
        let busy = machine::busy_family()?.saturating_sub(busy_before);
        let workflows = count(size.workflows);
        self.rates.push(workflows / seconds);
        self.costs.push(busy.as_secs_f64() / workflows * 1e6);
        Ok(())
    }
}

/// From the first POST to the last object, with every part in one process and everything on disk.
async fn in_one_process(size: Size) -> anyhow::Result<Row> {
    let files = [
        ("bus.yaml", yaml::EMBEDDED_BUS),
        ("source.yaml", yaml::SOURCE),
        ("sensor.yaml", yaml::TO_OBJECTS),
    ]
    .map(|(name, text)| (name, text.to_owned()));
    let mut tiphys = Start {
        role: "run",
        files: &files,
        kubeconfig: None,
        silent: true,
        data: None,
    }
    .ready()
    .await?;
    let request = Request::post(tiphys.port, yaml::ENDPOINT, &yaml::small_body());
    let mut fired = size.workflows / 5;
    load::run(&request, CONNECTIONS, Until::Count(fired)).await?;
    tiphys.wait_fired(fired).await?;
    let mut ours = Vec::new();
    for _ in 0..size.rounds {
        let start = Instant::now();
        load::run(&request, CONNECTIONS, Until::Count(size.workflows)).await?;
        fired += size.workflows;
        tiphys.wait_fired(fired).await?;
        ours.push(count(size.workflows) / start.elapsed().as_secs_f64());
    }
    tiphys.stop().await;
    Ok(Row {
        what: "webhook → object, all in one process".to_owned(),
        unit: Unit::PerSecond,
        raw: Vec::new(),
        ours,
        budget: Budget::None,
    })
}
