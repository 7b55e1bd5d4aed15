//! How objects end: namespaces, finalizers, owners, preconditions; and secrets.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use kube::api::{
    Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions,
    PropagationPolicy, ResourceExt,
};
use kube::runtime::controller::Action;
use kube::runtime::finalizer::{Event, finalizer};
use kube::runtime::wait::{await_condition, conditions};
use serde_json::json;

use crate::{argo, both_ways, cluster, named, refusal, version, workflow, workflows};

#[tokio::test]
async fn namespaces_appear_on_first_use_and_take_their_objects_along() {
    let client = cluster().client("default");
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "team");
    let map = ConfigMap {
        metadata: named("m"),
        ..ConfigMap::default()
    };
    maps.create(&PostParams::default(), &map).await.unwrap();
    let team = namespaces.get("team").await.unwrap();
    assert_eq!(team.status.unwrap().phase.as_deref(), Some("Active"));

    let all: Api<ConfigMap> = Api::all(client.clone());
    assert_eq!(
        all.list(&ListParams::default()).await.unwrap().items.len(),
        1
    );
    namespaces
        .delete("team", &DeleteParams::default())
        .await
        .unwrap();
    assert_eq!(
        all.list(&ListParams::default()).await.unwrap().items.len(),
        0
    );
    assert_eq!(refusal(namespaces.get("team").await).0, 404);

    // What a finalizer holds, holds the namespace.
    let mut held = map.clone();
    held.metadata.finalizers = Some(vec!["x.io/y".into()]);
    maps.create(&PostParams::default(), &held).await.unwrap();
    namespaces
        .delete("team", &DeleteParams::default())
        .await
        .unwrap();
    let team = namespaces.get("team").await.unwrap();
    assert_eq!(team.status.unwrap().phase.as_deref(), Some("Terminating"));
    let late = ConfigMap {
        metadata: named("late"),
        ..ConfigMap::default()
    };
    let late = maps.create(&PostParams::default(), &late).await;
    assert_eq!(refusal(late), (403, "Forbidden".into()));
    let release = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    maps.patch("m", &PatchParams::default(), &release)
        .await
        .unwrap();
    assert_eq!(refusal(namespaces.get("team").await).0, 404);
}

#[tokio::test]
async fn finalizers_hold_an_object_until_they_are_gone() {
    both_ways(|client| async move {
        let api = workflows(&client);
        let meta = json!({"name": "a", "finalizers": ["x.io/y"]});
        let object = argo("Workflow", meta, json!({}));
        let created = api.create(&PostParams::default(), &object).await.unwrap();
        let held = api
            .delete("a", &DeleteParams::default())
            .await
            .unwrap()
            .left()
            .unwrap();
        assert!(held.metadata.deletion_timestamp.is_some());
        let again = api
            .delete("a", &DeleteParams::default())
            .await
            .unwrap()
            .left()
            .unwrap();
        assert_eq!(version(&again), version(&held));

        let more = Patch::Merge(json!({"metadata": {"finalizers": ["x.io/y", "x.io/z"]}}));
        let more = api.patch("a", &PatchParams::default(), &more).await;
        assert_eq!(refusal(more), (422, "Invalid".into()));

        let uid = created.uid().unwrap();
        let gone = await_condition(api.clone(), "a", conditions::is_deleted(&uid));
        let release = Patch::Merge(json!({"metadata": {"finalizers": []}}));
        let params = PatchParams::default();
        let (waited, released) = futures::join!(gone, api.patch("a", &params, &release));
        waited.unwrap();
        released.unwrap();
        assert_eq!(refusal(api.get("a").await).0, 404);
    })
    .await;
}

#[tokio::test]
async fn the_finalizer_of_kube_does_its_round() {
    let client = cluster().client("default");
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    let post = PostParams::default();
    let map = ConfigMap {
        metadata: named("m"),
        ..ConfigMap::default()
    };
    api.create(&post, &map).await.unwrap();
    let round = async || {
        let current = Arc::new(api.get("m").await.unwrap());
        let mut seen = "";
        finalizer(&api, "x.io/y", current, |event| {
            seen = match event {
                Event::Apply(_) => "apply",
                Event::Cleanup(_) => "cleanup",
            };
            std::future::ready(Ok::<_, std::io::Error>(Action::await_change()))
        })
        .await
        .unwrap();
        seen
    };
    // The first round only sets the finalizer.
    assert_eq!((round().await, round().await), ("", "apply"));
    api.delete("m", &DeleteParams::default()).await.unwrap();
    assert_eq!(round().await, "cleanup");
    assert_eq!(refusal(api.get("m").await).0, 404);
}

#[tokio::test]
async fn dependents_go_with_their_last_owner() {
    let client = cluster().client("default");
    let api = workflows(&client);
    let post = PostParams::default();
    let one = api.create(&post, &workflow("one")).await.unwrap();
    let two = api.create(&post, &workflow("two")).await.unwrap();
    let owner = |of: &kube::api::DynamicObject| {
        json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow",
               "name": of.name_any(), "uid": of.uid().unwrap()})
    };
    let child = |name: &str, owners: serde_json::Value| {
        argo(
            "Workflow",
            json!({"name": name, "ownerReferences": owners}),
            json!({}),
        )
    };
    let only = api
        .create(&post, &child("only", json!([owner(&one)])))
        .await
        .unwrap();
    api.create(&post, &child("grandchild", json!([owner(&only)])))
        .await
        .unwrap();
    api.create(&post, &child("both", json!([owner(&one), owner(&two)])))
        .await
        .unwrap();

    api.delete("one", &DeleteParams::background())
        .await
        .unwrap();
    let left = api.list(&ListParams::default()).await.unwrap();
    let names: Vec<_> = left.items.iter().map(ResourceExt::name_any).collect();
    assert_eq!(names, ["both", "two"]);
    assert_eq!(api.get("both").await.unwrap().owner_references().len(), 1);

    let orphan = DeleteParams {
        propagation_policy: Some(PropagationPolicy::Orphan),
        ..DeleteParams::default()
    };
    api.delete("two", &orphan).await.unwrap();
    assert_eq!(api.get("both").await.unwrap().owner_references().len(), 0);
}

#[tokio::test]
async fn a_deletion_checks_its_preconditions() {
    let client = cluster().client("default");
    let api = workflows(&client);
    let created = api
        .create(&PostParams::default(), &workflow("a"))
        .await
        .unwrap();
    let only_if = |uid: Option<String>, resource_version: Option<String>| DeleteParams {
        preconditions: Some(Preconditions {
            uid,
            resource_version,
        }),
        ..DeleteParams::default()
    };
    for params in [
        only_if(Some("x".into()), None),
        only_if(None, Some("1".into())),
    ] {
        assert_eq!(
            refusal(api.delete("a", &params).await),
            (409, "Conflict".into())
        );
    }
    let right = only_if(created.uid(), created.resource_version());
    api.delete("a", &right).await.unwrap();
}

#[tokio::test]
async fn string_data_of_a_secret_becomes_data() {
    let client = cluster().client("default");
    let api: Api<Secret> = Api::default_namespaced(client);
    let string_data = Some([("token".to_owned(), "s3cret".to_owned())].into());
    let secret = Secret {
        metadata: named("s"),
        string_data,
        ..Secret::default()
    };
    let created = api.create(&PostParams::default(), &secret).await.unwrap();
    assert_eq!(created.data.unwrap()["token"].0, b"s3cret");
    assert_eq!(
        (created.string_data, created.type_.as_deref()),
        (None, Some("Opaque"))
    );
}
