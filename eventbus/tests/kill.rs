//! SIGKILL while events come in: whatever was acknowledged to a publisher is there afterwards, once.

mod common;

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use common::{event, next, stored as store, subscription};
use tiphys_core::Tasks;
use tiphys_eventbus::{Bus, EmbeddedConfig, Start, Subscription};

const FOLDER: &str = "TIPHYS_TEST_KILL_FOLDER";

/// The part that is killed; it does nothing unless it is told a folder.
#[expect(
    clippy::disallowed_methods,
    reason = "the parent tells the folder by the environment"
)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_publishes_until_it_is_killed() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let bus = Bus::embedded(EmbeddedConfig::new(folder)).unwrap();
    let mut subscriber = bus.subscribe(oldest()).await.unwrap();
    let tasks = Tasks::new();
    for publisher in 0..16 {
        let bus = bus.clone();
        tasks.spawn_job("publisher", async move {
            for number in 0.. {
                let id = format!("{}-{publisher}-{number}", std::process::id());
                store(&bus, &event(&id)).await;
                std::io::stdout()
                    .write_all(format!("stored {id}\n").as_bytes())
                    .unwrap();
            }
        });
    }
    loop {
        let message = subscriber.next().await.unwrap();
        message.ack().await.unwrap();
    }
}

fn oldest() -> Subscription {
    Subscription {
        start: Start::Oldest,
        ..subscription("acks", &["*.*"])
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_loses_nothing_that_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut stored = BTreeSet::new();
    for round in 1..=5 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "a_process_that_publishes_until_it_is_killed",
                "--nocapture",
            ])
            .env(FOLDER, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let mut count = 0;
        while count < 400 * round {
            let Some(line) = lines.next() else {
                panic!("the process ended by itself")
            };
            if let Some((_, id)) = line.split_once("stored ") {
                stored.insert(id.to_owned());
                count += 1;
            }
        }
        child.kill().unwrap();
        // What it had said before the end counts as well; the last line may be torn.
        let said: Vec<String> = lines.collect();
        let whole = said.len().saturating_sub(1);
        stored.extend(
            said.iter()
                .take(whole)
                .filter_map(|line| Some(line.strip_prefix("stored ")?.to_owned())),
        );
        child.wait().unwrap();
        let bus = Bus::embedded(EmbeddedConfig::new(dir.path())).unwrap();
        let end = store(&bus, &event(&format!("end of {round}"))).await.seq;
        let mut reader = bus
            .subscribe(Subscription {
                durable: format!("reader{round}"),
                ..oldest()
            })
            .await
            .unwrap();
        let mut found = BTreeSet::new();
        loop {
            let message = next(&mut reader).await;
            message.ack().await.unwrap();
            assert!(found.insert(message.event.unwrap().id), "stored twice");
            if message.seq == end {
                break;
            }
        }
        let missing: Vec<_> = stored.difference(&found).collect();
        assert!(missing.is_empty(), "round {round}: {missing:?}");
        bus.close().await;
    }
}
