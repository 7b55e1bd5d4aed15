//! `tiphys run`: the local shape over files, kept in step with them until Ctrl-C.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use notify::Watcher as _;
use tiphys_controller::local::{Local, LocalOptions, Opened};
use tiphys_controller::{Snapshot, admin};
use tiphys_core::metrics::Metrics;
use tiphys_core::{Severity, Tasks};
use tiphys_eventsource::PortMap;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::args::Run;
use crate::commands::lint;
use crate::connect::{self, Address};
use crate::files::{self, Loaded};
use crate::logging::Reload;
use crate::session::Session;
use crate::{known_hosts, output, signals};

/// Editors write a file in several steps; they are taken together.
const SETTLED: Duration = Duration::from_millis(150);

/// Many editors cut a file before they write it. One that has become empty is waited for before its objects are taken
/// away, so that a slow disk or a busy machine in between does no harm.
const CUT: Duration = Duration::from_secs(10);

/// Runs until a signal.
pub(crate) async fn run(args: Run, set_log_level: Reload) -> anyhow::Result<ExitCode> {
    let ports = ports(&args.publish, &args.bind)?;
    let loaded = files::load(&args.paths)?;
    let objects = report(&loaded, &args.namespace);
    let refused = refused(&loaded);
    anyhow::ensure!(
        objects > 0,
        "none of the objects can run; `tiphys lint` shows every problem"
    );
    let api = TcpListener::bind(&args.api).await.with_context(|| {
        format!(
            "cannot serve the API on {}; choose another with --api",
            args.api
        )
    })?;
    let address = api.local_addr()?;
    // Whatever can refuse the start does so before anything runs or is written.
    let admin = crate::admin::listener(&args.admin).await?;
    let tasks = Tasks::new();
    let metrics = Metrics::try_new(env!("CARGO_PKG_VERSION"))?;
    let options = LocalOptions {
        // Steps of Workflows run in folders of their own, where a relative path would lead elsewhere.
        data_dir: std::path::absolute(&args.data_dir).context("cannot tell the data folder")?,
        namespace: args.namespace.clone(),
        ports,
        api: Some(api),
        parallel: parallel(),
        known_hosts: known_hosts::files(),
        program: std::env::current_exe().ok(),
    };
    let opened = Opened::open(options, metrics.clone(), &tasks)?;
    let mut session = Session::connect(opened.client(), &args.namespace).await?;
    session
        .bring(&good(&loaded), None, whole(&loaded))
        .await
        .log();
    let local = opened.launch();
    let record = Address {
        url: format!("http://{address}"),
        namespace: args.namespace.clone(),
        pid: std::process::id(),
    };
    let written = connect::record(&args.data_dir, &record);
    if let Some(listener) = admin {
        let state = local.host().state();
        admin::spawn(listener, metrics, state, Arc::from(set_log_level), &tasks);
    }
    let ended = tokio::select! {
        ended = follow(&args, &local, &mut session, refused) => ended,
        never = connect::recorded(&args.data_dir, &record, written) => match never {},
    };
    connect::forget(&args.data_dir);
    let stopped = tokio::select! {
        stopped = local.stop(Duration::from_secs(args.grace)) => stopped,
        () = signals::stop_now() => anyhow::bail!("stopped before everything in hand was finished"),
    };
    ended?;
    stopped?;
    tasks.stop(Duration::from_secs(1)).await?;
    Ok(ExitCode::SUCCESS)
}

/// Steps mostly wait for programs, so more of them than cores.
fn parallel() -> usize {
    std::thread::available_parallelism().map_or(4, usize::from) * 4
}

/// Prints what is wrong with the files; says how many objects can run.
pub(crate) fn report(loaded: &[Loaded], namespace: &str) -> usize {
    let (findings, _) = lint::examine(loaded, namespace);
    for finding in &findings {
        match finding.problem.severity {
            Severity::Error => tracing::error!("{}", lint::text(finding)),
            Severity::Warning => tracing::warn!("{}", lint::text(finding)),
        }
    }
    good(loaded).len()
}

/// The objects that have no error of their own. A bad one is left out and harms nobody.
pub(crate) fn good(loaded: &[Loaded]) -> Vec<&tiphys_core::manifest::Document> {
    let documents = loaded
        .iter()
        .filter_map(|file| file.documents.as_ref().ok())
        .flatten();
    documents
        .filter(|document| {
            let mut problems = tiphys_core::Problems::default();
            let known = tiphys_controller::check::check(document, &mut problems).is_some();
            known && !problems.has_errors()
        })
        .collect()
}

/// Reads `HOST:PORT` and `ADDRESS:HOST:PORT`.
pub(crate) fn ports(publish: &[String], bind: &str) -> anyhow::Result<PortMap> {
    let mut map = PortMap::default();
    let address: std::net::IpAddr = bind.parse().map_err(|_| {
        anyhow::anyhow!("--bind {bind:?} is not an address; write it as 127.0.0.1 or 0.0.0.0")
    })?;
    map = map.bind(address);
    for text in publish {
        let wrong = || anyhow::anyhow!("--publish {text:?} must be HOST:PORT, as 30001:80");
        let (host, spec) = text.split_once(':').ok_or_else(wrong)?;
        map = map.publish(
            host.parse().map_err(|_| wrong())?,
            spec.parse().map_err(|_| wrong())?,
        );
    }
    Ok(map)
}

