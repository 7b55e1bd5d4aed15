//! Create, get, list, update and patch.

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, ResourceExt};
use serde_json::json;

use crate::{argo, both_ways, cluster, refusal, sensors, version, workflow, workflows};

#[tokio::test]
async fn an_object_is_created_read_listed_changed_and_deleted() {
    both_ways(|client| async move {
        let api = workflows(&client);
        let created = api
            .create(&PostParams::default(), &workflow("a"))
            .await
            .unwrap();
        assert_eq!(created.namespace().as_deref(), Some("default"));
        assert_eq!(created.metadata.generation, Some(1));
        assert!(created.uid().is_some() && created.creation_timestamp().is_some());

        assert_eq!(api.get("a").await.unwrap(), created);
        assert_eq!(
            api.list(&ListParams::default()).await.unwrap().items,
            std::slice::from_ref(&created)
        );

        let mut changed = created.clone();
        changed.data["spec"]["entrypoint"] = "other".into();
        let changed = api
            .replace("a", &PostParams::default(), &changed)
            .await
            .unwrap();
        assert_eq!(changed.metadata.generation, Some(2));
        assert!(version(&changed) > version(&created));
        assert_eq!(changed.uid(), created.uid());

        let status = api
            .delete("a", &DeleteParams::default())
            .await
            .unwrap()
            .right()
            .unwrap();
        assert!(status.is_success());
        assert_eq!(refusal(api.get("a").await), (404, "NotFound".into()));
        let gone = api.delete("a", &DeleteParams::default()).await;
        assert_eq!(refusal(gone), (404, "NotFound".into()));
    })
    .await;
}

#[tokio::test]
async fn unknown_fields_and_their_order_survive() {
    let client = cluster().client("default");
    let spec = json!({"z": 9007199254740993_u64, "a": {"y": null, "b": [1.5, "ü"]}, "m": ""});
    let object = argo(
        "Workflow",
        json!({"name": "a"}),
        json!({"spec": spec, "other": [1]}),
    );
    workflows(&client)
        .create(&PostParams::default(), &object)
        .await
        .unwrap();
    let stored = workflows(&client).get("a").await.unwrap();
    assert_eq!(stored.data["spec"].to_string(), spec.to_string());
    assert_eq!(stored.data["other"], json!([1]));
}

#[tokio::test]
async fn names_are_generated_taken_and_checked() {
    let client = cluster().client("default");
    let api = workflows(&client);
    let post = PostParams::default();
    let prefixed = argo("Workflow", json!({"generateName": "hello-"}), json!({}));
    let one = api.create(&post, &prefixed).await.unwrap().name_any();
    let two = api.create(&post, &prefixed).await.unwrap().name_any();
    assert!(one.starts_with("hello-") && one.len() == 11 && one != two);

    api.create(&post, &workflow("a")).await.unwrap();
    let taken = api.create(&post, &workflow("a")).await;
    assert_eq!(refusal(taken), (409, "AlreadyExists".into()));

    for bad in ["A", "a_b", "-a", &"a".repeat(254)] {
        let refused = api.create(&post, &workflow(bad)).await;
        assert_eq!(refusal(refused), (422, "Invalid".into()), "{bad}");
    }
    let nameless = api
        .create(&post, &argo("Workflow", json!({}), json!({})))
        .await;
    assert_eq!(refusal(nameless), (422, "Invalid".into()));
    let elsewhere = argo(
        "Workflow",
        json!({"name": "b", "namespace": "other"}),
        json!({}),
    );
    assert_eq!(
        refusal(api.create(&post, &elsewhere).await),
        (400, "BadRequest".into())
    );
    let kind = argo("Sensor", json!({"name": "b"}), json!({}));
    assert_eq!(
        refusal(api.create(&post, &kind).await),
        (422, "Invalid".into())
    );
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let client = cluster().client("default");
    let api = workflows(&client);
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let tried = api.create(&dry, &workflow("a")).await.unwrap();
    assert!(tried.uid().is_some());
    assert_eq!(refusal(api.get("a").await).0, 404);

    api.create(&PostParams::default(), &workflow("a"))
        .await
        .unwrap();
    let delete = DeleteParams {
        dry_run: true,
        ..DeleteParams::default()
    };
    api.delete("a", &delete).await.unwrap();
    let patch = Patch::Merge(json!({"spec": {"x": 1}}));
    let dry = PatchParams {
        dry_run: true,
        ..PatchParams::default()
    };
    assert_eq!(
        api.patch("a", &dry, &patch).await.unwrap().data["spec"]["x"],
        1
    );
    assert_eq!(api.get("a").await.unwrap().data["spec"].get("x"), None);
}

