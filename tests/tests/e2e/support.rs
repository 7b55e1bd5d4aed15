//! What several end-to-end tests share: the tutorial's files, a local run, its objects. It asserts nothing about events.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::api::ListParams;
use kube::{Api, Client, Config};
use serde_json::Value;
use tempfile::TempDir;
use tiphys_tests::ports::free_port;
use tiphys_tests::{Tiphys, TiphysCommand, eventually, temp_dir};

/// Long enough for a debug build on a busy machine; no test waits for it to pass.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

pub(crate) const NAMESPACE: &str = "argo-events";

/// One file of the tutorial.
pub(crate) fn tutorial(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../examples/tutorial")
        .join(file)
}

/// An EventBus on a server that is there already.
pub(crate) fn exotic_bus(url: &str) -> String {
    format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: EventBus\nmetadata: {{name: default, namespace: {NAMESPACE}}}\n\
         spec: {{jetstreamExotic: {{url: \"{url}\"}}}}\n"
    )
}

/// A local run over a folder of YAML, which outlives its process.
pub(crate) struct LocalRun {
    /// The YAML.
    pub(crate) files: TempDir,
    /// The data folder.
    pub(crate) data: TempDir,
    /// Where the webhook listens.
    pub(crate) webhook: u16,
    /// Where metrics and health are.
    pub(crate) admin: u16,
    /// The process.
    pub(crate) process: Option<Tiphys>,
}

impl LocalRun {
    /// A run of the tutorial that is not started yet.
    pub(crate) fn of_tutorial() -> Self {
        let files = temp_dir();
        for file in ["eventbus.yaml", "eventsource.yaml", "sensor.yaml"] {
            std::fs::copy(tutorial(file), files.path().join(file)).unwrap();
        }
        Self {
            files,
            data: temp_dir(),
            webhook: free_port(),
            admin: free_port(),
            process: None,
        }
    }

    /// Writes a file of YAML.
    pub(crate) fn write(&self, file: &str, text: &str) {
        std::fs::write(self.files.path().join(file), text).unwrap();
    }

    /// The arguments of a run.
    pub(crate) fn arguments(&self) -> Vec<OsString> {
        let publish = format!("{}:12000", self.webhook);
        let admin = format!("127.0.0.1:{}", self.admin);
        let paths = [
            "run".into(),
            self.files.path().into(),
            "--data-dir".into(),
            self.data.path().into(),
        ];
        let flags = ["--publish", &publish, "--admin", &admin].map(Into::into);
        paths.into_iter().chain(flags).collect()
    }

    pub(crate) fn command(&self) -> TiphysCommand {
        Tiphys::command(self.arguments())
    }

    /// Starts it and waits until it is ready.
    pub(crate) async fn start(&mut self) {
        let mut process = self.command().start();
        process
            .wait_until_ready(&self.admin("/readyz"), LIMIT)
            .await;
        self.process = Some(process);
    }

    /// Kills it as a power cut would.
    pub(crate) fn kill(&mut self) {
        self.process.as_mut().unwrap().kill_9();
        self.process = None;
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/myproject/start", self.webhook)
    }

    pub(crate) fn admin(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.admin)
    }

    /// Another command over the same data folder.
    pub(crate) async fn tiphys(&self, args: &[&str]) -> tiphys_tests::tiphys::TiphysOutput {
        Tiphys::command(args)
            .args(["--data-dir".as_ref(), self.data.path().as_os_str()])
            .output(LIMIT)
            .await
    }

    /// A client of the API that it serves.
    pub(crate) fn client(&self) -> Client {
        let text = std::fs::read_to_string(self.data.path().join("api.json")).unwrap();
        let address: Value = serde_json::from_str(&text).unwrap();
        let url = address["url"].as_str().unwrap().parse().unwrap();
        Client::try_from(Config::new(url)).unwrap()
    }

    /// The Workflows that it holds.
    pub(crate) async fn workflows(&self) -> Vec<Value> {
        workflows(&self.client()).await
    }
}

/// The Workflows of the tutorial's namespace.
pub(crate) async fn workflows(client: &Client) -> Vec<Value> {
    let kind = tiphys_tests::argo_crds::argo("Workflow");
    let api = Api::<kube::api::DynamicObject>::namespaced_with(client.clone(), NAMESPACE, &kind);
    let list = api.list(&ListParams::default()).await.unwrap();
    list.items
        .into_iter()
        .map(|item| serde_json::to_value(item).unwrap())
        .collect()
}

/// Waits until there are so many Workflows, and gives them.
pub(crate) async fn wait_for_workflows(client: &Client, count: usize) -> Vec<Value> {
    eventually(&format!("{count} workflows"), LIMIT, async || {
        let found = workflows(client).await;
        (found.len() >= count).then_some(found)
    })
    .await
}

/// Sends one event of the tutorial.
pub(crate) async fn post(
    http: &reqwest::Client,
    url: &str,
    message: &str,
    who: &str,
) -> Option<reqwest::Response> {
    let body = serde_json::json!({"message": message, "who": who}).to_string();
    http.post(url)
        .header("content-type", "application/json")
        .body(body)
        .send()
        .await
        .ok()
}

/// The parameters of a Workflow.
pub(crate) fn parameters(workflow: &Value) -> Vec<&str> {
    let parameters = workflow["spec"]["arguments"]["parameters"]
        .as_array()
        .unwrap();
    parameters
        .iter()
        .map(|parameter| parameter["value"].as_str().unwrap_or_default())
        .collect()
}
