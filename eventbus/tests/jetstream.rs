//! JetStream when the server misbehaves: absent, killed, emptied, closed to us.
#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use common::{
    LONG, NatsServer, connected, event, jetstream, key, next, secrets, stored, subscription, take,
    unavailable,
};
use futures::FutureExt as _;
use tiphys_core::Tasks;
use tiphys_core::spec::TlsSpec;
use tiphys_eventbus::{
    Bus, Durability, Health, JetStreamConfig, OpenError, Publish as _, PublishError,
    StreamSettings, Turn,
};

#[tokio::test]
async fn a_server_may_come_later_and_publishing_says_so_at_once() {
    let mut server = NatsServer::start();
    server.kill();
    let bus = jetstream(&server.url());
    // Without waiting for anything.
    let refused = bus.publish(&event("a")).now_or_never();
    assert!(
        matches!(refused, Some(Err(PublishError::Unavailable { .. }))),
        "{refused:?}"
    );
    unavailable(&bus, "").await;
    server.restart();
    connected(&bus).await;
    bus.publish(&event("a")).await.unwrap();
    assert_eq!(bus.durability(), Durability::Memory);
    bus.close().await;
}

#[tokio::test]
async fn a_killed_server_loses_no_event_and_no_consumer() {
    let mut server = NatsServer::start();
    let bus = jetstream(&server.url());
    connected(&bus).await;
    let mut subscriber = bus.subscribe(subscription("d", &["*.*"])).await.unwrap();
    let mut sent = BTreeSet::new();
    let mut received = BTreeSet::new();
    for round in 0..3 {
        for number in 0..50 {
            let id = format!("{round}-{number}");
            stored(&bus, &event(&id)).await;
            sent.insert(id);
        }
        received.extend(take(&mut subscriber, 10).await);
        server.kill();
        unavailable(&bus, "").await;
        assert!(matches!(
            bus.publish(&event("x")).await,
            Err(PublishError::Unavailable { .. })
        ));
        server.restart();
        connected(&bus).await;
    }
    while received.len() < sent.len() {
        received.extend(take(&mut subscriber, 1).await);
    }
    assert_eq!(received, sent);
    bus.close().await;
}

#[tokio::test]
async fn a_server_that_lost_everything_gets_its_stream_and_consumer_again() {
    let mut server = NatsServer::start();
    let bus = jetstream(&server.url());
    connected(&bus).await;
    let mut subscriber = bus.subscribe(subscription("d", &["*.*"])).await.unwrap();
    bus.publish(&event("a")).await.unwrap();
    assert_eq!(take(&mut subscriber, 1).await, ["a"]);
    server.kill();
    unavailable(&bus, "").await;
    server.restart_empty();
    connected(&bus).await;
    bus.publish(&event("b")).await.unwrap();
    assert_eq!(take(&mut subscriber, 1).await, ["b"]);
    bus.close().await;
}

#[tokio::test]
async fn a_consumer_that_somebody_deletes_is_made_anew_where_it_was() {
    let server = NatsServer::start();
    let bus = jetstream(&server.url());
    connected(&bus).await;
    let mut subscriber = bus.subscribe(subscription("d", &["*.*"])).await.unwrap();
    for id in ["a", "b", "c"] {
        bus.publish(&event(id)).await.unwrap();
    }
    assert_eq!(take(&mut subscriber, 1).await, ["a"]);
    let held = next(&mut subscriber).await;
    assert_eq!(held.seq, 2);
    // The third one is in the client's hands already.
    assert_eq!(take(&mut subscriber, 1).await, ["c"]);
    bus.forget("d").await.unwrap();
    bus.publish(&event("d")).await.unwrap();
    let ids = take(&mut subscriber, 3).await;
    assert_eq!(ids, ["b", "c", "d"]);
    bus.close().await;
}

#[tokio::test]
async fn the_turn_of_a_killed_process_passes_on() {
    let server = NatsServer::start();
    let url = server.url();
    let (has, had) = tokio::sync::oneshot::channel();
    let (kill, killed) = tokio::sync::oneshot::channel::<()>();
    let first = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let bus = jetstream(&url);
            connected(&bus).await;
            let turn = Turn::stand(bus.clone(), "k", "one", &Tasks::new());
            turn.begins().await;
            has.send(()).unwrap();
            killed.await.unwrap();
            std::mem::forget((bus, turn));
        });
        runtime.shutdown_background();
    });
    had.await.unwrap();
    let bus = jetstream(&server.url());
    connected(&bus).await;
    let next = Turn::stand(bus.clone(), "k", "two", &Tasks::new());
    assert!(!next.is_mine());
    kill.send(()).unwrap();
    first.await.unwrap();
    tokio::time::timeout(LONG, next.begins()).await.unwrap();
    assert!(next.is_mine());
    bus.close().await;
}

