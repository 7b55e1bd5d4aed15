//! Watches: what is seen, in which order, and how they end.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use kube::api::{
    Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, ResourceExt,
    WatchEvent, WatchParams,
};
use kube::runtime::watcher::{self, Event, ListSemantic, watcher};
use serde_json::json;
use tiphys_cluster::Cluster;
use tokio::net::{TcpListener, TcpSocket};
use tokio_util::sync::CancellationToken;

use crate::{all_kinds, argo, both_ways, cluster, loopback_client, version, workflow, workflows};

type Events = std::pin::Pin<
    Box<dyn futures::Stream<Item = Result<WatchEvent<DynamicObject>, kube::Error>> + Send>,
>;

async fn watch(api: &Api<DynamicObject>, params: WatchParams, from: &str) -> Events {
    api.watch(&params, from).await.unwrap().boxed()
}

/// The next event as `TYPE name`.
async fn next(events: &mut Events) -> String {
    match events.next().await {
        None => "END".into(),
        Some(Ok(WatchEvent::Added(object))) => format!("ADDED {}", object.name_any()),
        Some(Ok(WatchEvent::Modified(object))) => format!("MODIFIED {}", object.name_any()),
        Some(Ok(WatchEvent::Deleted(object))) => format!("DELETED {}", object.name_any()),
        Some(Ok(WatchEvent::Bookmark(_))) => "BOOKMARK".into(),
        Some(Ok(WatchEvent::Error(status))) => format!("ERROR {} {}", status.code, status.reason),
        Some(Err(error)) => format!("FAILED {error}"),
    }
}

#[tokio::test]
async fn a_watch_sees_every_change_after_its_version() {
    both_ways(|client| async move {
        let api = workflows(&client);
        let first = api
            .create(&PostParams::default(), &workflow("a"))
            .await
            .unwrap();
        let from = first.resource_version().unwrap();
        api.create(&PostParams::default(), &workflow("b"))
            .await
            .unwrap();
        let mut events = watch(&api, WatchParams::default(), &from).await;
        assert_eq!(next(&mut events).await, "ADDED b");
        let patch = Patch::Merge(json!({"spec": {"x": 1}}));
        api.patch("a", &PatchParams::default(), &patch)
            .await
            .unwrap();
        assert_eq!(next(&mut events).await, "MODIFIED a");
        api.delete("a", &DeleteParams::default()).await.unwrap();
        assert_eq!(next(&mut events).await, "DELETED a");
    })
    .await;
}

#[tokio::test]
async fn a_watch_from_nowhere_starts_with_what_is_there() {
    let client = cluster().client("default");
    let api = workflows(&client);
    api.create(&PostParams::default(), &workflow("a"))
        .await
        .unwrap();
    let mut events = watch(&api, WatchParams::default(), "0").await;
    assert_eq!(next(&mut events).await, "ADDED a");
    api.create(&PostParams::default(), &workflow("b"))
        .await
        .unwrap();
    assert_eq!(next(&mut events).await, "ADDED b");
}

