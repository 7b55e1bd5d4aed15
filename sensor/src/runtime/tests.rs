//! Sensors on a real embedded bus and a real in-process API server: events in, objects out, each once.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use kube::Client;
use kube::api::{Api, DynamicObject, ListParams};
use kube::core::{ApiResource, GroupVersionKind};
use tiphys_cluster::{Cluster, kinds};
use tiphys_core::metrics::{Metrics, TriggerMetrics};
use tiphys_core::refs::KeyRef;
use tiphys_core::{Event, Secret, SecretError, Secrets, Tasks};
use tiphys_eventbus::{Bus, EmbeddedConfig, Message, Publish as _, Turn};

use super::runner::Runner;
use super::{Reach, RunningSensor, Seat, SensorObject, SensorRuntime, StartError};
use crate::record::{Decision, Look, RecordLimits, Recorder, Tail};
use crate::testing::{NoSecrets, event, yaml};

/// No secrets, and one config map.
struct OneConfig;

#[async_trait]
impl Secrets for OneConfig {
    async fn secret(&self, at: &KeyRef) -> Result<Secret, SecretError> {
        NoSecrets.secret(at).await
    }

    async fn config(&self, at: &KeyRef) -> Result<Bytes, SecretError> {
        if at.name != "wf" {
            return NoSecrets.config(at).await;
        }
        let text =
            "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {generateName: cm-}\n";
        Ok(Bytes::from_static(text.as_bytes()))
    }
}

/// A bus, a cluster and counters that outlive the sensors of a test.
pub(super) struct World {
    pub(super) bus: Bus,
    pub(super) client: Client,
    metrics: Metrics,
    pub(super) records: Recorder,
    pub(super) tasks: Tasks,
    pub(super) dir: tempfile::TempDir,
    _cluster: Cluster,
}

impl World {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let cluster = Cluster::in_memory(&[kinds::CORE, kinds::ARGO].concat()).unwrap();
        let tasks = Tasks::new();
        let folder = dir.path().join("decisions");
        Self {
            records: Recorder::open(&folder, RecordLimits::default(), &tasks).unwrap(),
            bus: Bus::embedded(EmbeddedConfig::new(dir.path())).unwrap(),
            client: cluster.client("ns"),
            metrics: Metrics::try_new("0").unwrap(),
            tasks,
            dir,
            _cluster: cluster,
        }
    }

    pub(super) async fn start(&self, spec: &str) -> Result<RunningSensor, StartError> {
        self.start_from(spec, "").await
    }

    pub(super) async fn start_from(
        &self,
        spec: &str,
        from: &str,
    ) -> Result<RunningSensor, StartError> {
        self.start_at(spec, from, self.bus.clone()).await
    }

    /// As one of several replicas.
    pub(super) async fn start_in(
        &self,
        spec: &str,
        turn: Turn,
    ) -> Result<RunningSensor, StartError> {
        self.start_at(spec, "", (self.bus.clone(), turn)).await
    }

    async fn start_at(
        &self,
        spec: &str,
        from: &str,
        seat: impl Into<Seat>,
    ) -> Result<RunningSensor, StartError> {
        let annotation = (
            crate::spec::START_FROM_ANNOTATION.to_owned(),
            from.to_owned(),
        );
        let object = SensorObject {
            namespace: "ns".to_owned(),
            name: "s".to_owned(),
            annotations: std::collections::BTreeMap::from([annotation]),
            spec: yaml(spec),
        };
        let client = self.client.clone();
        SensorRuntime::start(
            object,
            seat,
            Reach {
                client,
                secrets: Arc::new(OneConfig),
                known_hosts: Arc::default(),
            },
            &self.metrics,
            &self.records,
            &self.tasks,
        )
        .await
    }

    pub(super) async fn publish(&self, name: &str, id: &str, payload: &str) {
        let event = Event {
            subject: name.to_owned(),
            ..event(id, payload)
        };
        self.bus.publish(&event).await.unwrap();
    }

    pub(super) async fn workflows(&self) -> Vec<DynamicObject> {
        let kind = GroupVersionKind::gvk("argoproj.io", "v1alpha1", "Workflow");
        let resource = ApiResource::from_gvk_with_plural(&kind, "workflows");
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), "ns", &resource);
        api.list(&ListParams::default()).await.unwrap().items
    }

    /// The decisions whose lines hold a text.
    pub(super) async fn decisions(&self, text: &str) -> Vec<Decision> {
        self.records.flush().await;
        let mut all = Vec::new();
        let mut tail = Tail::in_folder(&self.dir.path().join("decisions"), Look::default());
        tail.poll(|decision| all.push(decision)).await.unwrap();
        all.retain(|decision| serde_json::to_string(decision).unwrap().contains(text));
        all
    }

    pub(super) fn counters(&self, trigger: &str) -> TriggerMetrics {
        self.metrics.trigger("ns", "s", trigger)
    }

    /// Waits until the counters are accepted, fired, filtered, dead, pending.
    pub(super) async fn reaches(&self, trigger: &str, wanted: [u64; 5]) {
        let counters = self.counters(trigger);
        let now = || {
            let TriggerMetrics {
                accepted,
                fired,
                filtered,
                dead,
                pending,
                ..
            } = &counters;
            let pending = u64::try_from(pending.get()).unwrap_or(u64::MAX);
            [
                accepted.get(),
                fired.get(),
                filtered.get(),
                dead.get(),
                pending,
            ]
        };
        let reached = async {
            while now() != wanted {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(120), reached)
            .await
            .is_err()
        {
            assert_eq!(
                now(),
                wanted,
                "accepted, fired, filtered, dead, pending of {trigger}"
            );
        }
    }
}

