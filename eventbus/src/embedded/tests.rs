//! Tests of the embedded bus on real files: power cuts, full disks, locks, limits.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use tiphys_core::Event;

use super::*;
use crate::bus::{Publish as _, SubjectPattern};

fn event(id: &str) -> Event {
    let mut event = Event::new(
        "source",
        "webhook",
        "event",
        Bytes::from(format!("{{\"id\":\"{id}\"}}")),
    );
    event.id = id.to_owned();
    event
}

fn all(durable: &str, start: Start) -> Subscription {
    Subscription {
        durable: durable.to_owned(),
        subjects: vec![SubjectPattern {
            source: "*".to_owned(),
            event: "*".to_owned(),
        }],
        start,
        ack_wait: Duration::from_secs(30),
        max_in_flight: 1000,
    }
}

fn open(dir: &Path) -> Bus {
    Bus::embedded(EmbeddedConfig::new(dir)).unwrap()
}

async fn drain(bus: &Bus, durable: &str, count: usize) -> Vec<String> {
    let mut subscriber = bus.subscribe(all(durable, Start::Oldest)).await.unwrap();
    let mut ids = Vec::new();
    for _ in 0..count {
        let message = subscriber.next().await.unwrap();
        message.ack().await.unwrap();
        ids.push(message.event.unwrap().id);
    }
    ids
}

#[tokio::test]
async fn what_is_stored_is_delivered_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let bus = open(dir.path());
    for id in ["a", "b", "c"] {
        bus.publish(&event(id)).await.unwrap();
    }
    assert!(bus.publish(&event("b")).await.unwrap().duplicate);
    bus.close().await;
    let bus = open(dir.path());
    assert!(bus.publish(&event("c")).await.unwrap().duplicate);
    assert_eq!(drain(&bus, "d", 3).await, ["a", "b", "c"]);
    bus.close().await;
}