#[tokio::test]
async fn a_stale_update_is_a_conflict() {
    both_ways(|client| async move {
        let api = workflows(&client);
        let first = api
            .create(&PostParams::default(), &workflow("a"))
            .await
            .unwrap();
        let mut second = first.clone();
        second.data["spec"]["x"] = 1.into();
        api.replace("a", &PostParams::default(), &second)
            .await
            .unwrap();
        let stale = api.replace("a", &PostParams::default(), &second).await;
        assert_eq!(refusal(stale), (409, "Conflict".into()));

        let mut blind = first.clone();
        blind.metadata.resource_version = None;
        let blind = api.replace("a", &PostParams::default(), &blind).await;
        assert_eq!(refusal(blind), (422, "Invalid".into()));
        let mut other = api.get("a").await.unwrap();
        other.metadata.uid = Some("another".into());
        let other = api.replace("a", &PostParams::default(), &other).await;
        assert_eq!(refusal(other), (409, "Conflict".into()));
        let missing = api
            .replace("b", &PostParams::default(), &workflow("b"))
            .await;
        assert_eq!(refusal(missing), (404, "NotFound".into()));
    })
    .await;
}

#[tokio::test]
async fn an_update_that_changes_nothing_keeps_its_version() {
    let client = cluster().client("default");
    let api = workflows(&client);
    let created = api
        .create(&PostParams::default(), &workflow("a"))
        .await
        .unwrap();
    let again = api
        .replace("a", &PostParams::default(), &created)
        .await
        .unwrap();
    assert_eq!(version(&again), version(&created));
}

#[tokio::test]
async fn each_kind_of_patch_does_what_it_says() {
    both_ways(|client| async move {
        let api = workflows(&client);
        let params = PatchParams::default();
        api.create(&PostParams::default(), &workflow("a"))
            .await
            .unwrap();
        let merge =
            json!({"spec": {"entrypoint": null, "list": [1, 2]}, "status": {"phase": "Running"}});
        let merged = api.patch("a", &params, &Patch::Merge(merge)).await.unwrap();
        assert_eq!(merged.data["spec"], json!({"list": [1, 2]}));
        // A workflow has no status subresource, so its status comes along.
        assert_eq!(merged.data["status"]["phase"], "Running");
        assert_eq!(merged.metadata.generation, Some(2));

        let ops = json!([
            {"op": "test", "path": "/spec/list/0", "value": 1},
            {"op": "add", "path": "/spec/list/-", "value": 3},
        ]);
        let ops: json_patch::Patch = serde_json::from_value(ops).unwrap();
        let patched = api
            .patch("a", &params, &Patch::Json::<()>(ops))
            .await
            .unwrap();
        assert_eq!(patched.data["spec"], json!({"list": [1, 2, 3]}));

        let failing = json!([{"op": "test", "path": "/spec/list/0", "value": 7}]);
        let failing: json_patch::Patch = serde_json::from_value(failing).unwrap();
        let refused = api.patch("a", &params, &Patch::Json::<()>(failing)).await;
        assert_eq!(refusal(refused), (422, "Invalid".into()));
        let strategic = api.patch("a", &params, &Patch::Strategic(json!({}))).await;
        assert_eq!(refusal(strategic).0, 415);
        let missing = api.patch("b", &params, &Patch::Merge(json!({}))).await;
        assert_eq!(refusal(missing).0, 404);
        let stale = json!({"metadata": {"resourceVersion": "1"}, "spec": {}});
        let stale = api.patch("a", &params, &Patch::Merge(stale)).await;
        assert_eq!(refusal(stale), (409, "Conflict".into()));
        let identity = json!({"metadata": {"creationTimestamp": "2000-01-01T00:00:00Z"}});
        let kept = api
            .patch("a", &params, &Patch::Merge(identity))
            .await
            .unwrap();
        assert_eq!(kept.creation_timestamp(), patched.creation_timestamp());
    })
    .await;
}

#[tokio::test]
async fn built_in_kinds_take_strategic_patches() {
    let client = cluster().client("default");
    let api: Api<Pod> = Api::default_namespaced(client);
    let pod =
        json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a", "image": "x"}]}});
    let pod: Pod = serde_json::from_value(pod).unwrap();
    api.create(&PostParams::default(), &pod).await.unwrap();
    let patch = json!({"spec": {"containers": [{"name": "b", "image": "y"}]}});
    let patched = api
        .patch("p", &PatchParams::default(), &Patch::Strategic(patch))
        .await
        .unwrap();
    let names: Vec<_> = patched
        .spec
        .unwrap()
        .containers
        .into_iter()
        .map(|c| c.name)
        .collect();
    assert_eq!(names, ["a", "b"]);
}

