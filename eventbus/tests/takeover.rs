//! A consumer that goes on for those of another program: nothing is missed, and nothing that they had comes again.
#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy, pull};
use async_nats::jetstream::{self, Context};
use common::{NatsServer, connected, jetstream as open, named, subscription, take};
use futures::StreamExt as _;
use tiphys_eventbus::{Bus, Predecessor, Publish as _, SubjectPattern};

async fn others(context: &Context, name: &str, event: &str) -> Consumer<pull::Config> {
    let config = pull::Config {
        durable_name: Some(name.to_owned()),
        filter_subject: format!("default.source.{event}"),
        deliver_policy: DeliverPolicy::New,
        ack_policy: AckPolicy::Explicit,
        ..pull::Config::default()
    };
    let stream = context.get_stream("default").await.unwrap();
    stream.create_consumer(config).await.unwrap()
}

async fn had(consumer: &Consumer<pull::Config>, count: usize) {
    let messages = consumer.fetch().max_messages(count).messages().await;
    let mut messages = messages.unwrap();
    for _ in 0..count {
        let message = messages.next().await.unwrap().unwrap();
        message.double_ack().await.unwrap();
    }
}

async fn publish(bus: &Bus, ids: &[&str]) {
    for id in ids {
        let event = id.trim_end_matches(|c: char| c.is_ascii_digit());
        bus.publish(&named(id, "source", event)).await.unwrap();
    }
}

fn predecessor(durable: &str, event: &str) -> Predecessor {
    Predecessor {
        durable: durable.to_owned(),
        subject: SubjectPattern {
            source: "source".to_owned(),
            event: event.to_owned(),
        },
    }
}

#[tokio::test]
async fn a_new_consumer_goes_on_where_each_of_the_others_ended() {
    let server = NatsServer::start();
    let bus = open(&server.url());
    connected(&bus).await;
    let context = jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let (a, b) = (
        others(&context, "group-1", "a").await,
        others(&context, "group-2", "b").await,
    );
    publish(&bus, &["b1", "a1", "a2", "c1", "a3", "b2", "a4"]).await;
    had(&a, 2).await;
    had(&b, 1).await;
    let wanted = subscription("ours", &["source.a", "source.b", "source.c"]);
    let before = vec![
        predecessor("group-1", "a"),
        predecessor("group-2", "b"),
        predecessor("group-3", "c"),
    ];
    let mut ours = bus
        .subscribe_after(wanted.clone(), before.clone())
        .await
        .unwrap();
    publish(&bus, &["c2"]).await;
    // Of c nobody took anything, so it begins now; the rest goes on.
    assert_eq!(take(&mut ours, 2).await, ["a3", "b2"]);
    drop(ours);
    // Another replica knows it too, and it is where the first one was.
    let mut again = bus.subscribe_after(wanted, before).await.unwrap();
    let mut rest = take(&mut again, 2).await;
    rest.sort();
    assert_eq!(rest, ["a4", "c2"]);
    publish(&bus, &["b3"]).await;
    assert_eq!(take(&mut again, 1).await, ["b3"]);
    // The others stay as they are.
    assert_eq!(a.get_info().await.unwrap().num_pending, 2);
    bus.close().await;
}

#[tokio::test]
async fn without_predecessors_it_begins_now() {
    let server = NatsServer::start();
    let bus = open(&server.url());
    connected(&bus).await;
    publish(&bus, &["a1"]).await;
    let before = vec![predecessor("group-1", "a")];
    let wanted = subscription("ours", &["source.a"]);
    let mut ours = bus.subscribe_after(wanted, before).await.unwrap();
    publish(&bus, &["a2"]).await;
    assert_eq!(take(&mut ours, 1).await, ["a2"]);
    bus.close().await;
}
