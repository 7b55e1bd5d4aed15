//! Files that change while requests flow: the new definition is in effect, nobody is dropped, and a broken edit
//! changes nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use kube::Api;
use kube::api::{DynamicObject, ListParams};
use tiphys_tests::argo_crds::argo;
use tiphys_tests::ports::free_port;
use tiphys_tests::tls::http_client;
use tiphys_tests::{HttpSink, eventually};
use tokio::task::JoinHandle;

use crate::scene::{forward, plain_source, send, send_patiently, send_until_taken, source};
use crate::support::{LIMIT, LocalRun, NAMESPACE};

/// Senders that never stop, and accept nothing but 200.
struct Flow {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicUsize>,
    senders: Vec<JoinHandle<BTreeSet<String>>>,
}

impl Flow {
    fn start(url: &str) -> Self {
        let (stop, sent) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicUsize::new(0)),
        );
        let senders = (0..3)
            .map(|sender| {
                let (url, stop, sent) = (url.to_owned(), stop.clone(), sent.clone());
                tokio::spawn(async move {
                    let mut http = http_client(None);
                    let mut ids = BTreeSet::new();
                    while !stop.load(Ordering::Relaxed) {
                        if sender == 0 {
                            // One that connects anew for each request.
                            http = http_client(None);
                        }
                        let id = format!("{sender}-{}", ids.len());
                        let answer = send_patiently(&http, &url, &id, "flow").await;
                        let (status, taken) = answer.expect("a request was dropped");
                        assert_eq!((status, &taken), (200, &id));
                        ids.insert(id);
                        sent.fetch_add(1, Ordering::Relaxed);
                    }
                    ids
                })
            })
            .collect();
        Self {
            stop,
            sent,
            senders,
        }
    }

    /// Waits until so many more requests have been answered.
    async fn goes_on(&self, more: usize) {
        let wanted = self.sent.load(Ordering::Relaxed) + more;
        eventually("more requests to be answered", LIMIT, async || {
            (self.sent.load(Ordering::Relaxed) >= wanted).then_some(())
        })
        .await;
    }

    /// Stops, and gives the ids of all that was taken.
    async fn stop(self) -> BTreeSet<String> {
        self.stop.store(true, Ordering::Relaxed);
        let mut ids = BTreeSet::new();
        for sender in self.senders {
            ids.extend(sender.await.unwrap());
        }
        ids
    }
}

async fn status_of(url: &str) -> Option<u16> {
    send(&http_client(None), url, "probe")
        .await
        .map(|(status, _)| status)
}

