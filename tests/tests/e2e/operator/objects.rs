//! EventSources and Sensors: made as they say, kept so, taken away with them; what is wrong is said on them alone.

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::events::v1::Event;

use super::*;

#[tokio::test]
async fn workloads_appear_change_and_go_with_their_objects() {
    let scene = Scene::start().await;
    before_there_is_a_bus(&scene).await;
    scene.apply(BUS).await;
    the_objects_are_those_of_the_reference(&scene).await;
    pods_make_ready(&scene).await;
    a_change_of_the_spec_rolls(&scene).await;
    what_others_change_is_changed_back(&scene).await;
    what_others_add_stays(&scene).await;
    ports_that_vanish_take_the_service_along(&scene).await;
    a_name_that_is_taken_is_said(&scene).await;
    what_is_wrong_is_said_and_harms_nobody(&scene).await;
    a_deleted_object_takes_everything_along(&scene).await;
    scene.stop().await;
}

async fn before_there_is_a_bus(scene: &Scene) {
    scene.apply(&webhook("webhook")).await;
    scene.apply(&log_sensor("sensor")).await;
    for (kind, name) in [("EventSource", "webhook"), ("Sensor", "sensor")] {
        let words = [
            "False",
            "EventBusNotFound",
            "EventBus \"default\" does not exist in namespace \"argo-events\"",
        ];
        scene.condition(kind, name, "Deployed", &words).await;
        scene.condition(kind, name, "Ready", &words).await;
        assert!(
            deployments(&scene.client, NAMESPACE, kind, name)
                .await
                .is_empty()
        );
    }
}

async fn the_objects_are_those_of_the_reference(scene: &Scene) {
    for (kind, name, variable, command) in [
        (
            "EventSource",
            "webhook",
            "EVENTSOURCE_OBJECT",
            "eventsource",
        ),
        ("Sensor", "sensor", "SENSOR_OBJECT", "sensor"),
    ] {
        let object = scene.objects(kind).get(name).await.unwrap();
        // The bus wakes those who name it: no pause of a quarter of an hour.
        let deployment = scene.deployment(kind, name).await;
        let found = deployment.metadata.name.as_ref().unwrap();
        assert!(found.starts_with(&format!("{name}-{command}-")), "{found}");
        let owner = &deployment.metadata.owner_references.as_ref().unwrap()[0];
        assert_eq!(owner.uid, object.metadata.uid.clone().unwrap());
        assert_eq!(
            (owner.controller, owner.block_owner_deletion),
            (Some(true), Some(true))
        );
        let annotations = deployment.metadata.annotations.as_ref().unwrap();
        assert_eq!(annotations["resource-spec-hash"].len(), 64);
        let given = given(&deployment, variable);
        assert_eq!(
            given["metadata"],
            json!({ "name": name, "namespace": NAMESPACE })
        );
        assert_eq!(given["spec"], object.data["spec"]);
        let config = super::given(&deployment, "EVENTBUS_CONFIG");
        assert_eq!(config["jetstream"]["url"], "nats://127.0.0.1:4222");
        let pod = deployment.spec.unwrap().template.spec.unwrap();
        let container = &pod.containers[0];
        assert_eq!(container.name, "main");
        assert_eq!(container.image.as_deref(), Some("tiphys:test"));
        assert_eq!(container.args.as_ref().unwrap(), &[command]);
        let security = container.security_context.as_ref().unwrap();
        assert_eq!(security.run_as_non_root, Some(true));
        assert_eq!(security.read_only_root_filesystem, Some(true));
        scene
            .condition(kind, name, "Deployed", &["True", "Succeeded"])
            .await;
        scene
            .condition(kind, name, "Ready", &["Unknown", "PodsStarting"])
            .await;
    }
    let service = service(scene).await.unwrap();
    let spec = service.spec.unwrap();
    assert_eq!(spec.ports.unwrap()[0].port, 12000);
    assert_eq!(spec.selector.unwrap()["eventsource-name"], "webhook");
    let events = Api::<Event>::namespaced(scene.client.clone(), NAMESPACE);
    eventually_ok("an Event on the EventSource", LIMIT, async || {
        let list = events
            .list(&ListParams::default())
            .await
            .map_err(|error| error.to_string())?;
        let about = |event: &&Event| {
            event
                .regarding
                .as_ref()
                .and_then(|about| about.name.as_deref())
                == Some("webhook")
        };
        let reasons: Vec<String> = list
            .iter()
            .filter(about)
            .filter_map(|event| event.reason.clone())
            .collect();
        let both = ["EventBusNotFound", "Created"];
        if both
            .iter()
            .all(|wanted| reasons.iter().any(|reason| reason == wanted))
        {
            return Ok(());
        }
        Err(format!("{reasons:?}"))
    })
    .await;
}

