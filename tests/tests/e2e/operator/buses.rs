//! EventBuses: servers made and kept, changes passed on, and nothing deleted that somebody uses.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Secret, Service};
use kube::api::PropagationPolicy;

use super::*;

const MADE: &str = "
kind: EventBus
metadata: {name: default, labels: {team: a}}
spec: {jetstream: {version: latest, replicas: 1, persistence: {volumeSize: 1Gi}}}
";

#[tokio::test]
async fn a_bus_is_made_kept_and_guarded() {
    let scene = Scene::start().await;
    scene.apply(MADE).await;
    scene
        .condition("EventBus", "default", "Configured", &["True"])
        .await;
    scene
        .condition("EventBus", "default", "Deployed", &["True", "Succeeded"])
        .await;
    scene
        .condition("EventBus", "default", "Ready", &["Unknown"])
        .await;
    let password = everything_is_there(&scene).await;
    what_is_deleted_comes_back(&scene, &password).await;
    servers_make_ready(&scene).await;
    scene.apply(&webhook("webhook")).await;
    scene.apply(&log_sensor("sensor")).await;
    let deployment = scene.deployment("EventSource", "webhook").await;
    let config = given(&deployment, "EVENTBUS_CONFIG");
    assert_eq!(
        config["jetstream"]["url"],
        "nats://eventbus-default-js-svc.argo-events.svc:4222"
    );
    an_unknown_version_is_said(&scene).await;
    what_is_only_recorded_says_whether_it_runs(&scene).await;
    servers_that_may_have_most_copies_stay(&scene).await;
    volumes_are_fixed(&scene).await;
    a_bad_change_harms_nobody_on_it(&scene).await;
    it_goes_when_nobody_uses_it_any_more(&scene).await;
    scene.stop().await;
}

async fn everything_is_there(scene: &Scene) -> Value {
    let (client, name) = (scene.client.clone(), "eventbus-default-js");
    let set = Api::<StatefulSet>::namespaced(client.clone(), NAMESPACE)
        .get(name)
        .await
        .unwrap();
    let bus = scene.objects("EventBus").get("default").await.unwrap();
    assert_eq!(
        set.metadata.owner_references.unwrap()[0].uid,
        bus.metadata.uid.clone().unwrap()
    );
    assert_eq!(set.metadata.labels.unwrap()["team"], "a");
    let spec = set.spec.unwrap();
    assert_eq!(spec.replicas, Some(1));
    let names: Vec<String> = spec
        .template
        .spec
        .unwrap()
        .containers
        .into_iter()
        .map(|container| container.name)
        .collect();
    assert_eq!(names, ["main", "reloader", "metrics"]);
    assert_eq!(spec.volume_claim_templates.unwrap().len(), 1);
    let service = Api::<Service>::namespaced(client.clone(), NAMESPACE)
        .get("eventbus-default-js-svc")
        .await
        .unwrap();
    assert_eq!(service.spec.unwrap().cluster_ip.as_deref(), Some("None"));
    let maps = Api::<ConfigMap>::namespaced(client.clone(), NAMESPACE);
    assert!(
        maps.get("eventbus-default-js-config")
            .await
            .unwrap()
            .data
            .unwrap()
            .contains_key("nats-js")
    );
    let secrets = Api::<Secret>::namespaced(client, NAMESPACE);
    assert!(
        secrets
            .get("eventbus-default-js-server")
            .await
            .unwrap()
            .data
            .unwrap()
            .len()
            >= 8
    );
    assert_eq!(
        bus.data["status"]["config"]["jetstream"]["accessSecret"],
        json!({ "name": "eventbus-default-js-client-auth", "key": "client-auth" })
    );
    password(scene).await
}

async fn password(scene: &Scene) -> Value {
    let secrets = Api::<Secret>::namespaced(scene.client.clone(), NAMESPACE);
    let secret = secrets
        .get("eventbus-default-js-client-auth")
        .await
        .unwrap();
    json!(secret.data)
}

