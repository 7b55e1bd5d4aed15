//! Objects made, changed and deleted by `k8s` triggers, each operation and patch: by the same Sensor in a local run and
//! on a real API server; and what a sensor without rights is told.

use std::path::PathBuf;

use kube::Client;
use kube::core::Request;
use serde_json::{Value, json};
use tempfile::TempDir;
use tiphys_tests::ports::free_port;
use tiphys_tests::tls::http_client;
use tiphys_tests::{
    ApiServer, ApiServerOptions, Authorization, Nats, NatsOptions, Tiphys, eventually,
    eventually_ok, temp_dir,
};

use crate::support::{LIMIT, LocalRun, NAMESPACE, exotic_bus};

/// Each event of the source by its own path, `/NAME`, for the trigger of the same name.
fn source(names: &[&str]) -> String {
    let events: serde_json::Map<String, Value> = names
        .iter()
        .map(|name| {
            let event = json!({"endpoint": format!("/{name}"), "port": "12000"});
            ((*name).to_owned(), event)
        })
        .collect();
    let source = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "EventSource",
        "metadata": {"name": "in", "namespace": NAMESPACE},
        "spec": {"webhook": events},
    });
    source.to_string()
}

/// A Sensor with a trigger for each event.
fn sensor(triggers: &[(&str, Value)]) -> String {
    let dependency = |name: &str| json!({"name": name, "eventSourceName": "in", "eventName": name});
    let trigger = |name: &str, kind: &Value| {
        let mut template = json!({"name": name, "conditions": name});
        template["k8s"] = kind.clone();
        json!({"template": template})
    };
    let sensor = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Sensor",
        "metadata": {"name": "objects", "namespace": NAMESPACE,
            "annotations": {"tiphys.dev/allow-private-addresses": "127.0.0.1"}},
        "spec": {
            "dependencies": triggers.iter().map(|(name, _)| dependency(name)).collect::<Vec<_>>(),
            "triggers": triggers.iter().map(|(name, kind)| trigger(name, kind)).collect::<Vec<_>>(),
        },
    });
    sensor.to_string()
}

fn config_map() -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "thing"}})
}

/// Puts the event's `data` into the object's.
fn with_data(event: &str) -> Value {
    json!([{"src": {"dependencyName": event, "dataKey": "body.data", "useRawData": true}, "dest": "data"}])
}

fn patch(event: &str, strategy: &str) -> Value {
    json!({"operation": "patch", "patchStrategy": strategy,
        "source": {"resource": config_map()}, "parameters": with_data(event)})
}

fn triggers() -> Vec<(&'static str, Value)> {
    let account = |secret: &str| {
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"},
            "secrets": [{"name": secret}]})
    };
    let mut own = config_map();
    own["patch"] = json!([{"op": "copy", "from": "/data/b", "path": "/data/copied"}]);
    let octopus = json!({"apiVersion": "things.example.com/v1", "kind": "Octopus",
        "metadata": {"name": "otto"}, "spec": {"arms": 8}});
    let class = json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
        "metadata": {"name": "urgent"}, "value": 1000});
    vec![
        (
            "create",
            json!({"source": {"resource": config_map()}, "parameters": with_data("create")}),
        ),
        (
            "update",
            json!({"operation": "update", "source": {"resource": config_map()}, "parameters": with_data("update")}),
        ),
        (
            "live",
            json!({"operation": "update", "liveObject": true, "source": {"resource": config_map()}, "parameters": [
            {"src": {"dependencyName": "live", "dataKey": "body.more"}, "dest": "data.a", "operation": "append"}]}),
        ),
        ("merge", patch("merge", "application/merge-patch+json")),
        ("json", patch("json", "application/json-patch+json")),
        (
            "own",
            json!({"operation": "patch", "patchStrategy": "application/json-patch+json", "source": {"resource": own}}),
        ),
        ("apply", patch("apply", "application/apply-patch+yaml")),
        ("account", json!({"source": {"resource": account("one")}})),
        (
            "strategic",
            json!({"operation": "patch", "patchStrategy": "application/strategic-merge-patch+json",
            "source": {"resource": account("two")}}),
        ),
        ("class", json!({"source": {"resource": class}})),
        (
            "unclass",
            json!({"operation": "delete", "source": {"resource": class}}),
        ),
        (
            "custom",
            json!({"operation": "update", "source": {"resource": octopus}}),
        ),
        (
            "delete",
            json!({"operation": "delete", "source": {"resource": config_map()}}),
        ),
    ]
}

