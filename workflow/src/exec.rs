//! Runs one leaf: a built-in command or a process in its own group, output to its log file.
//! It never touches status; the engine does. A process that is dropped or stopped takes its children with it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use process_wrap::tokio::{ChildWrapper, CommandWrap, KillOnDrop, ProcessGroup};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

use crate::cowsay;
use crate::resource::Container;

/// What of standard output is kept as the result.
const RESULT_BYTES: usize = 256 * 1024;

/// How long a process has between being asked to stop and being killed.
const TERM_GRACE: Duration = Duration::from_secs(10);

/// A leaf that is ready to run.
pub(crate) struct Leaf<'a> {
    /// The command, with every tag replaced.
    pub container: &'a Container,
    /// Its environment.
    pub env: BTreeMap<String, String>,
    /// Its own folder for log, script and scratch files.
    pub folder: PathBuf,
    /// When it must have ended.
    pub deadline: Option<tokio::time::Instant>,
    /// Where the `cowsay` of the whale's image is found by shells.
    pub shims: &'a Path,
}

/// How a leaf ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    pub exit_code: i32,
    /// The end of its standard output, one trailing newline removed.
    pub stdout: String,
    /// Why it was stopped, if it was.
    pub stopped: Option<&'static str>,
}

/// Why a leaf could not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExecError {
    #[error(
        "image {image:?} has no command here: the local engine runs processes, so set `command`"
    )]
    NoCommand { image: String },
    #[error("cannot start {program:?}: {hint}")]
    Start {
        program: String,
        hint: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("cannot use {path}")]
    Files {
        path: String,
        #[source]
        source: io::Error,
    },
}

/// Runs the leaf to its end, or until `stop`.
pub(crate) async fn run(leaf: Leaf<'_>, stop: &CancellationToken) -> Result<Ended, ExecError> {
    let scratch = leaf.folder.join("work");
    create_dir(&scratch).await?;
    let log_path = leaf.folder.join("log");
    let mut words: Vec<String> = leaf
        .container
        .command
        .iter()
        .chain(&leaf.container.args)
        .cloned()
        .collect();
    if !leaf.container.source.is_empty() {
        let script = leaf.folder.join("script");
        write_script(&script, &leaf.container.source).await?;
        words.push(script.to_string_lossy().into_owned());
    }
    let whale = is_whale(&leaf.container.image);
    let Some((program, args)) = words.split_first() else {
        return Err(ExecError::NoCommand {
            image: leaf.container.image.clone(),
        });
    };
    if whale && program == "cowsay" {
        let picture = cowsay::whale(&args.join(" "));
        tokio::fs::write(&log_path, &picture)
            .await
            .map_err(|source| files(&log_path, source))?;
        return Ok(Ended {
            exit_code: 0,
            stdout: trimmed(picture),
            stopped: None,
        });
    }
    process(&leaf, program, args, &scratch, &log_path, whale, stop).await
}

