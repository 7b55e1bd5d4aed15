//! `tiphys` as a process that comes back: the same command, ports and log again after it was killed. It judges nothing.

use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;

use crate::ends::Ends;
use crate::ports::{free_port, loopback};
use crate::process::{Process, tail};
use crate::tls::http_client;

/// One role of the program.
#[derive(Debug)]
pub(super) struct Program {
    name: String,
    args: Vec<String>,
    kubeconfig: Option<PathBuf>,
    folder: PathBuf,
    /// Where metrics and health are.
    admin: u16,
    process: Option<Process>,
    http: reqwest::Client,
}

/// The program, beside this one or beside the folder of this one's tests.
fn binary() -> PathBuf {
    let own = std::env::current_exe().expect("a program knows its own path");
    let mut folders = own
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join("tiphys"));
    folders
        .find(|program| program.is_file())
        .unwrap_or_else(|| {
            panic!(
                "tiphys is not beside {}: build it with `cargo build --bin tiphys`",
                own.display()
            )
        })
}

impl Program {
    /// Describes it; it does not run yet.
    pub(super) fn new(
        name: &str,
        folder: &Path,
        args: Vec<String>,
        kubeconfig: Option<PathBuf>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            args,
            kubeconfig,
            folder: folder.to_owned(),
            admin: free_port(),
            process: None,
            http: http_client(None),
        }
    }

    /// Starts it and does not wait.
    pub(super) fn start(&mut self) {
        let mut command = Command::new(binary());
        command
            .args(&self.args)
            .args([
                "--admin",
                &loopback(self.admin).to_string(),
                "--bind",
                "127.0.0.1",
            ])
            .args(["--log", "warn", "--log-format", "json"])
            .env_remove("KUBECONFIG")
            .env("HOME", &self.folder)
            .current_dir(&self.folder);
        if let Some(kubeconfig) = &self.kubeconfig {
            command.env("KUBECONFIG", kubeconfig);
        }
        self.process = Some(Process::start_logged(&self.name, &mut command, &self.log()));
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What its present process has recorded of a trigger; nothing where it is away.
    pub(super) fn ends(&self, sensor: &str, trigger: &str) -> Option<Ends> {
        let process = self.process.as_ref()?.id();
        let folders = ["data", ".tiphys"].map(|data| self.folder.join(data).join("decisions"));
        let folder = folders.iter().find(|folder| folder.is_dir())?;
        Ends::read(folder, Some(process), [sensor, trigger]).ok()
    }

    fn log(&self) -> PathBuf {
        self.folder.join(format!("{}.log", self.name))
    }

    pub(super) fn tail(&self) -> String {
        format!("{}:\n{}", self.name, tail(&self.log()))
    }

    pub(super) fn kill(&mut self) {
        self.process = None;
    }

    pub(super) fn signal(&mut self, signal: Signal) {
        if let Some(process) = &mut self.process {
            process.signal(signal);
        }
    }

    pub(super) fn pause(&mut self) {
        if let Some(process) = &mut self.process {
            process.pause();
        }
    }

    /// How it ended, once, where it runs no more although nobody took it away.
    pub(super) fn ended(&mut self) -> Option<String> {
        let status = self.process.as_mut()?.ended()?;
        self.process = None;
        Some(format!(
            "{} ended by itself ({status})\n{}",
            self.name,
            self.tail()
        ))
    }

    pub(super) fn is_away(&self) -> bool {
        self.process.is_none()
    }

    /// Whether it says that it is ready.
    pub(super) async fn ready(&self) -> bool {
        self.get("readyz").await.is_some()
    }

    /// A page of the admin port.
    pub(super) async fn get(&self, page: &str) -> Option<String> {
        let url = format!("http://{}/{page}", loopback(self.admin));
        let answer = self
            .http
            .get(url)
            .timeout(std::time::Duration::from_secs(5))
            .send()
            .await
            .ok()?;
        answer.error_for_status().ok()?.text().await.ok()
    }

    /// Its resident memory in kibibytes.
    pub(super) fn memory(&self) -> usize {
        let Some(process) = &self.process else {
            return 0;
        };
        let status = std::fs::read_to_string(format!("/proc/{}/status", process.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok())
            .unwrap_or(0)
    }
}
