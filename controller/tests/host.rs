//! The host over a built-in API: objects come, change and go, and a bad one harms nobody.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it must be"
)]

use std::time::Duration;

use kube::api::ListParams;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client};
use serde_json::{Value, json};
use tiphys_cluster::{Cluster, kinds};
use tiphys_controller::apply::{Applier, Outcome};
use tiphys_controller::{Host, HostOptions, Kind, ObjectKey, ObjectState, Snapshot};
use tiphys_core::Tasks;
use tiphys_core::manifest::Document;
use tiphys_core::metrics::Metrics;
use tiphys_eventsource::PortMap;

/// Far longer than any of these takes; it only ends a test that hangs.
const LIMIT: Duration = Duration::from_secs(120);

struct Fixture {
    client: Client,
    applier: Applier,
    host: Host,
    metrics: Metrics,
    _tasks: Tasks,
    _folder: tempfile::TempDir,
}

impl Fixture {
    async fn start() -> Self {
        let cluster = Cluster::in_memory(&[kinds::CORE, kinds::ARGO].concat()).unwrap();
        let client = cluster.client("ns");
        let folder = tempfile::tempdir().unwrap();
        let tasks = Tasks::new();
        let metrics = Metrics::try_new("test").unwrap();
        // Port 80 of the specs below is any free port.
        let ports = PortMap::default()
            .bind([127, 0, 0, 1].into())
            .publish(0, 80);
        let options = HostOptions::local(
            client.clone(),
            folder.path().to_owned(),
            ports,
            metrics.clone(),
        );
        let host = Host::spawn(options, &tasks);
        let applier = Applier::connect(client.clone(), "ns").await.unwrap();
        Self {
            client,
            applier,
            host,
            metrics,
            _tasks: tasks,
            _folder: folder,
        }
    }

    async fn apply(&self, kind: &str, name: &str, spec: Value) -> Outcome {
        let object = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec});
        self.applier
            .apply(&Document::from_object(object))
            .await
            .unwrap()
            .outcome
    }

    fn api(&self, kind: &str, plural: &str) -> Api<DynamicObject> {
        let gvk = GroupVersionKind::gvk("argoproj.io", "v1alpha1", kind);
        Api::namespaced_with(
            self.client.clone(),
            "ns",
            &ApiResource::from_gvk_with_plural(&gvk, plural),
        )
    }

    async fn until(&self, what: impl Fn(&Snapshot) -> bool) -> Snapshot {
        let mut state = self.host.state();
        let found = tokio::time::timeout(
            LIMIT,
            state.wait_for(|snapshot| snapshot.synced && what(snapshot)),
        )
        .await;
        found.unwrap().unwrap().clone()
    }

    async fn state(
        &self,
        kind: Kind,
        name: &str,
        what: impl Fn(&ObjectState) -> bool,
    ) -> ObjectState {
        let key = ObjectKey {
            kind,
            namespace: "ns".into(),
            name: name.into(),
        };
        let snapshot = self
            .until(|snapshot| snapshot.objects.get(&key).is_some_and(&what))
            .await;
        snapshot.objects.get(&key).cloned().unwrap()
    }

    async fn post(&self, path: &str, body: &str) -> u16 {
        let snapshot = self.until(|snapshot| !snapshot.addresses.is_empty()).await;
        let url = format!("http://{}{path}", snapshot.addresses.first().unwrap());
        // Another test may have installed it already.
        drop(rustls::crypto::ring::default_provider().install_default());
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        http.post(url)
            .header("content-type", "application/json")
            .body(body.to_owned())
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    }
}

fn webhook(endpoint: &str) -> Value {
    json!({"webhook": {"go": {"endpoint": endpoint, "port": "80", "method": "POST"}}})
}

fn sensor(trigger: Value) -> Value {
    json!({
        "dependencies": [{"name": "d", "eventSourceName": "es", "eventName": "go"}],
        "triggers": [{"template": trigger}],
    })
}

fn creates_config_map() -> Value {
    sensor(
        json!({"name": "t", "k8s": {"operation": "create", "source": {"resource": {
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "made-"}, "data": {"k": "v"}}}}}),
    )
}

