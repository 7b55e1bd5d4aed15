//! Ends that only few triggers come to, on real parts: what this build does not do, what waits for the rate limit, and
//! what waits for labels.

use std::time::Duration;

use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::json;

use super::tests::World;
use crate::record::End;

/// One trigger runs; the others are of kinds that this build only reads.
const HALF: &str = r#"
dependencies: [{name: a, eventSourceName: webhook, eventName: a}]
triggers:
  - template: {name: runs, conditions: a, log: {}}
  - template: {name: k, kafka: {url: k, topic: t, payload: [{src: {dependencyName: a}, dest: x}]}}
    retryStrategy: {steps: 3, duration: 1h}
  - template: {name: via, nats: {url: k, subject: t, payload: [{src: {dependencyName: a}, dest: x}]}}
    atLeastOnce: true
    dlqTrigger: {template: {name: instead, log: {}}, atLeastOnce: true}
"#;

#[tokio::test]
async fn what_an_unsupported_trigger_would_fire_for_is_dead_and_the_others_run() {
    let world = World::new();
    let sensor = world.start(HALF).await.unwrap();
    assert_eq!(
        sensor.cannot_run(),
        [
            "trigger \"k\": trigger kind `kafka` is not supported yet; what it would fire for is kept as dead",
            "trigger \"via\": trigger kind `nats` is not supported yet; its dlqTrigger fires instead",
        ]
    );
    world.publish("a", "a1", "{}").await;
    world.reaches("runs", [1, 1, 0, 0, 0]).await;
    world.reaches("k", [1, 0, 0, 1, 0]).await;
    world.reaches("via", [1, 0, 0, 1, 0]).await;
    let letters = sensor.dead().list().await.unwrap();
    assert_eq!(letters.len(), 1, "the dlqTrigger has the other one");
    assert_eq!((&*letters[0].trigger, letters[0].attempts), ("k", 1));
    assert_eq!(
        letters[0].reason,
        "trigger kind `kafka` is not supported yet"
    );
    // It is kept until a build can fire it.
    assert!(sensor.redrive(&letters[0]).await.is_err());
    assert_eq!(sensor.dead().list().await.unwrap().len(), 1);
    sensor.stop().await;
    let waits = world.decisions("").await;
    let waits = waits
        .iter()
        .find(|decision| decision.end == End::Waiting && decision.trigger == "k");
    let said = waits.unwrap().reason.clone().unwrap();
    assert!(said.contains("`kafka` is not supported yet"), "{said}");
}

#[tokio::test]
async fn an_event_that_waits_for_the_rate_limit_is_recorded_as_waiting() {
    let world = World::new();
    let sensor = world
        .start(
            "dependencies: [{name: a, eventSourceName: webhook, eventName: a}]\n\
             triggers: [{template: {name: slow, log: {}}, rateLimit: {unit: Hour, requestsPerUnit: 2}}]",
        )
        .await
        .unwrap();
    world.publish("a", "a1", "{}").await;
    world.publish("a", "a2", "{}").await;
    let wait = async {
        loop {
            let waits = world.decisions("rate limit").await;
            if let Some(found) = waits.into_iter().next() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(60), wait)
        .await
        .unwrap();
    assert_eq!(found.end, End::Pending);
    assert_eq!(found.event.unwrap().id, "a2");
    assert_eq!(
        found.reason.as_deref(),
        Some("waits for the rate limit, 2 per Hour")
    );
    world.reaches("slow", [2, 1, 0, 0, 1]).await;
    sensor.stop().await;
}

/// A trigger that makes a Workflow with a label and waits until it has the label `ready: "yes"`.
fn waits(name: &str, label: &str, steps: u32, fails: bool) -> String {
    format!(
        "  - template:\n      name: {name}\n      k8s: {{source: {{resource: {{apiVersion: argoproj.io/v1alpha1, \
         kind: Workflow, metadata: {{generateName: w-, labels: {{ready: '{label}'}}}}, spec: {{}}}}}}}}\n    \
         policy: {{k8s: {{labels: {{ready: 'yes'}}, backoff: {{steps: {steps}, duration: 10ms, jitter: 0}}, \
         errorOnBackoffTimeout: {fails}}}}}\n"
    )
}

#[tokio::test]
async fn a_policy_waits_for_labels_and_fails_only_where_it_shall() {
    let world = World::new();
    let spec = format!(
        "dependencies: [{{name: a, eventSourceName: webhook, eventName: a}}]\ntriggers:\n{}{}{}{}",
        waits("there", "yes", 1, true),
        waits("never", "no", 2, true),
        waits("lenient", "no", 2, false),
        waits("late", "no", 100_000, true),
    );
    let sensor = world.start(&spec).await.unwrap();
    world.publish("a", "a1", "{}").await;
    world.reaches("there", [1, 1, 0, 0, 0]).await;
    world.reaches("never", [1, 0, 0, 1, 0]).await;
    world.reaches("lenient", [1, 1, 0, 0, 0]).await;
    let letters = sensor.dead().list().await.unwrap();
    assert_eq!(letters.len(), 1);
    assert!(
        letters[0].reason.starts_with("failed to determine status"),
        "{letters:?}"
    );
    // Somebody, as the Workflow's controller, sets the label in the end.
    let kind = GroupVersionKind::gvk("argoproj.io", "v1alpha1", "Workflow");
    let resource = ApiResource::from_gvk(&kind);
    let api: Api<DynamicObject> = Api::namespaced_with(world.client.clone(), "ns", &resource);
    let of_late = |workflow: &DynamicObject| {
        let labels = workflow.metadata.labels.as_ref();
        labels.is_some_and(|labels| labels["events.argoproj.io/trigger"] == "late")
    };
    let made = async {
        loop {
            if let Some(found) = world.workflows().await.into_iter().find(of_late) {
                return found.metadata.name.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let name = tokio::time::timeout(Duration::from_secs(60), made)
        .await
        .unwrap();
    world.reaches("late", [1, 0, 0, 0, 1]).await;
    let ready = Patch::Merge(json!({"metadata": {"labels": {"ready": "yes"}}}));
    let params = PatchParams::default();
    api.patch(&name, &params, &ready).await.unwrap();
    world.reaches("late", [1, 1, 0, 0, 0]).await;
    sensor.stop().await;
}
