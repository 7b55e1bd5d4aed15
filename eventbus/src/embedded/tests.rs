//! Tests of the embedded bus on real files: power cuts, full disks, locks, limits.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
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

/// The newest file of events.
fn newest(dir: &Path) -> PathBuf {
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
fn stored(dir: &Path) -> Vec<u64> {
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

/// A writer of its own, without its thread.
fn writer(dir: &Path, limits: Limits) -> (Writer, mpsc::Receiver<Change>) {
    let messages = limits.max_msgs.map_or(u64::MAX, |most| (most / 8).max(1));
    let (log, segments) = Log::open(
        dir,
        SegmentSize {
            bytes: 1 << 20,
            messages,
        },
        0,
        0,
    )
    .unwrap();
    let (changes, changed) = mpsc::channel();
    let shared = Arc::new(Shared::new(segments, changes, 0, Vec::new()));
    let writer = Writer {
        log,
        dedup: Dedup::new(1_000_000_000),
        limits,
        shared,
        dir: dir.to_owned(),
        last_nanos: 0,
        warned: Fullness::Fine,
    };
    (writer, changed)
}

/// Has the writer store these at once.
fn commit(writer: &mut Writer, ids: &[&str]) -> Vec<Result<Stored, PublishError>> {
    let queue = Arc::new(Semaphore::new(100));
    let mut answers = Vec::new();
    let mut batch = Vec::new();
    for id in ids {
        let event = event(id);
        let draft = Draft::new(
            &event.source,
            &event.subject,
            event.dedup_key(),
            &envelope::encode(&event),
        )
        .unwrap();
        let (reply, answer) = oneshot::channel();
        let permit = queue.clone().try_acquire_owned().unwrap();
        batch.push(Job {
            draft,
            reply,
            permit,
        });
        answers.push(answer);
    }
    writer.commit(&mut batch);
    answers
        .into_iter()
        .map(|mut answer| answer.try_recv().unwrap())
        .collect()
}

fn seqs(answers: Vec<Result<Stored, PublishError>>) -> Vec<u64> {
    answers
        .into_iter()
        .map(|answer| answer.unwrap().seq)
        .collect()
}

#[test]
fn a_full_disk_refuses_and_serves_again_when_there_is_room() {
    use std::sync::atomic::Ordering::Relaxed;
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, _changed) = writer(dir.path(), Limits::default());
    assert_eq!(seqs(commit(&mut writer, &["a", "b"])), [1, 2]);
    let whole = newest(dir.path()).metadata().unwrap().len();
    for room in [0, 1, 40, 200] {
        writer.log.faults.room.store(room, Relaxed);
        for answer in commit(&mut writer, &["c", "d"]) {
            assert!(
                matches!(&answer, Err(PublishError::Full { reason }) if reason.contains("no space is left")),
                "{answer:?}"
            );
        }
        assert!(matches!(
            *writer.shared.health.borrow(),
            Health::Unavailable { .. }
        ));
        assert_eq!(
            newest(dir.path()).metadata().unwrap().len(),
            whole,
            "the torn write is cut"
        );
        let known = commit(&mut writer, &["a"]).remove(0).unwrap();
        assert!(
            known.duplicate,
            "what is stored is known also on a full disk"
        );
    }
    writer.log.faults.room.store(u64::MAX, Relaxed);
    writer.probe();
    assert_eq!(*writer.shared.health.borrow(), Health::Connected);
    assert_eq!(seqs(commit(&mut writer, &["c", "c", "d"])), [3, 3, 4]);
    assert_eq!(writer.shared.end(), 4);
    drop(writer);
    assert_eq!(stored(dir.path()), [1, 2, 3, 4]);
}

#[test]
fn a_failed_sync_is_not_trusted_with_the_same_file() {
    use std::sync::atomic::Ordering::Relaxed;
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, _changed) = writer(dir.path(), Limits::default());
    assert_eq!(seqs(commit(&mut writer, &["a"])), [1]);
    let first = newest(dir.path());
    writer.log.faults.sync_fails.store(true, Relaxed);
    let failed = commit(&mut writer, &["b"]).remove(0);
    assert!(matches!(failed, Err(PublishError::Unavailable { .. })));
    writer.log.faults.sync_fails.store(false, Relaxed);
    assert_eq!(seqs(commit(&mut writer, &["b"])), [2]);
    assert_ne!(newest(dir.path()), first);
    drop(writer);
    assert_eq!(stored(dir.path()), [1, 2]);
}