async fn what_is_deleted_comes_back(scene: &Scene, before: &Value) {
    let client = scene.client.clone();
    let maps = Api::<ConfigMap>::namespaced(client.clone(), NAMESPACE);
    let drift = json!({ "data": { "nats-js": "max_payload: 1" } });
    maps.patch(
        "eventbus-default-js-config",
        &PatchParams::default(),
        &Patch::Merge(drift),
    )
    .await
    .unwrap();
    eventually_ok("the configuration to be mended", LIMIT, async || {
        let map = maps
            .get("eventbus-default-js-config")
            .await
            .map_err(|error| error.to_string())?;
        let text = map.data.unwrap()["nats-js"].clone();
        text.contains("jetstream").then_some(()).ok_or(text)
    })
    .await;
    let sets = Api::<StatefulSet>::namespaced(client, NAMESPACE);
    sets.delete("eventbus-default-js", &DeleteParams::default())
        .await
        .unwrap();
    eventually_ok("the StatefulSet to be there again", LIMIT, async || {
        sets.get("eventbus-default-js").await.map(drop)
    })
    .await;
    assert_eq!(
        &password(scene).await,
        before,
        "clients keep their password"
    );
}

/// Says what a cluster's own controllers would say of the servers.
async fn servers_make_ready(scene: &Scene) {
    let sets = Api::<StatefulSet>::namespaced(scene.client.clone(), NAMESPACE);
    let set = sets.get("eventbus-default-js").await.unwrap();
    let status = json!({ "status": {
        "observedGeneration": set.metadata.generation,
        "replicas": 1, "readyReplicas": 1, "updatedReplicas": 1, "currentReplicas": 1,
    }});
    sets.patch_status(
        "eventbus-default-js",
        &PatchParams::default(),
        &Patch::Merge(status),
    )
    .await
    .unwrap();
    scene
        .condition("EventBus", "default", "Ready", &["True", "1 server"])
        .await;
}

async fn an_unknown_version_is_said(scene: &Scene) {
    scene
        .apply("kind: EventBus\nmetadata: {name: old}\nspec: {jetstream: {version: 0.0.1}}")
        .await;
    scene
        .condition(
            "EventBus",
            "old",
            "Deployed",
            &["False", "JetStreamStatefulSetFailed", "0.0.1", "latest"],
        )
        .await;
}

async fn what_is_only_recorded_says_whether_it_runs(scene: &Scene) {
    let exotic =
        "kind: EventBus\nmetadata: {name: exotic}\nspec: {jetstreamExotic: {url: 'nats://a:4222'}}";
    scene.apply(exotic).await;
    scene
        .condition("EventBus", "exotic", "Ready", &["True", "Skipped"])
        .await;
    let kafka = "kind: EventBus\nmetadata: {name: kafka}\nspec: {kafka: {url: 'a:9092'}}";
    scene.apply(kafka).await;
    scene
        .condition("EventBus", "kafka", "Deployed", &["True", "Skipped"])
        .await;
    scene
        .condition(
            "EventBus",
            "kafka",
            "Ready",
            &["False", "EventBusNotSupported"],
        )
        .await;
}

/// Of five servers two may have two of the three copies of an event.
async fn servers_that_may_have_most_copies_stay(scene: &Scene) {
    scene
        .apply("kind: EventBus\nmetadata: {name: five}\nspec: {jetstream: {version: latest, replicas: 5}}")
        .await;
    let deployed = ["True", "Succeeded"];
    scene
        .condition("EventBus", "five", "Deployed", &deployed)
        .await;
    let replicas = |count: i32| json!({ "jetstream": { "replicas": count } });
    scene.change("EventBus", "five", replicas(3)).await;
    let words = [
        "False",
        "JetStreamStatefulSetFailed",
        "replicas must stay 5 or become more",
        "make another EventBus with replicas 3",
    ];
    scene
        .condition("EventBus", "five", "Deployed", &words)
        .await;
    let sets = Api::<StatefulSet>::namespaced(scene.client.clone(), NAMESPACE);
    let servers = async || {
        sets.get("eventbus-five-js")
            .await
            .unwrap()
            .spec
            .unwrap()
            .replicas
    };
    assert_eq!(servers().await, Some(5));
    // What is scaled by hand is put right all the same, and more servers come.
    scene.change("EventBus", "five", replicas(6)).await;
    scene
        .condition("EventBus", "five", "Deployed", &deployed)
        .await;
    assert_eq!(servers().await, Some(6));
    let scaled = Patch::Merge(json!({ "spec": { "replicas": 8 } }));
    sets.patch("eventbus-five-js", &PatchParams::default(), &scaled)
        .await
        .unwrap();
    eventually_ok(
        "the servers to be as many as the bus says",
        LIMIT,
        async || match servers().await {
            Some(6) => Ok(()),
            other => Err(format!("{other:?}")),
        },
    )
    .await;
    scene.delete("EventBus", "five").await;
}

