//! A short look at a bus: it sees and removes what others have there, and leaves nothing of its own.
#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use bytes::Bytes;
use common::{NatsServer, connected, jetstream, secrets, subscription, unavailable};
use tiphys_core::Tasks;
use tiphys_eventbus::{Bus, BusConfig, EmbeddedConfig, JetStreamConfig};

fn visit(config: BusConfig) -> Bus {
    Bus::visit(config, secrets(&[]), &Tasks::new()).unwrap()
}

fn at(server: &NatsServer) -> BusConfig {
    BusConfig::JetStream(JetStreamConfig {
        url: server.url(),
        ..JetStreamConfig::default()
    })
}

#[tokio::test]
async fn a_visitor_makes_neither_a_stream_nor_a_store() {
    let mut server = NatsServer::start();
    let visitor = visit(at(&server));
    connected(&visitor).await;
    assert!(visitor.durables("").await.unwrap().is_empty());
    assert!(visitor.known_state("b").await.unwrap().is_none());
    visitor.forget("d").await.unwrap();
    // Only a stream that is there can say so.
    assert!(visitor.last_seq().await.is_err());
    server.kill();
    unavailable(&visitor, "").await;
    assert!(visitor.durables("").await.is_err());
    assert!(visitor.known_state("b").await.is_err());
    visitor.close().await;
}

#[tokio::test]
async fn a_visitor_sees_and_removes_what_others_have() {
    let server = NatsServer::start();
    let folder = tempfile::tempdir().unwrap();
    let embedded = EmbeddedConfig::new(folder.path());
    let host = Bus::embedded(embedded.clone()).unwrap();
    sees(&host, &host).await;
    host.close().await;
    drop(host);
    let visitor = visit(BusConfig::Embedded(embedded));
    assert!(visitor.durables("").await.unwrap().is_empty());
    visitor.close().await;
    let (host, visitor) = (jetstream(&server.url()), visit(at(&server)));
    connected(&host).await;
    connected(&visitor).await;
    sees(&host, &visitor).await;
    visitor.close().await;
    host.close().await;
}

async fn sees(host: &Bus, visitor: &Bus) {
    drop(host.subscribe(subscription("d", &["*.*"])).await.unwrap());
    let store = host.state("b").await.unwrap();
    let value = Bytes::from_static(b"v");
    store.put("k", value.clone(), None).await.unwrap();
    assert_eq!(visitor.durables("").await.unwrap(), ["d"]);
    let seen = visitor.known_state("b").await.unwrap().unwrap();
    assert_eq!(seen.get("k").await.unwrap().unwrap().value, value);
    seen.delete("k").await.unwrap();
    visitor.forget("d").await.unwrap();
    assert!(host.durables("").await.unwrap().is_empty());
    assert!(store.keys("").await.unwrap().is_empty());
}
