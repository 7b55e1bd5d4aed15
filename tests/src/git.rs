//! Git repositories for tests, and an ssh server with git behind it, of another make than the client that is tested.
//! Keys are made for each test, and open nothing but its servers.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::process::Process;
use crate::{servers, temp_dir};

/// A repository `repo.git` in a folder of its own.
#[derive(Debug)]
pub struct Repository {
    root: TempDir,
}

impl Repository {
    /// An empty repository whose branch is `main`.
    ///
    /// # Panics
    ///
    /// When git is not installed.
    #[expect(clippy::new_without_default, reason = "it makes a folder")]
    pub fn new() -> Self {
        let repository = Self { root: temp_dir() };
        std::fs::create_dir(repository.folder()).expect("the folder can be written");
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        repository
    }

    /// The folder that it is in.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// Writes a file and commits it; returns the commit.
    ///
    /// # Panics
    ///
    /// When git cannot.
    pub fn commit(&self, path: &str, text: &str) -> String {
        let file = self.folder().join(path);
        let parent = file.parent().expect("a file is in a folder");
        std::fs::create_dir_all(parent).expect("the folder can be written");
        std::fs::write(&file, text).expect("the file can be written");
        self.git(&["add", "."]);
        self.git(&["commit", "--quiet", "--message", "change"]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Runs git in it; returns what it says.
    ///
    /// # Panics
    ///
    /// When git fails.
    pub fn git(&self, args: &[&str]) -> String {
        let output = Command::new("git")
            .current_dir(self.folder())
            .args(["-c", "user.name=test", "-c", "user.email=test@test"])
            .args(["-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false"])
            .args(args)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output()
            .expect("git is installed (Debian: apt-get install git)");
        assert!(output.status.success(), "git {args:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn folder(&self) -> PathBuf {
        self.root.path().join("repo.git")
    }
}

/// A key pair.
#[derive(Debug, Clone)]
pub struct Key {
    /// The private half, as a file of ssh has it.
    pub private: String,
    /// The public half, as `KIND BASE64`.
    pub public: String,
}

impl Key {
    /// A new key: `ed25519`, `ecdsa256`, `ecdsa384`, `ecdsa521` or `rsa`, as `openssh`, `encrypted`, `pkcs8`, `pkcs1`
    /// or `sec1`.
    ///
    /// # Panics
    ///
    /// When the server's program is not installed, or there is no such key.
    pub fn new(kind: &str, format: &str) -> Self {
        let folder = temp_dir();
        let file = folder.path().join("key");
        let output = Command::new(servers::git_ssh_server())
            .args(["key", "--type", kind, "--format", format, "--out"])
            .arg(&file)
            .output()
            .expect("the program can be started");
        assert!(output.status.success(), "{kind} {format}: {output:?}");
        let read = |file: &Path| std::fs::read_to_string(file).expect("the key is written");
        Self {
            private: read(&file),
            public: read(&file.with_extension("pub")).trim().to_owned(),
        }
    }
}

/// How an ssh server behaves.
#[derive(Debug, Clone, Copy)]
pub struct SshOptions<'a> {
    /// The kinds of its host keys.
    pub host_keys: &'a [&'a str],
    /// Whether clients may choose a version of git's protocol.
    pub newest: bool,
    /// Takes the command and never answers.
    pub hangs: bool,
}

impl Default for SshOptions<'_> {
    fn default() -> Self {
        Self {
            host_keys: &["ed25519"],
            newest: true,
            hangs: false,
        }
    }
}

/// An ssh server whose user `git` reads repositories.
#[derive(Debug)]
pub struct SshServer {
    address: SocketAddr,
    host_keys: Vec<Key>,
    _process: Process,
    _files: TempDir,
}

impl SshServer {
    /// Serves a repository to whoever has one of these public keys.
    ///
    /// # Panics
    ///
    /// When the server's program is not installed or does not start.
    pub fn start(repository: &Repository, authorized: &[Key], options: SshOptions<'_>) -> Self {
        let files = temp_dir();
        let write = |name: &str, text: &str| {
            let file = files.path().join(name);
            std::fs::write(&file, text).expect("the folder can be written");
            file
        };
        let lines: String = authorized
            .iter()
            .map(|key| format!("{}\n", key.public))
            .collect();
        let mut command = Command::new(servers::git_ssh_server());
        command.arg("serve").arg("--folder").arg(repository.root());
        command
            .arg("--authorized")
            .arg(write("authorized_keys", &lines));
        command.args(["--protocol", if options.newest { "2" } else { "0" }]);
        if options.hangs {
            command.args(["--hang", "exec"]);
        }
        let kinds = options.host_keys.iter();
        let host_keys: Vec<Key> = kinds.map(|kind| Key::new(kind, "openssh")).collect();
        for (index, key) in host_keys.iter().enumerate() {
            let file = write(&format!("host-{index}"), &key.private);
            command.arg("--host-key").arg(file);
        }
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = Process::start("git-ssh-server", &mut command);
        let (stdout, _) = process.take_outputs();
        let mut line = String::new();
        BufReader::new(stdout.expect("its output is a pipe"))
            .read_line(&mut line)
            .expect("its output can be read");
        Self {
            address: line.trim().parse().expect("it prints where it listens"),
            host_keys,
            _process: process,
            _files: files,
        }
    }

    /// A URL of one of its repositories.
    pub fn url(&self, path: &str) -> String {
        format!("ssh://git@{}/{path}", self.address)
    }

    /// The lines of `known_hosts` that are about it.
    pub fn known_hosts(&self) -> String {
        let keys = self.host_keys.iter();
        keys.map(|key| self.known_as(&key.public)).collect()
    }

    /// A line that says that it has this key.
    pub fn known_as(&self, public: &str) -> String {
        let (host, port) = (self.address.ip(), self.address.port());
        format!("[{host}]:{port} {public}\n")
    }

    /// Its host keys, in the order in which they were asked for.
    pub fn host_keys(&self) -> &[Key] {
        &self.host_keys
    }
}