#[tokio::test]
async fn applying_creates_then_merges_and_removes() {
    both_ways(|client| async move {
        let api = workflows(&client);
        let params = PatchParams::apply("me");
        let wanted = |spec| {
            Patch::Apply(
                json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow",
                "metadata": {"name": "a"}, "spec": spec}),
            )
        };
        let one = api
            .patch("a", &params, &wanted(json!({"x": 1, "y": {"z": 1}})))
            .await
            .unwrap();
        let same = api
            .patch("a", &params, &wanted(json!({"x": 1, "y": {"z": 1}})))
            .await
            .unwrap();
        assert_eq!(version(&one), version(&same));
        let two = api
            .patch("a", &params, &wanted(json!({"x": 2})))
            .await
            .unwrap();
        assert_eq!(two.data["spec"], json!({"x": 2}));
        let other = api
            .patch("a", &PatchParams::apply("you"), &wanted(json!({"x": 3})))
            .await;
        assert_eq!(refusal(other), (409, "Conflict".into()));
        let forced = PatchParams::apply("you").force();
        let forced = api
            .patch("a", &forced, &wanted(json!({"x": 3})))
            .await
            .unwrap();
        assert_eq!(forced.data["spec"], json!({"x": 3}));
        let nobody = api
            .patch("a", &PatchParams::default(), &wanted(json!({})))
            .await;
        assert_eq!(refusal(nobody).0, 422);
    })
    .await;
}

#[tokio::test]
async fn status_is_written_apart_where_the_kind_says_so() {
    both_ways(|client| async move {
        let api = sensors(&client);
        let sensor = argo(
            "Sensor",
            json!({"name": "s"}),
            json!({"spec": {"a": 1}, "status": {"phase": "x"}}),
        );
        let created = api.create(&PostParams::default(), &sensor).await.unwrap();
        assert_eq!(created.data.get("status"), None);

        let both = json!({"spec": {"a": 2}, "status": {"phase": "Ready"}});
        let main = api
            .patch("s", &PatchParams::default(), &Patch::Merge(&both))
            .await
            .unwrap();
        assert_eq!(
            (main.data.get("status"), &main.data["spec"]["a"]),
            (None, &json!(2))
        );

        let both = json!({"spec": {"a": 3}, "status": {"phase": "Ready"}});
        let both = Patch::Merge(&both);
        let status = api
            .patch_status("s", &PatchParams::default(), &both)
            .await
            .unwrap();
        assert_eq!(status.data["status"]["phase"], "Ready");
        assert_eq!(status.data["spec"]["a"], 2);
        assert_eq!(status.metadata.generation, main.metadata.generation);

        let mut replaced = status.clone();
        replaced.data["status"]["phase"] = "Gone".into();
        let replaced = api
            .replace_status("s", &PostParams::default(), &replaced)
            .await
            .unwrap();
        assert_eq!(api.get_status("s").await.unwrap(), replaced);
        let none = workflows(&client).get_status("s").await;
        assert_eq!(refusal(none).0, 404);
    })
    .await;
}

#[tokio::test]
async fn lists_are_selected_and_paged() {
    both_ways(|client| async move {
        let api = workflows(&client);
        for index in 0..10 {
            let parity = if index % 2 == 0 { "even" } else { "odd" };
            let meta = json!({"name": format!("w{index}"), "labels": {"parity": parity}});
            let phase = if index < 3 { "Running" } else { "Succeeded" };
            let object = argo("Workflow", meta, json!({"status": {"phase": phase}}));
            api.create(&PostParams::default(), &object).await.unwrap();
        }
        let count = |params: ListParams| {
            let api = api.clone();
            async move { api.list(&params).await.unwrap().items.len() }
        };
        let params = ListParams::default;
        assert_eq!(count(params().labels("parity=even")).await, 5);
        assert_eq!(
            count(params().labels("parity in (even,odd),!missing")).await,
            10
        );
        assert_eq!(count(params().labels("parity notin (even)")).await, 5);
        assert_eq!(count(params().fields("metadata.name=w3")).await, 1);
        assert_eq!(
            count(params().fields("status.phase=Running").labels("parity=odd")).await,
            1
        );
        assert_eq!(refusal(api.list(&params().labels("a in (")).await).0, 400);

        let mut seen = Vec::new();
        let mut page = params().limit(3);
        loop {
            let list = api.list(&page).await.unwrap();
            seen.extend(list.items.iter().map(ResourceExt::name_any));
            match list.metadata.continue_ {
                Some(token) => page = params().limit(3).continue_token(&token),
                None => break,
            }
        }
        assert_eq!(
            seen,
            (0..10).map(|index| format!("w{index}")).collect::<Vec<_>>()
        );

        api.delete_collection(&DeleteParams::default(), &params().labels("parity=odd"))
            .await
            .unwrap();
        assert_eq!(count(params()).await, 5);
    })
    .await;
}