#[tokio::test]
async fn objects_enter_and_leave_a_selection() {
    let client = cluster().client("default");
    let api = workflows(&client);
    let params = WatchParams::default().labels("on=yes");
    let mut events = watch(&api, params, "0").await;
    api.create(&PostParams::default(), &workflow("a"))
        .await
        .unwrap();
    for on in ["yes", "yes", "no", "yes"] {
        let patch = Patch::Merge(json!({"metadata": {"labels": {"on": on}}, "spec": {"n": on}}));
        api.patch("a", &PatchParams::default(), &patch)
            .await
            .unwrap();
        let touch = Patch::Merge(json!({"spec": {"touched": on}}));
        api.patch("a", &PatchParams::default(), &touch)
            .await
            .unwrap();
    }
    api.delete("a", &DeleteParams::default()).await.unwrap();
    let mut seen = Vec::new();
    for _ in 0..6 {
        seen.push(next(&mut events).await);
    }
    let expected = [
        "ADDED a",
        "MODIFIED a",
        "DELETED a",
        "ADDED a",
        "MODIFIED a",
        "DELETED a",
    ];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_watch_ends_in_time_with_a_bookmark() {
    let client = cluster().client("default");
    let api = workflows(&client);
    let mut events = watch(&api, WatchParams::default().timeout(1), "0").await;
    assert_eq!(next(&mut events).await, "BOOKMARK");
    assert_eq!(next(&mut events).await, "END");
}

#[tokio::test]
async fn a_version_that_is_no_longer_kept_has_expired() {
    let client = cluster().client("default");
    let api = workflows(&client);
    let first = api
        .create(&PostParams::default(), &workflow("a"))
        .await
        .unwrap();
    let old = first.resource_version().unwrap();
    // Large objects push the past out before the number of events does.
    let text = "x".repeat(1 << 20);
    for round in 0..12 {
        let patch = Patch::Merge(json!({"spec": {"round": round, "text": text}}));
        api.patch("a", &PatchParams::default(), &patch)
            .await
            .unwrap();
    }
    for version in [old.as_str(), "999999999"] {
        let mut events = watch(&api, WatchParams::default(), version).await;
        assert_eq!(next(&mut events).await, "ERROR 410 Expired", "{version}");
        assert_eq!(next(&mut events).await, "END");
    }
}

#[tokio::test]
async fn a_slow_watch_is_told_that_it_has_lost_track() {
    both_ways(|client| async move {
        let api = workflows(&client);
        api.create(&PostParams::default(), &workflow("a"))
            .await
            .unwrap();
        let mut events = watch(&api, WatchParams::default(), "0").await;
        assert_eq!(next(&mut events).await, "ADDED a");
        // Nobody reads meanwhile; sockets hold a little, the server keeps a bounded past.
        let text = "x".repeat(1 << 20);
        for round in 0..40 {
            let patch = Patch::Merge(json!({"spec": {"round": round, "text": text}}));
            api.patch("a", &PatchParams::default(), &patch)
                .await
                .unwrap();
        }
        let mut last = String::new();
        loop {
            match next(&mut events).await.as_str() {
                "END" => break,
                event => last = event.to_owned(),
            }
        }
        assert_eq!(last, "ERROR 410 Expired");
    })
    .await;
}

#[tokio::test]
async fn a_streamed_list_ends_with_its_bookmark() {
    let client = cluster().client("default");
    let api = workflows(&client);
    api.create(&PostParams::default(), &workflow("a"))
        .await
        .unwrap();
    let config = watcher::Config {
        initial_list_strategy: watcher::InitialListStrategy::StreamingList,
        ..watcher::Config::default()
    };
    let mut events = watcher(api.clone(), config).boxed();
    let mut seen = Vec::new();
    while let Some(event) = events.try_next().await.unwrap() {
        match event {
            Event::Init => seen.push("init".into()),
            Event::InitApply(object) => seen.push(object.name_any()),
            Event::InitDone => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seen, ["init", "a"]);
}

#[tokio::test]
async fn a_watcher_survives_the_server() {
    let dir = tempfile::tempdir().unwrap();
    // Bound and never listening: nobody else is given the port while the server is down.
    let held = TcpSocket::new_v4().unwrap();
    held.set_reuseaddr(true).unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = held.local_addr().unwrap();
    let listener = TcpListener::bind(address).await.unwrap();
    let client = loopback_client(&listener);
    let api = workflows(&client);
    let config = watcher::Config {
        list_semantic: ListSemantic::MostRecent,
        ..watcher::Config::default()
    };
    let mut events = watcher(api.clone(), config).boxed();
    let mut listener = Some(listener);
    for round in 0..2 {
        let listener = match listener.take() {
            Some(listener) => listener,
            None => TcpListener::bind(address).await.unwrap(),
        };
        let cluster = Cluster::open(dir.path(), &all_kinds()).unwrap();
        let stop = CancellationToken::new();
        let server = cluster.serve(listener, stop.clone());
        let name = format!("w{round}");
        let run = async {
            let created = async {
                api.create(&PostParams::default(), &workflow(&name))
                    .await
                    .unwrap();
            };
            // Errors are the connection that went with the server; the watcher goes on.
            let seen = async {
                while let Some(event) = events.next().await {
                    match event {
                        Ok(Event::Apply(object) | Event::InitApply(object))
                            if object.name_any() == name =>
                        {
                            break;
                        }
                        _ => {}
                    }
                }
            };
            futures::join!(created, seen);
            stop.cancel();
        };
        let (served, ()) = futures::join!(server, run);
        served.unwrap();
        cluster.close().await;
    }
}

#[tokio::test]
async fn a_stopping_server_ends_its_watches() {
    let cluster = cluster();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let api = workflows(&loopback_client(&listener));
    let stop = CancellationToken::new();
    let server = cluster.serve(listener, stop.clone());
    let run = async {
        let mut events = watch(&api, WatchParams::default(), "0").await;
        stop.cancel();
        assert_eq!(next(&mut events).await, "END");
    };
    let (served, ()) = futures::join!(server, run);
    served.unwrap();

    let api = workflows(&cluster.client("default"));
    let mut events = watch(&api, WatchParams::default(), "0").await;
    cluster.close().await;
    assert_eq!(next(&mut events).await, "END");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_reordered_under_concurrent_writes() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster::open(dir.path(), &all_kinds()).unwrap();
    let api = workflows(&cluster.client("default"));
    let writes = stream::iter(0..200).map(|index| {
        let api = api.clone();
        async move {
            let name = format!("w{index}");
            api.create(&PostParams::default(), &workflow(&name))
                .await
                .unwrap();
            for round in 0..3 {
                let patch = Patch::Merge(json!({"spec": {"round": round}}));
                api.patch(&name, &PatchParams::default(), &patch)
                    .await
                    .unwrap();
            }
            api.delete(&name, &DeleteParams::default()).await.unwrap();
        }
    });
    let writes = writes.buffer_unordered(50).collect::<Vec<()>>();
    let reader = |from: &'static str| {
        let api = api.clone();
        async move {
            let mut events = watch(&api, WatchParams::default(), from).await;
            let mut story: BTreeMap<String, Vec<&'static str>> = BTreeMap::new();
            let (mut last, mut deleted) = (0, 0);
            while deleted < 200 {
                let (kind, object) = match events.next().await.unwrap().unwrap() {
                    WatchEvent::Added(object) => ("A", object),
                    WatchEvent::Modified(object) => ("M", object),
                    WatchEvent::Deleted(object) => ("D", object),
                    other => panic!("{other:?}"),
                };
                assert!(version(&object) > last);
                last = version(&object);
                deleted += i32::from(kind == "D");
                story.entry(object.name_any()).or_default().push(kind);
            }
            assert_eq!(story.len(), 200);
            assert!(
                story
                    .values()
                    .all(|events| events == &["A", "M", "M", "M", "D"]),
                "{story:?}"
            );
        }
    };
    let limit = Duration::from_secs(300);
    let all = async { futures::join!(writes, reader("0"), reader("0"), reader("0")) };
    tokio::time::timeout(limit, all).await.unwrap();
    let left = api.list(&ListParams::default()).await.unwrap();
    assert!(left.items.is_empty());
    let unused = argo("Workflow", json!({"name": "x"}), json!({}));
    assert_eq!(unused.name_any(), "x");
}