/// A StatefulSet keeps its volumes; one that is taken away from around its pods is made anew with others.
async fn volumes_are_fixed(scene: &Scene) {
    let size = json!({ "jetstream": { "persistence": { "volumeSize": "2Gi" } } });
    scene.change("EventBus", "default", size).await;
    let words = ["False", "JetStreamStatefulSetFailed", "--cascade=orphan"];
    scene
        .condition("EventBus", "default", "Deployed", &words)
        .await;
    let sets = Api::<StatefulSet>::namespaced(scene.client.clone(), NAMESPACE);
    let orphan = DeleteParams {
        propagation_policy: Some(PropagationPolicy::Orphan),
        ..DeleteParams::default()
    };
    sets.delete("eventbus-default-js", &orphan).await.unwrap();
    // Nobody here ends the deletion, as a garbage collector does.
    let ended = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
    sets.patch("eventbus-default-js", &PatchParams::default(), &ended)
        .await
        .unwrap();
    scene
        .condition("EventBus", "default", "Deployed", &["True", "Succeeded"])
        .await;
    let set = sets.get("eventbus-default-js").await.unwrap();
    let claims = set.spec.unwrap().volume_claim_templates.unwrap();
    let requests = claims[0].spec.as_ref().unwrap().resources.as_ref().unwrap();
    assert_eq!(requests.requests.as_ref().unwrap()["storage"].0, "2Gi");
}

/// What is on the bus goes on, and what comes to it begins.
async fn a_bad_change_harms_nobody_on_it(scene: &Scene) {
    let limit = |most: &str| json!({ "jetstream": { "maxPayload": most } });
    scene.change("EventBus", "default", limit("much")).await;
    let words = ["False", "InvalidSpec", "spec.jetstream.maxPayload"];
    for condition in ["Configured", "Ready"] {
        scene
            .condition("EventBus", "default", condition, &words)
            .await;
    }
    let words = ["Unknown", "the servers go on with the spec before it"];
    scene
        .condition("EventBus", "default", "Deployed", &words)
        .await;
    scene.apply(&log_sensor("newcomer")).await;
    scene.deployment("Sensor", "newcomer").await;
    scene
        .condition("Sensor", "newcomer", "Deployed", &["True"])
        .await;
    scene
        .condition("Sensor", "sensor", "Deployed", &["True"])
        .await;
    scene.delete("Sensor", "newcomer").await;
}

async fn it_goes_when_nobody_uses_it_any_more(scene: &Scene) {
    let claims = Api::<PersistentVolumeClaim>::namespaced(scene.client.clone(), NAMESPACE);
    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": "eventbus-default-js-vol-eventbus-default-js-0",
            "labels": { "controller": "eventbus-controller", "eventbus-name": "default", "owner-name": "default" },
        },
        "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } },
    });
    claims
        .create(
            &PostParams::default(),
            &serde_json::from_value(claim).unwrap(),
        )
        .await
        .unwrap();
    scene.delete("EventBus", "default").await;
    scene
        .condition(
            "EventBus",
            "default",
            "Ready",
            &[
                "False",
                "InUse",
                "1 EventSources connected and 1 Sensors connected",
            ],
        )
        .await;
    scene
        .condition(
            "EventBus",
            "default",
            "Configured",
            &["False", "InvalidSpec"],
        )
        .await;
    scene.delete("EventSource", "webhook").await;
    scene
        .condition(
            "EventBus",
            "default",
            "Ready",
            &["can not delete an EventBus with 1 Sensors connected"],
        )
        .await;
    scene.delete("Sensor", "sensor").await;
    eventually_ok("the bus to go", LIMIT, async || {
        let found = scene
            .objects("EventBus")
            .get_opt("default")
            .await
            .map_err(|error| error.to_string())?;
        found.map_or(Ok(()), |_| Err("it is there".to_owned()))
    })
    .await;
    let sets = Api::<StatefulSet>::namespaced(scene.client.clone(), NAMESPACE);
    eventually_ok("its servers to go", LIMIT, async || {
        let found = sets
            .get_opt("eventbus-default-js")
            .await
            .map_err(|error| error.to_string())?;
        found.map_or(Ok(()), |_| Err("they are there".to_owned()))
    })
    .await;
    // A finalizer of the API server's own may hold the claim, as nobody unmounts volumes here.
    let claim = claims
        .get_opt("eventbus-default-js-vol-eventbus-default-js-0")
        .await
        .unwrap();
    assert!(claim.is_none_or(|claim| claim.metadata.deletion_timestamp.is_some()));
}
