//! The ring of decisions: what is written is read again, also while it grows, is torn, or is cut by its limits.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use tiphys_core::Tasks;

use super::alike::Brief;
use super::*;
use crate::dependency::Dependency;
use crate::spec::{DependencySpec, TemplateEngine};
use crate::testing::event;

fn draft(id: &str) -> Draft {
    let labels = Labels::new(["ns", "s", "t"], "a && b".to_owned(), &[]);
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

async fn read(tail: &mut Tail) -> Vec<Decision> {
    let mut all = Vec::new();
    tail.poll(|decision| all.push(decision)).await.unwrap();
    all
}

fn all_in(folder: &std::path::Path) -> Tail {
    Tail::in_folder(folder, Look::default())
}

fn of_event(folder: &std::path::Path, event: &str) -> Tail {
    let look = Look {
        event: Some(event.to_owned()),
        ..Look::default()
    };
    Tail::in_folder(folder, look)
}

#[tokio::test]
async fn what_is_recorded_is_read_again_while_it_grows_and_a_torn_line_waits_for_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let tasks = Tasks::new();
    let recorder = Recorder::open(dir.path(), RecordLimits::default(), &tasks).unwrap();
    recorder.record(draft("e1"));
    recorder.record(draft("e2"));
    recorder.flush().await;
    let mut tail = all_in(dir.path());
    assert_eq!(
        read(&mut tail).await,
        [draft("e1").decision(), draft("e2").decision()]
    );
    assert!(read(&mut tail).await.is_empty());
    assert_eq!(read(&mut of_event(dir.path(), "e2")).await.len(), 1);

    // A second process writes, and is killed in the middle of a line.
    let mut line = Vec::new();
    draft("e3").write(&mut line);
    let mut file = std::fs::File::create(dir.path().join("9999999999999-1-000001.jsonl")).unwrap();
    file.write_all(&line[..line.len() / 2]).unwrap();
    assert!(read(&mut tail).await.is_empty());
    file.write_all(&line[line.len() / 2..]).unwrap();
    file.write_all(b"no json\n{\"dropped\":5}\n").unwrap();
    assert_eq!(read(&mut tail).await, [draft("e3").decision()]);
    assert_eq!(tail.dropped(), 5);
}

#[tokio::test]
async fn events_that_fired_alike_share_a_line_and_are_read_one_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let tasks = Tasks::new();
    let recorder = Recorder::open(dir.path(), RecordLimits::default(), &tasks).unwrap();
    let dependency = DependencySpec {
        name: "a".to_owned(),
        event_source_name: "webhook".to_owned(),
        event_name: "start".to_owned(),
        ..DependencySpec::default()
    };
    let dependency = Dependency::new(&dependency, TemplateEngine::default());
    let labels = Labels::new(["ns", "s", "t"], "a".to_owned(), &[dependency]);
    let labels = Arc::new(labels);
    for seq in 1..=600 {
        recorder.record_plain(Plain {
            labels: Arc::clone(&labels),
            id: format!("e{seq}").into(),
            seq,
            effect: Brief::Logged,
        });
    }
    recorder.flush().await;
    let all = read(&mut all_in(dir.path())).await;
    assert_eq!(all.len(), 600);
    let last = read(&mut of_event(dir.path(), "e600")).await.pop().unwrap();
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
    let kept = read(&mut all_in(dir.path())).await;
    let last = kept.last().and_then(|decision| decision.event.as_ref());
    assert_eq!(last.unwrap().id, "e39-19");
    let one_second = RecordLimits {
        age: Duration::ZERO,
        ..limits
    };
    Recorder::open(dir.path(), one_second, &tasks).unwrap();
    assert!(read(&mut all_in(dir.path())).await.is_empty());
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
