//! The measured programs as processes: the built `tiphys` and this program's own bare ones. It reads what they show of
//! themselves (readiness, metrics) and never looks inside.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;
use tempfile::TempDir;
use tiphys_tests::ports::{free_port, loopback};
use tiphys_tests::process::{Process, tail};
use tiphys_tests::temp_dir;
use tiphys_tests::tls::http_client;
use tokio::net::TcpStream;

use crate::yaml;

/// Long for anything here: the machine may be busy.
const LIMIT: Duration = Duration::from_secs(90);

/// Between two looks at least. It is part of the error of whatever is timed by looking.
const LOOK: Duration = Duration::from_millis(2);

/// The program that is measured, built beside this one.
fn tiphys() -> anyhow::Result<PathBuf> {
    let program = own()?.with_file_name("tiphys");
    ensure!(
        program.is_file(),
        "{} is missing: `make bench` builds it",
        program.display()
    );
    Ok(program)
}

fn own() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("this program does not know its own path")
}

/// A running `tiphys` with a home, a data folder and ports of its own.
pub(crate) struct Tiphys {
    process: Process,
    folder: TempDir,
    http: reqwest::Client,
    admin: u16,
    /// Where its webhooks listen.
    pub(crate) port: u16,
    /// When it was started.
    pub(crate) started: Instant,
}

/// How to start `tiphys`.
pub(crate) struct Start<'a, N> {
    /// `run`, `eventsource` or `sensor`.
    pub(crate) role: &'a str,
    /// The objects, each with the file that it goes to.
    pub(crate) files: &'a [(N, String)],
    /// The cluster that triggers act on.
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Whether what it logs is thrown away.
    pub(crate) silent: bool,
    /// Where it keeps its events; a folder of its own by default.
    pub(crate) data: Option<&'a Path>,
}

impl<N: AsRef<Path>> Start<'_, N> {
    /// Starts it and does not wait.
    pub(crate) fn start(self) -> anyhow::Result<Tiphys> {
        let folder = temp_dir();
        let objects = folder.path().join("objects");
        std::fs::create_dir(&objects)?;
        for (name, text) in self.files {
            std::fs::write(objects.join(name), text)?;
        }
        let (admin, port) = (free_port(), free_port());
        let mut command = Command::new(tiphys()?);
        command.arg(self.role);
        if self.role == "run" {
            command.arg(&objects);
        } else {
            command
                .arg("--file")
                .args(self.files.iter().map(|(name, _)| objects.join(name)));
        }
        command
            .arg("--data-dir")
            .arg(self.data.unwrap_or(&folder.path().join("data")))
            .args([
                "--publish",
                &format!("{port}:{}", yaml::PORT),
                "--bind",
                "127.0.0.1",
            ])
            .args([
                "--admin",
                &loopback(admin).to_string(),
                "--log-format",
                "json",
            ])
            .env_remove("KUBECONFIG")
            .env("HOME", folder.path())
            .current_dir(folder.path());
        if let Some(kubeconfig) = self.kubeconfig {
            command.env("KUBECONFIG", kubeconfig);
        }
        let http = http_client(None);
        let started = Instant::now();
        let process = if self.silent {
            Process::start(
                "tiphys",
                command.stdout(Stdio::null()).stderr(Stdio::null()),
            )
        } else {
            Process::start_logged("tiphys", &mut command, &log(&folder))
        };
        Ok(Tiphys {
            process,
            folder,
            http,
            admin,
            port,
            started,
        })
    }

    /// Starts it and waits until it says that it is ready.
    pub(crate) async fn ready(self) -> anyhow::Result<Tiphys> {
        let mut tiphys = self.start()?;
        tiphys.wait_ready().await?;
        Ok(tiphys)
    }
}

fn log(folder: &TempDir) -> PathBuf {
    folder.path().join("tiphys.log")
}

impl Tiphys {
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Waits until it says that it is ready.
    pub(crate) async fn wait_ready(&mut self) -> anyhow::Result<()> {
        self.wait("tiphys to be ready", async |tiphys| {
            Ok(tiphys.get("readyz").await.is_some())
        })
        .await
    }