/// Keeps the objects in step with the files until a signal or a failure.
async fn follow(
    args: &Run,
    local: &Local,
    session: &mut Session,
    refused: usize,
) -> anyhow::Result<()> {
    let (changed, mut changes) = mpsc::unbounded_channel();
    let watcher = if args.no_reload {
        None
    } else {
        Some(watch(&args.paths, changed)?)
    };
    let mut state = local.host().state();
    let mut announced = false;
    let mut empty =
        files::load(&args.paths).map_or_else(|_| BTreeSet::new(), |loaded| empty_ones(&loaded));
    let mut cut: Option<Instant> = None;
    // One for all turns of the loop: a signal that comes during a reload is not lost.
    let stop = signals::stop();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            biased;
            () = &mut stop => return Ok(()),
            failed = local.failed() => return Err(failed.into()),
            Ok(()) = state.changed(), if !announced => {
                announced = announce(&state.borrow_and_update(), refused);
            }
            Some(()) = changes.recv(), if watcher.is_some() => {
                settle(&mut changes).await;
                cut = reload(args, local, session, &mut empty, cut).await;
            }
            () = waited(cut), if cut.is_some() => {
                cut = reload(args, local, session, &mut empty, cut).await;
            }
        }
    }
}

/// Says once that everything is up that can be; `refused` objects have been told of already and are not there.
fn announce(snapshot: &Snapshot, refused: usize) -> bool {
    if !snapshot.not_ready().is_empty() {
        return false;
    }
    let never = snapshot.objects.values().filter(|state| !state.ready);
    match never.count() + refused {
        0 => output::note("ready; Ctrl-C stops"),
        1 => output::note("ready, but for one object that cannot run; Ctrl-C stops"),
        count => output::note(&format!(
            "ready, but for {count} objects that cannot run; Ctrl-C stops"
        )),
    }
    true
}

async fn settle(changes: &mut mpsc::UnboundedReceiver<()>) {
    while tokio::time::timeout(SETTLED, changes.recv())
        .await
        .is_ok_and(|change| change.is_some())
    {}
}

/// Waits until a file that was cut so long ago is taken as it is.
async fn waited(cut: Option<Instant>) {
    match cut {
        Some(since) => tokio::time::sleep_until(since + CUT).await,
        None => std::future::pending().await,
    }
}

fn empty_ones(loaded: &[Loaded]) -> BTreeSet<PathBuf> {
    let empty = loaded.iter().filter(|file| file.empty);
    empty.map(|file| file.path.clone()).collect()
}

/// Brings in what the files say now, and gives since when it waits for a file that was cut: `empty` are those that were
/// empty before, and `cut` is since when it has waited already. Meanwhile nothing is taken away.
async fn reload(
    args: &Run,
    local: &Local,
    session: &mut Session,
    empty: &mut BTreeSet<PathBuf>,
    cut: Option<Instant>,
) -> Option<Instant> {
    let loaded = match files::load(&args.paths) {
        Ok(loaded) => loaded,
        Err(error) => {
            tracing::error!(
                "{}; going on with what was read before",
                tiphys_core::tasks::chain(&error)
            );
            return None;
        }
    };
    let now_empty = empty_ones(&loaded);
    let since = cut.unwrap_or_else(Instant::now);
    let waits = !now_empty.is_subset(empty) && since.elapsed() < CUT;
    if !waits {
        *empty = now_empty;
    }
    report(&loaded, &args.namespace);
    let all = whole(&loaded) && !waits;
    session
        .bring(&good(&loaded), Some(local.host()), all)
        .await
        .log();
    waits.then_some(since)
}

/// How many objects have errors, a file that cannot be read being one.
fn refused(loaded: &[Loaded]) -> usize {
    let unread = loaded.iter().filter(|file| file.documents.is_err()).count();
    unread + count(loaded).saturating_sub(good(loaded).len())
}

/// Whether the files say everything: one that is broken for a moment must not take its objects away.
fn whole(loaded: &[Loaded]) -> bool {
    loaded.iter().all(|file| file.documents.is_ok()) && good(loaded).len() == count(loaded)
}

fn count(loaded: &[Loaded]) -> usize {
    loaded
        .iter()
        .filter_map(|file| file.documents.as_ref().ok())
        .map(Vec::len)
        .sum()
}

/// Watches the folders of all paths: editors replace files rather than write them.
fn watch(
    paths: &[PathBuf],
    changed: mpsc::UnboundedSender<()>,
) -> anyhow::Result<notify::RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let relevant = event.is_ok_and(|event| {
            !event.kind.is_access()
                && event
                    .paths
                    .iter()
                    .any(|path| path.is_dir() || files::is_manifest(path))
        });
        // The receiver ends with the run.
        if relevant && changed.send(()).is_err() {
            tracing::debug!("nobody waits for changed files");
        }
    })
    .context("cannot watch for changed files; --no-reload does without")?;
    for path in paths {
        let folder = if path.is_dir() {
            path.as_path()
        } else {
            path.parent()
                .filter(|parent| !parent.as_os_str().is_empty())
                .unwrap_or(Path::new("."))
        };
        let mode = if path.is_dir() {
            notify::RecursiveMode::Recursive
        } else {
            notify::RecursiveMode::NonRecursive
        };
        watcher.watch(folder, mode).with_context(|| {
            format!(
                "cannot watch {}; --no-reload does without",
                folder.display()
            )
        })?;
    }
    Ok(watcher)
}