#[tokio::test]
async fn an_event_goes_from_a_source_to_a_created_object() {
    let fixture = Fixture::start().await;
    fixture.apply("Sensor", "s", creates_config_map()).await;
    fixture.state(Kind::Sensor, "s", |state| state.ready).await;
    fixture.apply("EventSource", "es", webhook("/go")).await;
    fixture
        .state(Kind::EventSource, "es", |state| state.ready)
        .await;
    assert_eq!(fixture.post("/go", "{}").await, 200);
    let maps =
        Api::<k8s_openapi::api::core::v1::ConfigMap>::namespaced(fixture.client.clone(), "ns");
    let made = async {
        loop {
            let found = maps.list(&ListParams::default()).await.unwrap().items;
            if !found.is_empty() {
                return found;
            }
            tokio::task::yield_now().await;
        }
    };
    let made = tokio::time::timeout(LIMIT, made).await.unwrap();
    assert!(made[0].metadata.name.as_ref().unwrap().starts_with("made-"));
    // The bus that nobody wrote is there without an object.
    assert!(
        fixture
            .metrics
            .text()
            .unwrap()
            .contains("argo_events_events_sent_total")
    );
    fixture.host.drain(LIMIT).await.unwrap();
}

#[tokio::test]
async fn a_bad_object_is_reported_on_itself_and_harms_nobody() {
    let fixture = Fixture::start().await;
    fixture.apply("EventSource", "es", webhook("/go")).await;
    fixture
        .apply(
            "EventSource",
            "broken",
            json!({"webhook": {"x": {"endpoint": "no-slash", "port": "many"}}}),
        )
        .await;
    fixture
        .apply(
            "Sensor",
            "unknown",
            sensor(json!({"name": "t", "conditions": "d && nope", "log": {}})),
        )
        .await;
    fixture.apply("Sensor", "later", sensor(json!({"name": "t", "kafka": {"url": "k:9092", "topic": "t", "payload": [{"src": {"dependencyName": "d"}, "dest": "x"}]}}))).await;
    fixture
        .apply("Sensor", "good", sensor(json!({"name": "t", "log": {}})))
        .await;
    let broken = fixture
        .state(Kind::EventSource, "broken", |state| !state.ready)
        .await;
    assert!(
        broken.message.contains("spec.webhook.x.port"),
        "{}",
        broken.message
    );
    let unknown = fixture
        .state(Kind::Sensor, "unknown", |state| !state.ready)
        .await;
    assert!(
        unknown
            .message
            .contains("spec.triggers[0].template.conditions"),
        "{}",
        unknown.message
    );
    let later = fixture
        .state(Kind::Sensor, "later", |state| !state.ready)
        .await;
    assert!(
        later.message.contains("not supported yet"),
        "{}",
        later.message
    );
    fixture
        .state(Kind::Sensor, "good", |state| state.ready)
        .await;
    fixture
        .state(Kind::EventSource, "es", |state| state.ready)
        .await;
    assert_eq!(fixture.post("/go", "{}").await, 200);
    // What cannot run is no reason to send the process no traffic.
    assert_eq!(
        fixture.host.state().borrow().not_ready(),
        Vec::<String>::new()
    );

    // The state stands on the object itself.
    let api = fixture.api("Sensor", "sensors");
    let written = async {
        loop {
            let object = serde_json::to_value(api.get("unknown").await.unwrap()).unwrap();
            if object["status"]["conditions"][0]["status"] == "False" {
                return object;
            }
            tokio::task::yield_now().await;
        }
    };
    let object = tokio::time::timeout(LIMIT, written).await.unwrap();
    assert!(
        object["status"]["conditions"][0]["message"]
            .as_str()
            .unwrap()
            .contains("nope")
    );
}

