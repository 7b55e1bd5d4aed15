//! The program under test as a user runs it: the built `tiphys` binary as a
//! child process, with its output line by line.
//!
//! It never calls into the program's crates, and it gives the program a home
//! and a working folder of its own: nothing of the machine's user is in reach.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::process::Process;
use crate::temp_dir;
use crate::tls::http_client;
use crate::wait::{eventually, eventually_ok};

/// For the last lines of a program that has ended. Only where something that it
/// started has outlived it, and holds its outputs open, does this pass.
const LAST_LINES: Duration = Duration::from_secs(10);

/// The built program.
///
/// # Panics
///
/// When it has not been built.
pub fn binary() -> PathBuf {
    // Tests are in `deps` of the folder that holds the program.
    let test = std::env::current_exe().expect("the test knows its own path");
    let program = test
        .parent()
        .and_then(Path::parent)
        .map(|folder| folder.join("tiphys"))
        .unwrap_or_default();
    assert!(
        program.is_file(),
        "{} is missing: build it with `cargo build -p tiphys` (`make test` does), \
         in the same profile as the tests",
        program.display()
    );
    program
}

/// How to start the program.
#[derive(Debug)]
pub struct TiphysCommand {
    command: Command,
    folder: TempDir,
}

impl TiphysCommand {
    fn of(program: &Path) -> Self {
        let folder = temp_dir();
        let mut command = Command::new(program);
        command
            // A test must not reach the cluster of whoever runs it.
            .env_remove("KUBECONFIG")
            .env("HOME", folder.path())
            .current_dir(folder.path());
        Self { command, folder }
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.command.args(args);
        self
    }

    /// Has another program start it, which takes its own arguments first and the command to start after them.
    ///
    /// # Panics
    ///
    /// When no other program is named.
    #[must_use]
    pub fn under(self, starter: &[&str]) -> Self {
        let (program, arguments) = starter.split_first().expect("a program is named");
        let mut outer = Self::of(Path::new(program)).args(arguments);
        outer.command.arg(self.command.get_program());
        outer.command.args(self.command.get_args());
        for (name, value) in self.command.get_envs() {
            match value {
                Some(value) => outer.command.env(name, value),
                None => outer.command.env_remove(name),
            };
        }
        outer.command.current_dir(self.folder.path());
        outer.folder = self.folder;
        outer
    }

    /// Runs it in `folder` rather than in an empty one.
    #[must_use]
    pub fn in_folder(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Starts it.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub fn start(mut self) -> Tiphys {
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Process::start("tiphys", &mut self.command);
        let (stdout, stderr) = process.take_outputs();
        let lines = Lines::default();
        let readers = [
            stdout.map(|pipe| lines.clone().collect(Source::Stdout, pipe)),
            stderr.map(|pipe| lines.clone().collect(Source::Stderr, pipe)),
        ];
        Tiphys {
            process,
            lines,
            readers: readers.into_iter().flatten().collect(),
            folder: self.folder,
        }
    }

    /// Runs it to its own end and returns what it said.
    ///
    /// # Panics
    ///
    /// When it cannot be started or runs for longer than `limit`.
    pub async fn output(self, limit: Duration) -> TiphysOutput {
        let mut tiphys = self.start();
        let status = tiphys.wait_exit(limit).await;
        TiphysOutput {
            code: status.code(),
            stdout: tiphys.stdout(),
            stderr: tiphys.stderr(),
        }
    }
}

/// What a run to its end has said.
#[derive(Debug, Clone)]
pub struct TiphysOutput {
    /// The exit code, `None` after a signal.
    pub code: Option<i32>,
    /// Everything on standard output.
    pub stdout: String,
    /// Everything on standard error.
    pub stderr: String,
}

/// A running program, killed with everything it started when dropped.
#[derive(Debug)]
pub struct Tiphys {
    process: Process,
    lines: Lines,
    readers: Vec<JoinHandle<()>>,
    folder: TempDir,
}

impl Tiphys {
    /// A command with these arguments, in an empty folder that is its home too.
    ///
    /// # Panics
    ///
    /// When the program has not been built.
    pub fn command<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> TiphysCommand {
        TiphysCommand::of(&binary()).args(args)
    }

