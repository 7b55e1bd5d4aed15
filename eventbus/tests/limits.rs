//! What happens at a stream's limits: ours refuses before it eats a backlog, and what another one eats is counted.
#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::stream::{Config, DiscardPolicy, Info, StorageType};
use common::{NatsServer, connected, named, secrets, stored, subscription, take};
use tiphys_core::Tasks;
use tiphys_eventbus::{
    Bus, Discard, JetStreamConfig, Publish as _, PublishError, StreamSettings, Subscription,
};

async fn context(server: &NatsServer) -> jetstream::Context {
    jetstream::new(async_nats::connect(server.url()).await.unwrap())
}

async fn stream(server: &NatsServer) -> Info {
    let context = context(server).await;
    let stream = context.get_stream("default").await.unwrap();
    stream.cached_info().clone()
}

/// As somebody makes it who wants the newest events.
async fn eater(server: &NatsServer, most: i64) {
    let config = Config {
        name: "default".to_owned(),
        subjects: vec!["default.*.*".to_owned()],
        max_messages: most,
        discard: DiscardPolicy::Old,
        storage: StorageType::File,
        ..Config::default()
    };
    context(server).await.create_stream(config).await.unwrap();
}

async fn open(server: &NatsServer, most: i64, discard: Option<Discard>) -> Bus {
    let config = JetStreamConfig {
        url: server.url(),
        stream: StreamSettings {
            max_msgs: Some(most),
            discard,
            ..StreamSettings::default()
        },
        ..JetStreamConfig::default()
    };
    let bus = Bus::jetstream(config, secrets(&[]), &Tasks::new()).unwrap();
    connected(&bus).await;
    bus
}

async fn publish(bus: &Bus, name: &str, ids: std::ops::Range<usize>) {
    for id in ids {
        let event = named(&format!("{name}-{id}"), "source", name);
        stored(bus, &event).await;
    }
}

#[tokio::test]
async fn a_full_stream_of_ours_gives_room_for_what_everyone_has_and_keeps_what_somebody_lacks() {
    let server = NatsServer::start();
    let bus = open(&server, 20, None).await;
    // What waits in the client's hands does not come again meanwhile.
    let patient = |durable| Subscription {
        ack_wait: Duration::from_secs(600),
        ..subscription(durable, &["*.*"])
    };
    let mut quick = bus.subscribe(patient("quick")).await.unwrap();
    let mut slow = bus.subscribe(patient("slow")).await.unwrap();
    // Three times what it holds goes through, because consumers follow.
    for id in 0..60 {
        stored(&bus, &named(&id.to_string(), "source", "event")).await;
        take(&mut quick, 1).await;
        take(&mut slow, 1).await;
    }
    // One stops: the others go on until the stream holds nothing else, and then senders hear of it.
    for id in 60..80 {
        stored(&bus, &named(&id.to_string(), "source", "event")).await;
        take(&mut quick, 1).await;
    }
    assert_eq!(stream(&server).await.state.messages, 20);
    let full = bus.publish(&named("80", "source", "event")).await;
    assert!(
        matches!(&full, Err(PublishError::Full { reason }) if reason.contains("maximum messages")),
        "{full:?}"
    );
    assert_eq!(bus.count_discarded().await.unwrap(), 0);
    // Nothing of the backlog is gone.
    let ids = take(&mut slow, 20).await;
    let wanted: Vec<String> = (60..80).map(|id| id.to_string()).collect();
    assert_eq!(ids, wanted);
    bus.close().await;
}

#[tokio::test]
async fn what_a_stream_removes_before_a_consumer_has_it_is_counted_once() {
    let server = NatsServer::start();
    eater(&server, 10).await;
    let bus = open(&server, 10, Some(Discard::Old)).await;
    let mut idle = bus.subscribe(subscription("idle", &["*.*"])).await.unwrap();
    let mut rare = bus
        .subscribe(subscription("rare", &["source.rare"]))
        .await
        .unwrap();
    let mut follows = bus
        .subscribe(subscription("follows", &["*.*"]))
        .await
        .unwrap();
    publish(&bus, "rare", 0..1).await;
    publish(&bus, "often", 0..9).await;
    assert_eq!(take(&mut rare, 1).await, ["rare-0"]);
    take(&mut follows, 10).await;
    assert_eq!(bus.count_discarded().await.unwrap(), 0);

    // The rare one has all that there was, however far the front goes.
    for round in 0..3 {
        publish(&bus, "often", 10 + round * 5..15 + round * 5).await;
        take(&mut follows, 5).await;
    }
    let mut health = bus.health();
    health.mark_unchanged();
    assert_eq!(bus.count_discarded().await.unwrap(), 15);
    assert!(health.has_changed().unwrap());
    assert_eq!(bus.count_discarded().await.unwrap(), 15);
    assert_eq!(bus.discarded(), 15);
    // Whoever comes later knows it too.
    let later = open(&server, 10, Some(Discard::Old)).await;
    assert_eq!(later.count_discarded().await.unwrap(), 15);
    later.close().await;
    // What is left is delivered, and the stream is as it was made.
    assert_eq!(take(&mut idle, 10).await.len(), 10);
    let there = stream(&server).await.config;
    assert_eq!(there.discard, DiscardPolicy::Old);
    assert!(there.metadata.keys().all(|key| !key.starts_with("tiphys")));
    bus.close().await;
}

#[tokio::test]
async fn of_several_subjects_only_the_wanted_ones_are_counted() {
    let server = NatsServer::start();
    eater(&server, 20).await;
    let bus = open(&server, 20, Some(Discard::Old)).await;
    let _idle = bus
        .subscribe(subscription("idle", &["source.a"]))
        .await
        .unwrap();
    for round in 0..5 {
        publish(&bus, "a", round * 2..round * 2 + 2).await;
        publish(&bus, "b", round * 2..round * 2 + 2).await;
    }
    assert_eq!(bus.count_discarded().await.unwrap(), 0);
    // Ten more of each: the twenty from before go, ten of them wanted.
    for round in 5..10 {
        publish(&bus, "a", round * 2..round * 2 + 2).await;
        publish(&bus, "b", round * 2..round * 2 + 2).await;
    }
    assert_eq!(bus.count_discarded().await.unwrap(), 10);
    bus.close().await;
}
