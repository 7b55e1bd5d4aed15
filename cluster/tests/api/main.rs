//! The built-in API through `kube`, in process and over loopback.
//!
//! Every test asks the way a client asks; none looks into the store.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test says what went wrong by panicking, and a child process by printing"
)]

mod durability;
mod http_face;
mod lifecycle;
mod verbs;
mod watches;

use std::future::Future;

use kube::Client;
use kube::api::{Api, DynamicObject, ObjectMeta};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use tiphys_cluster::{Cluster, Kind, kinds};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// All kinds that Tiphys knows.
fn all_kinds() -> Vec<Kind> {
    [kinds::CORE, kinds::ARGO].concat()
}

/// A server that forgets.
fn cluster() -> Cluster {
    Cluster::in_memory(&all_kinds()).unwrap()
}

/// Runs a test against the same server in process and over loopback.
async fn both_ways<F, R>(test: F)
where
    F: Fn(Client) -> R,
    R: Future<Output = ()>,
{
    test(cluster().client("default")).await;

    let cluster = cluster();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = loopback_client(&listener);
    let stop = CancellationToken::new();
    let server = cluster.serve(listener, stop.clone());
    let run = async {
        test(client).await;
        stop.cancel();
    };
    let (served, ()) = futures::join!(server, run);
    served.unwrap();
}

fn loopback_client(listener: &TcpListener) -> Client {
    let url = format!("http://{}", listener.local_addr().unwrap());
    Client::try_from(kube::Config::new(url.parse().unwrap())).unwrap()
}

fn workflows(client: &Client) -> Api<DynamicObject> {
    dynamic(client, "Workflow", "workflows")
}

fn sensors(client: &Client) -> Api<DynamicObject> {
    dynamic(client, "Sensor", "sensors")
}

fn dynamic(client: &Client, kind: &str, plural: &str) -> Api<DynamicObject> {
    let gvk = GroupVersionKind::gvk("argoproj.io", "v1alpha1", kind);
    let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
    Api::default_namespaced_with(client.clone(), &resource)
}

/// An Argo object with these parts.
fn argo(kind: &str, meta: Value, rest: Value) -> DynamicObject {
    let mut object = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": kind, "metadata": meta});
    for (key, value) in rest.as_object().unwrap() {
        object[key] = value.clone();
    }
    serde_json::from_value(object).unwrap()
}

fn workflow(name: &str) -> DynamicObject {
    argo(
        "Workflow",
        json!({"name": name}),
        json!({"spec": {"entrypoint": "main"}}),
    )
}

fn version(object: &DynamicObject) -> u64 {
    object
        .metadata
        .resource_version
        .as_deref()
        .unwrap()
        .parse()
        .unwrap()
}

/// The code and reason of a refusal.
fn refusal<T: std::fmt::Debug>(outcome: Result<T, kube::Error>) -> (u16, String) {
    match outcome {
        Err(kube::Error::Api(status)) => (status.code, status.reason.clone()),
        other => panic!("expected a refusal, got {other:?}"),
    }
}

fn named(name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        ..ObjectMeta::default()
    }
}
