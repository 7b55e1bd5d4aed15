//! The definitions of EventBus, EventSource and Sensor for a Kubernetes API server, made from the Rust types.
//!
//! What Argo's API accepts is accepted: nothing is required or defaulted, unknown fields are kept at every level,
//! and a value is closed only where validation closes it too. It installs nothing; it only says what to install.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt as _;
use serde_json::{Map, Value, json};
use tiphys_eventbus::EventBus;
use tiphys_eventsource::EventSource;
use tiphys_sensor::Sensor;

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

/// Makes a derived schema one that an API server takes and that refuses nothing that Argo's takes.
fn tidy(schema: &mut Value) {
    let Some(members) = schema.as_object_mut() else {
        return;
    };
    // Null means absent: the API server leaves it out where a field is not nullable.
    for key in ["required", "default", "minimum", "title", "nullable"] {
        members.remove(key);
    }
    let known_format = members
        .get("format")
        .and_then(Value::as_str)
        .is_some_and(|format| matches!(format, "int32" | "int64" | "double"));
    if !known_format {
        members.remove("format");
    }
    shorten(members);
    if let Some(either) = members.remove("anyOf") {
        members.remove("type");
        number_or_text(members, &either);
    }
    if !members.contains_key("type") && !members.contains_key("x-kubernetes-int-or-string") {
        members.insert(
            "x-kubernetes-preserve-unknown-fields".to_owned(),
            json!(true),
        );
    }
    if let Some(properties) = members.get_mut("properties").and_then(Value::as_object_mut) {
        for property in properties.values_mut() {
            tidy(property);
        }
        // The mark of an outer object ends where an inner one lists its fields.
        members.insert(
            "x-kubernetes-preserve-unknown-fields".to_owned(),
            json!(true),
        );
    }
    for inner in ["items", "additionalProperties"] {
        if let Some(schema) = members.get_mut(inner) {
            tidy(schema);
        }
    }
    if members.get("properties").is_some_and(is_empty) {
        members.remove("properties");
    }
}

fn is_empty(properties: &Value) -> bool {
    properties.as_object().is_some_and(Map::is_empty)
}

/// A whole number or text has a mark of its own; for other numbers there is only "anything".
fn number_or_text(members: &mut Map<String, Value>, either: &Value) {
    let fraction = either.as_array().is_some_and(|either| {
        either
            .iter()
            .any(|one| one.get("format") == Some(&json!("double")))
    });
    let mark = if fraction {
        "x-kubernetes-preserve-unknown-fields"
    } else {
        "x-kubernetes-int-or-string"
    };
    members.insert(mark.to_owned(), json!(true));
}

/// Descriptions of the types that Pods share fill pages; what a field is stands in the first sentence.
///
/// A definition must stay small enough for the annotation of `kubectl apply`, 256 KiB.
fn shorten(members: &mut Map<String, Value>) {
    const SHORT: usize = 160;
    let Some(Value::String(text)) = members.get_mut("description") else {
        return;
    };
    if text.len() <= SHORT {
        return;
    }
    let first = text.split(['\n']).next().unwrap_or_default();
    let first = first
        .split_inclusive(". ")
        .next()
        .unwrap_or_default()
        .trim();
    *text = if first.chars().count() <= SHORT {
        first.to_owned()
    } else {
        let words: String = first.chars().take(SHORT).collect();
        let words = words
            .rsplit_once(' ')
            .map_or(words.as_str(), |(head, _)| head);
        format!("{words} …")
    };
}

/// The schema of the field at a path.
fn find<'s>(schema: &'s mut Value, path: &mut dyn Iterator<Item = &str>) -> Option<&'s mut Value> {
    let Some(step) = path.next() else {
        return Some(schema);
    };
    let inner = match step {
        "*" => schema.get_mut("additionalProperties")?,
        "[]" => schema.get_mut("items")?,
        key => schema.get_mut("properties")?.get_mut(key)?,
    };
    find(inner, path)
}

