//! Messages in the order of their places on JetStream, where a process is killed or the server is.
#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use std::time::Duration;

use common::{NatsServer, connected, event, jetstream, next, stored, subscription, unavailable};
use tiphys_eventbus::{Bus, Subscription};

fn ordered(ack_wait: Duration) -> Subscription {
    Subscription {
        ack_wait,
        ..subscription("d", &["*.*"])
    }
}

/// When what somebody had in hand comes again.
const SOON: Duration = Duration::from_secs(2);

async fn publish(bus: &Bus, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        stored(bus, &event(&number.to_string())).await;
    }
}

/// A process that takes five messages, acknowledges the first, second and fourth, and is gone without a word.
async fn killed(url: String) {
    let process = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let bus = jetstream(&url);
            connected(&bus).await;
            // However slow the machine is, nothing comes to this process a second time.
            let wanted = ordered(Duration::from_secs(600));
            let mut subscriber = bus.subscribe(wanted).await.unwrap().in_order();
            publish(&bus, 1..=10).await;
            let mut taken = Vec::new();
            for _ in 0..5 {
                taken.push(next(&mut subscriber).await);
            }
            for message in taken.iter().take(2).chain(taken.get(3)) {
                message.ack_confirmed().await.unwrap();
            }
            // Nothing of it is dropped in order.
            std::mem::forget((bus, subscriber, taken));
        });
        runtime.shutdown_background();
    });
    process.await.unwrap();
}

#[tokio::test]
async fn what_a_killed_process_had_in_hand_comes_before_what_is_newer() {
    let server = NatsServer::start();
    killed(server.url()).await;
    let bus = jetstream(&server.url());
    connected(&bus).await;
    publish(&bus, 11..=15).await;
    let mut subscriber = bus.subscribe(ordered(SOON)).await.unwrap().in_order();
    let mut seen = Vec::new();
    for expected in [3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16] {
        if expected == 16 {
            publish(&bus, 16..=16).await;
        }
        seen.push(expected);
        // What took too long in this process' hands may come twice.
        loop {
            let message = next(&mut subscriber).await;
            drop(message.ack_confirmed().await);
            if message.seq == expected {
                break;
            }
            assert!(seen.contains(&message.seq), "{} in {seen:?}", message.seq);
        }
    }
    bus.close().await;
}

#[tokio::test]
async fn a_killed_server_brings_nothing_before_what_is_older() {
    let mut server = NatsServer::start();
    let bus = jetstream(&server.url());
    connected(&bus).await;
    let mut subscriber = bus.subscribe(ordered(SOON)).await.unwrap().in_order();
    let mut seen = 0;
    for round in 1..=3_u64 {
        publish(&bus, round * 20 - 19..=round * 20).await;
        // Some are settled, some are in hand, some were fetched ahead when the server goes.
        let mut in_hand = Vec::new();
        while seen < round * 20 - 10 {
            let message = next(&mut subscriber).await;
            see(message.seq, &mut seen);
            if message.seq % 3 == 0 {
                in_hand.push(message);
            } else {
                drop(message.ack_confirmed().await);
            }
        }
        server.kill();
        unavailable(&bus, "").await;
        server.restart();
        connected(&bus).await;
        publish(&bus, 100 + round..=100 + round).await;
        for message in in_hand {
            // Where the server does not hear of it, it comes again.
            drop(message.ack_confirmed().await);
        }
    }
    while seen < 63 {
        let message = next(&mut subscriber).await;
        see(message.seq, &mut seen);
        drop(message.ack_confirmed().await);
    }
    bus.close().await;
}

/// What comes for the first time is the next one; anything else has come before.
fn see(seq: u64, seen: &mut u64) {
    assert!(seq <= *seen + 1, "{seq} comes after {seen}");
    *seen = seq.max(*seen);
}
