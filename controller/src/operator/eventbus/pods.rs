//! The StatefulSet of the servers, the Service that names them, and the budget that keeps their quorum.

use serde_json::{Map, Value, json};
use tiphys_eventbus::ServerContainer;

use super::server_config::{FOLDER, KEY, STORE};
use super::servers::Servers;
use crate::operator::settings::JetStreamVersion;
use crate::operator::wanted::{Made, Wanted};

/// The annotation of the pods that changes when the servers must be started anew.
pub(crate) const CONFIG_ANNOTATION: &str = "tiphys.dev/server-config";
/// The annotation of the StatefulSet that says how many servers were made, which hands that scale it do not change.
pub(crate) const SERVERS_ANNOTATION: &str = "tiphys.dev/servers";
const PID: &str = "/var/run/nats";

/// The headless Service.
pub(crate) fn service(servers: &Servers<'_>) -> Wanted {
    let port = |name: &str, port: u16| json!({ "name": name, "port": port, "protocol": "TCP", "targetPort": port });
    Wanted {
        made: Made::Service,
        reason: "JetStreamServiceFailed",
        object: json!({
            "metadata": { "name": servers.service(), "labels": servers.labels() },
            "spec": {
                "clusterIP": "None",
                // Servers must find each other before they are ready.
                "publishNotReadyAddresses": true,
                "ports": [
                    port("tcp-client", 4222),
                    port("cluster", 6222),
                    port("metrics", 7777),
                    port("monitor", 8222),
                ],
                "selector": servers.labels(),
            },
        }),
    }
}

/// One server at a time may be taken away on purpose.
pub(crate) fn disruption_budget(servers: &Servers<'_>) -> Wanted {
    Wanted {
        made: Made::PodDisruptionBudget,
        reason: "JetStreamPodDisruptionBudgetFailed",
        object: json!({
            "metadata": { "name": servers.name(), "labels": servers.labels() },
            "spec": { "maxUnavailable": 1, "selector": { "matchLabels": servers.labels() } },
        }),
    }
}

/// The servers.
pub(crate) fn stateful_set(
    servers: &Servers<'_>,
    version: &JetStreamVersion,
    start_hash: &str,
) -> Wanted {
    let mut labels = json!(servers.bus.labels);
    overlay(&mut labels, servers.labels());
    let mut pod_labels = json!(servers.metadata.map(|metadata| &metadata.labels));
    overlay(&mut pod_labels, servers.labels());
    let mut annotations = json!(servers.metadata.map(|metadata| &metadata.annotations));
    overlay(&mut annotations, json!({ CONFIG_ANNOTATION: start_hash }));

    let mut pod = json!({
        "shareProcessNamespace": true,
        "terminationGracePeriodSeconds": 60,
        "containers": [
            main(servers, version),
            reloader(servers, version),
            metrics(servers, version),
        ],
    });
    overlay(&mut pod, servers.scheduling());
    prune(&mut pod);
    if servers.replicas >= 3 && pod.get("affinity").is_none() {
        overlay(&mut pod, json!({ "affinity": apart(servers) }));
    }
    let mut volumes = vec![
        json!({ "name": "pid", "emptyDir": {} }),
        config_volume(servers),
    ];
    let mut claims = Vec::new();
    match claim(servers) {
        Some(claim) => claims.push(claim),
        None => volumes.push(json!({ "name": data_volume(servers), "emptyDir": {} })),
    }
    overlay(&mut pod, json!({ "volumes": volumes }));
    let mut spec = json!({
        "podManagementPolicy": "Parallel",
        "replicas": servers.replicas,
        "serviceName": servers.service(),
        "selector": { "matchLabels": servers.labels() },
        "template": { "metadata": { "labels": pod_labels, "annotations": annotations }, "spec": pod },
    });
    if !claims.is_empty() {
        overlay(&mut spec, json!({ "volumeClaimTemplates": claims }));
    }
    Wanted {
        made: Made::StatefulSet,
        reason: "JetStreamStatefulSetFailed",
        object: json!({
            "metadata": {
                "name": servers.name(),
                "labels": labels,
                "annotations": { SERVERS_ANNOTATION: servers.replicas.to_string() },
            },
            "spec": spec,
        }),
    }
}

/// Where nobody says otherwise the servers go to different nodes, if there are so many: a quorum on one node is none.
fn apart(servers: &Servers<'_>) -> Value {
    json!({
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [{
                "weight": 100,
                "podAffinityTerm": {
                    "labelSelector": { "matchLabels": servers.labels() },
                    "topologyKey": "kubernetes.io/hostname",
                },
            }],
        },
    })
}

fn config_volume(servers: &Servers<'_>) -> Value {
    let items: Vec<Value> = [
        ("auth", "auth.conf"),
        ("private-key", "server-key.pem"),
        ("cert", "server-cert.pem"),
        ("ca-cert", "ca-cert.pem"),
        ("cluster-private-key", "cluster-server-key.pem"),
        ("cluster-cert", "cluster-server-cert.pem"),
        ("cluster-ca-cert", "cluster-ca-cert.pem"),
    ]
    .into_iter()
    .map(|(key, path)| json!({ "key": key, "path": path }))
    .collect();
    json!({
        "name": "config-volume",
        "projected": { "sources": [
            {
                "configMap": {
                    "name": servers.config_map(),
                    "items": [{ "key": KEY, "path": "nats-js.conf" }],
                },
            },
            { "secret": { "name": servers.server_secret(), "items": items } },
        ] },
    })
}

