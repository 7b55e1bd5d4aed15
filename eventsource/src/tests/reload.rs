//! Objects that come, change and go while requests arrive.

use std::net::TcpListener;

use super::*;

const A: &str = "{ev: {port: \"1\", endpoint: /example}}";

#[tokio::test]
async fn objects_share_a_port_and_the_earlier_one_wins() {
    let world = World::new(Limits::default());
    let first = world
        .apply("first", "{a: {port: \"1\", endpoint: /a}}")
        .await;
    let second = world.apply("second", "{a: {port: \"1\", endpoint: /a}, b: {port: \"1\", endpoint: /b}, c: {port: \"2\", endpoint: /a}}").await;
    let at = addr(&first, "a");
    assert_eq!(addr(&second, "b"), at);
    assert_ne!(addr(&second, "c"), at);
    let expected = "POST /a on port 1 is already used by event \"a\" of EventSource ns/first: choose another endpoint, method or port";
    assert_eq!(failure(&second, "a"), expected);
    // An update of the first keeps its place.
    assert!(
        world
            .apply("first", "{a: {port: \"1\", endpoint: /a}}")
            .await
            .is_ready()
    );
    for (path, source) in [("/a", "first"), ("/b", "second")] {
        assert_eq!(
            world
                .post(at, path)
                .body("{}")
                .send()
                .await
                .unwrap()
                .status(),
            200
        );
        assert_eq!(world.stored().last().unwrap().source, source);
    }
    world.runtime.remove("ns", "first").await;
    let states = world.runtime.states();
    let taken_over = states.borrow()[&("ns".to_owned(), "second".to_owned())]["a"].clone();
    assert!(matches!(taken_over, EventState::Listening { addr } if addr == at));
    assert_eq!(
        world
            .post(at, "/a")
            .body("{}")
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    assert_eq!(world.stored().last().unwrap().source, "second");
}

#[tokio::test]
async fn an_object_that_cannot_run_leaves_the_one_before_it_running() {
    let world = World::new(Limits::default());
    let at = addr(&world.apply("es", A).await, "ev");
    let object = SourceObject {
        namespace: "ns".to_owned(),
        name: "es".to_owned(),
        spec: EventSourceSpec::default(),
    };
    let refused = world.runtime.apply(
        &object,
        world.bus.clone(),
        world.secrets.clone(),
        &world.metrics,
    );
    let error = refused.await.unwrap_err().to_string();
    assert!(
        error.starts_with("the EventSource cannot run:\nspec: must have a source"),
        "{error}"
    );
    assert_eq!(
        world
            .post(at, "/example")
            .body("{}")
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
}

#[tokio::test]
async fn kinds_without_a_running_half_say_so_and_harm_no_other() {
    let world = World::new(Limits::default());
    let object = SourceObject {
        namespace: "ns".to_owned(),
        name: "es".to_owned(),
        spec: spec(
            "{webhook: {ev: {port: \"1\", endpoint: /a}}, stripe: {st: {webhook: {port: \"1\", endpoint: /s}}}}",
        ),
    };
    let applied = world.runtime.apply(
        &object,
        world.bus.clone(),
        world.secrets.clone(),
        &world.metrics,
    );
    let applied = applied.await.unwrap();
    assert_eq!(
        failure(&applied, "st"),
        "EventSource kind `stripe` is not supported yet"
    );
    let at = addr(&applied, "ev");
    let running = world.metrics.running("ns", "es");
    assert_eq!(running.get(), 1);
    assert_eq!(
        world
            .post(at, "/a")
            .body("{}")
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
}

#[tokio::test]
async fn a_port_in_use_is_named_and_taken_once_it_is_free() {
    let occupied = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = occupied.local_addr().unwrap().port();
    let tasks = Tasks::new();
    let ports = PortMap::default()
        .bind(IpAddr::V4(Ipv4Addr::LOCALHOST))
        .publish(port, 80);
    let world = World {
        runtime: SourceRuntime::new(&tasks, ports),
        tasks,
        ..World::new(Limits::default())
    };
    let applied = world
        .apply("es", "{ev: {port: \"80\", endpoint: /a}}")
        .await;
    let expected = format!(
        "port {port} is in use by another process: stop it, or listen elsewhere with --publish HOST:80"
    );
    assert_eq!(failure(&applied, "ev"), expected);
    drop(occupied);
    let mut states = world.runtime.states();
    let name = ("ns".to_owned(), "es".to_owned());
    let open = |states: &crate::States| matches!(states[&name]["ev"], EventState::Listening { .. });
    states.wait_for(open).await.unwrap();
    let at = SocketAddr::from(([127, 0, 0, 1], port));
    assert_eq!(
        world
            .post(at, "/a")
            .body("{}")
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    world.tasks.stop(Duration::from_secs(5)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloading_under_load_drops_no_request() {
    let world = World::new(Limits::default());
    let at = addr(&world.apply("es", A).await, "ev");
    let (done, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
    let senders = (0..8).map(|_| async {
        while !done.load(Ordering::Relaxed) {
            let reply = world.post(at, "/example").body("{}").send().await.unwrap();
            assert_eq!(reply.status(), 200);
            sent.fetch_add(1, Ordering::Relaxed);
        }
    });
    let reloads = async {
        for round in 0..50 {
            let metadata = format!(
                "{{ev: {{port: \"1\", endpoint: /example, metadata: {{r: \"{round}\"}}}}}}"
            );
            assert_eq!(addr(&world.apply("es", &metadata).await, "ev"), at);
            world
                .apply(
                    "other",
                    "{x: {port: \"1\", endpoint: /other}, y: {port: \"2\", endpoint: /y}}",
                )
                .await;
            world.runtime.remove("ns", "other").await;
            let before = sent.load(Ordering::Relaxed);
            while sent.load(Ordering::Relaxed) < before + 4 {
                tokio::task::yield_now().await;
            }
        }
        done.store(true, Ordering::Relaxed);
    };
    tokio::join!(futures::future::join_all(senders), reloads);
    assert_eq!(world.stored().len(), sent.load(Ordering::Relaxed));
}

#[tokio::test]
async fn draining_finishes_what_is_in_hand() {
    let world = World::new(Limits::default());
    let at = addr(&world.apply("es", A).await, "ev");
    world.bus.gate.forget_permits(Semaphore::MAX_PERMITS);
    let in_hand = world.post(at, "/example").body("{}").send();
    let drained = async {
        // The listener is closed while the request waits for the bus.
        while TcpStream::connect(at).await.is_ok() {
            tokio::task::yield_now().await;
        }
        world.bus.gate.add_permits(1);
    };
    let reached = async {
        while world.bus.asked.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        world.runtime.drain().await;
    };
    let (reply, (), ()) = tokio::join!(in_hand, reached, drained);
    let reply = reply.unwrap();
    assert_eq!(reply.status(), 200);
    assert_eq!(world.stored().len(), 1);
    let object = SourceObject {
        namespace: "ns".to_owned(),
        name: "late".to_owned(),
        spec: spec(&format!("{{webhook: {A}}}")),
    };
    let late = world.runtime.apply(
        &object,
        world.bus.clone(),
        world.secrets.clone(),
        &world.metrics,
    );
    assert!(matches!(late.await, Err(crate::ApplyError::Stopping)));
}

#[tokio::test]
async fn a_thousand_objects_share_one_port() {
    let world = World::new(Limits::default());
    let mut at = None;
    for n in 0..1000 {
        let webhook = format!("{{ev: {{port: \"1\", endpoint: /e{n}}}}}");
        at = Some(addr(&world.apply(&format!("es-{n}"), &webhook).await, "ev"));
    }
    let at = at.unwrap();
    for n in [0, 500, 999] {
        let reply = world
            .post(at, &format!("/e{n}"))
            .body("{}")
            .send()
            .await
            .unwrap();
        assert_eq!(reply.status(), 200);
        assert_eq!(world.stored().last().unwrap().source, format!("es-{n}"));
    }
}

#[test]
fn a_privileged_port_names_the_way_out() {
    let denied = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
    let error = crate::ListenError::new(denied, 80, 80);
    let expected = "port 80 needs privileges that this process does not have: listen elsewhere with --publish 8080:80";
    assert_eq!(error.to_string(), expected);
}