async fn service(scene: &Scene) -> Option<Service> {
    let api = Api::<Service>::namespaced(scene.client.clone(), NAMESPACE);
    api.get_opt("webhook-eventsource-svc").await.unwrap()
}

/// Says what a cluster's own controllers would say of the pods.
async fn pods_make_ready(scene: &Scene) {
    for (kind, name) in [("EventSource", "webhook"), ("Sensor", "sensor")] {
        let deployment = scene.deployment(kind, name).await;
        let name_of = deployment.metadata.name.clone().unwrap();
        let status = |ready: i32| {
            json!({ "status": {
                "observedGeneration": deployment.metadata.generation,
                "replicas": 1, "updatedReplicas": 1, "readyReplicas": ready, "availableReplicas": ready,
                "conditions": [{ "type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable" }],
            }})
        };
        for (ready, words) in [
            (1, ["True", "PodsReady", "1 of 1 pod is ready"]),
            (0, ["False", "PodsNotReady", "0 of 1 pod is ready"]),
            (1, ["True", "PodsReady", "1 of 1 pod is ready"]),
        ] {
            scene
                .deployments()
                .patch_status(
                    &name_of,
                    &PatchParams::default(),
                    &Patch::Merge(status(ready)),
                )
                .await
                .unwrap();
            scene.condition(kind, name, "Ready", &words).await;
        }
    }
}

async fn a_change_of_the_spec_rolls(scene: &Scene) {
    scene
        .change(
            "EventSource",
            "webhook",
            json!({ "replicas": 2, "webhook": { "example": { "endpoint": "/other" } } }),
        )
        .await;
    let deployment = scene
        .deployment_with("EventSource", "webhook", |deployment| {
            let object = given(deployment, "EVENTSOURCE_OBJECT");
            let endpoint = &object["spec"]["webhook"]["example"]["endpoint"];
            (endpoint == "/other")
                .then_some(())
                .ok_or(endpoint.to_string())
        })
        .await;
    assert_eq!(deployment.spec.unwrap().replicas, Some(2));
    let object = eventually_ok("the status to speak of the new spec", LIMIT, async || {
        let object = scene
            .objects("EventSource")
            .get("webhook")
            .await
            .map_err(|error| error.to_string())?;
        let observed = object.data["status"]["observedGeneration"].as_i64();
        if observed == object.metadata.generation {
            return Ok(object);
        }
        Err(format!("{observed:?}"))
    })
    .await;
    assert!(object.metadata.generation > Some(1));
}

async fn what_others_change_is_changed_back(scene: &Scene) {
    let deployment = scene.deployment("EventSource", "webhook").await;
    let name = deployment.metadata.name.unwrap();
    let merge = PatchParams::default();
    let drift = json!({
        "metadata": { "labels": { "owner-name": "webhook", "team": null } },
        "spec": { "replicas": 7, "template": { "spec": { "terminationGracePeriodSeconds": 1 } } },
    });
    scene
        .deployments()
        .patch(&name, &merge, &Patch::Merge(drift))
        .await
        .unwrap();
    let services = Api::<Service>::namespaced(scene.client.clone(), NAMESPACE);
    let drift = json!({ "spec": { "selector": { "owner-name": "nobody" } } });
    services
        .patch("webhook-eventsource-svc", &merge, &Patch::Merge(drift))
        .await
        .unwrap();
    scene
        .deployment_with("EventSource", "webhook", |deployment| {
            let spec = deployment.spec.as_ref().unwrap();
            let grace = spec
                .template
                .spec
                .as_ref()
                .unwrap()
                .termination_grace_period_seconds;
            (spec.replicas == Some(2) && grace == Some(45))
                .then_some(())
                .ok_or(format!("{:?} {grace:?}", spec.replicas))
        })
        .await;
    eventually_ok("the Service to be mended", LIMIT, async || {
        let service = service(scene).await.ok_or("gone".to_owned())?;
        let selector = service.spec.unwrap().selector.unwrap();
        (selector["owner-name"] == "webhook")
            .then_some(())
            .ok_or(format!("{selector:?}"))
    })
    .await;
    services
        .delete("webhook-eventsource-svc", &DeleteParams::default())
        .await
        .unwrap();
    scene
        .deployments()
        .delete(&name, &DeleteParams::default())
        .await
        .unwrap();
    eventually_ok("the Service to be there again", LIMIT, async || {
        service(scene).await.map(drop).ok_or("gone")
    })
    .await;
    scene.deployment("EventSource", "webhook").await;
}

