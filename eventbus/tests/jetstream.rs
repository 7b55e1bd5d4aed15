//! JetStream when the server misbehaves: absent, killed, emptied, closed to us.
#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use common::{
    NatsServer, connected, event, jetstream, key, next, secrets, subscription, take, unavailable,
};
use tiphys_core::Tasks;
use tiphys_core::spec::TlsSpec;
use tiphys_eventbus::{
    Bus, Durability, Health, JetStreamConfig, OpenError, Publish as _, PublishError, StreamSettings,
};

#[tokio::test]
async fn a_server_may_come_later_and_publishing_says_so_at_once() {
    let mut server = NatsServer::start();
    server.kill();
    let bus = jetstream(&server.url());
    let begun = Instant::now();
    let refused = bus.publish(&event("a")).await;
    assert!(
        matches!(refused, Err(PublishError::Unavailable { .. })),
        "{refused:?}"
    );
    assert!(begun.elapsed() < Duration::from_secs(2));
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
            bus.publish(&event(&id)).await.unwrap();
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
