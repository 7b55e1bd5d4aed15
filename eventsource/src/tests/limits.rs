//! Hostile senders: too long, too slow, too deep, too many.

use super::*;

#[tokio::test]
async fn a_body_may_be_as_long_as_the_limit_and_no_longer() {
    let world = World::new(Limits::default());
    let addr = world.example(", maxPayloadSize: 10").await;
    for (body, status) in [("\"12345678\"", 200), ("\"123456789\"", 413)] {
        let reply = world
            .post(addr, "/example")
            .body(body)
            .send()
            .await
            .unwrap();
        assert_eq!(reply.status(), status);
        if status == 413 {
            assert_eq!(reply.headers()["connection"], "close");
            let text = reply.text().await.unwrap();
            assert!(
                text.contains("longer than 10 bytes: raise maxPayloadSize"),
                "{text}"
            );
        }
    }
}

#[tokio::test]
async fn a_hundred_megabytes_are_refused_without_being_read() {
    let world = World::new(Limits::default());
    let addr = world.example("").await;
    let head = "POST /example HTTP/1.1\r\nHost: x\r\nContent-Length: 104857600\r\n\r\n{";
    let answer = raw(addr, head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    // Without a length the limit cuts in while it arrives.
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let head = "POST /example HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 16, "x".repeat(1 << 16));
    let mut sent = 0;
    while sent < 100 << 20 && stream.write_all(chunk.as_bytes()).await.is_ok() {
        sent += 1 << 16;
    }
    assert!(sent < 50 << 20, "{sent} bytes were taken");
    assert!(world.stored().is_empty());
}

#[tokio::test]
async fn senders_of_twice_the_limit_still_read_why() {
    let world = World::new(Limits::default());
    let addr = world.example("").await;
    for _ in 0..20 {
        let body = vec![b'x'; 2 << 20];
        let reply = world
            .post(addr, "/example")
            .body(body)
            .send()
            .await
            .unwrap();
        assert_eq!(reply.status(), 413);
    }
}

#[tokio::test]
async fn deep_and_broken_text_is_refused() {
    let world = World::new(Limits::default());
    let addr = world.example("").await;
    let deep = "[".repeat(10_000) + &"]".repeat(10_000);
    for (body, words) in [
        (deep.into_bytes(), "nested too deeply"),
        (b"{\"a\":\"\xff\"}".to_vec(), "not UTF-8"),
        (b"Invalid JSON".to_vec(), "line 1, column 1"),
        (Vec::new(), "empty"),
    ] {
        let reply = world
            .post(addr, "/example")
            .body(body)
            .send()
            .await
            .unwrap();
        assert_eq!(reply.status(), 400);
        let text = reply.text().await.unwrap();
        assert!(text.contains(words), "{text}");
    }
    let text = world.metrics.text().unwrap();
    let failed = r#"argo_events_events_processing_failed_total{event_name="ev",eventsource_name="es",namespace="ns"} 4"#;
    assert!(text.contains(failed), "{text}");
}

#[tokio::test]
async fn slow_senders_are_cut_off() {
    let world = World::new(Limits {
        header_read: SHORT,
        ..Limits::default()
    });
    let addr = world.example("").await;
    assert_eq!(raw(addr, b"POST /example HTTP/1.1\r\nHost:").await, "");
    assert_eq!(raw(addr, b"").await, "");
    // A connection that is done with its request is kept for a while, not for ever.
    let world = World::new(Limits {
        idle: SHORT,
        body_read: SHORT,
        ..Limits::default()
    });
    let addr = world.example("").await;
    let answer = raw(addr, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let slow = b"POST /example HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{";
    let answer = raw(addr, slow).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(
        answer.contains(r#"{"error":"the body did not arrive in time"}"#),
        "{answer}"
    );
}

#[tokio::test]
async fn huge_headers_are_refused() {
    let world = World::new(Limits::default());
    let addr = world.example("").await;
    let many: String = (0..2000).map(|n| format!("X-{n}: y\r\n")).collect();
    let long = format!("X: {}\r\n", "y".repeat(300_000));
    for headers in [many, long] {
        let request = format!("POST /example HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
        let answer = raw(addr, request.as_bytes()).await;
        // The rest of what was sent may reset the connection before the answer is read.
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 431 "),
            "{answer}"
        );
    }
    assert!(world.stored().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_posts_at_once_are_five_hundred_events() {
    let dir = tempfile::tempdir().unwrap();
    let config = tiphys_eventbus::EmbeddedConfig::new(dir.path());
    let bus = tiphys_eventbus::Bus::embedded(config).unwrap();
    let world = World::new(Limits::default());
    let object = SourceObject {
        namespace: "ns".to_owned(),
        name: "es".to_owned(),
        spec: spec("{webhook: {ev: {port: \"1\", endpoint: /example}}}"),
    };
    let publisher = Arc::new(bus.clone());
    let applied = world
        .runtime
        .apply(&object, publisher, world.secrets.clone(), &world.metrics);
    let addr = addr(&applied.await.unwrap(), "ev");
    let posts = (0..500).map(|n| {
        let request = world.post(addr, "/example").body(format!("{{\"n\":{n}}}"));
        async move {
            let reply = request.send().await.unwrap();
            assert_eq!(reply.status(), 200);
            reply.headers()["x-event-id"].to_str().unwrap().to_owned()
        }
    });
    let mut told = futures::future::join_all(posts).await;
    let mut subscriber = bus
        .subscribe(tiphys_eventbus::Subscription {
            durable: "all".to_owned(),
            subjects: vec![tiphys_eventbus::SubjectPattern {
                source: "es".to_owned(),
                event: "ev".to_owned(),
            }],
            start: tiphys_eventbus::Start::Oldest,
            ack_wait: Duration::from_secs(30),
            max_in_flight: 1000,
        })
        .await
        .unwrap();
    let mut stored = Vec::new();
    for _ in 0..500 {
        let message = subscriber.next().await.unwrap();
        stored.push(message.event.as_ref().unwrap().id.clone());
    }
    told.sort_unstable();
    stored.sort_unstable();
    assert_eq!(told, stored);
    bus.close().await;
}