async fn what_others_add_stays(scene: &Scene) {
    let deployment = scene.deployment("Sensor", "sensor").await;
    let name = deployment.metadata.name.unwrap();
    let more = json!({
        "metadata": { "annotations": { "somebody.else/note": "x" } },
        "spec": { "template": { "metadata": { "annotations": { "kubectl.kubernetes.io/restartedAt": "now" } } } },
    });
    let theirs = PatchParams {
        field_manager: Some("somebody-else".to_owned()),
        ..PatchParams::default()
    };
    scene
        .deployments()
        .patch(&name, &theirs, &Patch::Merge(more))
        .await
        .unwrap();
    // And a change of ours after it.
    scene
        .change("Sensor", "sensor", json!({ "replicas": 3 }))
        .await;
    let deployment = scene
        .deployment_with("Sensor", "sensor", |deployment| {
            let replicas = deployment.spec.as_ref().unwrap().replicas;
            (replicas == Some(3))
                .then_some(())
                .ok_or(format!("{replicas:?}"))
        })
        .await;
    assert_eq!(
        deployment.metadata.annotations.unwrap()["somebody.else/note"],
        "x"
    );
    let template = deployment.spec.unwrap().template.metadata.unwrap();
    assert_eq!(
        template.annotations.unwrap()["kubectl.kubernetes.io/restartedAt"],
        "now"
    );
}

async fn ports_that_vanish_take_the_service_along(scene: &Scene) {
    scene
        .change("EventSource", "webhook", json!({ "service": null }))
        .await;
    eventually_ok("the Service to go", LIMIT, async || {
        service(scene).await.map_or(Ok(()), |_| Err("it is there"))
    })
    .await;
    let ports =
        json!({ "service": { "ports": [{ "port": 80, "targetPort": 12000, "name": "http" }] } });
    scene.change("EventSource", "webhook", ports).await;
    eventually_ok("the Service to come back", LIMIT, async || {
        service(scene).await.map(drop).ok_or("gone")
    })
    .await;
    for (address, headless) in [(json!("None"), true), (Value::Null, false)] {
        let change = json!({ "service": { "clusterIP": address } });
        scene.change("EventSource", "webhook", change).await;
        eventually_ok(
            "the Service to have an address or none",
            LIMIT,
            async || {
                let spec = service(scene).await.and_then(|service| service.spec);
                let found = spec.and_then(|spec| spec.cluster_ip).ok_or("gone")?;
                ((found == "None") == headless).then_some(()).ok_or(found)
            },
        )
        .await;
    }
}

async fn a_name_that_is_taken_is_said(scene: &Scene) {
    let services = Api::<Service>::namespaced(scene.client.clone(), NAMESPACE);
    let theirs = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": "taken-eventsource-svc" },
        "spec": { "ports": [{ "port": 1 }], "selector": { "app": "theirs" } },
    });
    services
        .create(
            &PostParams::default(),
            &serde_json::from_value(theirs).unwrap(),
        )
        .await
        .unwrap();
    scene.apply(&webhook("taken")).await;
    let words = [
        "False",
        "CreateServiceFailed",
        "Service \"taken-eventsource-svc\" exists and was not made by this controller",
    ];
    scene
        .condition("EventSource", "taken", "Deployed", &words)
        .await;
    let left = services.get("taken-eventsource-svc").await.unwrap();
    assert_eq!(left.spec.unwrap().selector.unwrap()["app"], "theirs");
    // Out of the way, and it goes on by itself.
    services
        .delete("taken-eventsource-svc", &DeleteParams::default())
        .await
        .unwrap();
    scene
        .condition("EventSource", "taken", "Deployed", &["True"])
        .await;
}