/// The next number for the consumer, from memory or disk.
fn taken(writer: &Writer, consumer: &Consumer) -> u64 {
    loop {
        match consumer.take(Instant::now()) {
            consumer::Take::Message { seq, .. } => return seq,
            consumer::Take::Scan { from } => writer.shared.scan(consumer, from).unwrap(),
            other => panic!("{other:?}"),
        }
    }
}

fn limited(discard: Discard) -> Limits {
    Limits {
        max_msgs: Some(16),
        discard,
        ..Limits::default()
    }
}

#[test]
fn a_backlog_is_not_eaten_but_what_is_done_with_makes_room() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, _changed) = writer(dir.path(), limited(Discard::New));
    let consumer = writer.shared.consumer(&all("d", Start::New), |end| end);
    for number in 0..16 {
        assert_eq!(
            seqs(commit(&mut writer, &[&format!("e{number}")])),
            [number + 1]
        );
    }
    let full = commit(&mut writer, &["x"]).remove(0);
    assert!(
        matches!(&full, Err(PublishError::Full { reason }) if reason.contains("maxMsgs")),
        "{full:?}"
    );
    for seq in 1..=4 {
        assert_eq!(taken(&writer, &consumer), seq);
        consumer.ack(seq);
    }
    assert_eq!(seqs(commit(&mut writer, &["x"])), [17]);
    assert_eq!(writer.shared.lost(), 0);
    assert_eq!(taken(&writer, &consumer), 5);
}

#[test]
fn discarding_old_events_counts_what_a_consumer_loses() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, _changed) = writer(dir.path(), limited(Discard::Old));
    let behind = writer
        .shared
        .consumer(&all("behind", Start::New), |end| end);
    for number in 0..20 {
        assert_eq!(
            seqs(commit(&mut writer, &[&format!("e{number}")])),
            [number + 1]
        );
    }
    assert_eq!(writer.shared.lost(), 4);
    let consumer::Take::Scan { from } = behind.take(Instant::now()) else {
        panic!()
    };
    assert_eq!(from, 5);
    writer.shared.scan(&behind, from).unwrap();
    assert_eq!(
        behind.take(Instant::now()),
        consumer::Take::Message {
            seq: 5,
            delivery: 1
        }
    );
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
    for chunk in events.chunks(1_000) {
        for answer in futures::future::join_all(chunk.iter().map(|event| bus.publish(event))).await
        {
            answer.unwrap();
        }
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

#[test]
fn old_events_go_by_whole_files_and_a_loss_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits {
        max_age: Some(Duration::from_secs(8)),
        ..Limits::default()
    };
    let (mut writer, _changed) = writer(dir.path(), limits);
    let far = i64::MAX / 2;
    writer
        .shared
        .consumer(&all("behind", Start::New), |end| end);
    // The writer's clock never runs backwards, so a time to come stands still.
    for (step, id) in ["a", "b", "c", "d"].iter().enumerate() {
        writer.last_nanos = far + i64::try_from(step).unwrap() * 5_000_000_000;
        writer.tidy();
        assert_eq!(seqs(commit(&mut writer, &[id])), [step as u64 + 1]);
    }
    assert_eq!(
        (writer.shared.lost(), writer.shared.segments.first_seq()),
        (1, 2)
    );
    // The last file is closed first, and its events count as stored until then.
    for _ in 0..2 {
        writer.last_nanos += 60_000_000_000;
        writer.tidy();
    }
    assert_eq!(
        (writer.shared.lost(), writer.shared.segments.first_seq()),
        (4, 5)
    );
    assert_eq!(seqs(commit(&mut writer, &["e"])), [5]);
}
