//! Tests of the writer alone: full and failing disks, limits, age.

use std::path::Path;

use super::tests::{all, event, newest, stored};
use super::*;

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
