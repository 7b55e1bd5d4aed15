//! A child process of a test: in a process group of its own, and gone with
//! everything it started when the test is, however the test ends.
//!
//! It never speaks to the process otherwise; what the process is and when it is
//! ready is its caller's knowledge.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid,
};

use crate::wait::eventually;

/// Ends the group when its input ends, which happens when the test process is
/// gone, even by SIGKILL, without having dropped anything.
const WATCHDOG: &str = r#"read -r _; kill -9 -"$1""#;

/// See the module.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    watchdog: Child,
}

impl Process {
    /// Starts `command`; `name` stands in messages.
    ///
    /// # Panics
    ///
    /// When the program cannot be started.
    pub fn start(name: &str, command: &mut Command) -> Self {
        let child = command
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("start {name}: {error}"));
        let watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, "watchdog", &child.id().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("start the watchdog of {name}: {error}"));
        Self {
            name: name.to_owned(),
            child,
            watchdog,
        }
    }

    /// As [`Process::start`], with both outputs appended to the file `log`.
    ///
    /// # Panics
    ///
    /// When the program cannot be started or the file cannot be written.
    pub fn start_logged(name: &str, command: &mut Command, log: &Path) -> Self {
        let file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .unwrap_or_else(|error| panic!("open {}: {error}", log.display()));
        let copy = file.try_clone().expect("a file can be opened twice");
        Self::start(name, command.stdout(file).stderr(copy))
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its outputs, where the command asked for pipes; once.
    pub fn take_outputs(&mut self) -> (Option<ChildStdout>, Option<ChildStderr>) {
        (self.child.stdout.take(), self.child.stderr.take())
    }

    /// Sends a signal to the process alone. One that has ended does not mind.
    pub fn signal(&mut self, signal: Signal) {
        if self.ended().is_none() {
            // It may end between the look and the signal: nothing is left to do then.
            kill_process(Pid::from_child(&self.child), signal).ok();
        }
    }

    /// Stops it from running at all until SIGCONT, and waits until it stands
    /// still: the signal alone lets its threads go on for a moment.
    pub fn pause(&mut self) {
        self.signal(Signal::STOP);
        let pid = Pid::from_child(&self.child);
        let still = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        // It fails where the process has ended, and an end is a standstill too.
        waitid(WaitId::Pid(pid), still).ok();
    }

    /// How it ended, or `None` while it runs.
    ///
    /// # Panics
    ///
    /// When the system does not say.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let name = &self.name;
        self.child
            .try_wait()
            .unwrap_or_else(|error| panic!("ask for the end of {name}: {error}"))
    }

    /// Waits for it to end by itself.
    ///
    /// # Panics
    ///
    /// When `limit` has passed.
    pub async fn wait(&mut self, limit: Duration) -> ExitStatus {
        let what = format!("the end of {}", self.name);
        eventually(&what, limit, async || self.ended()).await
    }

    /// Ends it with SIGKILL and waits until it is gone.
    pub fn kill(&mut self) {
        if self.ended().is_none() {
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The watchdog first: it must not meet the id once that is another's.
        self.watchdog.kill().ok();
        self.watchdog.wait().ok();
        // What it started shares its group and goes with it.
        kill_process_group(Pid::from_child(&self.child), Signal::KILL).ok();
        self.child.wait().ok();
    }
}

/// The end of a log file, for the message of a failure.
pub fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_else(|error| format!("(no log: {error})"));
    let lines: Vec<&str> = text.lines().collect();
    lines
        .get(lines.len().saturating_sub(20)..)
        .unwrap_or_default()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};

    use super::*;

    #[tokio::test]
    async fn dropping_a_process_ends_what_it_started_too() {
        let mut shell = Process::start(
            "sh",
            Command::new("sh")
                .args(["-c", "sleep 1000 & echo $!; wait"])
                .stdout(Stdio::piped()),
        );
        let mut line = String::new();
        BufReader::new(shell.take_outputs().0.unwrap())
            .read_line(&mut line)
            .unwrap();
        let grandchild = Pid::from_raw(line.trim().parse().unwrap()).unwrap();
        drop(shell);
        eventually(
            "the end of the grandchild",
            Duration::from_secs(60),
            async || gone(grandchild).then_some(()),
        )
        .await;
    }

    /// An orphan stays in the table until its new parent has asked for it.
    fn gone(pid: Pid) -> bool {
        let status = format!("/proc/{}/stat", pid.as_raw_nonzero());
        fs::read_to_string(status).map_or(true, |stat| stat.contains(") Z "))
    }
}
