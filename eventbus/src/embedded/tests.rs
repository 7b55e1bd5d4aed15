//! Tests of the embedded bus on real files: power cuts, full disks, locks, limits.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use tiphys_core::Event;

use super::*;
use crate::bus::{Publish as _, SubjectPattern};

pub(super) fn event(id: &str) -> Event {
    let mut event = Event::new(
        "source",
        "webhook",
        "event",
        Bytes::from(format!("{{\"id\":\"{id}\"}}")),
    );
    event.id = id.to_owned();
    event
}

pub(super) fn all(durable: &str, start: Start) -> Subscription {
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

/// The newest file of events.
pub(super) fn newest(dir: &Path) -> PathBuf {
    let paths = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut logs: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|end| end == "log"))
        .collect();
    logs.sort();
    logs.pop().unwrap()
}

/// The folder as a power cut at this moment leaves it.
fn copy(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.path().join(path.file_name().unwrap())).unwrap();
    }
    to
}

/// What the log holds, read without the bus: opening mends it.
pub(super) fn stored(dir: &Path) -> Vec<u64> {
    let size = SegmentSize {
        bytes: u64::MAX,
        messages: u64::MAX,
    };
    let (log, _) = Log::open(dir, size, 0, 0).unwrap();
    let mut seqs = Vec::new();
    log.since(i64::MIN, |record| seqs.push(record.seq)).unwrap();
    seqs
}

#[tokio::test]
async fn a_power_cut_at_any_byte_loses_nothing_that_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let bus = open(dir.path());
    let mut ends = vec![segment::START];
    for id in ["a", "b", "c", "d"] {
        bus.publish(&event(id)).await.unwrap();
        ends.push(newest(dir.path()).metadata().unwrap().len());
    }
    let cut = tempfile::tempdir().unwrap();
    let file = newest(dir.path());
    let bytes = std::fs::read(&file).unwrap();
    let target = cut.path().join(file.file_name().unwrap());
    let whole_before = |len: u64| {
        (1..ends.len() as u64)
            .filter(|n| ends[usize::try_from(*n).unwrap()] <= len)
            .collect::<Vec<_>>()
    };
    for len in 0..=bytes.len() {
        // The write after `len` never reached the disk.
        std::fs::write(&target, &bytes[..len]).unwrap();
        assert_eq!(stored(cut.path()), whole_before(len as u64), "cut at {len}");
        if len < 24 {
            continue;
        }
        // It reached it as zeros, or as something else.
        for rubbish in [0, 0xa5] {
            let mut torn = bytes[..len].to_vec();
            torn.resize(bytes.len() + 100, rubbish);
            std::fs::write(&target, torn).unwrap();
            assert_eq!(
                stored(cut.path()),
                whole_before(len as u64),
                "{rubbish:#x} from {len}"
            );
            let left = target.metadata().unwrap().len();
            assert!(ends.contains(&left), "{left} bytes left of {len}");
        }
    }
    bus.close().await;
}

#[tokio::test]
async fn a_damaged_byte_costs_its_own_event_alone() {
    let dir = tempfile::tempdir().unwrap();
    let bus = open(dir.path());
    let mut ends = vec![segment::START];
    for id in ["a", "b", "c", "d"] {
        bus.publish(&event(id)).await.unwrap();
        ends.push(newest(dir.path()).metadata().unwrap().len());
    }
    bus.close().await;
    let file = newest(dir.path());
    let bytes = std::fs::read(&file).unwrap();
    let cut = tempfile::tempdir().unwrap();
    let target = cut.path().join(file.file_name().unwrap());
    for at in usize::try_from(segment::START).unwrap()..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0xff;
        std::fs::write(&target, damaged).unwrap();
        let lost = ends.iter().filter(|end| **end <= at as u64).count() as u64;
        let rest: Vec<u64> = (1..=4).filter(|seq| *seq != lost).collect();
        assert_eq!(stored(cut.path()), rest, "byte {at}");
    }
}

