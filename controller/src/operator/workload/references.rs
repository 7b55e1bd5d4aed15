//! Which Secrets and ConfigMaps an object names, found in its spec wherever they stand. It never reads them.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use tiphys_core::refs::KeyRef;
use tiphys_core::spec::TlsSpec;
use tiphys_eventbus::BusStatusConfig;

/// What holds a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Holder {
    /// A Secret.
    Secret,
    /// A ConfigMap.
    ConfigMap,
}

/// A value that is named.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reference {
    /// What holds it.
    pub(crate) holder: Holder,
    /// The name of that object.
    pub(crate) name: String,
    /// The key in it; none for all of them.
    pub(crate) key: Option<String>,
    /// Whether the pods find it in a file.
    pub(crate) mounted: bool,
    /// Whether it may be absent.
    pub(crate) optional: bool,
}

/// Fields whose members are the user's own words: a member called `key` there is no reference.
const FREE: [&str; 8] = [
    "metadata",
    "labels",
    "annotations",
    "headers",
    "customHeaders",
    "properties",
    "authParams",
    "loggingFields",
];

/// How deep a spec is searched; nothing that an API server takes has references below that.
const DEPTH: usize = 64;

/// Everything that the spec names.
pub(crate) fn of_spec(spec: &Value) -> BTreeSet<Reference> {
    let mut found = BTreeSet::new();
    let Value::Object(members) = spec else {
        return found;
    };
    for (key, member) in members {
        if key == "template" {
            of_template(member, &mut found);
        } else {
            walk(key, member, DEPTH, &mut found);
        }
    }
    found
}

/// Of the pod only the environment refers to values; what its volumes name reaches the files of a running pod by itself.
fn of_template(template: &Value, found: &mut BTreeSet<Reference>) {
    let Some(container) = template.get("container") else {
        return;
    };
    if let Some(env) = container.get("env") {
        walk("env", env, DEPTH, found);
    }
    for from in container
        .get("envFrom")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        for (field, holder) in [
            ("secretRef", Holder::Secret),
            ("configMapRef", Holder::ConfigMap),
        ] {
            let Some(reference) = from.get(field) else {
                continue;
            };
            if let Some(name) = reference.get("name").and_then(Value::as_str) {
                found.insert(Reference {
                    holder,
                    name: name.to_owned(),
                    key: None,
                    mounted: false,
                    optional: reference.get("optional").and_then(Value::as_bool) == Some(true),
                });
            }
        }
    }
}

fn walk(field: &str, value: &Value, depth: usize, found: &mut BTreeSet<Reference>) {
    let Some(depth) = depth.checked_sub(1) else {
        return;
    };
    match value {
        Value::Array(items) => {
            for item in items {
                walk(field, item, depth, found);
            }
        }
        Value::Object(members) => {
            if FREE.contains(&field) {
                return;
            }
            if let Some(reference) = selector(field, members) {
                found.insert(reference);
                return;
            }
            for (key, member) in members {
                // An object to be created is the user's own, whatever it looks like.
                if field == "source" && key == "resource" {
                    continue;
                }
                walk(key, member, depth, found);
            }
        }
        _ => {}
    }
}

/// `{name, key}`, with nothing else but `optional`.
fn selector(field: &str, members: &Map<String, Value>) -> Option<Reference> {
    if !members
        .keys()
        .all(|key| matches!(key.as_str(), "name" | "key" | "optional"))
    {
        return None;
    }
    let text = |key: &str| {
        let value = members.get(key)?.as_str()?;
        (!value.is_empty()).then(|| value.to_owned())
    };
    let holder = if field.to_ascii_lowercase().contains("configmap") {
        Holder::ConfigMap
    } else {
        Holder::Secret
    };
    Some(Reference {
        holder,
        name: text("name")?,
        key: Some(text("key")?),
        mounted: true,
        optional: members.get("optional").and_then(Value::as_bool) == Some(true),
    })
}

/// The Secret with the credentials of a bus, which is mounted in a place of its own.
pub(crate) fn access_secret(config: &BusStatusConfig) -> Option<&KeyRef> {
    if let Some(nats) = &config.nats {
        return nats.access_secret.as_ref();
    }
    config
        .jetstream
        .as_ref()
        .and_then(|jetstream| jetstream.access_secret.as_ref())
}

/// What a bus names beside its credentials.
pub(crate) fn of_bus(config: &BusStatusConfig) -> BTreeSet<Reference> {
    let mut keys: Vec<&KeyRef> = Vec::new();
    let tls = |tls: Option<&TlsSpec>| {
        let tls = tls.cloned().unwrap_or_default();
        [
            tls.ca_cert_secret,
            tls.client_cert_secret,
            tls.client_key_secret,
        ]
    };
    let jetstream = config
        .jetstream
        .as_ref()
        .map(|jetstream| tls(jetstream.tls.as_ref()));
    let kafka = config.kafka.as_ref().map(|kafka| tls(kafka.tls.as_ref()));
    keys.extend(jetstream.iter().flatten().flatten());
    keys.extend(kafka.iter().flatten().flatten());
    if let Some(sasl) = config.kafka.as_ref().and_then(|kafka| kafka.sasl.as_ref()) {
        keys.extend(&sasl.user_secret);
        keys.extend(&sasl.password_secret);
    }
    keys.into_iter()
        .filter(|key| !key.name.is_empty() && !key.key.is_empty())
        .map(|key| Reference {
            holder: Holder::Secret,
            name: key.name.clone(),
            key: Some(key.key.clone()),
            mounted: true,
            optional: false,
        })
        .collect()
}

/// Everything whose change must reach the pods: what the spec names, what the bus names, and its credentials.
pub(crate) fn all(spec: &Value, bus: &BusStatusConfig) -> BTreeSet<Reference> {
    let mut found = of_spec(spec);
    found.extend(of_bus(bus));
    if let Some(access) = access_secret(bus) {
        found.insert(Reference {
            holder: Holder::Secret,
            name: access.name.clone(),
            key: Some(access.key.clone()),
            mounted: false,
            optional: false,
        });
    }
    found
}
