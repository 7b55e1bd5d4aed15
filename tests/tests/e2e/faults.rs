//! What a machine does to a program: ports, servers, disks and folders that are away, taken, full or not its own.
//! Senders hear of it in time, nothing that was accepted is lost, and work goes on when the cause is gone.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tiphys_tests::ports::{free_port, loopback};
use tiphys_tests::tls::http_client;
use tiphys_tests::{HttpSink, Nats, NatsOptions, Tiphys, TiphysCommand, eventually};

use crate::scene::{error, forward, plain_source, send, send_until_taken, source};
use crate::support::{LIMIT, LocalRun, exotic_bus};

/// No sender waits longer for a 503, with much room for a machine that stands still at times: what this excludes is
/// a request that hangs for as long as the bus is away.
const PROMPT: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_port_in_use_is_told_and_served_once_it_is_free() {
    let mut run = LocalRun::empty();
    run.write("source.yaml", &plain_source());
    let other = free_port();
    let elsewhere = format!("elsewhere: {{endpoint: /x, port: \"{other}\"}}");
    run.write("other.yaml", &source("other", &elsewhere));
    let taken = TcpListener::bind(loopback(run.webhook)).unwrap();
    run.start_unready(run.command()).await;
    let state = run.condition("EventSource", "in", "NotListening").await;
    let message = state["message"].as_str().unwrap();
    assert!(
        message.contains(&run.webhook.to_string()) && message.contains("--publish"),
        "{message}"
    );
    let readiness = http_client(None)
        .get(run.admin("/readyz"))
        .send()
        .await
        .unwrap();
    assert_eq!(readiness.status(), 503);
    let readiness = readiness.text().await.unwrap();
    assert!(
        readiness.contains("EventSource argo-events/in"),
        "{readiness}"
    );
    // The object beside it is not concerned.
    let url = format!("http://127.0.0.1:{other}/x");
    assert_eq!(
        send(&http_client(None), &url, "beside").await.unwrap().0,
        200
    );

    drop(taken);
    send_until_taken(&run, "hello").await;
    run.ready().await;
    run.condition("EventSource", "in", "Running").await;
}

#[tokio::test]
async fn a_privileged_port_is_served_or_says_how_to_serve_it() {
    let mut run = LocalRun::empty();
    run.write(
        "source.yaml",
        &source("in", "in: {endpoint: /in, port: \"81\"}"),
    );
    run.start_unready(run.command()).await;
    // Who may open the port depends on the user and on the machine.
    let readiness = eventually("listening or not", LIMIT, async || {
        let answer = http_client(None)
            .get(run.admin("/readyz"))
            .send()
            .await
            .ok()?;
        let text = answer.text().await.ok()?;
        (!text.contains("being read")).then_some(text)
    })
    .await;
    if readiness == "ok" {
        let url = "http://127.0.0.1:81/in";
        assert_eq!(send(&http_client(None), url, "low").await.unwrap().0, 200);
    } else {
        assert!(
            readiness.contains("81") && readiness.contains("--publish"),
            "{readiness}"
        );
    }
    drop(run.process.take());
    let published = format!("{}:81", run.webhook);
    run.start_unready(run.command().args(["--publish", &published]))
        .await;
    run.ready().await;
    run.takes("high").await;
}