async fn reason_with(server: &NatsServer, secret: &str) -> Bus {
    let config = JetStreamConfig {
        url: server.url(),
        access_secret: key("bus/auth"),
        ..JetStreamConfig::default()
    };
    Bus::jetstream(config, secrets(&[("bus/auth", secret)]), &Tasks::new()).unwrap()
}

#[tokio::test]
async fn credentials_open_the_server_and_wrong_ones_are_named() {
    let server = NatsServer::with(&["-js", "--user", "joe", "--pass", "00123"]);
    let bus = reason_with(&server, "username: joe\npassword: 00123\n").await;
    connected(&bus).await;
    bus.close().await;
    let bus = reason_with(&server, "username: joe\npassword: wrong\n").await;
    unavailable(&bus, "refuses the credentials").await;
    bus.close().await;
    let bus = jetstream(&server.url());
    unavailable(&bus, "refuses the credentials").await;
    bus.close().await;
    let config = JetStreamConfig {
        url: server.url(),
        access_secret: key("bus/auth"),
        ..JetStreamConfig::default()
    };
    let bus = Bus::jetstream(config, secrets(&[]), &Tasks::new()).unwrap();
    unavailable(&bus, "has no key \"auth\"").await;
    bus.close().await;
    let server = NatsServer::with(&["-js", "--auth", "s3cr3t"]);
    for secret in ["token: s3cr3t", "s3cr3t\n"] {
        let bus = reason_with(&server, secret).await;
        connected(&bus).await;
        bus.close().await;
    }
}

#[tokio::test]
async fn a_server_without_jetstream_is_named_as_such() {
    let server = NatsServer::with(&[]);
    let bus = jetstream(&server.url());
    unavailable(&bus, "has no JetStream").await;
    bus.close().await;
}

#[tokio::test]
async fn urls_that_can_never_work_are_refused() {
    for url in ["", " , ", "nats://[::1"] {
        let config = JetStreamConfig {
            url: url.to_owned(),
            ..JetStreamConfig::default()
        };
        let opened = Bus::jetstream(config, secrets(&[]), &Tasks::new());
        assert!(matches!(opened, Err(OpenError::Fatal { .. })), "{url}");
    }
}

#[tokio::test]
async fn a_full_stream_refuses_and_says_which_limit() {
    let server = NatsServer::start();
    let config = JetStreamConfig {
        url: server.url(),
        stream: StreamSettings {
            max_msgs: Some(2),
            replicas: Some(3),
            ..StreamSettings::default()
        },
        durability: Some(Durability::Disk),
        ..JetStreamConfig::default()
    };
    let bus = Bus::jetstream(config, secrets(&[]), &Tasks::new()).unwrap();
    connected(&bus).await;
    assert_eq!(bus.durability(), Durability::Disk);
    // What nobody waits for would make room.
    let _idle = bus.subscribe(subscription("d", &["*.*"])).await.unwrap();
    bus.publish(&event("a")).await.unwrap();
    bus.publish(&event("b")).await.unwrap();
    let full = bus.publish(&event("c")).await;
    assert!(
        matches!(&full, Err(PublishError::Full { reason }) if reason.contains("maximum messages")),
        "{full:?}"
    );
    assert_eq!(*bus.health().borrow(), Health::Connected);
    let mut large = event("d");
    large.data = Some(vec![0; 2 << 20].into());
    let refused = bus.publish(&large).await;
    assert!(
        matches!(&refused, Err(PublishError::Refused { reason }) if reason.contains("max_payload")),
        "{refused:?}"
    );
    bus.close().await;
}

