//! Prints how fast the embedded bus stores and delivers events: `cargo run --release --example throughput`.

use std::time::{Duration, Instant};

use bytes::Bytes;
use tiphys_core::{Event, Tasks};
use tiphys_eventbus::{Bus, EmbeddedConfig, Publish as _, Start, SubjectPattern, Subscription};

const PUBLISHERS: usize = 64;
const EACH: usize = 2_000;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "an example that reports figures")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let bus = Bus::embedded(EmbeddedConfig::new(dir.path()))?;
    let mut subscriber = bus
        .subscribe(Subscription {
            durable: "throughput".to_owned(),
            subjects: vec![SubjectPattern {
                source: "*".to_owned(),
                event: "*".to_owned(),
            }],
            start: Start::New,
            ack_wait: Duration::from_secs(30),
            max_in_flight: 1000,
        })
        .await?;
    let tasks = Tasks::new();
    let begun = Instant::now();
    for number in 0..PUBLISHERS {
        let bus = bus.clone();
        tasks.spawn_job(format!("publisher {number}"), async move {
            let data = Bytes::from(vec![b'x'; 700]);
            for _ in 0..EACH {
                let event = Event::new("source", "webhook", "event", data.clone());
                if let Err(error) = bus.publish(&event).await {
                    tracing::error!(%error, "not stored");
                }
            }
        });
    }
    let all = PUBLISHERS * EACH;
    for _ in 0..all {
        subscriber.next().await?.ack().await?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{PUBLISHERS} publishers, {all} events stored, delivered and acknowledged in {seconds:.2} s"
    );
    tasks.stop(Duration::from_secs(10)).await?;
    bus.close().await;
    Ok(())
}