#[tokio::test]
async fn a_run_starts_without_its_bus_and_loses_nothing_when_it_comes() {
    let mut nats = Nats::start(NatsOptions::default()).await;
    nats.kill();
    let sink = HttpSink::start();
    let mut run = LocalRun::forwarding(&sink.url());
    run.write("eventbus.yaml", &exotic_bus(&nats.url()));
    run.start_unready(run.command()).await;
    run.condition("EventBus", "default", "Unavailable").await;
    run.condition("EventSource", "in", "Running").await;
    let http = http_client(None);
    for _ in 0..5 {
        let began = Instant::now();
        let answer = http.post(run.at("/in")).body("{}").send().await.unwrap();
        assert!(began.elapsed() < PROMPT, "{:?}", began.elapsed());
        assert_eq!(answer.status(), 503);
        assert_eq!(answer.headers()["retry-after"], "1");
        let said = error(answer).await;
        assert!(said.contains("the event bus cannot be reached"), "{said}");
    }
    let readiness = http.get(run.admin("/readyz")).send().await.unwrap();
    assert_eq!(readiness.status(), 503);
    assert!(
        readiness
            .text()
            .await
            .unwrap()
            .contains("EventBus argo-events/default")
    );

    nats.restart().await;
    // The very first one that is taken has its sensor, although that waited too.
    let first = send_until_taken(&run, "first").await;
    let received = sink.wait_for(1, LIMIT).await;
    assert_eq!(received[0].json()["id"], first.as_str());
    run.ready().await;
    run.accounted("out", 1).await;
    // One line for each change, however many attempts there were.
    let said = run.said();
    let lines = said.matches("the event bus").count();
    assert!(lines <= 8, "{lines} lines\n{said}");
    assert_eq!(
        said.matches("the event bus is connected").count(),
        1,
        "{said}"
    );
    assert_eq!(said.matches("client error").count(), 0, "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bus_that_is_killed_under_load_loses_no_accepted_event() {
    const ROUNDS: usize = 3;
    let mut nats = Nats::start(NatsOptions::default()).await;
    let sink = HttpSink::start();
    let mut run = LocalRun::forwarding(&sink.url());
    run.write("eventbus.yaml", &exotic_bus(&nats.url()));
    run.start().await;
    let taken = Arc::new(Mutex::new(BTreeSet::new()));
    let slowest = Arc::new(Mutex::new(Duration::ZERO));
    let done = Arc::new(AtomicBool::new(false));
    let senders: Vec<_> = (0..3)
        .map(|_| {
            let (url, taken) = (run.at("/in"), taken.clone());
            let (slowest, done) = (slowest.clone(), done.clone());
            tokio::spawn(async move {
                let http = http_client(None);
                while !done.load(Ordering::Relaxed) {
                    let began = Instant::now();
                    let (status, id) = send(&http, &url, "load").await.unwrap();
                    let mut slowest = slowest.lock().unwrap();
                    *slowest = began.elapsed().max(*slowest);
                    match status {
                        200 => drop(taken.lock().unwrap().insert(id)),
                        status => assert_eq!(status, 503),
                    }
                }
            })
        })
        .collect();
    for round in 1..=ROUNDS {
        eventually("events to be taken", LIMIT, async || {
            (taken.lock().unwrap().len() >= round * 50).then_some(())
        })
        .await;
        nats.kill();
        nats.restart().await;
        let before = taken.lock().unwrap().len();
        eventually("the bus to be found again", LIMIT, async || {
            (taken.lock().unwrap().len() > before).then_some(())
        })
        .await;
    }
    done.store(true, Ordering::Relaxed);
    for sender in senders {
        sender.await.unwrap();
    }
    let taken = taken.lock().unwrap().clone();
    // What a server that was killed had handed out comes again after half a minute.
    eventually("each accepted event at the sink", LIMIT * 4, async || {
        let received = sink.received();
        let ids: BTreeSet<String> = received
            .iter()
            .map(|request| request.json()["id"].as_str().unwrap().to_owned())
            .collect();
        taken.is_subset(&ids).then_some(())
    })
    .await;
    let books = run.accounted("out", taken.len() as u64).await;
    assert_eq!(books.dead, 0);
    let slowest = *slowest.lock().unwrap();
    assert!(slowest < PROMPT, "a sender waited {slowest:?}");
    let said = run.said();
    let lost = said.matches("trying again and again").count();
    assert!((1..=2 * ROUNDS).contains(&lost), "{lost} lines\n{said}");
}

/// How large a file of a run may be.
fn room(run: &LocalRun, bytes: Option<u64>) {
    let pid = Pid::from_raw(i32::try_from(run.process.as_ref().unwrap().id()).unwrap());
    let limit = Rlimit {
        current: bytes,
        maximum: None,
    };
    prlimit(pid, Resource::Fsize, limit).unwrap();
}

#[tokio::test]
async fn events_go_on_while_the_address_of_the_api_cannot_be_written_down() {
    let mut run = LocalRun::empty();
    run.write("source.yaml", &plain_source());
    // No file can be where a folder is.
    let file = run.data.path().join("api.json");
    std::fs::create_dir(&file).unwrap();
    run.start().await;
    run.takes("hello").await;
    let process = run.process.as_mut().unwrap();
    process
        .wait_for_line("cannot write down where the API is", LIMIT)
        .await;
    std::fs::remove_dir(&file).unwrap();
    eventually("a command that finds the API", LIMIT, async || {
        let listed = run.tiphys(&["list", "-A"]).await;
        (listed.code == Some(0)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_full_disk_is_told_and_goes_on_when_there_is_room() {
    let sink = HttpSink::start();
    let mut run = LocalRun::forwarding(&sink.url());
    // A file may not grow, which a process hears of as an error only if it ignores the signal.
    let command = Tiphys::in_shell("trap '' XFSZ; exec \"$@\"", run.arguments());
    run.start_unready(command).await;
    run.ready().await;
    let before = send_until_taken(&run, &"x".repeat(100_000)).await;
    room(&run, Some(1024));
    let http = http_client(None);
    let full = eventually("the disk to be full", LIMIT, async || {
        let answer = http.post(run.at("/in")).body("{}").send().await.unwrap();
        (answer.status() != 200).then_some(answer)
    })
    .await;
    assert_eq!(full.status(), 503);
    assert!(full.headers().contains_key("retry-after"));
    let said = error(full).await;
    assert!(said.contains("the event is not stored"), "{said}");
    for _ in 0..20 {
        assert_eq!(run.send("full").await.unwrap().0, 503);
    }
    assert!(
        run.said().matches("cannot store events").count() <= 2,
        "{}",
        run.said()
    );
    room(&run, None);
    let after = send_until_taken(&run, "after").await;
    eventually("both events at the sink", LIMIT, async || {
        let received = sink.received();
        let ids: Vec<String> = received
            .iter()
            .map(|request| request.json()["id"].as_str().unwrap().to_owned())
            .collect();
        (ids.contains(&before) && ids.contains(&after)).then_some(())
    })
    .await;
    run.accounted("out", 2).await;
}

/// Runs over a data folder that cannot be used, and gives what is said of it.
async fn refused(run: &LocalRun, data: &Path) -> String {
    let output = Tiphys::command(["run".as_ref(), run.files.path().as_os_str()])
        .args(["--data-dir".as_ref(), data.as_os_str()])
        .args(["--admin", "off"])
        .output(LIMIT)
        .await;
    assert_eq!(output.code, Some(1), "{output:?}");
    assert_eq!(output.stdout, "");
    let last = output.stderr.lines().last().unwrap().to_owned();
    assert!(last.starts_with("error: "), "{last}");
    assert!(last.contains(data.to_str().unwrap()), "{last}");
    last
}

#[tokio::test]
async fn a_data_folder_that_cannot_be_used_ends_the_start_with_the_reason() {
    let mut run = LocalRun::empty();
    run.write("source.yaml", &plain_source());
    let file = run.files.path().join("file.txt");
    std::fs::write(&file, "").unwrap();
    let said = refused(&run, &file).await;
    assert!(said.contains("--data-dir"), "{said}");
    let said = refused(&run, &file.join("below")).await;
    assert!(said.contains("--data-dir"), "{said}");
    // Nobody can make a folder there, the administrator included.
    let said = refused(&run, Path::new("/proc/tiphys")).await;
    assert!(said.contains("--data-dir"), "{said}");

    run.start().await;
    let said = refused(&run, run.data.path()).await;
    assert!(said.contains("another"), "{said}");
    run.takes("still here").await;
    // The address of the one that runs is still there for other commands.
    let listed = run.tiphys(&["list", "-A"]).await;
    assert_eq!(listed.code, Some(0), "{listed:?}");
}

#[tokio::test]
async fn a_read_only_data_folder_ends_the_start_with_the_reason() {
    let run = LocalRun::empty();
    run.write("source.yaml", &plain_source());
    let folder = run.data.path();
    let mode = |mode: u32| {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(0o555);
    if std::fs::write(folder.join("probe"), "").is_ok() {
        // The administrator writes everywhere: only a file system that is read-only keeps him out.
        mode(0o755);
        let command: TiphysCommand = Tiphys::in_shell(
            "mount -t tmpfs -o ro none \"$DATA\" && exec \"$@\"",
            run.arguments(),
        );
        let output = command
            .env("DATA", folder)
            .under(&["unshare", "-m"])
            .output(LIMIT)
            .await;
        assert!(
            output.stderr.contains("Read-only file system"),
            "{output:?}"
        );
        assert!(output.stderr.contains("choose another"), "{output:?}");
        assert_eq!(output.code, Some(1), "{output:?}");
        return;
    }
    let said = refused(&run, folder).await;
    mode(0o755);
    assert!(said.contains("choose another"), "{said}");
}

#[tokio::test]
async fn a_target_that_is_away_keeps_its_events_until_it_is_back() {
    let port = free_port();
    let mut run = LocalRun::forwarding(&format!("http://127.0.0.1:{port}"));
    run.start().await;
    let ids: Vec<String> = {
        let mut ids = Vec::new();
        for number in 0..3 {
            ids.push(run.send(&number.to_string()).await.unwrap().1);
        }
        ids
    };
    let held = eventually("the events to be held", LIMIT, async || {
        let books = run.books("out").await;
        (books.accepted == 3).then_some(books)
    })
    .await;
    assert_eq!((held.pending, held.dead), (3, 0), "{held:?}");
    // The Sensor is sent elsewhere, and what it holds goes there.
    let sink = HttpSink::start();
    run.write(
        "sensor.yaml",
        &forward("out", &sink.url(), "{{ .Input.body.message }}"),
    );
    let received = sink.wait_for(3, LIMIT).await;
    let there: BTreeSet<String> = received
        .iter()
        .map(|request| request.json()["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(there, ids.into_iter().collect());
    run.accounted("out", 3).await;
}