/// Where the Sensor runs.
struct Scene {
    client: Client,
    webhook: u16,
}

impl Scene {
    async fn send(&self, event: &str, body: Value) {
        let url = format!("http://127.0.0.1:{}/{event}", self.webhook);
        eventually(&format!("{event} to be taken"), LIMIT, async || {
            let answer = http_client(None).post(&url).json(&body).send().await.ok()?;
            (answer.status() == 200).then_some(())
        })
        .await;
    }

    async fn get(&self, path: &str) -> Option<Value> {
        let (path, name) = path.rsplit_once('/').unwrap();
        let request = Request::new(path).get(name, &kube::api::GetParams::default());
        self.client.request(request.unwrap()).await.ok()
    }

    async fn wait<T>(&self, path: &str, what: impl Fn(Option<Value>) -> Result<T, Value>) -> T {
        eventually_ok(path, LIMIT, async || {
            what(self.get(path).await).map_err(|found| found.to_string())
        })
        .await
    }

    async fn until_data(&self, expected: Value) {
        let path = format!("/api/v1/namespaces/{NAMESPACE}/configmaps/thing");
        self.wait(&path, |found| {
            let data = found.unwrap_or_default()["data"].clone();
            if data == expected { Ok(()) } else { Err(data) }
        })
        .await;
    }

    async fn until_there(&self, path: &str) -> Value {
        self.wait(path, |found| found.ok_or(Value::Null)).await
    }

    async fn until_gone(&self, path: &str) {
        self.wait(path, |found| found.map_or(Ok(()), Err)).await;
    }
}

/// Every operation, each on what the one before has left.
async fn story(scene: &Scene) {
    let data = |data: Value| json!({"data": data});
    scene
        .send("create", data(json!({"a": "1", "b": "2"})))
        .await;
    scene.until_data(json!({"a": "1", "b": "2"})).await;
    scene.send("update", data(json!({"b": "3"}))).await;
    scene.until_data(json!({"a": "1", "b": "3"})).await;
    scene.send("live", json!({"more": "0"})).await;
    scene.until_data(json!({"a": "10", "b": "3"})).await;
    scene
        .send("merge", data(json!({"a": null, "c": "4"})))
        .await;
    scene.until_data(json!({"b": "3", "c": "4"})).await;
    scene.send("json", data(json!({"c": null, "d": "5"}))).await;
    scene.until_data(json!({"b": "3", "d": "5"})).await;
    scene.send("own", json!({})).await;
    scene
        .until_data(json!({"b": "3", "copied": "3", "d": "5"}))
        .await;
    scene.send("apply", data(json!({"x": "1", "y": "2"}))).await;
    scene
        .until_data(json!({"b": "3", "copied": "3", "d": "5", "x": "1", "y": "2"}))
        .await;
    scene.send("apply", data(json!({"y": "3"}))).await;
    scene
        .until_data(json!({"b": "3", "copied": "3", "d": "5", "y": "3"}))
        .await;

    let robot = format!("/api/v1/namespaces/{NAMESPACE}/serviceaccounts/robot");
    scene.send("account", json!({})).await;
    let made = scene.until_there(&robot).await;
    let label = &made["metadata"]["labels"]["events.argoproj.io/trigger"];
    assert_eq!(label, "account");
    scene.send("strategic", json!({})).await;
    scene
        .wait(&robot, |found| {
            let list = found.unwrap_or_default()["secrets"].clone();
            let count = list.as_array().map_or(0, Vec::len);
            if count == 2 { Ok(()) } else { Err(list) }
        })
        .await;

    let class = "/apis/scheduling.k8s.io/v1/priorityclasses/urgent";
    scene.send("class", json!({})).await;
    scene.until_there(class).await;
    scene.send("unclass", json!({})).await;
    scene.until_gone(class).await;

    custom(scene).await;
    scene.send("delete", json!({})).await;
    scene
        .until_gone(&format!("/api/v1/namespaces/{NAMESPACE}/configmaps/thing"))
        .await;
}