async fn process(
    leaf: &Leaf<'_>,
    program: &str,
    args: &[String],
    scratch: &Path,
    log_path: &Path,
    whale: bool,
    stop: &CancellationToken,
) -> Result<Ended, ExecError> {
    let log = tokio::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(log_path)
        .await;
    let mut log = log.map_err(|source| files(log_path, source))?;
    let stderr = log
        .try_clone()
        .await
        .map_err(|source| files(log_path, source))?
        .into_std()
        .await;
    let folder = leaf
        .container
        .working_dir
        .as_deref()
        .map_or(scratch, Path::new);
    let spawn = |program: &str| {
        let mut command = CommandWrap::with_new(program, |command| {
            command
                .args(args)
                .current_dir(folder)
                .env_clear()
                .envs(base_env(scratch, whale.then_some(leaf.shims)));
            command
                .envs(&leaf.env)
                .stdin(Stdio::null())
                .stdout(Stdio::piped());
            if let Ok(stderr) = stderr.try_clone() {
                command.stderr(stderr);
            }
        });
        command.wrap(ProcessGroup::leader()).wrap(KillOnDrop);
        command.spawn()
    };
    let spawned = match spawn(program) {
        // Debian has no `python`, and images do.
        Err(error) if error.kind() == io::ErrorKind::NotFound && program == "python" => {
            spawn("python3")
        }
        spawned => spawned,
    };
    let mut child = spawned.map_err(|source| {
        let hint = match source.kind() {
            io::ErrorKind::NotFound if folder != scratch && !folder.exists() => {
                "its working folder does not exist here"
            }
            io::ErrorKind::NotFound => {
                "the local engine runs programs of this machine, and this one is not installed"
            }
            _ => "the system refused",
        };
        ExecError::Start {
            program: program.to_owned(),
            hint,
            source,
        }
    })?;
    if let Some(pid) = child.id() {
        // Found after a crash by `reap`, so that a step does not run twice side by side.
        let note = format!("{pid} {}\n", start_time(pid).unwrap_or_default());
        let path = leaf.folder.join("pid");
        tokio::fs::write(&path, note)
            .await
            .map_err(|source| files(&path, source))?;
    }
    let stdout = child.stdout().take();
    let copy = async {
        let mut tail = Vec::new();
        let Some(mut stdout) = stdout else {
            return tail;
        };
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(read @ 1..) = stdout.read(&mut buffer).await {
            let chunk = buffer.get(..read).unwrap_or_default();
            // A full disk must not stop the process: its result counts more than its log.
            if log.write_all(chunk).await.is_err() {
                tracing::warn!(path = %log_path.display(), "cannot write a log");
            }
            tail.extend_from_slice(chunk);
            if tail.len() > 2 * RESULT_BYTES {
                tail.drain(..tail.len() - RESULT_BYTES);
            }
        }
        tail
    };
    let (tail, (exit_code, stopped)) = tokio::join!(copy, wait(&mut *child, leaf.deadline, stop));
    drop(log.flush().await);
    drop(tokio::fs::remove_file(leaf.folder.join("pid")).await);
    let from = tail.len().saturating_sub(RESULT_BYTES);
    let stdout = String::from_utf8_lossy(tail.get(from..).unwrap_or_default()).into_owned();
    Ok(Ended {
        exit_code,
        stdout: trimmed(stdout),
        stopped,
    })
}

/// Waits for the end; asks the whole group to stop at the deadline or at `stop`, then kills it.
async fn wait(
    child: &mut dyn ChildWrapper,
    deadline: Option<tokio::time::Instant>,
    stop: &CancellationToken,
) -> (i32, Option<&'static str>) {
    let late = async {
        match deadline {
            Some(deadline) => tokio::time::sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    };
    let reason = tokio::select! {
        status = child.wait() => return (code(status), None),
        () = late => "Pod was active on the node longer than the specified deadline",
        () = stop.cancelled() => "stopped",
    };
    // SIGTERM is 15 on every system that has it.
    drop(child.signal(15));
    let status = match tokio::time::timeout(TERM_GRACE, child.wait()).await {
        Ok(status) => status,
        Err(_) => {
            drop(child.start_kill());
            child.wait().await
        }
    };
    (code(status), Some(reason))
}

fn code(status: io::Result<std::process::ExitStatus>) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    match status {
        // A shell reports a signal as 128 and its number.
        Ok(status) => status
            .code()
            .or_else(|| status.signal().map(|signal| 128 + signal))
            .unwrap_or(-1),
        Err(_) => -1,
    }
}

/// Kills what an earlier run of Tiphys, itself killed, has left running for this node.
pub(crate) async fn reap(folder: &Path) {
    let Ok(note) = tokio::fs::read_to_string(folder.join("pid")).await else {
        return;
    };
    let mut words = note.split_whitespace();
    let pid = words.next().and_then(|pid| pid.parse::<i32>().ok());
    let same = pid
        .and_then(|pid| start_time(u32::try_from(pid).ok()?))
        .as_deref()
        == words.next();
    if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw)
        && same
        && rustix::process::kill_process_group(pid, rustix::process::Signal::KILL).is_ok()
    {
        tracing::warn!(folder = %folder.display(), "killed a step that an earlier run left behind");
    }
    drop(tokio::fs::remove_file(folder.join("pid")).await);
}

/// When a process began, in the kernel's clock ticks: with the pid it names a process for good.
fn start_time(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(19).map(str::to_owned)
}