#[tokio::test]
async fn objects_are_replaced_mended_and_removed_while_the_host_runs() {
    let fixture = Fixture::start().await;
    fixture.apply("EventSource", "es", webhook("/go")).await;
    fixture
        .state(Kind::EventSource, "es", |state| state.ready)
        .await;
    assert_eq!(
        fixture.apply("EventSource", "es", webhook("/go")).await,
        Outcome::Unchanged
    );
    assert_eq!(
        fixture.apply("EventSource", "es", webhook("/new")).await,
        Outcome::Configured
    );
    let moved = async {
        while fixture.post("/new", "{}").await != 200 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, moved).await.unwrap();
    assert_eq!(fixture.post("/go", "{}").await, 404);

    fixture.apply("Sensor", "s", json!({"eventBusName": "mine", "dependencies": [{"name": "d", "eventSourceName": "es", "eventName": "go"}], "triggers": [{"template": {"name": "t", "log": {}}}]})).await;
    let waiting = fixture.state(Kind::Sensor, "s", |state| !state.ready).await;
    assert!(
        waiting.message.contains("no EventBus \"mine\""),
        "{}",
        waiting.message
    );
    fixture
        .apply(
            "EventBus",
            "mine",
            json!({"nats": {"native": {"auth": "token"}}}),
        )
        .await;
    fixture.state(Kind::Sensor, "s", |state| state.ready).await;
    let bus = fixture
        .state(Kind::EventBus, "mine", |state| state.ready)
        .await;
    assert!(bus.message.contains("durability disk"), "{}", bus.message);

    // A written status or label is no reason to restart anything.
    let label = json!({"metadata": {"labels": {"team": "a"}}});
    fixture
        .api("Sensor", "sensors")
        .patch("s", &PatchParams::default(), &Patch::Merge(&label))
        .await
        .unwrap();
    let removed = fixture.applier.prune(&[]).await.unwrap();
    assert_eq!(removed.len(), 3);
    fixture
        .until(|snapshot| snapshot.objects.is_empty() && snapshot.addresses.is_empty())
        .await;
}

/// A Sensor whose trigger holds each event `go` until another one comes that never does.
fn holds(trigger: &str) -> Value {
    json!({
        "dependencies": [
            {"name": "d", "eventSourceName": "es", "eventName": "go"},
            {"name": "never", "eventSourceName": "es", "eventName": "never"},
        ],
        "triggers": [{"template": {"name": trigger, "conditions": "d && never", "log": {}}}],
    })
}

#[tokio::test]
async fn what_a_trigger_held_that_is_gone_pends_no_longer() {
    let fixture = Fixture::start().await;
    fixture.apply("Sensor", "s", holds("one")).await;
    fixture.state(Kind::Sensor, "s", |state| state.ready).await;
    fixture.apply("EventSource", "es", webhook("/go")).await;
    fixture
        .state(Kind::EventSource, "es", |state| state.ready)
        .await;
    let books = |trigger: &str| {
        let counted = fixture.metrics.trigger("ns", "s", trigger);
        (
            counted.accepted.get(),
            counted.dead.get(),
            counted.pending.get(),
        )
    };
    let reaches = async |trigger: &str, wanted: (u64, u64, i64)| {
        let reached = async {
            while books(trigger) != wanted {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let reached = tokio::time::timeout(LIMIT, reached).await;
        assert!(
            reached.is_ok(),
            "{trigger}: {:?}, not {wanted:?}",
            books(trigger)
        );
    };
    assert_eq!(fixture.post("/go", "{}").await, 200);
    reaches("one", (1, 0, 1)).await;
    // Another trigger takes the place of the first; once it is counted, it is subscribed.
    fixture.apply("Sensor", "s", holds("two")).await;
    let subscribed = async {
        while !fixture.metrics.text().unwrap().contains("\"two\"") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LIMIT, subscribed).await.unwrap();
    reaches("one", (1, 1, 0)).await;
    assert_eq!(fixture.post("/go", "{}").await, 200);
    reaches("two", (1, 0, 1)).await;
    // One that cannot run any more still holds what it held, until it goes.
    fixture.apply("Sensor", "s", json!({"triggers": []})).await;
    fixture.state(Kind::Sensor, "s", |state| !state.ready).await;
    assert_eq!(books("two"), (1, 0, 1));
    let sensors = fixture.api("Sensor", "sensors");
    sensors.delete("s", &Default::default()).await.unwrap();
    reaches("two", (1, 1, 0)).await;
    fixture.host.drain(LIMIT).await.unwrap();
}
