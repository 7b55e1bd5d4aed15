//! What an object refers to: a change of it reaches the pods, what is missing is said; also after the API server was away.

use k8s_openapi::api::core::v1::{ConfigMap, Secret};

use super::*;

fn secret(name: &str, value: &str) -> Secret {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": { "name": name }, "stringData": { "token": value, "other": "x" },
    });
    serde_json::from_value(secret).unwrap()
}

fn contents(deployment: &Deployment) -> Option<String> {
    let template = deployment.spec.as_ref()?.template.metadata.as_ref()?;
    template
        .annotations
        .as_ref()?
        .get("tiphys.dev/contents")
        .cloned()
}

/// Waits until the pods are of another kind than before.
async fn rolled(scene: &Scene, name: &str, before: &str) -> String {
    let deployment = scene
        .deployment_with("EventSource", name, |deployment| {
            match contents(deployment) {
                Some(now) if now != before => Ok(()),
                now => Err(format!("{now:?}")),
            }
        })
        .await;
    contents(&deployment).unwrap()
}

#[tokio::test]
async fn a_secret_that_changes_rolls_the_pods_also_after_the_api_server_was_away() {
    let mut scene = Scene::start().await;
    scene.apply(BUS).await;
    scene
        .apply(
            "---
kind: EventSource
metadata: {name: guarded}
spec:
  webhook: {example: {port: '12000', endpoint: /x, method: POST, authSecret: {name: auth.token, key: token}}}
  template: {container: {env: [{name: MODE, valueFrom: {configMapKeyRef: {name: modes, key: mode}}}]}}
",
        )
        .await;
    let words = [
        "False",
        "MissingReferences",
        "Secret \"auth.token\" does not exist",
        "ConfigMap \"modes\" does not exist",
    ];
    scene
        .condition("EventSource", "guarded", "Ready", &words)
        .await;
    let first = rolled(&scene, "guarded", "").await;

    let secrets = Api::<Secret>::namespaced(scene.client.clone(), NAMESPACE);
    secrets
        .create(&PostParams::default(), &secret("auth.token", "one"))
        .await
        .unwrap();
    let second = rolled(&scene, "guarded", &first).await;
    let maps = Api::<ConfigMap>::namespaced(scene.client.clone(), NAMESPACE);
    let map = json!({ "metadata": { "name": "modes" }, "data": { "wrong": "x" } });
    maps.create(
        &PostParams::default(),
        &serde_json::from_value(map).unwrap(),
    )
    .await
    .unwrap();
    scene
        .condition(
            "EventSource",
            "guarded",
            "Ready",
            &["False", "ConfigMap \"modes\" has no key \"mode\""],
        )
        .await;
    let map = json!({ "data": { "mode": "fast" } });
    maps.patch("modes", &PatchParams::default(), &Patch::Merge(map))
        .await
        .unwrap();
    let third = rolled(&scene, "guarded", &second).await;
    scene
        .condition(
            "EventSource",
            "guarded",
            "Ready",
            &["Unknown", "PodsStarting"],
        )
        .await;

    // What nobody refers to rolls nothing; the change after it says that the first was seen.
    let other = json!({ "stringData": { "other": "y" } });
    secrets
        .patch("auth.token", &PatchParams::default(), &Patch::Merge(other))
        .await
        .unwrap();
    scene
        .change("EventSource", "guarded", json!({ "replicas": 2 }))
        .await;
    let deployment = scene
        .deployment_with("EventSource", "guarded", |deployment| {
            (deployment.spec.as_ref().unwrap().replicas == Some(2))
                .then_some(())
                .ok_or("one".to_owned())
        })
        .await;
    assert_eq!(contents(&deployment), Some(third.clone()));

    scene.server.restart().await;
    let two = json!({ "stringData": { "token": "two" } });
    eventually_ok("the Secret to change", LIMIT, async || {
        secrets
            .patch(
                "auth.token",
                &PatchParams::default(),
                &Patch::Merge(two.clone()),
            )
            .await
            .map(drop)
    })
    .await;
    let fourth = rolled(&scene, "guarded", &third).await;
    // While it is away nothing is lost either.
    scene.server.kill();
    scene.server.restart().await;
    eventually_ok("a Sensor to be made", LIMIT, async || {
        let sensor = manifest::parse(&log_sensor("late"))
            .unwrap()
            .remove(0)
            .object;
        let mut sensor = sensor.clone();
        sensor["apiVersion"] = json!("argoproj.io/v1alpha1");
        let sensor = serde_json::from_value(sensor).unwrap();
        scene
            .objects("Sensor")
            .create(&PostParams::default(), &sensor)
            .await
            .map(drop)
    })
    .await;
    scene.deployment("Sensor", "late").await;
    secrets
        .delete("auth.token", &DeleteParams::default())
        .await
        .unwrap();
    rolled(&scene, "guarded", &fourth).await;
    scene
        .condition(
            "EventSource",
            "guarded",
            "Ready",
            &["False", "MissingReferences"],
        )
        .await;
    scene.stop().await;
}
