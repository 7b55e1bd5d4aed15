//! Why a sensor of a cluster fired or did not, what was given up, and what is sent again: asked from outside its pods,
//! which have no folder, over the event bus that the cluster names.

use serde_json::{Value, json};
use tiphys_tests::nats::{Nats, NatsAuth, NatsOptions};
use tiphys_tests::ports::free_port;
use tiphys_tests::tiphys::TiphysOutput;
use tiphys_tests::tls::http_client;
use tiphys_tests::{Tiphys, eventually, temp_dir};

use crate::cluster::{Ground, Pod, encoded, given, kubeconfig, webhook};
use crate::scene::send;
use crate::support::{LIMIT, NAMESPACE};

/// Fires for messages that begin with `good`, into a ConfigMap whose data is `body.more`.
fn strict(data_key: &str) -> Value {
    let resource = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "made-"}, "data": {}});
    let parameter =
        json!({"src": {"dependencyName": "in", "dataKey": data_key}, "dest": "data.more"});
    json!({
        "dependencies": [{
            "name": "in", "eventSourceName": "in", "eventName": "in",
            "filters": {"data": [{"path": "body.message", "type": "string", "value": ["^good"]}]},
        }],
        "triggers": [{"template": {"name": "make", "k8s": {
            "operation": "create", "source": {"resource": resource}, "parameters": [parameter],
        }}}],
    })
}

/// Both events of a condition that only one event of this test meets.
fn patient() -> Value {
    let dependency = |name: &str, path: &str| {
        json!({
            "name": name, "eventSourceName": "in", "eventName": "in",
            "filters": {"data": [{"path": "body.message", "type": "string", "value": [path]}]},
        })
    };
    json!({
        "dependencies": [dependency("bad", "^bad"), dependency("late", "^late")],
        "triggers": [{"template": {"name": "both", "conditions": "bad && late", "log": {}}}],
    })
}

/// A cluster with an EventBus that asks for a password, and the pods of an EventSource and two Sensors.
struct Scene {
    ground: Ground,
    port: u16,
    config: Value,
    pods: Vec<Pod>,
    mounts: tempfile::TempDir,
}

impl Scene {
    async fn start() -> Self {
        let mut ground = Ground::start().await;
        let auth = NatsAuth::User {
            user: "js".to_owned(),
            password: "secret".to_owned(),
        };
        ground.nats = Nats::start(NatsOptions {
            auth,
            ..NatsOptions::default()
        })
        .await;
        let access = json!({"name": "bus-auth", "key": "client-auth"});
        let config = json!({"jetstream": {
            "url": ground.nats.url(), "accessSecret": access, "streamConfig": "replicas: 1",
        }});
        let mounts = temp_dir();
        let auth = mounts.path().join("etc/eventbus/auth/auth.yaml");
        std::fs::create_dir_all(auth.parent().unwrap()).unwrap();
        std::fs::write(auth, "username: js\npassword: secret\n").unwrap();
        let mut scene = Self {
            ground,
            port: free_port(),
            config,
            pods: Vec::new(),
            mounts,
        };
        scene.publish_bus().await;
        scene.pod("Sensor", "strict", &strict("body.more")).await;
        scene.pod("Sensor", "patient", &patient()).await;
        scene.pod("EventSource", "in", &webhook(scene.port)).await;
        scene
    }

