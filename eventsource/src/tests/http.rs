//! Single requests: what is stored, and what the sender is told.

use ::http::StatusCode;
use tiphys_eventbus::PublishError;
use tokio::time::Instant;

use super::*;

#[tokio::test]
async fn success_names_the_event_that_the_bus_has_stored() {
    let world = World::new(Limits::default());
    let addr = world.example(", method: POST, metadata: {a: b}").await;
    let reply = world
        .post(addr, "/example")
        .body("{\"message\": \"hello\"}")
        .send()
        .await
        .unwrap();
    assert_eq!(reply.status(), StatusCode::OK);
    let id = reply.headers()["x-event-id"].to_str().unwrap().to_owned();
    assert_eq!(reply.text().await.unwrap(), "success");
    let event = world.stored().remove(0);
    assert_eq!((event.id, event.dedup), (id, None));
    assert_eq!(
        (&*event.source, &*event.kind, &*event.subject),
        ("es", "webhook", "ev")
    );
    let data = String::from_utf8(event.data.unwrap().to_vec()).unwrap();
    let expected = r#"{"header":{"Accept":["*/*"],"Content-Length":["20"]},"body":{"message":"hello"},"metadata":{"a":"b"}}"#;
    assert_eq!(data, expected);
    let text = world.metrics.text().unwrap();
    let counted =
        r#"argo_events_events_sent_total{event_name="ev",eventsource_name="es",namespace="ns"} 1"#;
    assert!(text.contains(counted), "{text}");
    let running =
        r#"argo_events_event_service_running_total{eventsource_name="es",namespace="ns"} 1"#;
    assert!(text.contains(running), "{text}");
}

#[tokio::test]
async fn what_nobody_serves_is_said() {
    let world = World::new(Limits::default());
    let addr = world.apply("es", "{a: {port: \"1\", endpoint: /a}, b: {port: \"1\", endpoint: /a, method: PUT}, t: {port: \"1\", endpoint: \"/t/{id:[0-9]+}\"}}").await;
    let addr = super::addr(&addr, "a");
    for (method, path, status, body) in [
        ("POST", "/a", 200, "success"),
        ("PUT", "/a", 200, "success"),
        ("POST", "/t/12", 200, "success"),
        ("POST", "/%61", 200, "success"),
        (
            "POST",
            "/t/x",
            404,
            r#"{"error":"no event source serves this path"}"#,
        ),
        (
            "POST",
            "/a/",
            404,
            r#"{"error":"no event source serves this path"}"#,
        ),
        (
            "POST",
            "//a",
            404,
            r#"{"error":"no event source serves this path"}"#,
        ),
        (
            "GET",
            "/a",
            405,
            r#"{"error":"this path takes POST, PUT only"}"#,
        ),
        (
            "DELETE",
            "/t/1",
            405,
            r#"{"error":"this path takes POST only"}"#,
        ),
        ("GET", "/health", 200, "OK"),
        ("POST", "/health", 200, "OK"),
    ] {
        let request = world
            .client
            .request(method.parse().unwrap(), format!("http://{addr}{path}"));
        let reply = request.body("{}").send().await.unwrap();
        assert_eq!(reply.status(), status, "{method} {path}");
        if status == 405 {
            assert!(body.contains(reply.headers()["allow"].to_str().unwrap()));
        }
        assert_eq!(reply.text().await.unwrap(), body, "{method} {path}");
    }
    assert_eq!(world.stored().len(), 4);
}

#[tokio::test]
async fn a_request_without_the_token_is_refused_and_the_token_never_stored() {
    let world = World::new(Limits::default());
    let addr = world.example(", authSecret: {name: s, key: token}").await;
    let send = async |token: Option<&str>| {
        let mut request = world.post(addr, "/example").body("{}");
        if let Some(token) = token {
            request = request.header("authorization", token);
        }
        let reply = request.send().await.unwrap();
        (reply.status().as_u16(), reply.text().await.unwrap())
    };
    assert_eq!(send(None).await.0, 401);
    let unknown = send(Some("Bearer t0ken")).await;
    assert_eq!(
        unknown,
        (
            503,
            r#"{"error":"the token to compare with cannot be read now"}"#.to_owned()
        )
    );
    let world = World::new(Limits::default());
    world.secrets.set("s/token", "t0ken\n");
    let addr = world.example(", authSecret: {name: s, key: token}").await;
    for (token, status) in [
        (None, 401),
        (Some("Basic t0ken"), 401),
        (Some("Bearer t0ke"), 401),
        (Some("Bearer "), 401),
        (Some("Bearer t0ken"), 200),
        (Some("bearer t0ken"), 200),
    ] {
        let mut request = world.post(addr, "/example").body("{}");
        if let Some(token) = token {
            request = request.header("authorization", token);
        }
        let reply = request.send().await.unwrap();
        assert_eq!(reply.status(), status, "{token:?}");
        assert_eq!(
            reply.headers().contains_key("www-authenticate"),
            status == 401
        );
    }
    let data = world.stored().remove(0).data.unwrap();
    let data = String::from_utf8(data.to_vec()).unwrap();
    assert!(data.contains("*** Masked Auth Secret ***") && !data.contains("t0ken"));
}