fn base_env(scratch: &Path, shims: Option<&Path>) -> Vec<(OsString, OsString)> {
    let system = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let path = match shims {
        Some(shims) => format!("{}:{system}", shims.display()),
        None => system.to_owned(),
    };
    [
        ("PATH", path.into()),
        ("HOME", scratch.as_os_str().to_owned()),
        ("TMPDIR", scratch.as_os_str().to_owned()),
        ("LANG", "C.UTF-8".into()),
    ]
    .map(|(key, value): (&str, OsString)| (key.into(), value))
    .into()
}

/// Whether the image is the tutorial's whale, whatever its tag and registry.
fn is_whale(image: &str) -> bool {
    let image = image.split('@').next().unwrap_or(image);
    let name = image.rsplit('/').next().unwrap_or(image);
    name.split(':').next() == Some("whalesay")
}

fn trimmed(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
    }
    text
}

async fn create_dir(path: &Path) -> Result<(), ExecError> {
    tokio::fs::create_dir_all(path)
        .await
        .map_err(|source| files(path, source))
}

async fn write_script(path: &Path, source: &str) -> Result<(), ExecError> {
    use std::os::unix::fs::PermissionsExt as _;
    tokio::fs::write(path, source)
        .await
        .map_err(|source| files(path, source))?;
    let mode = std::fs::Permissions::from_mode(0o755);
    tokio::fs::set_permissions(path, mode)
        .await
        .map_err(|source| files(path, source))
}

fn files(path: &Path, source: io::Error) -> ExecError {
    ExecError::Files {
        path: path.display().to_string(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ran(container: Container, secs: Option<u64>) -> (Result<Ended, ExecError>, String) {
        let dir = tempfile::tempdir().unwrap();
        let leaf = Leaf {
            container: &container,
            env: [("GREETING".to_owned(), "hi".to_owned())].into(),
            folder: dir.path().join("node"),
            deadline: secs.map(|secs| tokio::time::Instant::now() + Duration::from_secs(secs)),
            shims: dir.path(),
        };
        let ended = run(leaf, &CancellationToken::new()).await;
        let log = std::fs::read_to_string(dir.path().join("node/log")).unwrap_or_default();
        (ended, log)
    }

    fn command(words: &[&str]) -> Container {
        Container {
            command: words.iter().map(|word| (*word).to_owned()).collect(),
            ..Container::default()
        }
    }

    #[tokio::test]
    async fn output_goes_to_the_log_and_stdout_is_the_result() {
        let (ended, log) = ran(
            command(&["sh", "-c", "echo $GREETING; echo no >&2; exit 3"]),
            None,
        )
        .await;
        assert_eq!(
            ended.unwrap(),
            Ended {
                exit_code: 3,
                stdout: "hi".into(),
                stopped: None
            }
        );
        assert!(log.contains("hi\n") && log.contains("no\n"), "{log}");
    }

    #[tokio::test]
    async fn scripts_get_their_file_and_the_whale_needs_no_program() {
        let script = Container {
            source: "echo $0 | grep -c script".into(),
            ..command(&["sh"])
        };
        assert_eq!(ran(script, None).await.0.unwrap().stdout, "1");
        let whale = Container {
            image: "docker.io/docker/whalesay:latest".into(),
            args: vec!["hello".into()],
            ..command(&["cowsay"])
        };
        assert!(ran(whale, None).await.1.contains("< hello >"));
    }

    #[tokio::test]
    async fn a_missing_program_or_command_says_what_to_do() {
        let (ended, _) = ran(command(&["no-such-program"]), None).await;
        assert!(ended.unwrap_err().to_string().contains("not installed"));
        let (ended, _) = ran(
            Container {
                image: "nginx".into(),
                ..Container::default()
            },
            None,
        )
        .await;
        assert!(ended.unwrap_err().to_string().contains("set `command`"));
    }

    #[tokio::test]
    async fn a_deadline_stops_the_whole_group() {
        let (ended, _) = ran(command(&["sh", "-c", "sleep 1000 & sleep 1000"]), Some(0)).await;
        let ended = ended.unwrap();
        assert_eq!((ended.exit_code, ended.stopped.is_some()), (143, true));
    }

    #[tokio::test]
    async fn the_environment_is_not_ours() {
        let (ended, _) = ran(command(&["env"]), None).await;
        let stdout = ended.unwrap().stdout;
        assert!(!stdout.contains("CARGO"), "{stdout}");
    }
}
