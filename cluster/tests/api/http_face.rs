//! The plain HTTP of it: discovery, hostile bodies, foreign origins, logs of pods.

use std::sync::Arc;

use async_trait::async_trait;
use axum::body::Body;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, LogParams, PostParams};
use kube::discovery::{Discovery, Scope};
use serde_json::{Value, json};
use tiphys_cluster::{Cluster, PodLogs};
use tower::ServiceExt;

use crate::{both_ways, cluster, refusal};

const WORKFLOWS: &str = "/apis/argoproj.io/v1alpha1/namespaces/default/workflows";

async fn send(cluster: &Cluster, request: Request<Body>) -> (StatusCode, Value) {
    let response = cluster.router().oneshot(request).await.unwrap();
    let code = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (
        code,
        serde_json::from_slice(&body).unwrap_or_else(|_| json!(String::from_utf8_lossy(&body))),
    )
}

fn post(body: impl Into<Body>) -> Request<Body> {
    let request = Request::post(WORKFLOWS).header("content-type", "application/json");
    request.body(body.into()).unwrap()
}

#[tokio::test]
async fn discovery_finds_every_kind() {
    both_ways(|client| async move {
        assert_eq!(client.apiserver_version().await.unwrap().major, "1");
        let discovery = Discovery::new(client.clone()).run().await.unwrap();
        let group = discovery.get("argoproj.io").unwrap();
        let (sensor, capabilities) = group.recommended_kind("Sensor").unwrap();
        assert_eq!(
            (sensor.plural.as_str(), capabilities.scope),
            ("sensors", Scope::Namespaced)
        );
        assert!(
            capabilities
                .subresources
                .iter()
                .any(|(part, _)| part.plural == "status")
        );
        let (template, capabilities) = group.recommended_kind("ClusterWorkflowTemplate").unwrap();
        assert_eq!(capabilities.scope, Scope::Cluster);
        assert_eq!(template.plural, "clusterworkflowtemplates");
        assert!(discovery.get("").unwrap().recommended_kind("Pod").is_some());
    })
    .await;
}

#[tokio::test]
async fn kubectl_learns_that_fields_are_checked_here() {
    let cluster = cluster();
    let get = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    let (_, index) = send(&cluster, get("/openapi/v3")).await;
    let place = &index["paths"]["apis/argoproj.io/v1alpha1"]["serverRelativeURL"];
    let (_, document) = send(&cluster, get(place.as_str().unwrap())).await;
    let path = "/apis/argoproj.io/v1alpha1/namespaces/{namespace}/workflows/{name}";
    let patch = &document["paths"][path]["patch"];
    assert_eq!(patch["x-kubernetes-group-version-kind"]["kind"], "Workflow");
    let parameters = patch["parameters"].as_array().unwrap();
    assert!(
        parameters
            .iter()
            .any(|parameter| parameter["name"] == "fieldValidation")
    );
}

#[tokio::test]
async fn paths_that_are_not_served_are_refused_politely() {
    let cluster = cluster();
    let table = [
        ("GET", "/healthz", 200),
        ("GET", "/readyz", 200),
        ("GET", "/livez", 200),
        ("POST", "/version", 405),
        ("GET", "/openapi/v2", 404),
        ("GET", "/openapi/v3/apis/nobody.io/v1", 404),
        ("GET", "/apis/nobody.io", 404),
        ("GET", "/api/v2", 404),
        ("GET", "/api/v1/unknowns", 404),
        ("GET", "/apis/argoproj.io/v1/workflows", 404),
        (
            "GET",
            "/apis/argoproj.io/v1alpha1/namespaces/default/clusterworkflowtemplates",
            404,
        ),
        ("GET", "/apis/argoproj.io/v1alpha1/workflows/a", 404),
        ("POST", "/apis/argoproj.io/v1alpha1/workflows", 405),
        ("GET", "/api/v1/namespaces/UPPER/pods", 422),
        ("GET", "/api/v1/pods?watch=maybe", 400),
        ("GET", "/api/v1/pods?limit=x", 400),
        ("GET", "/api/v1/pods?continue=x", 400),
        ("GET", "/api/v1/pods?fieldSelector=metadata.uid%3Dx", 400),
        ("OPTIONS", "/api/v1/pods", 405),
    ];
    for (method, path, expected) in table {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .body(Body::empty())
            .unwrap();
        let (code, body) = send(&cluster, request).await;
        assert_eq!(code.as_u16(), expected, "{method} {path}");
        if expected >= 400 {
            assert_eq!(
                (&body["kind"], &body["code"]),
                (&json!("Status"), &json!(expected))
            );
        }
    }
}