async fn wait_for_status(url: &str, wanted: Option<u16>) {
    eventually(&format!("{wanted:?} from {url}"), LIMIT, async || {
        (status_of(url).await == wanted).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_come_and_go_beside_one_that_drops_nothing() {
    let sink = HttpSink::start();
    let mut run = LocalRun::forwarding(&sink.url());
    run.start().await;
    let flow = Flow::start(&run.at("/in"));
    for round in 0..6 {
        let events = format!(
            "in: {{endpoint: /in, port: \"12000\"}}\n\
             other: {{endpoint: /other{round}, port: \"12000\"}}"
        );
        // As an editor does: a new file that takes the old one's name, and once in a while in place.
        if round % 2 == 0 {
            run.write("source.tmp", &source("in", &events));
            let folder = run.files.path();
            std::fs::rename(folder.join("source.tmp"), folder.join("source.yaml")).unwrap();
        } else {
            run.write("source.yaml", &source("in", &events));
        }
        wait_for_status(&run.at(&format!("/other{round}")), Some(200)).await;
        if round > 0 {
            wait_for_status(&run.at(&format!("/other{}", round - 1)), Some(404)).await;
        }
        flow.goes_on(20).await;
    }
    let taken = flow.stop().await;
    let books = run.accounted("out", taken.len() as u64).await;
    assert_eq!(books.dead, 0, "{books:?}");
    let received: BTreeSet<String> = sink
        .received()
        .iter()
        .map(|request| request.json()["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(received, taken);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_sensor_misses_no_event_and_takes_effect() {
    let sink = HttpSink::start();
    let mut run = LocalRun::forwarding(&sink.url());
    run.start().await;
    let flow = Flow::start(&run.at("/in"));
    for round in 0..4 {
        flow.goes_on(20).await;
        let wanted = format!("round {round} of flow");
        let template = format!("round {round} of {{{{ .Input.body.message }}}}");
        run.write("sensor.yaml", &forward("out", &sink.url(), &template));
        eventually(&wanted, LIMIT, async || {
            let received = sink.received();
            received
                .iter()
                .any(|request| request.json()["message"] == wanted.as_str())
                .then_some(())
        })
        .await;
    }
    let taken = flow.stop().await;
    let books = run.accounted("out", taken.len() as u64).await;
    assert_eq!(
        (books.dead, books.accepted),
        (0, taken.len() as u64),
        "{books:?}"
    );
    let ids: Vec<String> = sink
        .received()
        .iter()
        .map(|request| request.json()["id"].as_str().unwrap().to_owned())
        .collect();
    let received: BTreeSet<String> = ids.iter().cloned().collect();
    assert_eq!(received, taken);
    assert_eq!(ids.len(), taken.len(), "an event was sent twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_added_and_removed_while_requests_flow() {
    let (sink, second) = (HttpSink::start(), HttpSink::start());
    let mut run = LocalRun::forwarding(&sink.url());
    run.start().await;
    let flow = Flow::start(&run.at("/in"));
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}/added");
    assert_eq!(status_of(&url).await, None);
    for _ in 0..2 {
        let added = format!("added: {{endpoint: /added, port: \"{port}\"}}");
        run.write("added.yaml", &source("added", &added));
        run.write("second.yaml", &forward("second", &second.url(), "second"));
        wait_for_status(&url, Some(200)).await;
        let before = second.received().len();
        second.wait_for(before + 1, LIMIT).await;
        for file in ["added.yaml", "second.yaml"] {
            std::fs::remove_file(run.files.path().join(file)).unwrap();
        }
        wait_for_status(&url, None).await;
        for kind in ["EventSource", "Sensor"] {
            let api = Api::<DynamicObject>::namespaced_with(run.client(), NAMESPACE, &argo(kind));
            eventually("the objects to be gone", LIMIT, async || {
                let left = api.list(&ListParams::default()).await.ok()?;
                (left.items.len() == 1).then_some(())
            })
            .await;
        }
        flow.goes_on(20).await;
    }
    let taken = flow.stop().await;
    let books = run.accounted("out", taken.len() as u64).await;
    assert_eq!(
        (books.accepted, books.dead),
        (taken.len() as u64, 0),
        "{books:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_edit_keeps_what_runs_until_it_is_mended() {
    let sink = HttpSink::start();
    let mut run = LocalRun::forwarding(&sink.url());
    run.start().await;
    let flow = Flow::start(&run.at("/in"));
    let broken = [
        (
            "source.yaml",
            "kind: EventSource\nspec: {webhook: [\n".to_owned(),
            "source.yaml:",
        ),
        (
            "source.yaml",
            source("in", "in: {endpoint: in, port: \"none\"}"),
            "spec.webhook.in.port",
        ),
        // Before the flow goes on it is as it was, so that the wait for a file that stays empty is not over.
        ("source.yaml", String::new(), ""),
        (
            "sensor.yaml",
            forward("out", &sink.url(), "{{ .Input.body"),
            "spec.triggers[0].template.http.payload[1].src.dataTemplate",
        ),
    ];
    for (file, text, reason) in broken {
        let path = run.files.path().join(file);
        let good = std::fs::read_to_string(&path).unwrap();
        run.write(file, &text);
        if reason.is_empty() {
            // An editor that has cut the file and not written it yet, while other files are read.
            let beside = forward("out", &sink.url(), "beside");
            run.write("sensor.yaml", &beside);
            arrives(&sink, "beside").await;
        } else {
            let process = run.process.as_mut().unwrap();
            process.wait_for_line(reason, LIMIT).await;
        }
        flow.goes_on(20).await;
        run.write(file, &good);
        flow.goes_on(5).await;
    }
    // A change after all that still takes effect.
    run.write("sensor.yaml", &forward("out", &sink.url(), "mended"));
    arrives(&sink, "mended").await;
    let taken = flow.stop().await;
    let books = run.accounted("out", taken.len() as u64).await;
    assert_eq!(
        (books.accepted, books.dead),
        (taken.len() as u64, 0),
        "{books:?}"
    );
}

/// Waits until a sink has been sent a message.
async fn arrives(sink: &HttpSink, message: &str) {
    eventually(&format!("{message:?} to arrive"), LIMIT, async || {
        let received = sink.received();
        let last = received.last()?;
        (last.json()["message"] == message).then_some(())
    })
    .await;
}

#[tokio::test]
async fn without_reloading_files_are_read_once() {
    let mut run = LocalRun::empty();
    run.write("source.yaml", &plain_source());
    run.start_unready(run.command().args(["--no-reload"])).await;
    run.ready().await;
    run.write(
        "source.yaml",
        &source("in", "in: {endpoint: /new, port: \"12000\"}"),
    );
    send_until_taken(&run, "still the old one").await;
    // The change is taken up with the next start.
    run.kill();
    run.start().await;
    wait_for_status(&run.at("/new"), Some(200)).await;
    assert_eq!(status_of(&run.at("/in")).await, Some(404));
}
