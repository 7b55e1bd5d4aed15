//! The ring of decisions: what is written is read again, also while it grows, is torn, or is cut by its limits.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use tiphys_core::Tasks;

use super::*;
use crate::testing::event;

fn draft(id: &str) -> Draft {
    let labels = Labels::new(["ns", "s", "t"], "a && b".to_owned(), &["a", "b"]);
    let leaf = Leaf {
        path: "filters.data[0]".to_owned(),
        verdict: Verdict::Filtered,
        expected: "body.level > 3".to_owned(),
        actual: "2".to_owned(),
    };
    let mut part = Part::new("a", Verdict::Filtered, vec![leaf], End::Filtered);
    part.firing = Some(Firing {
        attempts: 2,
        effect: Some(Fired::Responded { status: 200 }),
        parameters: vec![Parameter {
            dest: "x".to_owned(),
            value: "1".to_owned(),
        }],
        ..Firing::default()
    });
    Draft {
        labels: Arc::new(labels),
        at: "2026-07-18T10:00:00Z".parse().unwrap(),
        event: Some(Arc::new(event(id, "{}"))),
        seq: 7,
        delivery: 1,
        end: End::Filtered,
        reason: Some("r".to_owned()),
        parts: vec![part],
        held: BTreeMap::from([("a".to_owned(), "e0".to_owned())]),
        missing: vec![vec!["b".to_owned()]],
    }
}

fn read(tail: &mut Tail, text: &str) -> Vec<Decision> {
    let mut all = Vec::new();
    tail.poll(text, |decision| all.push(decision)).unwrap();
    all
}

#[tokio::test]
async fn what_is_recorded_is_read_again_while_it_grows_and_a_torn_line_waits_for_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let tasks = Tasks::new();
    let recorder = Recorder::open(dir.path(), RecordLimits::default(), &tasks).unwrap();
    recorder.record(draft("e1"));
    recorder.record(draft("e2"));
    recorder.flush().await;
    let mut tail = Tail::new(dir.path());
    assert_eq!(
        read(&mut tail, ""),
        [draft("e1").decision(), draft("e2").decision()]
    );
    assert!(read(&mut tail, "").is_empty());
    assert_eq!(read(&mut Tail::new(dir.path()), "e2").len(), 1);

    // A second process writes, and is killed in the middle of a line.
    let mut line = Vec::new();
    draft("e3").write(&mut line);
    let mut file = std::fs::File::create(dir.path().join("9999999999999-1-000001.jsonl")).unwrap();
    file.write_all(&line[..line.len() / 2]).unwrap();
    assert!(read(&mut tail, "").is_empty());
    file.write_all(&line[line.len() / 2..]).unwrap();
    file.write_all(b"no json\n{\"dropped\":5}\n").unwrap();
    assert_eq!(read(&mut tail, ""), [draft("e3").decision()]);
    assert_eq!(tail.dropped(), 5);
}

#[tokio::test]
async fn events_that_fired_alike_share_a_line_and_are_read_one_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let tasks = Tasks::new();
    let recorder = Recorder::open(dir.path(), RecordLimits::default(), &tasks).unwrap();
    let labels = Arc::new(Labels::new(["ns", "s", "t"], "a".to_owned(), &["a"]));
    for seq in 1..=600 {
        recorder.record_plain(Plain {
            labels: Arc::clone(&labels),
            event: Arc::new(event(&format!("e{seq}"), "{}")),
            seq,
            effect: Fired::Logged,
        });
    }
    recorder.flush().await;
    let all = read(&mut Tail::new(dir.path()), "");
    assert_eq!(all.len(), 600);
    let last = read(&mut Tail::new(dir.path()), "\"e600\"").pop().unwrap();
    let Decision {
        event, end, parts, ..
    } = &last;
    let (event, part) = (event.as_ref().unwrap(), &parts[0]);
    assert_eq!(
        (event.id.as_str(), event.seq, *end),
        ("e600", 600, End::Fired)
    );
    assert_eq!((part.dependency.as_str(), part.end), ("a", End::Fired));
    let effect = part
        .firing
        .as_ref()
        .and_then(|firing| firing.effect.as_ref());
    assert_eq!(effect, Some(&Fired::Logged));
    let files = std::fs::read_dir(dir.path()).unwrap();
    let bytes: u64 = files
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum();
    assert!(bytes < 600 * 40, "{bytes}");
}

#[tokio::test]
async fn the_ring_keeps_to_its_size_and_the_newest_stay() {
    let dir = tempfile::tempdir().unwrap();
    let tasks = Tasks::new();
    let limits = RecordLimits {
        bytes: 64 << 10,
        age: Duration::from_secs(3600),
    };
    let recorder = Recorder::open(dir.path(), limits, &tasks).unwrap();
    for round in 0..40 {
        for index in 0..20 {
            recorder.record(draft(&format!("e{round}-{index}")));
        }
        recorder.flush().await;
    }
    let files = std::fs::read_dir(dir.path()).unwrap();
    let bytes: u64 = files
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum();
    // A batch may be larger than a file of the ring.
    assert!(bytes <= limits.bytes + (20 << 10), "{bytes}");
    let kept = read(&mut Tail::new(dir.path()), "");
    let last = kept.last().and_then(|decision| decision.event.as_ref());
    assert_eq!(last.unwrap().id, "e39-19");
    let one_second = RecordLimits {
        age: Duration::ZERO,
        ..limits
    };
    Recorder::open(dir.path(), one_second, &tasks).unwrap();
    assert!(read(&mut Tail::new(dir.path()), "").is_empty());
}

#[test]
fn credentials_are_left_out_and_long_values_are_cut() {
    let long = "é".repeat(300);
    for (value, expected) in [
        ("plain", "plain".to_owned()),
        ("Bearer abc", "***".to_owned()),
        (r#"{"Authorization":["x"]}"#, "***".to_owned()),
        (&long, format!("{}…", "é".repeat(256))),
    ] {
        assert_eq!(shown(value), expected);
    }
    for path in [
        "header.Authorization.0",
        "body.password",
        "{{ .Input.body.apiKey }}",
        "{{ .Input | toJson | b64enc }}",
    ] {
        assert!(hides(path), "{path}");
    }
    assert!(!hides("body.message"));
    let leaf = Leaf {
        path: "filters.data[0]".to_owned(),
        verdict: Verdict::Filtered,
        expected: "header.X-Token = ^a$".to_owned(),
        actual: "b".to_owned(),
    };
    assert_eq!(
        Part::new("a", Verdict::Filtered, vec![leaf], End::Filtered).leaves[0].actual,
        "***"
    );
}