fn claim(servers: &Servers<'_>) -> Option<Value> {
    let persistence = servers.persistence?;
    let mut spec = json!({
        "accessModes": [persistence.access_mode.as_deref().unwrap_or("ReadWriteOnce")],
        "volumeMode": "Filesystem",
        "resources": { "requests": {
            "storage": persistence.volume_size.as_deref().unwrap_or(servers.volume_size()),
        } },
    });
    // An empty class is one: it asks for a volume without a provisioner.
    if let Some(class) = &persistence.storage_class_name {
        overlay(&mut spec, json!({ "storageClassName": class }));
    }
    Some(json!({ "metadata": { "name": servers.volume() }, "spec": spec }))
}

fn data_volume(servers: &Servers<'_>) -> String {
    match servers.persistence {
        Some(_) => servers.volume(),
        None => "js-data".to_owned(),
    }
}

fn config_file() -> String {
    format!("{FOLDER}/nats-js.conf")
}

fn main(servers: &Servers<'_>, version: &JetStreamVersion) -> Value {
    let start = &version.start_command;
    let field = |name: &str, path: &str| json!({ "name": name, "valueFrom": { "fieldRef": { "apiVersion": "v1", "fieldPath": path } } });
    let port =
        |name: &str, port: u16| json!({ "name": name, "containerPort": port, "protocol": "TCP" });
    let get = |path: &str| json!({ "path": path, "port": 8222, "scheme": "HTTP" });
    let mut container = json!({
        "name": "main",
        "image": version.nats_image,
        "command": [start, "--config", config_file()],
        "args": servers.start_args,
        "ports": [port("client", 4222), port("cluster", 6222), port("monitor", 8222)],
        "env": [
            field("POD_NAME", "metadata.name"),
            { "name": "SERVER_NAME", "value": "$(POD_NAME)" },
            field("POD_NAMESPACE", "metadata.namespace"),
            {
                "name": "CLUSTER_ADVERTISE",
                "value": format!("$(POD_NAME).{}.$(POD_NAMESPACE).svc", servers.service()),
            },
            {
                "name": "JS_KEY",
                "valueFrom": { "secretKeyRef": { "name": servers.server_secret(), "key": "encryption" } },
            },
        ],
        "volumeMounts": [
            { "name": "config-volume", "mountPath": FOLDER },
            { "name": "pid", "mountPath": PID },
            { "name": data_volume(servers), "mountPath": STORE },
        ],
        "lifecycle": { "preStop": { "exec": { "command": [start, format!("-sl=ldm={PID}/nats.pid")] } } },
        "startupProbe": {
            "httpGet": get("/healthz"),
            "initialDelaySeconds": 10,
            "timeoutSeconds": 5,
            "failureThreshold": 30,
        },
        "livenessProbe": {
            "httpGet": get("/"),
            "initialDelaySeconds": 10,
            "periodSeconds": 30,
            "timeoutSeconds": 5,
        },
        "readinessProbe": {
            "httpGet": get("/healthz"),
            "initialDelaySeconds": 10,
            "periodSeconds": 5,
            "timeoutSeconds": 5,
        },
    });
    overlay(&mut container, chosen(servers.main));
    prune(&mut container);
    container
}

fn reloader(servers: &Servers<'_>, version: &JetStreamVersion) -> Value {
    let mut container = json!({
        "name": "reloader",
        "image": version.config_reloader_image,
        "args": ["-pid", format!("{PID}/nats.pid"), "-config", config_file()],
        "volumeMounts": [
            { "name": "config-volume", "mountPath": FOLDER },
            { "name": "pid", "mountPath": PID },
        ],
    });
    overlay(&mut container, chosen(servers.reloader));
    container
}

fn metrics(servers: &Servers<'_>, version: &JetStreamVersion) -> Value {
    let mut container = json!({
        "name": "metrics",
        "image": version.metrics_exporter_image,
        "args": [
            "-connz", "-routez", "-subz", "-varz", "-prefix=nats", "-use_internal_server_id",
            "-jsz=all", "http://localhost:8222",
        ],
        "ports": [{ "name": "metrics", "containerPort": 7777, "protocol": "TCP" }],
    });
    overlay(&mut container, chosen(servers.metrics));
    container
}

fn chosen(container: Option<&ServerContainer>) -> Value {
    let Some(container) = container else {
        return Value::Null;
    };
    let ServerContainer {
        resources,
        image_pull_policy,
        security_context,
    } = container;
    let mut chosen = json!({
        "resources": resources,
        "imagePullPolicy": image_pull_policy,
        "securityContext": security_context,
    });
    prune(&mut chosen);
    chosen
}

/// Sets the members of `over` in `under`.
fn overlay(under: &mut Value, over: Value) {
    if under.is_null() {
        *under = Value::Object(Map::new());
    }
    if let (Value::Object(under), Value::Object(over)) = (under, over) {
        under.extend(over);
    }
}

/// Takes out the members that say nothing, so that they are not mistaken for wishes. What is inside them stays: a
/// label may be empty.
fn prune(value: &mut Value) {
    if let Value::Object(members) = value {
        members.retain(|_, member| {
            !(member.is_null()
                || member.as_str() == Some("")
                || member.as_array().is_some_and(Vec::is_empty)
                || member.as_object().is_some_and(Map::is_empty))
        });
    }
}
