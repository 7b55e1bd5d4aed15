//! What the `k8s` trigger does, verb by verb, on the built-in API server.

use kube::core::Request;
use serde_json::{Value, json};
use tiphys_core::tasks::chain;

use super::scene::Scene;
use super::{FireError, Fired};

impl Scene {
    async fn k8s(&self, spec: &Value) -> Result<Fired, FireError> {
        self.fire("k8s", spec).await
    }

    /// Fires an operation with an object.
    async fn with(&self, operation: &str, resource: Value) -> Result<Fired, FireError> {
        self.k8s(&json!({"operation": operation, "source": {"resource": resource}}))
            .await
    }

    async fn patch(&self, strategy: &str, resource: Value) -> Result<Fired, FireError> {
        let source = json!({"resource": resource});
        self.k8s(&json!({"operation": "patch", "patchStrategy": strategy, "source": source}))
            .await
    }

    async fn get(&self, path: &str) -> Option<Value> {
        let (path, name) = path.rsplit_once('/').unwrap();
        let request = Request::new(path).get(name, &kube::api::GetParams::default());
        self.client.request(request.unwrap()).await.ok()
    }

    async fn map(&self) -> Value {
        let found = self.get("/api/v1/namespaces/ns/configmaps/c").await;
        found.unwrap_or_default()
    }
}

fn map(data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": data})
}