    /// The body of a successful GET from the admin port.
    async fn get(&self, path: &str) -> Option<String> {
        let answer = self
            .http
            .get(format!("http://{}/{path}", loopback(self.admin)))
            .send()
            .await
            .ok()?;
        answer.error_for_status().ok()?.text().await.ok()
    }

    /// The sum of a metric over all series that have `label`.
    pub(crate) async fn metric(&self, name: &str, label: &str) -> Option<usize> {
        let text = self.get("metrics").await?;
        let series = text.lines().filter(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('{'))
                && line.contains(label)
        });
        Some(
            series
                .filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok())
                .sum(),
        )
    }

    /// How many events have taken part in a firing that succeeded.
    pub(crate) async fn fired(&self) -> Option<usize> {
        self.metric("tiphys_trigger_events_total", "outcome=\"fired\"")
            .await
    }

    /// Waits until so many events have fired. Looking takes time on a processor that the firings need: from one look to
    /// the next passes half of the time that the rest will take at the present speed.
    pub(crate) async fn wait_fired(&mut self, count: usize) -> anyhow::Result<()> {
        let what = format!("{count} firings");
        let mut first = None;
        self.wait(&what, async |tiphys| {
            let fired = tiphys.fired().await.unwrap_or(0);
            let (begun, before) = *first.get_or_insert((Instant::now(), fired));
            let (done, left) = (fired - before, count.saturating_sub(fired));
            if let Ok(done) = u32::try_from(done)
                && done > 0
            {
                let each = begun.elapsed() / done;
                tokio::time::sleep(each * u32::try_from(left / 2)?).await;
            }
            Ok(left == 0)
        })
        .await
    }

    /// Looks until there is what is waited for.
    pub(crate) async fn wait(
        &mut self,
        what: &str,
        mut look: impl AsyncFnMut(&Self) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let begun = Instant::now();
        while !look(self).await? {
            if let Some(status) = self.process.ended() {
                bail!("tiphys ended ({status}) before {what}:\n{}", self.said());
            }
            ensure!(
                begun.elapsed() < LIMIT,
                "waited {LIMIT:?} for {what}; tiphys said\n{}",
                self.said()
            );
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    fn said(&self) -> String {
        tail(&log(&self.folder))
    }

    /// Asks it to end and waits for that.
    pub(crate) async fn stop(mut self) {
        self.process.signal(rustix::process::Signal::TERM);
        self.process.wait(LIMIT).await;
    }
}

/// A bare HTTP server, of `raw serve`.
pub(crate) struct Bare {
    _process: Process,
    _folder: TempDir,
    /// Where it listens.
    pub(crate) port: u16,
}

impl Bare {
    /// Starts it, publishing to `nats` where there is one.
    pub(crate) async fn start(nats: Option<&str>) -> anyhow::Result<Self> {
        let (folder, port) = (temp_dir(), free_port());
        let mut command = Command::new(own()?);
        command.args(["raw", "serve", "--port", &port.to_string()]);
        if let Some(nats) = nats {
            command.args(["--nats", nats]);
        }
        let file = folder.path().join("bare.log");
        let mut process = Process::start_logged("the bare server", &mut command, &file);
        let end = Instant::now() + LIMIT;
        while TcpStream::connect(loopback(port)).await.is_err() {
            ensure!(
                process.ended().is_none() && Instant::now() < end,
                "the bare server: {}",
                tail(&file)
            );
            tokio::time::sleep(LOOK).await;
        }
        Ok(Self {
            _process: process,
            _folder: folder,
            port,
        })
    }
}

/// What a bare program says when it has finished.
#[derive(Debug, Deserialize, serde::Serialize)]
pub(crate) struct Finished {
    /// How long the work took, without the start of the program.
    pub(crate) seconds: f64,
    /// Seconds on a processor.
    pub(crate) busy: f64,
}

/// Runs a bare program to its end.
pub(crate) async fn bare(args: &[&str]) -> anyhow::Result<Finished> {
    let mut command = tokio::process::Command::new(own()?);
    command
        .arg("raw")
        .args(args)
        .kill_on_drop(true)
        .stderr(Stdio::inherit());
    let output = tokio::time::timeout(LIMIT, command.output());
    let output = output
        .await
        .context("a bare program did not end in time")??;
    ensure!(
        output.status.success(),
        "a bare program failed: raw {}",
        args.join(" ")
    );
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("a path that is no text")
}
