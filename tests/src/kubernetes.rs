//! A real Kubernetes API server with its own etcd: custom resources, watches,
//! admission and RBAC as users meet them.
//!
//! There are no nodes and no controllers: a Pod stays pending, a deleted
//! namespace stays terminating, and nobody runs a Workflow.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use rustix::process::Signal;
use serde_json::json;
use tempfile::TempDir;

use crate::ports::free_port;
use crate::process::{Process, tail};
use crate::tls::{TlsFiles, write_key_pair};
use crate::wait::eventually_ok;
use crate::{servers, temp_dir};

pub use crate::argo_crds::apply_crds;

/// Long for a server that needs two seconds: the machine may be busy.
const START: Duration = Duration::from_secs(120);

/// One look at whether it is up: a connection that hangs must not use up all.
const LOOK: Duration = Duration::from_secs(5);

/// The token of the only user, a member of `system:masters`. It opens nothing
/// but a server that lives as long as one test.
const TOKEN: &str = "test-administrator";

/// Who may do what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Authorization {
    /// Everyone everything.
    #[default]
    AlwaysAllow,
    /// The administrator everything, everyone else what RBAC objects say.
    Rbac,
}

/// How to start a server.
#[derive(Debug, Clone, Default)]
pub struct ApiServerOptions {
    /// Who may do what.
    pub authorization: Authorization,
    /// Further flags for kube-apiserver.
    pub flags: Vec<String>,
}

/// A running server with its etcd, killed and removed when dropped.
#[derive(Debug)]
pub struct ApiServer {
    // Fields drop in this order: the server before what it stands on.
    server: Option<Process>,
    _etcd: Process,
    folder: TempDir,
    port: u16,
    etcd_port: u16,
    options: ApiServerOptions,
    tls: TlsFiles,
}

impl ApiServer {
    /// Starts a server that allows everything and waits until it is ready.
    ///
    /// # Panics
    ///
    /// When a server is not installed or does not start.
    pub async fn start() -> Self {
        Self::start_with(ApiServerOptions::default()).await
    }

    /// Starts a server and waits until it is ready.
    ///
    /// # Panics
    ///
    /// When a server is not installed or does not start.
    pub async fn start_with(options: ApiServerOptions) -> Self {
        let folder = temp_dir();
        let etcd_port = free_port();
        let tls = TlsFiles::create(folder.path());
        write_key_pair(folder.path(), "service-accounts");
        let tokens = format!("{TOKEN},administrator,administrator,system:masters\n");
        fs::write(folder.path().join("tokens.csv"), tokens).expect("the folder can be written");
        let mut server = Self {
            server: None,
            _etcd: start_etcd(&folder, etcd_port),
            port: free_port(),
            etcd_port,
            folder,
            options,
            tls,
        };
        server.write_kubeconfig("administrator", None);
        server.restart().await;
        server
    }

    /// Where it listens: `https://127.0.0.1:PORT`, the same after a restart.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// A kubeconfig file of the administrator, for child processes.
    pub fn kubeconfig_path(&self) -> PathBuf {
        self.kubeconfig_file("administrator")
    }

    /// A kubeconfig file of anyone else, for example
    /// `system:serviceaccount:argo-events:default`; what they may do is for
    /// [`Authorization::Rbac`] to say.
    ///
    /// # Panics
    ///
    /// When the test's folder cannot be written.
    pub fn kubeconfig_as(&self, user: &str) -> PathBuf {
        let name = user.replace(|letter: char| !letter.is_ascii_alphanumeric(), "-");
        self.write_kubeconfig(&name, Some(user))
    }

    /// A client of the administrator. It belongs to the runtime that it is made in.
    ///
    /// # Panics
    ///
    /// When the client cannot be made, which has nothing to do with the server.
    pub async fn client(&self) -> Client {
        client(self.kubeconfig_path()).await
    }

    /// A client of anyone else; see [`ApiServer::kubeconfig_as`].
    ///
    /// # Panics
    ///
    /// As [`ApiServer::client`].
    pub async fn client_as(&self, user: &str) -> Client {
        client(self.kubeconfig_as(user)).await
    }

    /// A `kubectl` command that talks to this server as the administrator.
    ///
    /// # Panics
    ///
    /// When kubectl is not installed.
    pub fn kubectl(&self) -> Command {
        let mut command = Command::new(servers::kubectl());
        command.env("KUBECONFIG", self.kubeconfig_path());
        // Its cache of what a server serves would outlive the test.
        command.env("KUBECACHEDIR", self.folder.path().join("kubectl"));
        command
    }

    /// Makes a namespace.
    ///
    /// # Panics
    ///
    /// When the server refuses.
    pub async fn create_namespace(&self, name: &str) {
        let mut namespace = Namespace::default();
        namespace.metadata.name = Some(name.to_owned());
        Api::<Namespace>::all(self.client().await)
            .create(&PostParams::default(), &namespace)
            .await
            .unwrap_or_else(|error| panic!("create the namespace {name}: {error}"));
    }