#[tokio::test]
async fn hostile_bodies_are_refused_and_harm_nobody() {
    let cluster = cluster();
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let nested = format!(
        r#"{{"spec":{}1{}}}"#,
        "{\"a\":".repeat(120),
        "}".repeat(120)
    );
    let huge = format!(r#"{{"spec":"{}"}}"#, "x".repeat(4 << 20));
    let table = [
        (b"{".to_vec(), 400),
        (b"".to_vec(), 400),
        (b"\xff\xfe{}".to_vec(), 400),
        (b"[]".to_vec(), 400),
        (b"null".to_vec(), 400),
        (br#"{"metadata": 1}"#.to_vec(), 400),
        (br#"{"metadata": {"name": 1}}"#.to_vec(), 400),
        (
            br#"{"metadata": {"name": "a", "labels": {"a": 1}}}"#.to_vec(),
            422,
        ),
        (
            br#"{"metadata": {"name": "a", "labels": []}}"#.to_vec(),
            422,
        ),
        (deep.into_bytes(), 400),
        (nested.into_bytes(), 400),
        (huge.into_bytes(), 413),
    ];
    for (body, expected) in table {
        let start = String::from_utf8_lossy(&body)
            .chars()
            .take(60)
            .collect::<String>();
        let (code, status) = send(&cluster, post(body)).await;
        assert_eq!(
            (code.as_u16(), &status["kind"]),
            (expected, &json!("Status")),
            "{start}"
        );
    }
    let (code, created) = send(&cluster, post(r#"{"metadata": {"name": "a"}}"#)).await;
    assert_eq!((code.as_u16(), &created["kind"]), (201, &json!("Workflow")));
}

#[tokio::test]
async fn yaml_is_taken_where_it_is_announced() {
    let cluster = cluster();
    let request = Request::post(WORKFLOWS).header("content-type", "application/yaml");
    let yaml = "metadata:\n  name: a\nspec:\n  entrypoint: main\n";
    let (code, created) = send(&cluster, request.body(yaml.into()).unwrap()).await;
    assert_eq!(
        (code.as_u16(), &created["spec"]["entrypoint"]),
        (201, &json!("main"))
    );

    let bomb = format!("a: {}1{}", "[".repeat(5000), "]".repeat(5000));
    let laughs = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e]\n";
    for hostile in [
        "[",
        "- ",
        "? ",
        "{",
        "&a ",
        "!",
        "'",
        "|\n",
        "a: &a *a\n",
        "? - ",
    ] {
        let request = Request::post(WORKFLOWS).header("content-type", "application/yaml");
        let yaml = hostile.repeat((3 << 20) / hostile.len() - 1);
        let (code, _) = send(&cluster, request.body(yaml.into()).unwrap()).await;
        assert_eq!(code.as_u16(), 400, "{hostile}");
    }
    for (yaml, expected) in [("a: [", 400), (bomb.as_str(), 400), (laughs, 400)] {
        let request = Request::post(WORKFLOWS).header("content-type", "application/yaml");
        let (code, _) = send(&cluster, request.body(yaml.to_owned().into()).unwrap()).await;
        assert_eq!(code.as_u16(), expected);
    }
    let request = Request::post(WORKFLOWS).header("content-type", "text/plain");
    let (code, _) = send(&cluster, request.body("{}".into()).unwrap()).await;
    assert_eq!(code.as_u16(), 415);
}

#[tokio::test]
async fn web_pages_cannot_reach_the_listener() {
    let cluster = cluster();
    let table = [
        ("host", "127.0.0.1:6443", 200),
        ("host", "localhost:6443", 200),
        ("host", "[::1]:6443", 200),
        ("host", "evil.example:6443", 403),
        ("host", "10.0.0.1", 403),
        ("origin", "http://localhost:6443", 403),
        ("sec-fetch-site", "cross-site", 403),
    ];
    for (header, value, expected) in table {
        let request = Request::get("/version")
            .header(header, value)
            .body(Body::empty())
            .unwrap();
        assert_eq!(
            send(&cluster, request).await.0.as_u16(),
            expected,
            "{header}: {value}"
        );
    }
}

#[tokio::test]
async fn a_definition_adds_a_kind_and_takes_it_away() {
    let client = cluster().client("default");
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let definition = json!({
        "metadata": {"name": "gadgets.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"kind": "Gadget", "plural": "gadgets", "singular": "gadget"},
            "versions": [{"name": "v1", "served": true, "storage": true,
                          "schema": {"openAPIV3Schema": {"type": "object"}},
                          "subresources": {"status": {}}}],
        },
    });
    let definition: CustomResourceDefinition = serde_json::from_value(definition).unwrap();
    definitions
        .create(&PostParams::default(), &definition)
        .await
        .unwrap();

    let gvk = kube::core::GroupVersionKind::gvk("example.com", "v1", "Gadget");
    let (resource, _) = kube::discovery::pinned_kind(&client, &gvk).await.unwrap();
    let gadgets: Api<kube::api::DynamicObject> =
        Api::default_namespaced_with(client.clone(), &resource);
    let gadget = kube::api::DynamicObject::new("g", &resource);
    gadgets
        .create(&PostParams::default(), &gadget)
        .await
        .unwrap();
    definitions
        .delete("gadgets.example.com", &DeleteParams::default())
        .await
        .unwrap();
    assert_eq!(refusal(gadgets.get("g").await).0, 404);
    definitions
        .create(&PostParams::default(), &definition)
        .await
        .unwrap();
    assert_eq!(refusal(gadgets.get("g").await).0, 404);
    gadgets
        .create(&PostParams::default(), &gadget)
        .await
        .unwrap();
}

struct Fixed;

#[async_trait]
impl PodLogs for Fixed {
    async fn read(&self, namespace: &str, pod: &str, container: Option<&str>) -> Option<Bytes> {
        (pod == "p").then(|| format!("{namespace}/{pod}/{container:?}\n").into())
    }
}

#[tokio::test]
async fn logs_of_pods_come_from_whoever_has_them() {
    let cluster = cluster();
    let pods: Api<k8s_openapi::api::core::v1::Pod> = Api::default_namespaced(
        cluster
            .clone()
            .with_pod_logs(Arc::new(Fixed))
            .client("default"),
    );
    let main = LogParams {
        container: Some("main".into()),
        ..LogParams::default()
    };
    assert_eq!(
        pods.logs("p", &main).await.unwrap(),
        "default/p/Some(\"main\")\n"
    );
    assert_eq!(refusal(pods.logs("q", &main).await).0, 404);
    let pods: Api<k8s_openapi::api::core::v1::Pod> =
        Api::default_namespaced(cluster.client("default"));
    assert_eq!(refusal(pods.logs("p", &main).await).0, 404);
}