#[tokio::test]
async fn tls_verifies_by_a_ca_and_only_then() {
    let dir = tempfile::tempdir().unwrap();
    let issued =
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])
            .unwrap();
    let cert = issued.cert.pem();
    std::fs::write(dir.path().join("cert.pem"), &cert).unwrap();
    std::fs::write(
        dir.path().join("key.pem"),
        issued.signing_key.serialize_pem(),
    )
    .unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let server = NatsServer::with(&[
        "-js",
        "--tls",
        "--tlscert",
        &path("cert.pem"),
        "--tlskey",
        &path("key.pem"),
    ]);
    let open = |tls: Option<TlsSpec>| {
        let config = JetStreamConfig {
            url: server.url(),
            tls,
            ..JetStreamConfig::default()
        };
        Bus::jetstream(config, secrets(&[("bus/ca", cert.as_str())]), &Tasks::new()).unwrap()
    };
    let with_ca = TlsSpec {
        ca_cert_secret: key("bus/ca"),
        ..TlsSpec::default()
    };
    let unverified = TlsSpec {
        insecure_skip_verify: true,
        ..TlsSpec::default()
    };
    for tls in [with_ca, unverified] {
        let bus = open(Some(tls));
        connected(&bus).await;
        bus.publish(&event("a")).await.unwrap();
        bus.close().await;
    }
    let system = TlsSpec {
        enabled: true,
        ..TlsSpec::default()
    };
    let missing = TlsSpec {
        ca_cert_secret: key("bus/other"),
        ..TlsSpec::default()
    };
    for (tls, text) in [
        (Some(system), ""),
        (None, ""),
        (Some(missing), "has no key \"other\""),
    ] {
        let bus = open(tls);
        unavailable(&bus, text).await;
        assert!(bus.publish(&event("b")).await.is_err());
        bus.close().await;
    }
}

#[tokio::test]
async fn a_journal_is_read_by_its_labels_while_it_grows_and_keeps_to_its_size() {
    use tiphys_eventbus::{JournalEntry, JournalFilter, JournalLimits};
    let server = NatsServer::start();
    let bus = jetstream(&server.url());
    connected(&bus).await;
    let limits = JournalLimits {
        bytes: 64 << 10,
        age: Duration::from_secs(3600),
    };
    let journal = bus.journal("notes", limits).unwrap();
    let entry = |labels: [Option<&str>; 3], body: String| JournalEntry {
        labels: labels.map(|label| label.map(str::to_owned)),
        body: body.into(),
    };
    let of = |labels: [Option<&str>; 3]| {
        journal.read(JournalFilter {
            labels: labels.map(|label| label.map(str::to_owned)),
        })
    };
    let mut early = of([None, None, None]);
    assert!(early.next().await.unwrap().is_empty());
    let dotted = "a.b > *";
    let entries = [
        entry([Some("ns"), Some(dotted), Some("1")], "one".to_owned()),
        entry([Some("ns"), Some("other"), Some("2")], "two".to_owned()),
        entry([Some("ns"), Some(dotted), None], "several".to_owned()),
        entry([None, None, None], "all".to_owned()),
    ];
    journal.append(entries.to_vec()).await.unwrap();
    for (labels, expected) in [
        ([None, None, None], &["one", "two", "several", "all"][..]),
        ([Some("ns"), Some(dotted), None], &["one", "several", "all"]),
        ([None, None, Some("2")], &["two", "several", "all"]),
        ([Some("elsewhere"), None, None], &["all"]),
    ] {
        let mut reader = of(labels);
        assert_eq!(reader.next().await.unwrap(), expected, "{labels:?}");
        assert!(reader.next().await.unwrap().is_empty());
    }
    assert_eq!(early.next().await.unwrap().len(), 4);

    // The oldest go; a reader that was there goes on with what is new.
    for _ in 0..8 {
        let many = vec![entry([Some("ns"), None, None], "x".repeat(1 << 10)); 16];
        journal.append(many).await.unwrap();
    }
    let mut kept = 0;
    let mut reader = of([None, None, None]);
    loop {
        let some = reader.next().await.unwrap();
        if some.is_empty() {
            break;
        }
        kept += some.len();
    }
    assert!((16..64).contains(&kept), "{kept}");
    assert!(!early.next().await.unwrap().is_empty());
    bus.close().await;
}

#[tokio::test]
async fn one_of_those_who_serve_a_name_answers_a_question_to_it() {
    use tiphys_eventbus::AskError;
    let server = NatsServer::start();
    let (bus, other) = (jetstream(&server.url()), jetstream(&server.url()));
    connected(&bus).await;
    connected(&other).await;
    let name = ["ns", "a.b"];
    let nobody = bus.ask(&name, "hello".into()).await;
    assert!(matches!(nobody, Err(AskError::Nobody)), "{nobody:?}");
    let tasks = Tasks::new();
    for _ in 0..2 {
        let mut questions = other.serve(&name).await.unwrap();
        tasks.spawn_job("answers", async move {
            while let Some(question) = questions.next().await {
                question.working().await;
                let answer = [b"you said ".as_slice(), &question.body].concat();
                question.answer(answer.into()).await;
            }
        });
    }
    for _ in 0..10 {
        let answer = bus.ask(&name, "hello".into()).await.unwrap();
        assert_eq!(answer, "you said hello");
    }
    other.close().await;
    bus.close().await;
}