    /// Ends the API server with SIGKILL. Its objects stay.
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// Starts the API server again, after a kill where it still runs, on the
    /// same port with the same objects, and waits until it is ready.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn restart(&mut self) {
        self.kill();
        let mut command = Command::new(servers::kube_apiserver());
        command.args(self.flags());
        self.server = Some(Process::start_logged(
            "kube-apiserver",
            &mut command,
            &self.log(),
        ));
        self.ready().await;
    }

    /// Stops the API server from running at all, with its connections open.
    pub fn pause(&mut self) {
        if let Some(server) = &mut self.server {
            server.pause();
        }
    }

    /// Ends a pause.
    pub fn resume(&mut self) {
        if let Some(server) = &mut self.server {
            server.signal(Signal::CONT);
        }
    }

    fn flags(&self) -> Vec<String> {
        let file = |name: &str| self.folder.path().join(name).display().to_string();
        let mode = match self.options.authorization {
            Authorization::AlwaysAllow => "AlwaysAllow",
            Authorization::Rbac => "RBAC",
        };
        let mut flags = vec![
            format!("--etcd-servers=http://127.0.0.1:{}", self.etcd_port),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={}", self.port),
            format!("--tls-cert-file={}", self.tls.certificate.display()),
            format!("--tls-private-key-file={}", self.tls.key.display()),
            format!("--cert-dir={}", file("certificates")),
            "--anonymous-auth=false".to_owned(),
            format!("--token-auth-file={}", file("tokens.csv")),
            format!("--authorization-mode={mode}"),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!(
                "--service-account-key-file={}",
                file("service-accounts.pub")
            ),
            format!(
                "--service-account-signing-key-file={}",
                file("service-accounts.key")
            ),
            "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
            // There is no controller to make the accounts that Pods would need.
            "--disable-admission-plugins=ServiceAccount".to_owned(),
            "--endpoint-reconciler-type=none".to_owned(),
            "--profiling=false".to_owned(),
        ];
        flags.extend(self.options.flags.iter().cloned());
        flags
    }

    async fn ready(&mut self) {
        let log = self.log();
        let config = self.kubeconfig_path();
        eventually_ok("kube-apiserver to be ready", START, async || {
            if let Some(status) = self.server.as_mut().and_then(Process::ended) {
                panic!("kube-apiserver ended ({status}):\n{}", tail(&log));
            }
            let look = is_ready(client(config.clone()).await);
            match tokio::time::timeout(LOOK, look).await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(format!("{error}\n{}", tail(&log))),
                Err(_) => Err(format!("it does not answer\n{}", tail(&log))),
            }
        })
        .await;
    }

    fn write_kubeconfig(&self, name: &str, user: Option<&str>) -> PathBuf {
        let mut identity = json!({ "token": TOKEN });
        if let (Some(user), Some(identity)) = (user, identity.as_object_mut()) {
            identity.insert("as".to_owned(), json!(user));
        }
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "tests",
            "contexts": [{ "name": "tests", "context": { "cluster": "tests", "user": "tests" } }],
            "users": [{ "name": "tests", "user": identity }],
            "clusters": [{
                "name": "tests",
                "cluster": { "server": self.url(), "certificate-authority": self.tls.ca },
            }],
        });
        let path = self.kubeconfig_file(name);
        fs::write(&path, config.to_string())
            .unwrap_or_else(|error| panic!("write {}: {error}", path.display()));
        path
    }

    fn kubeconfig_file(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.kubeconfig"))
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("kube-apiserver.log")
    }
}

/// Ready, and with the namespace that it makes by itself after that.
async fn is_ready(client: Client) -> kube::Result<()> {
    let request = http::Request::get("/readyz")
        .body(Vec::new())
        .expect("the request is well formed");
    client.request_text(request).await?;
    Api::<Namespace>::all(client).get("default").await?;
    Ok(())
}

async fn client(kubeconfig: PathBuf) -> Client {
    let file = Kubeconfig::read_from(&kubeconfig)
        .unwrap_or_else(|error| panic!("read {}: {error}", kubeconfig.display()));
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
        .await
        .unwrap_or_else(|error| panic!("read {}: {error}", kubeconfig.display()));
    Client::try_from(config).unwrap_or_else(|error| panic!("make a client: {error}"))
}

fn start_etcd(folder: &TempDir, port: u16) -> Process {
    let clients = format!("http://127.0.0.1:{port}");
    // A member of one has no peers, so any port will do.
    let peers = "http://127.0.0.1:0";
    let mut command = Command::new(servers::etcd());
    command
        .arg("--name=tests")
        .arg("--data-dir")
        .arg(folder.path().join("etcd"))
        .arg(format!("--listen-client-urls={clients}"))
        .arg(format!("--advertise-client-urls={clients}"))
        .arg(format!("--listen-peer-urls={peers}"))
        .arg(format!("--initial-advertise-peer-urls={peers}"))
        .arg(format!("--initial-cluster=tests={peers}"))
        // The machine does not crash in a test, and its disk may be slow.
        .arg("--unsafe-no-fsync");
    Process::start_logged("etcd", &mut command, &folder.path().join("etcd.log"))
}