    /// The EventBus as its controller leaves it, and the Secret with its credentials.
    async fn publish_bus(&self) {
        use kube::Api;
        use kube::api::{Patch, PatchParams, PostParams};
        let secrets: Api<kube::api::DynamicObject> = Api::namespaced_with(
            self.ground.client.clone(),
            NAMESPACE,
            &kube::api::ApiResource::erase::<k8s_openapi::api::core::v1::Secret>(&()),
        );
        let secret = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "bus-auth"},
            "stringData": {"client-auth": "username: js\npassword: secret\n"},
        }));
        secrets
            .create(&PostParams::default(), &secret.unwrap())
            .await
            .unwrap();
        self.ground
            .apply(
                "EventBus",
                "default",
                json!({"jetstream": {"version": "latest"}}),
            )
            .await;
        let status = json!({"status": {"config": self.config}});
        let params = PatchParams::default();
        let bus = self.ground.objects("EventBus");
        bus.patch_status("default", &params, &Patch::Merge(&status))
            .await
            .unwrap();
    }

    async fn pod(&mut self, kind: &str, name: &str, spec: &Value) {
        let command = given(kind, name, spec, &self.config)
            .env("TIPHYS_MOUNTS", self.mounts.path())
            .env("KUBECONFIG", kubeconfig(&self.ground));
        let mut pod = Pod::start(command);
        pod.ready().await;
        self.pods.push(pod);
    }

    async fn send(&self, message: &str) {
        let url = format!("http://127.0.0.1:{}/in", self.port);
        let (status, _) = send(&http_client(None), &url, message).await.unwrap();
        assert_eq!(status, 200);
    }

    /// Runs a command as a user of the cluster does, in an empty folder.
    async fn tiphys(&self, args: &[&str]) -> TiphysOutput {
        Tiphys::command(args)
            .args(["-n", NAMESPACE])
            .env("KUBECONFIG", kubeconfig(&self.ground))
            .output(LIMIT)
            .await
    }

    /// Waits for decisions of the sensor `strict`.
    async fn decisions(&self, outcome: &str, count: usize) -> Vec<Value> {
        let args = [
            "events",
            "--sensor",
            "strict",
            "--outcome",
            outcome,
            "-o",
            "json",
        ];
        eventually(&format!("{count} decisions {outcome}"), LIMIT, async || {
            let found = json_of(&self.tiphys(&args).await);
            let found = found.as_array().unwrap().clone();
            (found.len() >= count).then_some(found)
        })
        .await
    }
}