    /// A command that a shell starts: `script` says `"$@"` where the program and its arguments belong.
    ///
    /// # Panics
    ///
    /// When the program has not been built.
    pub fn in_shell<A: AsRef<OsStr>>(
        script: &str,
        args: impl IntoIterator<Item = A>,
    ) -> TiphysCommand {
        TiphysCommand::of(Path::new("sh"))
            .args(["-c", script, "sh"])
            .args([binary()])
            .args(args)
    }

    /// The folder that it was given as home.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Everything on standard output so far.
    pub fn stdout(&self) -> String {
        self.lines.text(|source| source == Source::Stdout)
    }

    /// Everything on standard error so far.
    pub fn stderr(&self) -> String {
        self.lines.text(|source| source == Source::Stderr)
    }

    /// Waits for a line, of either output, that contains `text`, and returns the first.
    ///
    /// # Panics
    ///
    /// When `limit` has passed or the program has ended without it.
    pub async fn wait_for_line(&mut self, text: &str, limit: Duration) -> String {
        let what = format!("a line with {text:?}");
        let lines = self.lines.clone();
        let found = eventually_ok(&what, limit, async || {
            let ended = self.all_said();
            match lines.find(text) {
                Some(line) => Ok(Ok(line)),
                None if ended => Ok(Err(lines.text(|_| true))),
                None => Err(format!("tiphys said\n{}", lines.text(|_| true))),
            }
        })
        .await;
        found.unwrap_or_else(|said| panic!("tiphys ended before {what}:\n{said}"))
    }

    /// Waits until a GET of `url` is answered, with whatever status, and returns that.
    ///
    /// # Panics
    ///
    /// When `limit` has passed or the program has ended.
    pub async fn wait_for_http(&mut self, url: &str, limit: Duration) -> u16 {
        let client = http_client(None);
        let what = format!("an answer from {url}");
        eventually_ok(&what, limit, async || {
            let said = self.lines.text(|_| true);
            if let Some(status) = self.process.ended() {
                panic!("tiphys ended ({status}) before {what}:\n{said}");
            }
            match client.get(url).send().await {
                Ok(answer) => Ok(answer.status().as_u16()),
                Err(error) => Err(format!("{error}; tiphys said\n{said}")),
            }
        })
        .await
    }

    /// Waits until a GET of `url` is answered with success, as a probe of readiness is.
    ///
    /// # Panics
    ///
    /// When it has ended, or when `limit` has passed; the message carries the last answer and what it has said.
    pub async fn wait_until_ready(&mut self, url: &str, limit: Duration) {
        let client = http_client(None);
        let what = format!("success from {url}");
        eventually_ok(&what, limit, async || {
            let said = self.lines.text(|_| true);
            if let Some(status) = self.process.ended() {
                panic!("tiphys ended ({status}) before {what}:\n{said}");
            }
            let answer = client.get(url).send().await;
            let answer = answer.map_err(|error| format!("{error}; tiphys said\n{said}"))?;
            let status = answer.status();
            let text = answer.text().await.unwrap_or_default();
            if status.is_success() {
                Ok(())
            } else {
                Err(format!("{status} {text}; tiphys said\n{said}"))
            }
        })
        .await;
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.process.ended().is_none()
    }

    /// Ends it with SIGKILL, and it alone: what it started is left behind, as
    /// when the system runs out of memory.
    pub fn kill_9(&mut self) {
        self.process.kill();
    }

    /// Asks it to end, with SIGTERM.
    pub fn terminate(&mut self) {
        self.process.signal(Signal::TERM);
    }

    /// Presses Ctrl-C.
    pub fn interrupt(&mut self) {
        self.process.signal(Signal::INT);
    }