#[tokio::test]
async fn without_the_bus_there_is_no_success() {
    let world = World::new(Limits {
        publish: SHORT,
        ..Limits::default()
    });
    let addr = world.example("").await;
    type Case = (fn() -> PublishError, u16, &'static str);
    let cases: [Case; 3] = [
        (
            || PublishError::Unavailable {
                reason: "secret-host:4222".into(),
            },
            503,
            "cannot be reached",
        ),
        (|| PublishError::Full { reason: "x".into() }, 503, "is full"),
        (
            || PublishError::Refused {
                reason: "too big".into(),
            },
            500,
            "too big",
        ),
    ];
    for (fails, status, words) in cases {
        *world.bus.fails.lock().unwrap() = Some(fails);
        let reply = world
            .post(addr, "/example")
            .body("{}")
            .send()
            .await
            .unwrap();
        assert_eq!(reply.status(), status);
        let retry = reply
            .headers()
            .get("retry-after")
            .map(|value| value.to_str().unwrap());
        assert_eq!(retry, (status == 503).then_some("1"));
        let text = reply.text().await.unwrap();
        assert!(
            text.contains(words) && !text.contains("secret-host"),
            "{text}"
        );
    }
    // A bus that never answers is away too, within a bounded time.
    world.bus.gate.forget_permits(Semaphore::MAX_PERMITS);
    let begun = Instant::now();
    let reply = world
        .post(addr, "/example")
        .body("{}")
        .send()
        .await
        .unwrap();
    assert_eq!(reply.status(), 503);
    assert!(begun.elapsed() >= Duration::from_millis(250));
    assert!(world.stored().is_empty());
    let text = world.metrics.text().unwrap();
    let failed = r#"argo_events_events_sent_failed_total{event_name="ev",eventsource_name="es",namespace="ns"} 4"#;
    assert!(text.contains(failed), "{text}");
}

#[tokio::test]
async fn the_filter_drops_events_and_its_senders_get_success() {
    let world = World::new(Limits::default());
    let addr = world.example(", filter: {expression: body.n > 1}").await;
    for (body, stored) in [
        ("{\"n\":2}", true),
        ("{\"n\":1}", false),
        ("{\"n\":\"x\"}", false),
    ] {
        let reply = world
            .post(addr, "/example")
            .body(body)
            .send()
            .await
            .unwrap();
        assert_eq!(reply.status(), 200);
        assert_eq!(reply.headers().contains_key("x-event-id"), stored, "{body}");
    }
    assert_eq!(world.stored().len(), 1);
    let text = world.metrics.text().unwrap();
    let dropped =
        r#"tiphys_events_dropped_total{event_name="ev",eventsource_name="es",namespace="ns"} 2"#;
    assert!(text.contains(dropped), "{text}");
}

#[tokio::test]
async fn cloudevents_keep_id_type_and_time() {
    let world = World::new(Limits::default());
    let addr = world.example("").await;
    let reply = world
        .post(addr, "/example")
        .header("ce-specversion", "1.0")
        .header("ce-id", "é-1")
        .header("ce-source", "/shop")
        .header("ce-type", "order.made")
        .header("ce-time", "2026-01-31T10:00:00Z")
        .header("ce-subject", "order/1")
        .header("ce-trace", "t")
        .body("{}");
    // A header value outside ASCII is not text.
    assert_eq!(reply.send().await.unwrap().status(), 400);
    let event = |id: &str| {
        format!(
            r#"{{"specversion":"1.0","id":"{id}","source":"/shop","type":"order.made","time":"2026-01-31T10:00:00Z","subject":"order/1","trace":"t","data":{{"n":1}}}}"#
        )
    };
    let send = |media: &str, body: String| {
        world
            .post(addr, "/example")
            .header("content-type", media)
            .body(body)
            .send()
    };
    let reply = send("application/cloudevents+json", event("é%1"))
        .await
        .unwrap();
    assert_eq!(reply.headers()["x-event-id"], "%C3%A9%251");
    let batch = format!("[{},{}]", event("2"), event("3"));
    let reply = send("application/cloudevents-batch+json", batch)
        .await
        .unwrap();
    assert_eq!(reply.status(), 200);
    let events = world.stored();
    let mut ids: Vec<_> = events.iter().map(|event| event.id.as_str()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["2", "3", "é%1"]);
    let first = &events[0];
    assert_eq!(
        (&*first.source, &*first.subject, &*first.kind),
        ("es", "ev", "order.made")
    );
    assert_eq!(first.dedup_key(), "es/ev//shop/é%1");
    assert_eq!(first.time, "2026-01-31T10:00:00Z".parse().ok());
    let extensions: Vec<_> = first
        .extensions
        .iter()
        .map(|(key, value)| (&**key, &**value))
        .collect();
    assert_eq!(
        extensions,
        [
            ("cesource", "/shop"),
            ("cesubject", "order/1"),
            ("trace", "t")
        ]
    );
}
