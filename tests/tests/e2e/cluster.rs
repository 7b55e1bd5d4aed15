//! What the tests of the cluster shape share: an API server and a bus, objects in it, processes that run against both.
//! It asserts nothing about events.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tiphys_tests::argo_crds::argo;
use tiphys_tests::kubernetes::{ApiServer, apply_crds};
use tiphys_tests::nats::{Nats, NatsOptions};
use tiphys_tests::ports::free_port;
use tiphys_tests::{Tiphys, TiphysCommand, eventually};

use crate::support::{LIMIT, NAMESPACE};

/// A cluster without nodes, with Argo's resources, and a NATS server beside it.
pub(crate) struct Ground {
    pub(crate) api: ApiServer,
    pub(crate) nats: Nats,
    pub(crate) client: Client,
}

impl Ground {
    pub(crate) async fn start() -> Self {
        let (api, nats) = tokio::join!(ApiServer::start(), Nats::start(NatsOptions::default()));
        let client = api.client().await;
        apply_crds(&client).await;
        api.create_namespace(NAMESPACE).await;
        Self { api, nats, client }
    }

    pub(crate) fn objects(&self, kind: &str) -> Api<DynamicObject> {
        objects(&self.client, kind)
    }

    /// Creates or changes an object of the namespace.
    pub(crate) async fn apply(&self, kind: &str, name: &str, spec: Value) {
        apply(&self.client, NAMESPACE, kind, name, spec).await;
    }

    pub(crate) async fn delete(&self, kind: &str, name: &str) {
        let gone = self.objects(kind).delete(name, &Default::default()).await;
        gone.unwrap();
    }

    /// The `status.config` of an EventBus on the NATS server.
    pub(crate) fn bus_config(&self) -> Value {
        json!({"jetstream": {"url": self.nats.url(), "streamConfig": "replicas: 1"}})
    }

    /// An EventBus whose controller has done its work.
    pub(crate) async fn bus(&self) {
        let url = self.nats.url();
        self.apply(
            "EventBus",
            "default",
            json!({"jetstreamExotic": {"url": url}}),
        )
        .await;
        let status = json!({"status": {"config": self.bus_config()}});
        let written = self
            .objects("EventBus")
            .patch_status("default", &PatchParams::default(), &Patch::Merge(&status))
            .await;
        written.unwrap();
    }
}

pub(crate) fn objects(client: &Client, kind: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), NAMESPACE, &argo(kind))
}

/// Creates or changes an object.
pub(crate) async fn apply(client: &Client, namespace: &str, kind: &str, name: &str, spec: Value) {
    let api = Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &argo(kind));
    let object = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    });
    let params = PatchParams::apply("test").force();
    api.patch(name, &params, &Patch::Apply(&object))
        .await
        .unwrap();
}

/// A webhook's spec: one event `in` on `/in`.
pub(crate) fn webhook(port: u16) -> Value {
    json!({"webhook": {"in": {"endpoint": "/in", "method": "POST", "port": port.to_string()}}})
}

/// A Sensor's spec that makes a Workflow of each event `in` of an EventSource.
pub(crate) fn to_workflows(source: &str) -> Value {
    json!({
        "dependencies": [{"name": "in", "eventSourceName": source, "eventName": "in"}],
        "triggers": [{"template": {"name": "act", "k8s": {
            "operation": "create",
            "source": {"resource": {
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "Workflow",
                "metadata": {"generateName": "w-"},
                "spec": {"arguments": {"parameters": [{"name": "message"}]}},
            }},
            "parameters": [{
                "src": {"dependencyName": "in", "dataKey": "body.message"},
                "dest": "spec.arguments.parameters.0.value",
            }],
        }}}],
    })
}

/// A Sensor's spec that sends each event's message to `url`.
pub(crate) fn to_url(source: &str, url: &str) -> Value {
    json!({
        "dependencies": [{"name": "in", "eventSourceName": source, "eventName": "in"}],
        "triggers": [{"template": {"name": "act", "http": {
            "url": url,
            "method": "POST",
            "payload": [{
                "src": {"dependencyName": "in", "dataKey": "body.message"},
                "dest": "message",
            }],
        }}}],
    })
}

/// An object as the controller's pods have it in their environment.
pub(crate) fn encoded(value: &Value) -> String {
    STANDARD.encode(value.to_string())
}

/// A process with an admin port.
pub(crate) struct Pod {
    pub(crate) process: Tiphys,
    pub(crate) admin: u16,
}

impl Pod {
    pub(crate) fn start(command: TiphysCommand) -> Self {
        let admin = free_port();
        let command = command.args(["--admin", &format!("127.0.0.1:{admin}")]);
        Self {
            process: command.start(),
            admin,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.admin)
    }

    pub(crate) async fn ready(&mut self) {
        let url = self.url("/readyz");
        self.process.wait_until_ready(&url, LIMIT).await;
    }

    /// Waits until readiness says this and is no success.
    pub(crate) async fn waits_for(&mut self, text: &str) {
        let url = self.url("/readyz");
        self.process.wait_for_http(&url, LIMIT).await;
        eventually(&format!("readiness to say {text:?}"), LIMIT, async || {
            let answer = reqwest::get(&url).await.ok()?;
            let refused = answer.status() == 503;
            let said = answer.text().await.ok()?;
            (refused && said.contains(text)).then_some(())
        })
        .await;
    }

    pub(crate) async fn ends_well(mut self) {
        self.process.terminate();
        let status = self.process.wait_exit(LIMIT * 2).await;
        assert_eq!(status.code(), Some(0), "{}", self.process.stderr());
    }
}

/// A pod of the env way: what the controller's Deployments start.
pub(crate) fn given(kind: &str, name: &str, spec: &Value, config: &Value) -> TiphysCommand {
    let (command, variable) = match kind {
        "Sensor" => ("sensor", "SENSOR_OBJECT"),
        _ => ("eventsource", "EVENTSOURCE_OBJECT"),
    };
    let object = json!({"metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec});
    Tiphys::command([command])
        .env(variable, encoded(&object))
        .env("EVENTBUS_CONFIG", encoded(config))
        .env("EVENTBUS_SUBJECT", format!("eventbus-{NAMESPACE}"))
        .env("POD_NAME", format!("{name}-{}", free_port()))
}

/// A loopback address that no other test has: ports of a pool follow from names, which tests share.
pub(crate) fn own_address() -> Ipv4Addr {
    let [high, low] = free_port().to_be_bytes();
    let [_, other] = free_port().to_be_bytes();
    Ipv4Addr::new(127, high.max(1), low, other.clamp(1, 254))
}

/// A kubeconfig for a child process.
pub(crate) fn kubeconfig(ground: &Ground) -> PathBuf {
    ground.api.kubeconfig_path()
}
