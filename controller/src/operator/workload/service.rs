//! The Service in front of an EventSource.

use serde_json::{Value, json};
use tiphys_core::spec::MetadataSpec;
use tiphys_eventsource::ServiceSpec;

use super::Workload;

/// The name of the Service in front of an EventSource.
pub(crate) fn name(source: &str) -> String {
    format!("{source}-eventsource-svc")
}

pub(super) fn service(workload: &Workload<'_>, service: &ServiceSpec) -> Value {
    let own = service.metadata.clone().unwrap_or_default();
    let MetadataSpec {
        annotations,
        mut labels,
    } = own;
    labels.extend(workload.labels());
    let ports: Vec<Value> = service
        .ports
        .iter()
        .filter_map(|port| serde_json::to_value(port).ok())
        .map(|mut port| {
            // It is a part of what tells ports apart.
            if let Some(members) = port.as_object_mut() {
                members.entry("protocol").or_insert_with(|| json!("TCP"));
            }
            port
        })
        .collect();
    let mut spec = json!({
        "type": "ClusterIP",
        "ports": ports,
        "selector": workload.selector(),
    });
    if !service.cluster_ip.is_empty()
        && let Some(members) = spec.as_object_mut()
    {
        members.insert("clusterIP".to_owned(), json!(service.cluster_ip));
    }
    let mut metadata = json!({
        "name": name(workload.name),
        "labels": labels,
    });
    if !annotations.is_empty()
        && let Some(members) = metadata.as_object_mut()
    {
        members.insert("annotations".to_owned(), json!(annotations));
    }
    json!({ "metadata": metadata, "spec": spec })
}
