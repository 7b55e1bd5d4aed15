//! SIGKILL again and again while events come in: every accepted event has its Workflow, and none has two.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tiphys_tests::tls::http_client;
use tiphys_tests::{Nats, NatsOptions, eventually};

use crate::support::{LIMIT, LocalRun, exotic_bus, post};

/// How often the process is killed.
const KILLS: usize = 8;

/// Senders that go on through every kill.
const SENDERS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_accepted_event_is_lost_or_doubled_with_the_embedded_bus() {
    survive(LocalRun::of_tutorial()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_accepted_event_is_lost_or_doubled_with_jetstream() {
    let nats = Nats::start(NatsOptions::default()).await;
    let run = LocalRun::of_tutorial();
    run.write("eventbus.yaml", &exotic_bus(&nats.url()));
    survive(run).await;
}

async fn survive(mut run: LocalRun) {
    run.start().await;
    let accepted = Arc::new(Mutex::new(Vec::new()));
    let done = Arc::new(AtomicBool::new(false));
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| send(sender, run.url(), accepted.clone(), done.clone()))
        .map(tokio::spawn)
        .collect();
    for kill in 1..=KILLS {
        let wanted = kill * 20;
        eventually("more accepted events", LIMIT, async || {
            (accepted.lock().unwrap().len() >= wanted).then_some(())
        })
        .await;
        run.kill();
        run.start().await;
    }
    done.store(true, Ordering::Relaxed);
    for sender in senders {
        sender.await.unwrap();
    }
    let accepted = accepted.lock().unwrap().clone();
    let last = eventually(
        "a finished workflow for each event",
        LIMIT * 5,
        async || {
            let workflows = run.workflows().await;
            let finished = workflows
                .iter()
                .filter(|workflow| workflow["status"]["phase"] == "Succeeded");
            let ids = ids(&workflows);
            let all = accepted.iter().all(|event| ids.contains_key(event));
            (all && finished.count() == workflows.len()).then_some(ids)
        },
    )
    .await;
    let doubled: Vec<_> = last.iter().filter(|(_, count)| **count > 1).collect();
    assert!(doubled.is_empty(), "{doubled:?}");
    // An event whose answer was cut off may be stored all the same; there is at most one for each sender and kill.
    assert!(
        last.len() <= accepted.len() + SENDERS * KILLS,
        "{} {}",
        last.len(),
        accepted.len()
    );
    run.accounted_of("myproject-start", "webhook-workflow-trigger", 0)
        .await;
    println!(
        "{} accepted, {} workflows, {KILLS} kills",
        accepted.len(),
        last.len()
    );
}

async fn send(
    sender: usize,
    url: String,
    accepted: Arc<Mutex<Vec<String>>>,
    done: Arc<AtomicBool>,
) {
    let http = http_client(None);
    let mut number = 0;
    while !done.load(Ordering::Relaxed) {
        number += 1;
        match post(&http, &url, &format!("{sender}-{number}"), "crash").await {
            Some(answer) if answer.status() == 200 => {
                let event = answer.headers()["x-event-id"].to_str().unwrap().to_owned();
                accepted.lock().unwrap().push(event);
            }
            Some(answer) => assert_eq!(answer.status(), 503),
            // The process is away: nothing was accepted.
            None => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// How many Workflows each event has.
fn ids(workflows: &[Value]) -> BTreeMap<String, usize> {
    let mut ids = BTreeMap::new();
    for workflow in workflows {
        let text = workflow["metadata"]["annotations"]["tiphys.dev/event-ids"]
            .as_str()
            .unwrap();
        for id in text.split(',') {
            *ids.entry(id.trim().to_owned()).or_default() += 1;
        }
    }
    ids
}