const SUBMIT: &str = r#"
dependencies:
  - name: hook
    eventSourceName: webhook
    eventName: start
    filters: {data: [{path: body.go, type: bool, value: ["true"]}]}
triggers:
  - template:
      name: submit
      argoWorkflow:
        operation: submit
        source:
          resource:
            apiVersion: argoproj.io/v1alpha1
            kind: Workflow
            metadata: {generateName: hello-}
            spec: {arguments: {parameters: [{name: message}]}}
        parameters:
          - {src: {dependencyName: hook, dataTemplate: "{{ .Input.body.message }}"}, dest: spec.arguments.parameters.0.value}
"#;

#[tokio::test]
async fn an_event_becomes_one_workflow_with_its_parameter() {
    let world = World::new();
    let sensor = world.start(SUBMIT).await.unwrap();
    world
        .publish("start", "e1", r#"{"body":{"go":true,"message":12345678}}"#)
        .await;
    world
        .publish("start", "e2", r#"{"body":{"go":false}}"#)
        .await;
    world.publish("other", "e3", "{}").await;
    world.reaches("submit", [2, 1, 1, 0, 0]).await;
    let workflows = world.workflows().await;
    assert_eq!(workflows.len(), 1);
    let (data, metadata) = (&workflows[0].data, &workflows[0].metadata);
    assert_eq!(
        data["spec"]["arguments"]["parameters"][0]["value"],
        "12345678"
    );
    let labels = metadata.labels.as_ref().unwrap();
    assert_eq!(labels["events.argoproj.io/sensor"], "s");
    let annotations = metadata.annotations.as_ref().unwrap();
    assert_eq!(annotations["tiphys.dev/event-ids"], "e1");
    sensor.stop().await;
}

#[tokio::test]
async fn a_second_delivery_of_the_same_event_makes_no_second_workflow() {
    let world = World::new();
    let one = world.start(SUBMIT).await.unwrap();
    // Two consumers of the same events, as after a consumer was lost and made anew.
    let renamed = SUBMIT.replace("name: submit", "name: submit2");
    world
        .publish("start", "e1", r#"{"body":{"go":true,"message":"a"}}"#)
        .await;
    world.reaches("submit", [1, 1, 0, 0, 0]).await;
    one.stop().await;
    let two = world.start(&renamed).await.unwrap();
    // The same id outside the window of the bus, as its dedup key differs.
    let again = Event {
        subject: "start".to_owned(),
        dedup: Some("again".to_owned()),
        ..event("e1", r#"{"body":{"go":true,"message":"a"}}"#)
    };
    world.bus.publish(&again).await.unwrap();
    world.reaches("submit2", [1, 1, 0, 0, 0]).await;
    two.stop().await;
    // The first trigger's consumer went with it; under its name the same event fires into what is there.
    let three = world.start(SUBMIT).await.unwrap();
    let third = Event {
        dedup: Some("third".to_owned()),
        ..again
    };
    world.bus.publish(&third).await.unwrap();
    world.reaches("submit", [2, 2, 0, 0, 0]).await;
    assert_eq!(world.workflows().await.len(), 2, "one per trigger");
    three.stop().await;
}

#[tokio::test]
async fn events_that_come_while_a_sensor_is_away_are_not_missed() {
    let world = World::new();
    world.start(SUBMIT).await.unwrap().stop().await;
    for id in 0..20 {
        let payload = r#"{"body":{"go":true,"message":"x"}}"#;
        world.publish("start", &format!("e{id}"), payload).await;
    }
    let sensor = world.start(SUBMIT).await.unwrap();
    world.reaches("submit", [20, 20, 0, 0, 0]).await;
    assert_eq!(world.workflows().await.len(), 20);
    sensor.stop().await;
}

pub(super) const BOTH: &str = r#"
dependencies:
  - {name: a, eventSourceName: webhook, eventName: a}
  - {name: b, eventSourceName: webhook, eventName: b}
triggers:
  - template:
      name: both
      conditions: a && b
      k8s:
        source:
          resource: {apiVersion: argoproj.io/v1alpha1, kind: Workflow, metadata: {generateName: both-}, spec: {}}
        parameters:
          - {src: {dependencyName: a, contextKey: id}, dest: spec.a}
          - {src: {dependencyName: b, contextKey: id}, dest: spec.b}
"#;

#[tokio::test]
async fn a_condition_over_two_events_survives_a_restart() {
    let world = World::new();
    let sensor = world.start(BOTH).await.unwrap();
    world.publish("a", "a1", "{}").await;
    world.publish("a", "a2", "{}").await;
    world.reaches("both", [2, 0, 0, 1, 1]).await;
    sensor.stop().await;
    let sensor = world.start(BOTH).await.unwrap();
    world.publish("b", "b1", "{}").await;
    world.reaches("both", [3, 2, 0, 1, 0]).await;
    let workflows = world.workflows().await;
    assert_eq!(workflows.len(), 1);
    assert_eq!(workflows[0].data["spec"]["a"], "a2");
    assert_eq!(workflows[0].data["spec"]["b"], "b1");
    sensor.stop().await;
}

#[tokio::test]
async fn a_changed_condition_drops_what_was_held() {
    let world = World::new();
    let sensor = world.start(BOTH).await.unwrap();
    world.publish("a", "a1", "{}").await;
    world.reaches("both", [1, 0, 0, 0, 1]).await;
    sensor.stop().await;
    let sensor = world
        .start(&BOTH.replace("a && b", "b && a"))
        .await
        .unwrap();
    world.publish("b", "b1", "{}").await;
    world.reaches("both", [2, 0, 0, 1, 1]).await;
    assert!(world.workflows().await.is_empty());
    sensor.stop().await;
}

#[tokio::test]
async fn a_sensor_that_cannot_run_says_why() {
    let world = World::new();
    let kafka = r#"
dependencies: [{name: a, eventSourceName: webhook, eventName: a}]
triggers: [{template: {name: k, kafka: {url: k, topic: t, payload: [{src: {dependencyName: a}, dest: x}]}}}]
"#;
    let error = world.start(kafka).await.err().unwrap();
    let text = tiphys_core::tasks::chain(&error);
    assert_eq!(
        text,
        "trigger \"k\" cannot run: trigger kind `kafka` is not supported yet"
    );
    let error = world.start("{}").await.err().unwrap();
    assert!(matches!(error, StartError::Invalid(_)), "{error}");
}

#[tokio::test]
async fn nothing_stays_on_the_bus_of_a_forgotten_sensor() {
    let world = World::new();
    world.start(BOTH).await.unwrap().stop().await;
    assert_eq!(world.bus.durables("tiphys-ns-").await.unwrap().len(), 1);
    SensorRuntime::forget(&world.bus, "ns", "s").await.unwrap();
    assert!(world.bus.durables("tiphys-").await.unwrap().is_empty());
}

#[tokio::test]
async fn either_event_fires_and_one_event_for_two_dependencies_fires_twice() {
    let world = World::new();
    let spec = BOTH
        .replace("a && b", "a || b")
        .replace("eventName: b", "eventName: '*'");
    let sensor = world.start(&spec).await.unwrap();
    world.publish("a", "a1", "{}").await;
    world.publish("b", "b1", "{}").await;
    world.reaches("both", [2, 2, 0, 0, 0]).await;
    assert_eq!(world.workflows().await.len(), 3);
    sensor.stop().await;
}

/// Thousands may be under way, and each is made, moved and freed for one event: what is rare in it is boxed.
#[test]
fn what_one_event_takes_while_it_is_under_way_is_small() {
    fn size<'a, F>(_: impl FnOnce(&'a Runner, Message) -> F) -> usize {
        size_of::<F>()
    }
    let size = size(|runner, message| runner.work(message, None, None));
    assert!(size <= 2560, "{size} bytes");
}
