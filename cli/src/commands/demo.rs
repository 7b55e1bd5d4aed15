//! `tiphys demo`: the tutorial from start to finish, with nothing else installed and nothing left behind.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use kube::{Api, Client, ResourceExt as _};
use tiphys_controller::local::{Local, LocalOptions, Opened};
use tiphys_core::Tasks;
use tiphys_core::manifest;
use tiphys_core::metrics::Metrics;
use tiphys_workflow::{NodePhase, Workflow, tree};

use crate::args::Demo;
use crate::commands::run::ports;
use crate::output;
use crate::session::Session;

const FILES: [(&str, &str); 3] = [
    (
        "examples/tutorial/eventbus.yaml",
        include_str!("../../../examples/tutorial/eventbus.yaml"),
    ),
    (
        "examples/tutorial/sensor.yaml",
        include_str!("../../../examples/tutorial/sensor.yaml"),
    ),
    (
        "examples/tutorial/eventsource.yaml",
        include_str!("../../../examples/tutorial/eventsource.yaml"),
    ),
];
const NAMESPACE: &str = "argo-events";
const SPEC_PORT: u16 = 12000;
const BODY: &str = r#"{"message": "hello", "who": "world"}"#;

/// Nothing here takes longer, not on a slow machine either.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the tutorial.
pub(crate) async fn run(args: &Demo) -> anyhow::Result<ExitCode> {
    let folder = tempfile::Builder::new()
        .prefix("tiphys-demo-")
        .tempdir()
        .context("cannot make a folder for the demo")?;
    let tasks = Tasks::new();
    let metrics = Metrics::try_new(env!("CARGO_PKG_VERSION"))?;
    let options = LocalOptions {
        data_dir: folder.path().to_owned(),
        namespace: NAMESPACE.to_owned(),
        ports: ports(&[format!("{}:{SPEC_PORT}", args.port)], "127.0.0.1")?,
        api: None,
        parallel: 4,
        known_hosts: Vec::new(),
        program: std::env::current_exe().ok(),
    };
    output::note("Applying the tutorial's objects:");
    let opened = Opened::open(options, metrics, &tasks)?;
    let client = opened.client();
    apply(&client).await?;
    let local = opened.launch();
    let story = tokio::select! {
        story = tokio::time::timeout(PATIENCE, story(&client, &local)) => story.context("the demo did not finish in time").flatten(),
        failed = local.failed() => Err(failed.into()),
    };
    local.stop(Duration::from_secs(10)).await?;
    let succeeded = story?;
    Ok(if succeeded {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn apply(client: &Client) -> anyhow::Result<()> {
    let mut session = Session::connect(client.clone(), NAMESPACE).await?;
    for (path, text) in FILES {
        let documents = manifest::parse(text).with_context(|| format!("cannot read {path}"))?;
        let pass = session
            .bring(&documents.iter().collect::<Vec<_>>(), None, false)
            .await;
        if let Some(error) = pass.failed.into_iter().next() {
            return Err(error.into());
        }
        for applied in pass.applied {
            output::note(&format!(
                "  {:<12} {:<20} {path}",
                applied.kind, applied.name
            ));
        }
    }
    Ok(())
}

async fn story(client: &Client, local: &Local) -> anyhow::Result<bool> {
    let mut state = local.host().state();
    let ready = state
        .wait_for(|snapshot| {
            snapshot.synced && snapshot.objects.values().all(|object| object.ready)
        })
        .await;
    let addresses = ready.context("the host has ended")?.addresses.clone();
    let address = addresses.first().context("the webhook is not listening")?;
    let url = format!("http://127.0.0.1:{}/myproject/start", address.port());
    output::note(&format!("\nSending one event:\n  POST {url}\n  {BODY}"));
    let http = reqwest::Client::builder().no_proxy().build()?;
    let answer = http
        .post(&url)
        .header("content-type", "application/json")
        .body(BODY)
        .send()
        .await
        .context("cannot reach the webhook")?;
    let status = answer.status();
    let event = answer
        .headers()
        .get("x-event-id")
        .and_then(|id| id.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let text = answer.text().await.unwrap_or_default();
    anyhow::ensure!(status.is_success(), "the webhook answered {status}: {text}");
    output::note(&format!("  {status}, stored on disk as event {event}"));
    let workflow = finished(client).await?;
    output::note("\nThe Sensor has made a Workflow, and it has run:\n");
    output::print(&tree::describe(&workflow, Timestamp::now()))?;
    let uid = workflow.uid().unwrap_or_default();
    let name = workflow.name_any();
    let log = local
        .logs()
        .read(NAMESPACE, &name, &uid, &name)
        .await
        .context("cannot read the log")?;
    output::print(&format!("\n{}", String::from_utf8_lossy(&log)))?;
    output::note(
        "\nNext: `tiphys run examples/tutorial` keeps this running; see README.md for the tour.",
    );
    Ok(workflow
        .status
        .is_some_and(|status| status.phase == NodePhase::Succeeded))
}

/// Waits for the one Workflow and its end.
async fn finished(client: &Client) -> anyhow::Result<Workflow> {
    use futures::StreamExt as _;
    use kube::runtime::WatchStreamExt as _;
    let api = Api::<Workflow>::namespaced(client.clone(), NAMESPACE);
    let workflows = kube::runtime::watcher(api, kube::runtime::watcher::Config::default())
        .default_backoff()
        .applied_objects();
    let mut workflows = workflows.boxed();
    while let Some(workflow) = workflows.next().await {
        let workflow = workflow.context("cannot watch workflows")?;
        if workflow
            .status
            .as_ref()
            .is_some_and(|status| status.phase.is_done())
        {
            return Ok(workflow);
        }
    }
    anyhow::bail!("no workflow came")
}
