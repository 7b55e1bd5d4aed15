//! The Deployment of an EventSource or a Sensor.

use serde::Serialize;
use serde_json::{Value, json};
use tiphys_core::spec::{ContainerSpec, MetadataSpec, PodTemplateSpec};

use super::Workload;
use super::environment::environment;
use super::volumes::volumes;
use crate::hosting::Kind;
use crate::operator::settings::Settings;

/// A change of this annotation rolls the pods.
pub(crate) const CONTENTS_ANNOTATION: &str = "tiphys.dev/contents";

/// The port of metrics and health.
const ADMIN_PORT: u16 = 7777;

/// A pod has 30 s to finish what is in hand; what is left is for leaving.
const GRACE_SECS: u32 = 45;

pub(super) fn deployment(workload: &Workload<'_>, settings: &Settings) -> Value {
    let default = PodTemplateSpec::default();
    let template = workload.template.unwrap_or(&default);
    let metadata = template.metadata.as_ref();
    let mut labels = metadata.map_or_else(Default::default, |metadata| metadata.labels.clone());
    labels.extend(workload.selector());
    let mut annotations = metadata.map_or_else(Default::default, |metadata: &MetadataSpec| {
        metadata.annotations.clone()
    });
    if let Some(contents) = workload.contents {
        annotations.insert(CONTENTS_ANNOTATION.to_owned(), contents.to_owned());
    }
    let mut pod_metadata = json!({ "labels": labels });
    put(&mut pod_metadata, "annotations", &annotations);
    let mut spec = json!({
        "replicas": workload.pods(),
        "selector": { "matchLabels": workload.selector() },
        "strategy": strategy(workload),
        "template": { "metadata": pod_metadata, "spec": pod(workload, template, settings) },
    });
    put(
        &mut spec,
        "revisionHistoryLimit",
        &workload.revision_history_limit,
    );
    json!({
        "metadata": { "name": workload.deployment, "labels": workload.labels() },
        "spec": spec,
    })
}

/// Both ways are written out in full, so that one can follow the other on an object that exists.
fn strategy(workload: &Workload<'_>) -> Value {
    if workload.single {
        return json!({ "type": "Recreate" });
    }
    json!({
        "type": "RollingUpdate",
        "rollingUpdate": { "maxSurge": "25%", "maxUnavailable": "25%" },
    })
}

fn pod(workload: &Workload<'_>, template: &PodTemplateSpec, settings: &Settings) -> Value {
    let PodTemplateSpec {
        metadata: _,
        service_account_name,
        container,
        volumes: _,
        security_context,
        node_selector,
        tolerations,
        image_pull_secrets,
        priority_class_name,
        priority,
        affinity,
    } = template;
    let all = volumes(workload);
    let default = ContainerSpec::default();
    let container = container.as_ref().unwrap_or(&default);
    let mut pod = json!({
        "terminationGracePeriodSeconds": GRACE_SECS,
        "containers": [main(workload, container, settings, all.mounts)],
        "volumes": all.volumes,
    });
    put(&mut pod, "serviceAccountName", service_account_name);
    put(&mut pod, "securityContext", security_context);
    put(&mut pod, "nodeSelector", node_selector);
    put(&mut pod, "tolerations", tolerations);
    put(&mut pod, "imagePullSecrets", image_pull_secrets);
    put(&mut pod, "priorityClassName", priority_class_name);
    put(&mut pod, "priority", priority);
    put(&mut pod, "affinity", affinity);
    pod
}

fn main(
    workload: &Workload<'_>,
    container: &ContainerSpec,
    settings: &Settings,
    mounts: Vec<Value>,
) -> Value {
    let command = match workload.kind {
        Kind::Sensor => "sensor",
        Kind::EventSource | Kind::EventBus => "eventsource",
    };
    let mut main = json!({
        "name": "main",
        "image": settings.image,
        "args": [command],
        "env": environment(workload),
        "ports": [{ "name": "metrics", "containerPort": ADMIN_PORT, "protocol": "TCP" }],
        "securityContext": security(container),
        // The admin port answers as soon as the process has read its object.
        "startupProbe": probe("/livez", 2, 60),
        "livenessProbe": probe("/livez", 10, 6),
        "readinessProbe": probe("/readyz", 5, 3),
        "volumeMounts": mounts,
    });
    let policy = container
        .image_pull_policy
        .as_ref()
        .or(settings.image_pull_policy.as_ref());
    put(&mut main, "imagePullPolicy", &policy);
    put(&mut main, "resources", &container.resources);
    put(&mut main, "envFrom", &container.env_from);
    main
}

/// What the user says, over the least that the program needs.
fn security(container: &ContainerSpec) -> Value {
    let mut security = json!({
        "allowPrivilegeEscalation": false,
        "capabilities": { "drop": ["ALL"] },
        "readOnlyRootFilesystem": true,
        "runAsNonRoot": true,
        "seccompProfile": { "type": "RuntimeDefault" },
    });
    let users = container.security_context.as_ref();
    if let Some(Ok(Value::Object(users))) = users.map(serde_json::to_value)
        && let Some(members) = security.as_object_mut()
    {
        // A pod that is privileged, or runs as root, cannot also be held to the opposite.
        if users.get("privileged") == Some(&json!(true)) {
            members.remove("allowPrivilegeEscalation");
            members.remove("capabilities");
        }
        if users.get("runAsUser") == Some(&json!(0)) {
            members.remove("runAsNonRoot");
        }
        members.extend(users);
    }
    security
}

fn probe(path: &str, period: u32, failures: u32) -> Value {
    json!({
        "httpGet": { "path": path, "port": "metrics", "scheme": "HTTP" },
        "periodSeconds": period,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    })
}

/// Sets a member, unless there is nothing to set.
fn put<T: Serialize>(object: &mut Value, key: &str, value: &T) {
    let Ok(value) = serde_json::to_value(value) else {
        return;
    };
    let nothing = match &value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    };
    if !nothing && let Some(members) = object.as_object_mut() {
        members.insert(key.to_owned(), value);
    }
}
