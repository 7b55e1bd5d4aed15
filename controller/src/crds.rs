//! The definitions of EventBus, EventSource and Sensor for a Kubernetes API server, made from the Rust types.
//!
//! What Argo's API accepts is accepted: nothing is required or defaulted, unknown fields are kept at every level,
//! and a value is closed only where validation closes it too. It installs nothing; it only says what to install.

mod schema;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt as _;
use serde_json::{Value, json};
use tiphys_eventbus::EventBus;
use tiphys_eventsource::EventSource;
use tiphys_sensor::Sensor;

use self::schema::{find, nullable, tidy};

/// Why a definition could not be made: the types themselves do not fit.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the definition of {name} as JSON")]
pub struct CrdError {
    name: &'static str,
    #[source]
    source: serde_json::Error,
}

/// A field whose values are closed. `*` in the path is any key of a map, `[]` any item of a list.
struct Closed {
    path: &'static str,
    values: &'static [&'static str],
}

const fn closed(path: &'static str, values: &'static [&'static str]) -> Closed {
    Closed { path, values }
}

const AUTH: &[&str] = &["", "none", "token"];
const ACCESS_MODES: &[&str] = &[
    "ReadWriteOnce",
    "ReadOnlyMany",
    "ReadWriteMany",
    "ReadWriteOncePod",
];
const METHODS: &[&str] = &["", "GET", "POST", "PUT", "PATCH", "DELETE"];
const LOGICAL: &[&str] = &["", "and", "or"];
const SASL: &[&str] = &[
    "",
    "PLAIN",
    "OAUTHBEARER",
    "SCRAM-SHA-256",
    "SCRAM-SHA-512",
    "GSSAPI",
];

const EVENT_BUS: &[Closed] = &[
    closed("spec.nats.native.auth", AUTH),
    closed("spec.nats.native.persistence.accessMode", ACCESS_MODES),
    closed("spec.jetstream.persistence.accessMode", ACCESS_MODES),
    closed("spec.kafka.sasl.mechanism", SASL),
];

const EVENT_SOURCE: &[Closed] = &[
    closed("spec.kafka.*.sasl.mechanism", SASL),
    closed(
        "spec.resource.*.eventTypes.[]",
        &["ADD", "UPDATE", "DELETE"],
    ),
];

const SENSOR: &[Closed] = &[
    closed("spec.dependencies.[].filtersLogicalOperator", LOGICAL),
    closed("spec.dependencies.[].filters.dataLogicalOperator", LOGICAL),
    closed("spec.dependencies.[].filters.exprLogicalOperator", LOGICAL),
    closed(
        "spec.dependencies.[].filters.data.[].comparator",
        &["", "=", "!=", "<", "<=", ">", ">="],
    ),
    closed("spec.triggers.[].template.http.method", METHODS),
    closed(
        "spec.triggers.[].template.k8s.operation",
        &["", "create", "update", "patch", "delete"],
    ),
    closed(
        "spec.triggers.[].template.argoWorkflow.operation",
        &[
            "",
            "submit",
            "submit-from",
            "resubmit",
            "retry",
            "resume",
            "suspend",
            "stop",
            "terminate",
        ],
    ),
    closed("spec.triggers.[].template.kafka.sasl.mechanism", SASL),
];

/// A column of `kubectl get`.
struct Column {
    name: &'static str,
    kind: &'static str,
    path: &'static str,
    /// Only with `-o wide`.
    wide: bool,
}

const fn column(name: &'static str, path: &'static str) -> Column {
    Column {
        name,
        kind: "string",
        path,
        wide: false,
    }
}

const BUS: Column = column("Bus", ".spec.eventBusName");
const READY: Column = column("Ready", r#".status.conditions[?(@.type=="Ready")].status"#);
const DEPLOYED: Column = column(
    "Deployed",
    r#".status.conditions[?(@.type=="Deployed")].status"#,
);
const REASON: Column = column("Reason", r#".status.conditions[?(@.type=="Ready")].reason"#);
const MESSAGE: Column = Column {
    wide: true,
    ..column(
        "Message",
        r#".status.conditions[?(@.type=="Ready")].message"#,
    )
};
const AGE: Column = Column {
    kind: "date",
    ..column("Age", ".metadata.creationTimestamp")
};

/// The definitions of EventBus, EventSource and Sensor, in this order.
///
/// # Errors
/// Where a type does not fit into a definition, which its tests find.
pub fn definitions() -> Result<[Value; 3], CrdError> {
    Ok([
        definition(
            "eventbus.argoproj.io",
            &EventBus::crd(),
            EVENT_BUS,
            &[READY, DEPLOYED, REASON, MESSAGE, AGE],
        )?,
        definition(
            "eventsources.argoproj.io",
            &EventSource::crd(),
            EVENT_SOURCE,
            &[BUS, READY, DEPLOYED, REASON, MESSAGE, AGE],
        )?,
        definition(
            "sensors.argoproj.io",
            &Sensor::crd(),
            SENSOR,
            &[BUS, READY, DEPLOYED, REASON, MESSAGE, AGE],
        )?,
    ])
}

fn definition(
    name: &'static str,
    derived: &CustomResourceDefinition,
    closed: &[Closed],
    columns: &[Column],
) -> Result<Value, CrdError> {
    let mut derived = serde_json::to_value(derived).map_err(|source| CrdError { name, source })?;
    let mut schema = derived
        .pointer_mut("/spec/versions/0/schema/openAPIV3Schema")
        .map(Value::take)
        .unwrap_or_default();
    tidy(&mut schema);
    head(&mut schema);
    for closed in closed {
        let at = find(&mut schema, &mut closed.path.split('.'));
        if let Some(field) = at.and_then(Value::as_object_mut) {
            field.insert("enum".to_owned(), json!(closed.values));
        }
    }
    if let Some(spec) = schema.pointer_mut("/properties/spec") {
        nullable(spec);
    }
    let mut names = derived
        .pointer_mut("/spec/names")
        .map(Value::take)
        .unwrap_or_default();
    if let (Some(kind), Some(all)) = (
        names.get("kind").and_then(Value::as_str).map(str::to_owned),
        names.as_object_mut(),
    ) {
        all.insert("listKind".to_owned(), json!(format!("{kind}List")));
    }
    Ok(json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": name },
        "spec": {
            "group": "argoproj.io",
            "names": names,
            "scope": "Namespaced",
            "versions": [{
                "name": "v1alpha1",
                "served": true,
                "storage": true,
                "subresources": { "status": {} },
                "additionalPrinterColumns": columns.iter().map(Column::object).collect::<Vec<_>>(),
                "schema": { "openAPIV3Schema": schema },
            }],
        },
    }))
}

impl Column {
    fn object(&self) -> Value {
        let mut object = json!({ "name": self.name, "type": self.kind, "jsonPath": self.path });
        if let (true, Some(members)) = (self.wide, object.as_object_mut()) {
            members.insert("priority".to_owned(), json!(1));
        }
        object
    }
}

/// What every object has, which the derived schema leaves out.
fn head(schema: &mut Value) {
    let Some(root) = schema.as_object_mut() else {
        return;
    };
    root.insert("required".to_owned(), json!(["metadata", "spec"]));
    // The derived text speaks of Rust; the one of the spec speaks of the object.
    if let Some(text) = root
        .get("properties")
        .and_then(|properties| properties.pointer("/spec/description"))
        .cloned()
    {
        root.insert("description".to_owned(), text);
    }
    if let Some(properties) = root.get_mut("properties").and_then(Value::as_object_mut) {
        for name in ["apiVersion", "kind"] {
            properties.insert(name.to_owned(), json!({ "type": "string" }));
        }
        properties.insert("metadata".to_owned(), json!({ "type": "object" }));
    }
}

#[cfg(test)]
mod tests;
