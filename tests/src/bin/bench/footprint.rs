//! What `tiphys run` needs before and without work: the time to its first event, its memory, its idle time.

use std::fs;
use std::time::{Duration, Instant};

use crate::load::Request;
use crate::machine;
use crate::options::Size;
use crate::program::{Start, Tiphys};
use crate::report::{Budget, Row, Unit};
use crate::yaml;

/// How often a start is timed.
const STARTS: usize = 5;

/// Events of the demo-like run, each of which becomes a Workflow.
const EVENTS: usize = 20;

/// After a start the allocator and the timers come to rest.
const REST: Duration = Duration::from_secs(2);

/// Start, then the tutorial, then many objects.
pub(crate) async fn measure(size: Size) -> anyhow::Result<Vec<Row>> {
    let mut files = Vec::new();
    for file in ["eventbus.yaml", "eventsource.yaml", "sensor.yaml"] {
        files.push((file, fs::read_to_string(yaml::tutorial(file))?));
    }
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        let (tiphys, millis) = first_event(&files).await?;
        starts.push(millis);
        tiphys.stop().await;
    }
    let (mut tiphys, _) = first_event(&files).await?;
    let request = Request::post(tiphys.port, "/myproject/start", yaml::TUTORIAL_BODY);
    for _ in 1..EVENTS {
        request.send().await?;
    }
    tiphys.wait_fired(EVENTS).await?;
    tokio::time::sleep(REST).await;
    let demo = (
        machine::resident(tiphys.pid())?,
        machine::own(tiphys.pid())?,
    );
    tiphys.stop().await;

    let objects = yaml::many(size.objects);
    let begun = Instant::now();
    let tiphys = Start {
        role: "run",
        files: &objects,
        kubeconfig: None,
        silent: false,
        data: None,
    }
    .ready()
    .await?;
    let ready = begun.elapsed();
    let endpoint = format!("{}-{}", yaml::ENDPOINT, size.objects - 1);
    Request::post(tiphys.port, &endpoint, &yaml::body())
        .send()
        .await?;
    tokio::time::sleep(REST).await;
    let before = machine::busy(tiphys.pid())?;
    tokio::time::sleep(size.idle).await;
    let busy = machine::busy(tiphys.pid())?.saturating_sub(before);
    let many = (
        machine::resident(tiphys.pid())?,
        machine::own(tiphys.pid())?,
    );
    tiphys.stop().await;

    let what = format!("{0} EventSources and {0} Sensors", size.objects);
    let row = |what: String, unit, ours, budget| Row {
        what,
        unit,
        raw: Vec::new(),
        ours,
        budget,
    };
    let idle = busy.as_secs_f64() / size.idle.as_secs_f64() * 100.0;
    Ok(vec![
        row(
            "start of `run` to the first event".to_owned(),
            Unit::Millis,
            starts,
            Budget::AtMost(100.0),
        ),
        row(
            format!("memory after {EVENTS} Workflows"),
            Unit::Megabytes,
            vec![demo.0],
            Budget::AtMost(30.0),
        ),
        row(
            "the same, without the program file".to_owned(),
            Unit::Megabytes,
            vec![demo.1],
            Budget::None,
        ),
        row(
            format!("{what}: until ready"),
            Unit::Millis,
            vec![ready.as_secs_f64() * 1000.0],
            Budget::None,
        ),
        row(
            format!("{what}: memory"),
            Unit::Megabytes,
            vec![many.0],
            Budget::AtMost(150.0),
        ),
        row(
            "the same, without the program file".to_owned(),
            Unit::Megabytes,
            vec![many.1],
            Budget::None,
        ),
        row(
            format!("{what}: idle, of a core"),
            Unit::Percent,
            vec![idle],
            Budget::AtMost(1.0),
        ),
    ])
}

/// A run of the tutorial, and the milliseconds from its start to the answer to its first event.
async fn first_event(files: &[(&str, String)]) -> anyhow::Result<(Tiphys, f64)> {
    let mut tiphys = Start {
        role: "run",
        files,
        kubeconfig: None,
        silent: false,
        data: None,
    }
    .start()?;
    let request = Request::post(tiphys.port, "/myproject/start", yaml::TUTORIAL_BODY);
    tiphys
        .wait("the first event", async |_| {
            Ok(request.send().await.is_ok())
        })
        .await?;
    let millis = tiphys.started.elapsed().as_secs_f64() * 1000.0;
    Ok((tiphys, millis))
}
