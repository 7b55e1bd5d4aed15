//! The API server restarts under the controller.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn changes_after_a_restart_of_the_api_server_are_taken_up() {
    let mut scene = Scene::start().await;
    scene.apply(BUS).await;
    for name in ["kept", "changed", "deleted"] {
        scene.apply(&webhook(name)).await;
        scene.deployment("EventSource", name).await;
    }
    let kept = scene.deployment("EventSource", "kept").await;

    scene.server.restart().await;

    // Each kind of watch has something to see.
    scene.delete("EventSource", "deleted").await;
    let more = json!({ "template": { "metadata": { "labels": { "new": "yes" } } } });
    scene.change("EventSource", "changed", more).await;
    scene.apply(&webhook("late")).await;
    scene.apply(&log_sensor("late")).await;
    for (kind, name) in [("EventSource", "late"), ("Sensor", "late")] {
        scene.deployment(kind, name).await;
    }
    scene.no_deployment("EventSource", "deleted").await;
    let labelled = |deployment: &Deployment| {
        let spec = serde_json::to_value(&deployment.spec).unwrap();
        let label = &spec["template"]["metadata"]["labels"]["new"];
        (label == "yes").then_some(()).ok_or(spec.to_string())
    };
    scene
        .deployment_with("EventSource", "changed", labelled)
        .await;
    // What the controller has made is watched again, too.
    let drift = Patch::Merge(json!({ "spec": { "replicas": 7 } }));
    scene
        .deployments()
        .patch(
            kept.metadata.name.as_ref().unwrap(),
            &PatchParams::default(),
            &drift,
        )
        .await
        .unwrap();
    scene
        .deployment_with("EventSource", "kept", |deployment| {
            let replicas = deployment.spec.as_ref().unwrap().replicas;
            (replicas == Some(1))
                .then_some(())
                .ok_or(format!("{replicas:?}"))
        })
        .await;
    scene.stop().await;
}
