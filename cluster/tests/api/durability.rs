//! What survives: closing, dying, a second process, a damaged file.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use futures::{StreamExt, stream};
use kube::api::{ListParams, PostParams, ResourceExt};
use tiphys_cluster::{Cluster, OpenError};

use crate::{all_kinds, version, workflow, workflows};

fn open(dir: &Path) -> Cluster {
    Cluster::open(dir, &all_kinds()).unwrap()
}

#[tokio::test]
async fn objects_and_versions_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = open(dir.path());
    let api = workflows(&cluster.client("default"));
    let before = api
        .create(&PostParams::default(), &workflow("a"))
        .await
        .unwrap();
    cluster.close().await;
    let late = api.create(&PostParams::default(), &workflow("late")).await;
    assert_eq!(crate::refusal(late), (503, "ServiceUnavailable".into()));

    let cluster = open(dir.path());
    let api = workflows(&cluster.client("default"));
    assert_eq!(api.get("a").await.unwrap(), before);
    let after = api
        .create(&PostParams::default(), &workflow("b"))
        .await
        .unwrap();
    assert!(version(&after) > version(&before));
}

#[tokio::test]
async fn a_copy_taken_while_running_has_all_that_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = open(dir.path());
    let api = workflows(&cluster.client("default"));
    for index in 0..20 {
        api.create(&PostParams::default(), &workflow(&format!("w{index}")))
            .await
            .unwrap();
    }
    // What a power cut leaves: the file as it is, never closed.
    let image = tempfile::tempdir().unwrap();
    fs::copy(
        dir.path().join("cluster.redb"),
        image.path().join("cluster.redb"),
    )
    .unwrap();
    let api = workflows(&open(image.path()).client("default"));
    assert_eq!(
        api.list(&ListParams::default()).await.unwrap().items.len(),
        20
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_concurrent_creates_all_survive() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = open(dir.path());
    let api = workflows(&cluster.client("default"));
    let creates = stream::iter(0..1000).map(|index| {
        let api = api.clone();
        async move {
            let name = format!("w{index}");
            version(
                &api.create(&PostParams::default(), &workflow(&name))
                    .await
                    .unwrap(),
            )
        }
    });
    let mut versions: Vec<u64> = creates.buffer_unordered(1000).collect().await;
    versions.sort_unstable();
    versions.dedup();
    assert_eq!(versions.len(), 1000);
    cluster.close().await;
    let api = workflows(&open(dir.path()).client("default"));
    assert_eq!(
        api.list(&ListParams::default()).await.unwrap().items.len(),
        1000
    );
}

/// The variable that makes this test binary the process to be killed.
const VICTIM: &str = "TIPHYS_CLUSTER_VICTIM";

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "durability::the_victim_writes_until_it_is_killed",
                "--nocapture",
            ])
            .env(VICTIM, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(victim.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let mut acknowledged: Vec<String> = Vec::new();
        let mut killed = false;
        for line in lines {
            acknowledged.extend(line.strip_prefix("stored ").map(Into::into));
            if acknowledged.len() == 200 && !killed {
                killed = true;
                victim.kill().unwrap();
            }
        }
        victim.wait().unwrap();
        assert!(acknowledged.len() >= 200);

        let cluster = open(dir.path());
        let api = workflows(&cluster.client("default"));
        let list = api.list(&ListParams::default()).await.unwrap();
        let stored: Vec<String> = list.items.iter().map(ResourceExt::name_any).collect();
        let lost = acknowledged
            .iter()
            .filter(|name| !stored.contains(name))
            .count();
        assert_eq!(lost, 0, "round {round}");
        cluster.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_victim_writes_until_it_is_killed() {
    let Some(dir) = std::env::var_os(VICTIM) else {
        return;
    };
    let api = workflows(&open(Path::new(&dir)).client("default"));
    let run = std::process::id();
    let endless = stream::iter(0..).map(|index| {
        let api = api.clone();
        async move {
            let name = format!("w{run}-{index}");
            api.create(&PostParams::default(), &workflow(&name))
                .await
                .unwrap();
            println!("stored {name}");
        }
    });
    endless.buffer_unordered(16).collect::<Vec<()>>().await;
}

#[tokio::test]
async fn a_second_opener_is_told_who_has_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let _first = open(dir.path());
    let error = Cluster::open(dir.path(), &all_kinds()).unwrap_err();
    let OpenError::Locked { pid, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(pid, Some(std::process::id()));
}

#[tokio::test]
async fn a_folder_that_cannot_be_one_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    for place in [file.join("data"), file] {
        let error = Cluster::open(&place, &all_kinds()).unwrap_err();
        assert!(matches!(error, OpenError::Unwritable { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_damaged_file_is_refused_with_a_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = open(dir.path());
    let api = workflows(&cluster.client("default"));
    for index in 0..50 {
        api.create(&PostParams::default(), &workflow(&format!("w{index}")))
            .await
            .unwrap();
    }
    cluster.close().await;
    let file = dir.path().join("cluster.redb");
    let good = fs::read(&file).unwrap();

    let mut damages = vec![
        b"this is no store".repeat(1000),
        good[..good.len() / 2].to_vec(),
    ];
    damages.push([&[0xff; 4096][..], &good[4096..]].concat());
    for damage in damages {
        fs::write(&file, damage).unwrap();
        let error = Cluster::open(dir.path(), &all_kinds()).unwrap_err();
        assert!(matches!(error, OpenError::Corrupt { .. }), "{error:?}");
        assert!(error.to_string().contains("move it away"));
    }
    fs::write(&file, good).unwrap();
    let api = workflows(&open(dir.path()).client("default"));
    assert_eq!(
        api.list(&ListParams::default()).await.unwrap().items.len(),
        50
    );
}