    /// Waits for its end, and for all that it had to say.
    ///
    /// # Panics
    ///
    /// When `limit` has passed.
    pub async fn wait_exit(&mut self, limit: Duration) -> ExitStatus {
        let lines = self.lines.clone();
        let status = eventually_ok("the end of tiphys", limit, async || {
            self.process
                .ended()
                .ok_or_else(|| format!("tiphys said\n{}", lines.text(|_| true)))
        })
        .await;
        let until = Instant::now() + LAST_LINES;
        eventually("the last lines of tiphys", LAST_LINES * 2, async || {
            (self.all_said() || Instant::now() > until).then_some(())
        })
        .await;
        status
    }

    fn all_said(&self) -> bool {
        self.readers.iter().all(JoinHandle::is_finished)
    }
}

/// What a failed test shows of each program.
const SHOWN: usize = 20;

impl Drop for Tiphys {
    /// A test that fails shows the last lines of its programs: they often say why.
    #[expect(clippy::print_stderr, reason = "it is shown with the failure")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let said = self.lines.text(|_| true);
            let lines: Vec<&str> = said.lines().collect();
            let last = lines.get(lines.len().saturating_sub(SHOWN)..);
            let last = last.unwrap_or_default().join("\n");
            eprintln!("the last lines of tiphys, process {}:\n{last}", self.id());
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Stdout,
    Stderr,
}

#[derive(Debug, Clone, Default)]
struct Lines(Arc<Mutex<Vec<(Source, String)>>>);

impl Lines {
    /// Threads, so that the program never waits for a test to read.
    fn collect(self, source: Source, pipe: impl Read + Send + 'static) -> JoinHandle<()> {
        std::thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while pipe.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                let text = String::from_utf8_lossy(&line).into_owned();
                self.with(|lines| lines.push((source, text)));
                line.clear();
            }
        })
    }

    fn find(&self, text: &str) -> Option<String> {
        self.with(|lines| {
            let (_, line) = lines.iter().find(|(_, line)| line.contains(text))?;
            Some(line.trim_end_matches(['\r', '\n']).to_owned())
        })
    }

    fn text(&self, wanted: impl Fn(Source) -> bool) -> String {
        self.with(|lines| {
            lines
                .iter()
                .filter(|(source, _)| wanted(*source))
                .map(|(_, line)| line.as_str())
                .collect()
        })
    }

    fn with<T>(&self, action: impl FnOnce(&mut Vec<(Source, String)>) -> T) -> T {
        action(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    fn shell(script: &str) -> TiphysCommand {
        TiphysCommand::of(Path::new("sh")).args(["-c", script])
    }

    #[tokio::test]
    async fn a_run_to_the_end_keeps_the_outputs_apart_and_the_code() {
        let output = shell("echo data; echo note >&2; exit 3")
            .output(LIMIT)
            .await;
        assert_eq!(output.code, Some(3));
        assert_eq!(
            (output.stdout.as_str(), output.stderr.as_str()),
            ("data\n", "note\n")
        );
    }

    #[tokio::test]
    async fn a_line_is_waited_for_and_a_signal_is_heard() {
        let mut program =
            shell("trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.01; done").start();
        assert_eq!(program.wait_for_line("up", LIMIT).await, "up");
        program.terminate();
        assert_eq!(program.wait_exit(LIMIT).await.code(), Some(0));
        assert_eq!(program.stdout(), "up\nbye\n");
    }

    #[tokio::test]
    async fn a_killed_program_has_no_code() {
        let mut program = shell("echo up; sleep 1000; true").start();
        program.wait_for_line("up", LIMIT).await;
        assert!(program.is_running());
        program.kill_9();
        assert_eq!(program.wait_exit(LIMIT).await.code(), None);
    }

    #[tokio::test]
    async fn home_is_a_folder_of_its_own() {
        let output = shell("test \"$HOME\" = \"$PWD\" && ls -A")
            .output(LIMIT)
            .await;
        assert_eq!((output.code, output.stdout.as_str()), (Some(0), ""));
    }
}