fn json_of(output: &TiphysOutput) -> Value {
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_says_why_keeps_its_dead_and_sends_events_again() {
    let mut scene = Scene::start().await;
    for message in ["bad", "good"] {
        scene.send(message).await;
    }

    // Why not: the filter, what it wants and what it met; and what holds it.
    let filtered = scene.decisions("filtered", 1).await;
    let id = filtered[0]["event"]["id"].as_str().unwrap();
    let why = scene.tiphys(&["why", id]).await;
    let wants = "wants body.message = ^good, has bad";
    assert!(
        why.stdout.contains("strict, trigger make: filtered"),
        "{why:?}"
    );
    assert!(why.stdout.contains(wants), "{why:?}");
    assert!(
        why.stdout.contains("patient, trigger both: pending"),
        "{why:?}"
    );
    let waits = scene.tiphys(&["why", "--sensor", "patient"]).await;
    assert!(waits.stdout.contains("waits for late"), "{waits:?}");
    let unknown = scene.tiphys(&["why", "nobody-knows"]).await;
    assert_eq!(unknown.code, Some(1), "{unknown:?}");

    // The other event comes: what became of the first is told by the decision on the second.
    scene.send("late").await;
    eventually("the condition to be met", LIMIT, async || {
        let why = scene.tiphys(&["why", id]).await;
        why.stdout
            .contains("patient, trigger both: fired")
            .then_some(())
    })
    .await;

    // Given up, listed whether its sensor runs or not, and driven again in vain.
    scene.decisions("dead", 1).await;
    let dead = json_of(&scene.tiphys(&["dead", "list", "-o", "json"]).await);
    assert_eq!(dead.as_array().unwrap().len(), 1, "{dead}");
    let letter = dead[0]["id"].as_str().unwrap();
    let shown = scene.tiphys(&["dead", "show", letter]).await;
    assert!(shown.stdout.contains("message: good"), "{shown:?}");
    let again = scene.tiphys(&["dead", "redrive", letter]).await;
    assert!(again.stdout.contains("still dead"), "{again:?}");

    // Nobody is there to do it; then the sensor is back and mended.
    scene.pods.remove(0).ends_well().await;
    let again = scene.tiphys(&["dead", "redrive", letter]).await;
    assert!(again.stdout.contains("strict does not run"), "{again:?}");
    let replay = ["replay", "strict", "-o", "json"];
    let nobody = scene.tiphys(&replay).await;
    assert!(nobody.stderr.contains("does not run"), "{nobody:?}");
    scene.pod("Sensor", "strict", &strict("body.message")).await;
    let again = scene.tiphys(&["dead", "redrive", letter]).await;
    assert_eq!(again.code, Some(0), "{again:?}");
    let dead = json_of(&scene.tiphys(&["dead", "list", "-o", "json"]).await);
    assert_eq!(dead, json!([]));

    // A replay finds the object and makes no second one.
    let replayed = json_of(&scene.tiphys(&replay).await);
    let counts = ["read", "fired", "existed", "filtered", "failed"]
        .map(|key| replayed[key].as_u64().unwrap());
    assert_eq!(counts, [3, 1, 1, 2, 0], "{replayed}");

    // The same from a file, where no cluster is at hand; a wrong address says what to do.
    let file = temp_dir();
    let file = file.path().join("bus.yaml");
    let bus = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "EventBus",
        "metadata": {"name": "default", "namespace": NAMESPACE},
        "spec": {"jetstreamExotic": scene.config["jetstream"]},
    });
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "bus-auth", "namespace": NAMESPACE},
        "stringData": {"client-auth": "username: js\npassword: secret\n"},
    });
    std::fs::write(&file, format!("{bus}\n---\n{secret}\n")).unwrap();
    let path = file.to_str().unwrap();
    let why = Tiphys::command(["why", id, "--file", path])
        .output(LIMIT)
        .await;
    assert!(why.stdout.contains(wants), "{why:?}");
    // And in a pod of the sensor, by what it was given.
    let object =
        json!({"metadata": {"name": "strict", "namespace": NAMESPACE}, "spec": strict("x")});
    let inside = Tiphys::command(["why", id])
        .env("SENSOR_OBJECT", encoded(&object))
        .env("EVENTBUS_CONFIG", encoded(&scene.config))
        .env("TIPHYS_MOUNTS", scene.mounts.path())
        .output(LIMIT)
        .await;
    assert!(inside.stdout.contains(wants), "{inside:?}");
    let nowhere = format!("nats://127.0.0.1:{}", free_port());
    let lost = scene
        .tiphys(&["why", id, "--bus", "default", "--bus-url", &nowhere])
        .await;
    assert!(lost.stderr.contains("--bus-url"), "{lost:?}");
    let url = scene.ground.nats.url();
    let found = scene
        .tiphys(&["why", id, "--bus", "default", "--bus-url", &url])
        .await;
    assert!(found.stdout.contains(wants), "{found:?}");

    for pod in scene.pods {
        assert!(
            !pod.process.folder().join(".tiphys").exists(),
            "a pod writes nothing"
        );
        pod.ends_well().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bus_that_is_away_holds_nobody_up_and_the_record_goes_on_after_it() {
    let mut scene = Scene::start().await;
    scene.send("bad one").await;
    scene.decisions("filtered", 1).await;
    scene.ground.nats.restart().await;
    eventually("the source to be back", LIMIT, async || {
        let url = format!("http://127.0.0.1:{}/in", scene.port);
        let (status, _) = send(&http_client(None), &url, "bad two").await?;
        (status == 200).then_some(())
    })
    .await;
    let filtered = scene.decisions("filtered", 2).await;
    assert_eq!(filtered[0]["sensor"], "strict");
    let follow = ["events", "--sensor", "strict", "-o", "name"];
    assert!(scene.tiphys(&follow).await.stdout.lines().count() >= 2);
}
