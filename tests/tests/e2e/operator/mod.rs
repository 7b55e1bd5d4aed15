//! The controller on a real API server: what it makes, keeps and takes away, and what it says of it. There is no kubelet
//! and no garbage collector, so what happens here is the controller's own doing.

mod buses;
mod flow;
mod leading;
mod left;
mod measures;
pub(crate) mod nulls;
mod objects;
mod references;
mod restart;
mod scale;

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tiphys_core::manifest;
use tiphys_tests::argo_crds::argo;
use tiphys_tests::ports::free_port;
use tiphys_tests::{ApiServer, ApiServerOptions, Tiphys, TiphysCommand, eventually_ok};

use crate::crds::install;
use crate::support::{LIMIT, NAMESPACE};

/// An API server with the definitions and one controller.
struct Scene {
    server: ApiServer,
    client: Client,
    controller: Tiphys,
}

/// A controller that looks after everything.
fn command(server: &ApiServer, admin: u16) -> TiphysCommand {
    Tiphys::command(["controller", "--namespace", NAMESPACE])
        .args(["--image", "tiphys:test"])
        .args(["--admin", &format!("127.0.0.1:{admin}")])
        .env("KUBECONFIG", server.kubeconfig_path())
}

/// An API server with the definitions and a namespace, and nobody who looks after it.
async fn server() -> (ApiServer, Client) {
    server_with(ApiServerOptions::default()).await
}

async fn server_with(options: ApiServerOptions) -> (ApiServer, Client) {
    let server = ApiServer::start_with(options).await;
    server.create_namespace(NAMESPACE).await;
    install(&server).await;
    let client = server.client().await;
    (server, client)
}

impl Scene {
    async fn start() -> Self {
        Self::start_with(ApiServerOptions::default()).await
    }

    async fn start_with(options: ApiServerOptions) -> Self {
        let (server, client) = server_with(options).await;
        let admin = free_port();
        let mut controller = command(&server, admin).start();
        controller
            .wait_until_ready(&format!("http://127.0.0.1:{admin}/readyz"), LIMIT)
            .await;
        Self {
            server,
            client,
            controller,
        }
    }

    async fn apply(&self, text: &str) {
        apply(&self.client, text).await;
    }

    fn objects(&self, kind: &str) -> Api<DynamicObject> {
        objects(&self.client, kind)
    }

    fn deployments(&self) -> Api<Deployment> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    /// Changes a part of an object's spec.
    async fn change(&self, kind: &str, name: &str, spec: Value) {
        let patch = json!({ "spec": spec });
        self.objects(kind)
            .patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .unwrap();
    }

    async fn delete(&self, kind: &str, name: &str) {
        self.objects(kind)
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
    }

    /// Waits for the one Deployment of an EventSource or Sensor.
    async fn deployment(&self, kind: &str, name: &str) -> Deployment {
        deployment(&self.client, NAMESPACE, kind, name, |_| Ok(())).await
    }

    /// Waits until the one Deployment is as it should be.
    async fn deployment_with(
        &self,
        kind: &str,
        name: &str,
        check: impl Fn(&Deployment) -> Result<(), String>,
    ) -> Deployment {
        deployment(&self.client, NAMESPACE, kind, name, check).await
    }

    async fn no_deployment(&self, kind: &str, name: &str) {
        eventually_ok("the Deployment to go", LIMIT, async || {
            let found = deployments(&self.client, NAMESPACE, kind, name).await;
            if found.is_empty() {
                return Ok(());
            }
            Err(format!("{} are there", found.len()))
        })
        .await;
    }

    /// Waits for a condition with this status, whose reason and message contain those words.
    async fn condition(&self, kind: &str, name: &str, condition: &str, words: &[&str]) -> Value {
        eventually_ok(
            &format!("{kind} {name} to say {words:?}"),
            LIMIT,
            async || {
                let object = self
                    .objects(kind)
                    .get(name)
                    .await
                    .map_err(|error| error.to_string())?;
                let found = said(&object, condition).ok_or("no such condition")?;
                let text = format!(
                    "{} {} {}",
                    found["status"].as_str().unwrap(),
                    found["reason"].as_str().unwrap(),
                    found["message"].as_str().unwrap()
                );
                if words.iter().all(|word| text.contains(word)) {
                    return Ok(found.clone());
                }
                Err(text)
            },
        )
        .await
    }