fn verb(fired: Result<Fired, FireError>) -> String {
    match fired.unwrap() {
        Fired::Created { existed, .. } => format!("created {existed}"),
        Fired::Changed { verb, .. } => verb,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn create_then_update_then_patch_then_delete_and_delete_again() {
    let scene = Scene::new();
    let made = scene.with("create", map(json!({"a": "1", "b": "2"}))).await;
    assert_eq!(verb(made), "created false");
    let labels = scene.map().await["metadata"]["labels"].clone();
    assert_eq!(labels["events.argoproj.io/trigger"], "t");

    let mut change = map(json!({"b": "3"}));
    change["metadata"]["labels"] = json!({"more": "x"});
    assert_eq!(verb(scene.with("update", change).await), "updated");
    let now = scene.map().await;
    assert_eq!(now["data"], json!({"a": "1", "b": "3"}));
    assert_eq!(now["metadata"]["labels"]["more"], "x");
    assert_eq!(now["metadata"]["labels"]["events.argoproj.io/trigger"], "t");

    let patched = scene
        .with("patch", map(json!({"foo": "bar", "a": null})))
        .await;
    assert_eq!(verb(patched), "patched");
    assert_eq!(scene.map().await["data"], json!({"b": "3", "foo": "bar"}));

    assert_eq!(verb(scene.with("delete", map(json!({}))).await), "deleted");
    assert_eq!(scene.map().await, Value::Null);
    let again = scene.with("delete", map(json!({}))).await;
    assert_eq!(verb(again), "found already deleted");
}

#[tokio::test]
async fn update_and_patch_create_what_is_not_there_without_the_labels() {
    for spec in [
        json!({"operation": "update"}),
        json!({"operation": "patch"}),
        json!({"operation": "patch", "patchStrategy": "application/json-patch+json"}),
        json!({"operation": "patch", "patchStrategy": "application/strategic-merge-patch+json"}),
    ] {
        let scene = Scene::new();
        let mut spec = spec;
        spec["source"] = json!({"resource": map(json!({"a": "1"}))});
        assert_eq!(verb(scene.k8s(&spec).await), "created false", "{spec}");
        let now = scene.map().await;
        assert_eq!(now["data"], json!({"a": "1"}), "{spec}");
        assert_eq!(now["metadata"]["labels"], Value::Null, "{spec}");
    }
}

#[tokio::test]
async fn each_patch_strategy_is_what_the_server_makes_of_it() {
    let pod = |containers: Value| json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": containers}});
    let containers = async |scene: &Scene| {
        let pod = scene.get("/api/v1/namespaces/ns/pods/p").await.unwrap();
        let list = pod["spec"]["containers"].as_array().unwrap().clone();
        let names = list
            .iter()
            .map(|one| one["name"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>().join(",")
    };
    let scene = Scene::new();
    let one = json!([{"name": "a", "image": "x"}]);
    scene.with("create", pod(one)).await.unwrap();
    let strategic = "application/strategic-merge-patch+json";
    let two = pod(json!([{"name": "b", "image": "y"}]));
    scene.patch(strategic, two.clone()).await.unwrap();
    assert_eq!(containers(&scene).await, "a,b");
    scene.patch("", two.clone()).await.unwrap();
    assert_eq!(containers(&scene).await, "b");

    // The operations as the source writes them.
    let json_patch = "application/json-patch+json";
    let mut own = pod(json!([]));
    own["patch"] = json!([{"op": "replace", "path": "/spec/containers/0/name", "value": "c"}]);
    scene.patch(json_patch, own).await.unwrap();
    assert_eq!(containers(&scene).await, "c");
    // And as they follow from an object.
    scene.patch(json_patch, two).await.unwrap();
    assert_eq!(containers(&scene).await, "b");

    // What a manager no longer applies goes; what others wrote stays.
    let apply = "application/apply-patch+yaml";
    scene
        .with("create", map(json!({"kept": "1"})))
        .await
        .unwrap();
    scene
        .patch(apply, map(json!({"a": "1", "b": "2"})))
        .await
        .unwrap();
    scene.patch(apply, map(json!({"b": "3"}))).await.unwrap();
    assert_eq!(scene.map().await["data"], json!({"kept": "1", "b": "3"}));
    // An object of its own kinds only is merged strategically.
    let workflow = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"name": "w"}, "spec": {}});
    scene.with("create", workflow.clone()).await.unwrap();
    let refused = scene.patch(strategic, workflow).await.unwrap_err();
    assert!(
        chain(&refused).contains("application/merge-patch+json works for every kind"),
        "{}",
        chain(&refused)
    );
    assert!(!refused.is_transient());
}

#[tokio::test]
async fn a_live_object_is_changed_by_parameters_and_nothing_else() {
    let scene = Scene::new();
    scene
        .with("create", map(json!({"a": "old", "b": "2"})))
        .await
        .unwrap();
    let live = json!({
        "operation": "update",
        "liveObject": true,
        "source": {"resource": map(json!({"ignored": "x"}))},
        "parameters": [
            {"src": {"dependencyName": "d", "dataKey": "who"}, "dest": "data.a", "operation": "append"},
            {"src": {"dependencyName": "d", "dataKey": "n"}, "dest": "data.n"},
        ],
    });
    assert_eq!(verb(scene.k8s(&live).await), "updated");
    let data = scene.map().await["data"].clone();
    assert_eq!(
        data,
        json!({"a": "oldann", "b": "2", "n": "9007199254740993"})
    );
    scene.with("delete", map(json!({}))).await.unwrap();
    let gone = scene.k8s(&live).await.unwrap_err();
    assert!(
        chain(&gone).contains("cannot read ConfigMap ns/c"),
        "{}",
        chain(&gone)
    );
}

#[tokio::test]
async fn kinds_are_found_by_asking_and_asked_again_when_they_come_later() {
    let scene = Scene::new();
    let thing = json!({"apiVersion": "things.io/v1", "kind": "Octopus", "metadata": {"name": "o", "namespace": "ignored"}, "spec": {}});
    let unknown = scene.with("create", thing.clone()).await.unwrap_err();
    let said = chain(&unknown);
    assert!(
        said.contains("the cluster serves no kind Octopus of things.io/v1"),
        "{said}"
    );
    assert!(!unknown.is_transient());
    let definition = |scope: &str| {
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "octopodes.things.io"},
            "spec": {"group": "things.io", "scope": scope, "names": {"plural": "octopodes", "kind": "Octopus"},
                "versions": [{"name": "v1", "served": true, "storage": true}]}})
    };
    scene.with("create", definition("Cluster")).await.unwrap();
    let Fired::Created { namespace, .. } = scene.with("create", thing.clone()).await.unwrap()
    else {
        panic!("it is created");
    };
    assert_eq!(namespace, "");
    assert!(scene.get("/apis/things.io/v1/octopodes/o").await.is_some());
    // The definition is replaced by one whose objects have namespaces: what was known is wrong now.
    scene.with("delete", definition("Cluster")).await.unwrap();
    scene
        .with("create", definition("Namespaced"))
        .await
        .unwrap();
    let Fired::Created { namespace, .. } = scene.with("create", thing.clone()).await.unwrap()
    else {
        panic!("it is created");
    };
    assert_eq!(namespace, "ignored");
    scene.with("update", thing).await.unwrap();
    // Of a kind that is known without asking, but not there.
    let other = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "made"}});
    scene.with("create", other).await.unwrap();
    assert!(scene.get("/api/v1/namespaces/made").await.is_some());
}

#[tokio::test]
async fn what_names_no_object_is_refused() {
    let scene = Scene::new();
    for operation in ["update", "patch", "delete"] {
        let object =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "c-"}});
        let error = scene.with(operation, object).await.unwrap_err();
        assert!(
            chain(&error).contains("must have metadata.name"),
            "{}",
            chain(&error)
        );
    }
    let mut old = map(json!({"a": "1"}));
    scene.with("create", old.clone()).await.unwrap();
    old["metadata"]["resourceVersion"] = "1".into();
    let error = scene.with("update", old).await.unwrap_err();
    assert!(!error.is_transient(), "{}", chain(&error));
}

#[tokio::test]
async fn writers_at_the_same_time_lose_nothing() {
    let scene = Scene::new();
    scene.with("create", map(json!({}))).await.unwrap();
    let writes = (0..8).map(|index| {
        let key = format!("k{index}");
        scene.with("update", map(json!({key: "1"})))
    });
    for written in futures::future::join_all(writes).await {
        written.unwrap();
    }
    assert_eq!(scene.map().await["data"].as_object().unwrap().len(), 8);
}
