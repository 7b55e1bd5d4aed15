//! What the definitions must never do, and that they close values only where validation does.

use tiphys_core::manifest::Document;
use tiphys_core::{Problems, Severity};

use super::*;

const TABLES: [(&str, &[Closed]); 3] = [
    ("EventBus", EVENT_BUS),
    ("EventSource", EVENT_SOURCE),
    ("Sensor", SENSOR),
];

fn schemas() -> [Value; 3] {
    definitions()
        .unwrap()
        .map(|mut definition| definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].take())
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
            let enclosed = |field: &mut Value| field["anyOf"][0]["enum"] == json!(closed.values);
            if !found.is_some_and(enclosed) {
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
fn nothing_is_required_defaulted_or_pruned_and_no_field_needs_a_value() {
    fn walk(schema: &Value, path: &str, wrong: &mut Vec<String>) {
        for key in ["default", "required", "enum", "oneOf", "allOf", "$ref"] {
            if schema.get(key).is_some() && !path.is_empty() {
                wrong.push(format!("{path} has {key}"));
            }
        }
        let ways = schema.get("anyOf");
        if ways.is_some_and(|ways| ways[1] != json!({ "maxLength": 0 })) {
            wrong.push(format!("{path} is closed to nothing"));
        }
        let keeps = schema["x-kubernetes-preserve-unknown-fields"] == true;
        if schema.get("properties").is_some() && !keeps {
            wrong.push(format!("{path} prunes"));
        }
        let typed = schema.get("type").is_some() || schema["x-kubernetes-int-or-string"] == true;
        let inside = path.starts_with(".spec.");
        if typed && inside && schema["nullable"] != true {
            wrong.push(format!("{path} must have a value"));
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