async fn what_is_wrong_is_said_and_harms_nobody(scene: &Scene) {
    scene
        .apply(
            "---
kind: EventSource
metadata: {name: bad}
spec: {webhook: {example: {endpoint: /x, method: POST}}}
---
kind: EventSource
metadata: {name: later}
spec: {hdfs: {example: {directory: /tmp, path: x, type: CREATE, addresses: ['a:1'], hdfsUser: u}}}
---
kind: EventSource
metadata: {name: refused}
spec:
  webhook: {example: {port: '12000', endpoint: /x, method: POST}}
  template: {volumes: [{name: UPPER, emptyDir: {}}]}
---
kind: Sensor
metadata: {name: bad}
spec:
  dependencies: [{name: d, eventName: e}]
  triggers: [{template: {name: t, log: {}}}]
---
kind: Sensor
metadata: {name: elsewhere}
spec:
  eventBusName: other
  dependencies: [{name: d, eventSourceName: s, eventName: e}]
  triggers: [{template: {name: t, log: {}}}]
",
        )
        .await;
    let said = scene.condition("EventSource", "refused", "Deployed", &["UPPER"]);
    let said = said.await["message"].to_string();
    assert!(!said.contains("Status {"), "{said}");
    for (kind, name, condition, words) in [
        (
            "EventSource",
            "bad",
            "SourcesProvided",
            &["False", "InvalidEventSource", "spec.webhook.example.port"][..],
        ),
        (
            "EventSource",
            "later",
            "SourcesProvided",
            &[
                "False",
                "UnsupportedSources",
                "spec.hdfs.example",
                "not supported yet",
            ],
        ),
        (
            "EventSource",
            "refused",
            "Deployed",
            &["False", "CreateDeploymentFailed", "UPPER"],
        ),
        (
            "Sensor",
            "bad",
            "DependenciesProvided",
            &["False", "InvalidDependencies", "eventSourceName"],
        ),
        ("Sensor", "bad", "TriggersProvided", &["True"]),
        (
            "Sensor",
            "elsewhere",
            "Deployed",
            &["False", "EventBusNotFound", "\"other\""],
        ),
    ] {
        scene.condition(kind, name, condition, words).await;
        if let Some(reason) = words.get(1) {
            scene
                .condition(kind, name, "Ready", &["False", reason])
                .await;
        }
        assert!(
            deployments(&scene.client, NAMESPACE, kind, name)
                .await
                .is_empty(),
            "{kind} {name}"
        );
    }
    // One that was good goes on as it was.
    scene
        .change(
            "EventSource",
            "webhook",
            json!({ "webhook": { "example": { "port": null } } }),
        )
        .await;
    scene
        .condition(
            "EventSource",
            "webhook",
            "Deployed",
            &["Unknown", "the pods go on with the spec before it"],
        )
        .await;
    let deployment = scene.deployment("EventSource", "webhook").await;
    let port = &given(&deployment, "EVENTSOURCE_OBJECT")["spec"]["webhook"]["example"]["port"];
    assert_eq!(port, "12000");
    // And everybody else is served meanwhile.
    scene.apply(&log_sensor("after")).await;
    scene.deployment("Sensor", "after").await;
    scene
        .change(
            "EventSource",
            "webhook",
            json!({ "webhook": { "example": { "port": "12001" } } }),
        )
        .await;
    scene
        .condition("EventSource", "webhook", "Deployed", &["True"])
        .await;
}

async fn a_deleted_object_takes_everything_along(scene: &Scene) {
    // As Argo's controller has left it.
    let held = json!({ "metadata": { "finalizers": ["eventsource-controller"] } });
    scene
        .objects("EventSource")
        .patch("webhook", &PatchParams::default(), &Patch::Merge(held))
        .await
        .unwrap();
    for (kind, name) in [("EventSource", "webhook"), ("Sensor", "sensor")] {
        scene.delete(kind, name).await;
        scene.no_deployment(kind, name).await;
        eventually_ok("the object to go", LIMIT, async || {
            let found = scene
                .objects(kind)
                .get_opt(name)
                .await
                .map_err(|error| error.to_string())?;
            found.map_or(Ok(()), |_| Err("it is there".to_owned()))
        })
        .await;
    }
    eventually_ok("the Service to go", LIMIT, async || {
        service(scene).await.map_or(Ok(()), |_| Err("it is there"))
    })
    .await;
    scene.deployment("Sensor", "after").await;
}
