//! POST to Workflow in a real API server, beside bare `create` calls of the same object with the same client library; and
//! POST to object in one `tiphys run`, whose bus and API are built in.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use kube::api::{DynamicObject, ListParams, ObjectMeta};
use kube::{Api, Client};
use tiphys_tests::argo_crds::{apply_crds, argo};
use tiphys_tests::{ApiServer, Nats, NatsOptions, temp_dir};

use crate::load::{self, CONNECTIONS, Request, Until, count};
use crate::machine::{self, Busy};
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

    let warm = size.workflows / 5;
    load::run(&request, CONNECTIONS, Until::Count(warm)).await?;
    sensor.wait_fired(warm).await?;
    let folder = temp_dir();
    let object = folder.path().join("workflow.json");
    fs::write(&object, one_of_ours(cluster.client().await).await?)?;
    let parallel = CONNECTIONS.to_string();
    let create = async |prefix: &str, count: usize| {
        let count = count.to_string();
        bare(&[
            "create",
            "--kubeconfig",
            text(&kubeconfig)?,
            "--object",
            text(&object)?,
            "--prefix",
            prefix,
            "--count",
            &count,
            "--parallel",
            &parallel,
        ])
        .await
    };
    create("warm", warm).await?;
    let (mut raw, mut ours, mut fired) = (Rounds::default(), Rounds::default(), warm);
    for round in 0..size.rounds * ROUNDS {
        let busy = machine::busy_family()?;
        let finished = create(&format!("raw-{round}"), size.workflows).await?;
        raw.add(size, finished.seconds, &busy)?;
        let (busy, start) = (machine::busy_family()?, Instant::now());
        load::run(&request, CONNECTIONS, Until::Count(size.workflows)).await?;
        fired += size.workflows;
        sensor.wait_fired(fired).await?;
        ours.add(size, start.elapsed().as_secs_f64(), &busy)?;
    }
    sensor.stop().await;
    source.stop().await;
    let rate = Row {
        what: "webhook → Workflow in a cluster".to_owned(),
        unit: Unit::PerSecond,
        raw: std::mem::take(&mut raw.rates),
        ours: std::mem::take(&mut ours.rates),
        budget: Budget::RatioAtLeast(0.9),
    };
    let cost = |what: &str, program: Option<&str>| Row {
        what: what.to_owned(),
        unit: Unit::Micros,
        raw: raw.costs(program),
        ours: ours.costs(program),
        budget: Budget::None,
    };
    let mut rows = vec![
        rate,
        cost("the same, time on processors, servers too", None),
        cost("of it: the bare program, the load", Some(machine::OWN)),
    ];
    for program in [
        "tiphys eventsource",
        "tiphys sensor",
        "nats-server",
        "kube-apiserver",
        "etcd",
    ] {
        rows.push(cost(&format!("of it: {program}"), Some(program)));
    }
    rows.push(in_one_process(size).await?);
    Ok(rows)
}

/// A Workflow that the Sensor has made, without what only the server sets: what is created bare is the same object.
async fn one_of_ours(client: Client) -> anyhow::Result<String> {
    let api: Api<DynamicObject> = Api::namespaced_with(client, yaml::NAMESPACE, &argo("Workflow"));
    let found = api.list(&ListParams::default().limit(1)).await?;
    let mut object = found.items.into_iter().next().context("no Workflow")?;
    let own = ObjectMeta {
        name: None,
        uid: None,
        resource_version: None,
        creation_timestamp: None,
        generation: None,
        managed_fields: None,
        ..std::mem::take(&mut object.metadata)
    };
    object.metadata = own;
    Ok(serde_json::to_string(&object)?)
}

/// What each round took.
#[derive(Default)]
struct Rounds {
    /// Workflows in a second.
    rates: Vec<f64>,
    /// Microseconds on processors for each Workflow, of every program that was started here.
    costs: Vec<BTreeMap<String, f64>>,
}

impl Rounds {
    fn add(&mut self, size: Size, seconds: f64, before: &Busy) -> anyhow::Result<()> {
        let workflows = count(size.workflows);
        self.rates.push(workflows / seconds);
        let each = |(program, busy): (String, Duration)| {
            let before = before.get(&program).copied().unwrap_or_default();
            let micros = busy.saturating_sub(before).as_secs_f64() / workflows * 1e6;
            (program, micros)
        };
        let busy = machine::busy_family()?;
        self.costs.push(busy.into_iter().map(each).collect());
        Ok(())
    }

    /// Of one program, or of all.
    fn costs(&self, program: Option<&str>) -> Vec<f64> {
        let round = |costs: &BTreeMap<String, f64>| match program {
            Some(program) => costs.get(program).copied().unwrap_or_default(),
            None => costs.values().sum(),
        };
        self.costs.iter().map(round).collect()
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