    /// The controller ends by itself, in order.
    async fn stop(mut self) {
        self.controller.terminate();
        let status = self.controller.wait_exit(LIMIT).await;
        assert!(status.success(), "{}", self.controller.stderr());
    }
}

/// One condition of an object.
fn said<'a>(object: &'a DynamicObject, condition: &str) -> Option<&'a Value> {
    let conditions = object.data.pointer("/status/conditions")?.as_array()?;
    conditions.iter().find(|found| found["type"] == condition)
}

fn objects(client: &Client, kind: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), NAMESPACE, &argo(kind))
}

/// Creates the objects of a text, each in its namespace or the usual one.
async fn apply(client: &Client, text: &str) {
    for document in manifest::parse(text).unwrap() {
        let mut object = document.object;
        object["apiVersion"] = json!("argoproj.io/v1alpha1");
        let kind = object["kind"].as_str().unwrap().to_owned();
        let namespace = object["metadata"]["namespace"]
            .as_str()
            .unwrap_or(NAMESPACE)
            .to_owned();
        let api = Api::<DynamicObject>::namespaced_with(client.clone(), &namespace, &argo(&kind));
        let object = serde_json::from_value(object).unwrap();
        api.create(&PostParams::default(), &object).await.unwrap();
    }
}

fn labels(kind: &str, name: &str) -> String {
    let word = kind.to_lowercase();
    format!("controller={word}-controller,{word}-name={name},owner-name={name}")
}

async fn deployments(client: &Client, namespace: &str, kind: &str, name: &str) -> Vec<Deployment> {
    let api = Api::<Deployment>::namespaced(client.clone(), namespace);
    let params = ListParams::default().labels(&labels(kind, name));
    api.list(&params)
        .await
        .map_or_else(|_| Vec::new(), |list| list.items)
}

async fn deployment(
    client: &Client,
    namespace: &str,
    kind: &str,
    name: &str,
    check: impl Fn(&Deployment) -> Result<(), String>,
) -> Deployment {
    eventually_ok(
        &format!("the Deployment of {kind} {name}"),
        LIMIT,
        async || {
            let mut found = deployments(client, namespace, kind, name).await;
            match (found.pop(), found.len()) {
                (Some(one), 0) => check(&one).map(|()| one),
                (_, more) => Err(format!("{more} and one or none are there")),
            }
        },
    )
    .await
}

/// The object that the pods are given.
fn given(deployment: &Deployment, variable: &str) -> Value {
    use base64::Engine as _;
    let text = variable_of(deployment, variable).unwrap();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(text)
        .unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

fn variable_of(deployment: &Deployment, variable: &str) -> Option<String> {
    let pod = deployment.spec.as_ref()?.template.spec.as_ref()?;
    let env = pod.containers.first()?.env.as_ref()?;
    env.iter()
        .find(|found| found.name == variable)?
        .value
        .clone()
}

const BUS: &str = "
kind: EventBus
metadata: {name: default}
spec: {jetstreamExotic: {url: 'nats://127.0.0.1:4222'}}
";

fn webhook(name: &str) -> String {
    format!(
        "---
kind: EventSource
metadata: {{name: {name}}}
spec:
  service: {{ports: [{{port: 12000, targetPort: 12000}}]}}
  webhook: {{example: {{port: '12000', endpoint: /example, method: POST}}}}
"
    )
}

fn log_sensor(name: &str) -> String {
    format!(
        "---
kind: Sensor
metadata: {{name: {name}}}
spec:
  dependencies: [{{name: d, eventSourceName: webhook, eventName: example}}]
  triggers: [{{template: {{name: t, log: {{}}}}}}]
"
    )
}
