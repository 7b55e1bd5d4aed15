//! The environment of a pod: the user's variables, then ours, which win.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::EnvVar;
use serde_json::{Value, json};

use super::Workload;
use crate::given::BUS_UID;
use crate::hosting::Kind;

/// The longest value of one variable. Linux starts no program with one of 128 KiB.
const PIECE: usize = 96 << 10;

/// The annotation by which an Argo object chooses its election.
const LEADER_ELECTION: &str = "events.argoproj.io/leader-election";

/// Annotations that change what the pods do begin so.
const OURS: &str = "tiphys.dev/";

pub(super) fn environment(workload: &Workload<'_>) -> Vec<Value> {
    let name = match workload.kind {
        Kind::Sensor => "SENSOR_OBJECT",
        Kind::EventSource | Kind::EventBus => "EVENTSOURCE_OBJECT",
    };
    let mut ours: Vec<(String, Value)> = Vec::new();
    let mut set = |name: &str, value: String| {
        ours.push((name.to_owned(), json!({ "name": name, "value": value })));
    };
    for (index, piece) in pieces(&object(workload)).into_iter().enumerate() {
        if index == 0 {
            set(name, piece);
        } else {
            set(&format!("{name}_{index}"), piece);
        }
    }
    set(
        "EVENTBUS_SUBJECT",
        format!("eventbus-{}", workload.namespace),
    );
    let election = workload.annotations.get(LEADER_ELECTION);
    set("LEADER_ELECTION", election.cloned().unwrap_or_default());
    let config = serde_json::to_vec(workload.bus).unwrap_or_default();
    set("EVENTBUS_CONFIG", STANDARD.encode(config));
    if workload.kind == Kind::Sensor {
        set(BUS_UID, workload.bus_uid.to_owned());
    }
    for (name, path) in [
        ("POD_NAME", "metadata.name"),
        ("NAMESPACE", "metadata.namespace"),
    ] {
        ours.push((
            name.to_owned(),
            json!({
                "name": name,
                "valueFrom": { "fieldRef": { "apiVersion": "v1", "fieldPath": path } },
            }),
        ));
    }
    let taken: BTreeSet<&str> = ours.iter().map(|(name, _)| name.as_str()).collect();
    let users = workload
        .template
        .and_then(|template| template.container.as_ref())
        .map_or(&[][..], |container| &container.env);
    let mut all = last_of_each(users, &taken);
    all.extend(ours.into_iter().map(|(_, value)| value));
    all
}

/// The user's variables, each name once, with the value that a container would see; order counts, because a value may
/// use those before it.
fn last_of_each(users: &[EnvVar], taken: &BTreeSet<&str>) -> Vec<Value> {
    let last: BTreeMap<&str, usize> = users
        .iter()
        .enumerate()
        .map(|(index, variable)| (variable.name.as_str(), index))
        .collect();
    users
        .iter()
        .enumerate()
        .filter(|(index, variable)| {
            !taken.contains(variable.name.as_str())
                && last.get(variable.name.as_str()) == Some(index)
        })
        .filter_map(|(_, variable)| serde_json::to_value(variable).ok())
        .collect()
}

/// The object as its pods read it: without what the cluster alone needs.
fn object(workload: &Workload<'_>) -> String {
    let annotations: BTreeMap<&String, &String> = workload
        .annotations
        .iter()
        .filter(|(key, _)| key.starts_with(OURS))
        .collect();
    let mut metadata = json!({ "name": workload.name, "namespace": workload.namespace });
    if !annotations.is_empty()
        && let Some(members) = metadata.as_object_mut()
    {
        members.insert("annotations".to_owned(), json!(annotations));
    }
    let spec = in_order(workload.spec);
    STANDARD.encode(json!({ "metadata": metadata, "spec": spec }).to_string())
}

/// The same value with its members in one order, so that the same spec never rolls the pods.
fn in_order(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let sorted: BTreeMap<&String, &Value> = members.iter().collect();
            let members = sorted.into_iter();
            Value::Object(
                members
                    .map(|(key, member)| (key.clone(), in_order(member)))
                    .collect(),
            )
        }
        Value::Array(items) => Value::Array(items.iter().map(in_order).collect()),
        other => other.clone(),
    }
}

/// The text in pieces that fit; base64 has one byte a letter.
fn pieces(text: &str) -> Vec<String> {
    let pieces = text.as_bytes().chunks(PIECE);
    pieces
        .map(|piece| String::from_utf8_lossy(piece).into_owned())
        .collect()
}