#[tokio::test]
async fn a_power_cut_while_events_come_in_keeps_them_and_the_consumer() {
    let dir = tempfile::tempdir().unwrap();
    let bus = open(dir.path());
    let mut subscriber = bus.subscribe(all("d", Start::New)).await.unwrap();
    for number in 0..20 {
        bus.publish(&event(&number.to_string())).await.unwrap();
        let cut = copy(dir.path());
        let after = open(cut.path());
        let ids = drain(&after, "d", 1).await;
        assert_eq!(ids, [number.to_string()]);
        let again = after.publish(&event(&number.to_string())).await.unwrap();
        assert!(again.duplicate && again.seq == number + 1);
        assert_eq!(after.publish(&event("new")).await.unwrap().seq, number + 2);
        after.close().await;
        let message = subscriber.next().await.unwrap();
        message.ack_confirmed().await.unwrap();
    }
    bus.close().await;
}

#[tokio::test]
async fn numbers_that_a_consumer_has_seen_are_not_given_again() {
    let dir = tempfile::tempdir().unwrap();
    let bus = open(dir.path());
    for id in ["a", "b", "c"] {
        bus.publish(&event(id)).await.unwrap();
    }
    assert_eq!(drain(&bus, "d", 3).await.len(), 3);
    bus.close().await;
    let file = OpenOptions::new()
        .write(true)
        .open(newest(dir.path()))
        .unwrap();
    file.set_len(30).unwrap();
    let bus = open(dir.path());
    assert_eq!(bus.publish(&event("d")).await.unwrap().seq, 4);
    assert_eq!(drain(&bus, "d", 1).await, ["d"]);
    bus.close().await;
}

#[tokio::test]
async fn a_folder_serves_one_bus_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let bus = open(dir.path());
    let Err(OpenError::Fatal { reason }) = Bus::embedded(EmbeddedConfig::new(dir.path())) else {
        panic!()
    };
    assert!(
        reason.contains("another Tiphys") && reason.contains(&std::process::id().to_string()),
        "{reason}"
    );
    drop(bus);
    open(dir.path()).close().await;
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let Err(OpenError::Fatal { reason }) = Bus::embedded(EmbeddedConfig::new(file.join("bus")))
    else {
        panic!()
    };
    assert!(reason.contains("choose another data folder"), "{reason}");
    let broken = dir.path().join("broken");
    std::fs::create_dir(&broken).unwrap();
    std::fs::write(broken.join("meta.redb"), vec![7; 10_000]).unwrap();
    let Err(OpenError::Fatal { reason }) = Bus::embedded(EmbeddedConfig::new(&broken)) else {
        panic!()
    };
    assert!(reason.contains("meta.redb cannot be read"), "{reason}");
    let reason = unusable(&broken, &rustix::io::Errno::ROFS.into());
    assert!(reason.contains("make it writable"), "{reason}");
}

#[tokio::test]
async fn a_consumer_that_falls_behind_catches_up_from_disk_without_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = EmbeddedConfig::new(dir.path());
    config.segment_bytes = 256 << 10;
    let bus = Bus::embedded(config).unwrap();
    let mut subscriber = bus.subscribe(all("d", Start::New)).await.unwrap();
    let events: Vec<Event> = (0..10_000)
        .map(|number| event(&number.to_string()))
        .collect();
    let mut received = 0_u64;
    // As a sender does that is told to come back: a busy machine may need longer for so many than a sender waits.
    let store = async |event: &Event| {
        while let Err(error) = bus.publish(event).await {
            assert!(matches!(error, PublishError::Unavailable { .. }), "{error}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    for chunk in events.chunks(1_000) {
        futures::future::join_all(chunk.iter().map(store)).await;
        // A tenth is taken while ten times as many come in.
        for _ in 0..100 {
            let message = subscriber.next().await.unwrap();
            received += 1;
            assert_eq!(message.seq, received);
            message.ack().await.unwrap();
        }
    }
    while received < 10_000 {
        let message = subscriber.next().await.unwrap();
        received += 1;
        assert_eq!(message.seq, received);
        message.ack().await.unwrap();
    }
    bus.close().await;
}