/// A kind that is not there at first.
async fn custom(scene: &Scene) {
    scene.send("custom", json!({})).await;
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "octopodes.things.example.com"},
        "spec": {
            "group": "things.example.com",
            "scope": "Cluster",
            "names": {"plural": "octopodes", "singular": "octopus", "kind": "Octopus"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema":
                {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}],
        },
    });
    let request = Request::new("/apis/apiextensions.k8s.io/v1/customresourcedefinitions").create(
        &kube::api::PostParams::default(),
        definition.to_string().into_bytes(),
    );
    scene.client.request_text(request.unwrap()).await.unwrap();
    eventually("an octopus", LIMIT, async || {
        scene.send("custom", json!({})).await;
        scene
            .get("/apis/things.example.com/v1/octopodes/otto")
            .await
    })
    .await;
}

/// The Sensor against an API server, as whom a kubeconfig says.
struct Apart {
    scene: Scene,
    sensor: Tiphys,
    _source: Tiphys,
    _nats: Nats,
    _files: TempDir,
}

async fn apart(server: &ApiServer, kubeconfig: PathBuf, triggers: &[(&str, Value)]) -> Apart {
    let nats = Nats::start(NatsOptions::default()).await;
    let files = temp_dir();
    let write = |name: &str, text: &str| {
        let path = files.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let names: Vec<&str> = triggers.iter().map(|(name, _)| *name).collect();
    let bus = write("bus.yaml", &exotic_bus(&nats.url()));
    let source_file = write("source.yaml", &source(&names));
    let sensor_file = write("sensor.yaml", &sensor(triggers));
    let (webhook, sensor_admin, source_admin) = (free_port(), free_port(), free_port());
    let mut sensor = Tiphys::command(["sensor", "--file"])
        .args([&sensor_file, &bus])
        .args(["--admin", &format!("127.0.0.1:{sensor_admin}")])
        .env("KUBECONFIG", kubeconfig)
        .start();
    let ready = |port: u16| format!("http://127.0.0.1:{port}/readyz");
    sensor.wait_until_ready(&ready(sensor_admin), LIMIT).await;
    let mut source = Tiphys::command(["eventsource", "--file"])
        .args([&source_file, &bus])
        .args([
            "--bind",
            "127.0.0.1",
            "--publish",
            &format!("{webhook}:12000"),
        ])
        .args(["--admin", &format!("127.0.0.1:{source_admin}")])
        .start();
    source.wait_until_ready(&ready(source_admin), LIMIT).await;
    let client = server.client().await;
    Apart {
        scene: Scene { client, webhook },
        sensor,
        _source: source,
        _nats: nats,
        _files: files,
    }
}

#[tokio::test]
async fn objects_are_made_changed_and_deleted_in_a_local_run() {
    let mut run = LocalRun::empty();
    let triggers = triggers();
    let names: Vec<&str> = triggers.iter().map(|(name, _)| *name).collect();
    run.write("source.yaml", &source(&names));
    run.write("sensor.yaml", &sensor(&triggers));
    run.start().await;
    let scene = Scene {
        client: run.client(),
        webhook: run.webhook,
    };
    story(&scene).await;
}

#[tokio::test]
async fn objects_are_made_changed_and_deleted_in_a_real_cluster() {
    let server = ApiServer::start().await;
    server.create_namespace(NAMESPACE).await;
    let run = apart(&server, server.kubeconfig_path(), &triggers()).await;
    story(&run.scene).await;
}

#[tokio::test]
async fn a_sensor_without_rights_is_told_which_it_needs() {
    let server = ApiServer::start_with(ApiServerOptions {
        authorization: Authorization::Rbac,
        ..ApiServerOptions::default()
    })
    .await;
    server.create_namespace(NAMESPACE).await;
    let user = format!("system:serviceaccount:{NAMESPACE}:poor");
    let run = apart(&server, server.kubeconfig_as(&user), &triggers()).await;
    for (event, verb, resource, place) in [
        ("create", "create", "configmaps", "in namespace"),
        ("merge", "patch", "configmaps", "in namespace"),
        ("update", "get", "configmaps", "in namespace"),
        ("delete", "delete", "configmaps", "in namespace"),
        ("class", "create", "priorityclasses", "by a ClusterRole"),
    ] {
        run.scene.send(event, json!({"data": {}})).await;
        let needs = format!("service account needs the verb \"{verb}\" on \"{resource}\"");
        eventually_ok(&needs, LIMIT, async || {
            let said = run.sensor.stderr().replace("\\\"", "\"");
            let line = said.lines().find(|line| line.contains(&needs));
            line.filter(|line| line.contains(place))
                .map(drop)
                .ok_or(said)
        })
        .await;
    }
}