#[cfg(test)]
mod tests {
    use tiphys_core::manifest::Document;
    use tiphys_core::{Problems, Severity};

    use super::*;

    const TABLES: [(&str, &[Closed]); 3] = [
        ("EventBus", EVENT_BUS),
        ("EventSource", EVENT_SOURCE),
        ("Sensor", SENSOR),
    ];

    fn schemas() -> [Value; 3] {
        definitions().unwrap().map(|mut definition| {
            definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].take()
        })
    }

    /// An object with one field set, and the field's path as problems print it.
    fn object(kind: &str, path: &str, value: &str) -> (Document, String) {
        let mut inner = json!(value);
        for step in path.rsplit('.') {
            inner = match step {
                "*" => json!({ "x": inner }),
                "[]" => json!([inner]),
                key => json!({ key: inner }),
            };
        }
        inner["apiVersion"] = json!("argoproj.io/v1alpha1");
        inner["kind"] = json!(kind);
        inner["metadata"] = json!({ "name": "x" });
        let printed = path.replace(".[]", "[0]").replace(".*", ".x");
        (Document::from_object(inner), printed)
    }

    fn refused(kind: &str, path: &str, value: &str) -> bool {
        let (document, path) = object(kind, path, value);
        let mut problems = Problems::default();
        crate::check::check(&document, &mut problems);
        problems
            .list()
            .iter()
            .any(|found| found.severity == Severity::Error && found.path.to_string() == path)
    }

    #[test]
    fn values_are_closed_where_and_only_where_validation_closes_them() {
        let mut wrong = Vec::new();
        for ((kind, table), mut schema) in TABLES.into_iter().zip(schemas()) {
            for closed in table {
                let found = find(&mut schema, &mut closed.path.split('.'));
                if found.is_none_or(|field| field["enum"] != json!(closed.values)) {
                    wrong.push(format!("{kind} {} is not in the schema", closed.path));
                }
                if !refused(kind, closed.path, "no-such-value") {
                    wrong.push(format!("{kind} {} takes anything", closed.path));
                }
                for value in closed.values {
                    // Argo takes the empty value at some places where validation has a word to say.
                    if !value.is_empty() && refused(kind, closed.path, value) {
                        wrong.push(format!("{kind} {} refuses {value:?}", closed.path));
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn nothing_is_required_defaulted_or_pruned() {
        fn walk(schema: &Value, path: &str, wrong: &mut Vec<String>) {
            for key in [
                "default", "required", "nullable", "anyOf", "oneOf", "allOf", "$ref",
            ] {
                if schema.get(key).is_some() && !path.is_empty() {
                    wrong.push(format!("{path} has {key}"));
                }
            }
            let keeps = schema["x-kubernetes-preserve-unknown-fields"] == true;
            if schema.get("properties").is_some() && !keeps {
                wrong.push(format!("{path} prunes"));
            }
            let any = keeps || schema["x-kubernetes-int-or-string"] == true;
            if schema.get("type").is_none() && !any {
                wrong.push(format!("{path} has no type"));
            }
            for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
                walk(inner, &format!("{path}.{name}"), wrong);
            }
            for inner in ["items", "additionalProperties"] {
                if let Some(inner) = schema.get(inner) {
                    walk(inner, &format!("{path}[]"), wrong);
                }
            }
        }
        let mut wrong = Vec::new();
        for mut schema in schemas() {
            schema["properties"]
                .as_object_mut()
                .unwrap()
                .remove("metadata");
            walk(&schema, "", &mut wrong);
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn kubectl_apply_can_annotate_them() {
        for definition in definitions().unwrap() {
            let size = definition.to_string().len();
            assert!(
                size < 250_000,
                "{} has {size} bytes",
                definition["metadata"]["name"]
            );
        }
    }

    #[test]
    fn every_field_of_a_spec_is_described() {
        for schema in schemas() {
            let spec = &schema["properties"]["spec"];
            for (name, field) in spec["properties"].as_object().unwrap() {
                assert!(field["description"].is_string(), "{name}");
            }
        }
    }
}
