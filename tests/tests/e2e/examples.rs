//! One object of every kind that there is: those of `examples/`, and those that the page of each kind of EventSource
//! begins with. A kind without an example is a failure.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tiphys_core::manifest;

use crate::crds::{KINDS, manifests};
use crate::support::NAMESPACE;

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// Every EventBus, EventSource and Sensor of the examples, with where it is.
pub(crate) fn examples() -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for path in files(&root("examples"), &["yaml", "yml"]) {
        let text = std::fs::read_to_string(&path).unwrap();
        for document in manifest::parse(&text).unwrap() {
            if KINDS.contains(&document.kind()) {
                let mut object = document.object;
                object["metadata"]["namespace"] = json!(NAMESPACE);
                found.push((path.display().to_string(), object));
            }
        }
    }
    for path in files(&root("eventsource/src/sources"), &["rs"]) {
        let text = std::fs::read_to_string(&path).unwrap();
        if let Some(spec) = page(&text) {
            let mut spec = manifest::parse(&spec).unwrap().remove(0).object;
            // A page may show the whole object.
            if let Some(whole) = spec.get_mut("spec") {
                spec = whole.take();
            }
            let name = path.file_stem().unwrap().to_str().unwrap();
            let name = format!("page-{}", name.replace('_', "-"));
            let object = json!({
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "EventSource",
                "metadata": { "name": name, "namespace": NAMESPACE },
                "spec": spec,
            });
            found.push((path.display().to_string(), object));
        }
    }
    found
}

/// The YAML at the top of a kind's page.
fn page(text: &str) -> Option<String> {
    let mut lines = text.lines().map_while(|line| line.strip_prefix("//!"));
    lines.find(|line| *line == " ```yaml")?;
    let yaml = lines.take_while(|line| *line != " ```");
    Some(
        yaml.map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line)))
            .collect(),
    )
}

fn files(folder: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extensions));
        } else if extensions
            .iter()
            .any(|wanted| path.extension().is_some_and(|it| it == *wanted))
        {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The names of the fields that a place of a definition has, but for some.
fn fields(kind: &str, place: &str, but: &[&str]) -> BTreeSet<String> {
    let text = std::fs::read_to_string(manifests(&format!("crds/{kind}.yaml"))).unwrap();
    let definition = manifest::parse(&text).unwrap().remove(0).object;
    let schema =
        format!("/spec/versions/0/schema/openAPIV3Schema/properties/spec{place}/properties");
    let fields = definition.pointer(&schema).unwrap().as_object().unwrap();
    let names = fields.keys().filter(|name| !but.contains(&name.as_str()));
    names.cloned().collect()
}

#[test]
fn every_kind_has_an_example() {
    let examples = examples();
    let at = |pointer: &'static str| {
        let found = examples
            .iter()
            .filter_map(move |(_, object)| object.pointer(pointer));
        found.flat_map(|value| match value {
            Value::Array(list) => list.clone(),
            other => vec![other.clone()],
        })
    };
    let keys = |values: Vec<Value>| -> BTreeSet<String> {
        let maps = values.into_iter().filter_map(|value| match value {
            Value::Object(map) => Some(map),
            _ => None,
        });
        maps.flat_map(|map| map.into_iter().map(|(key, _)| key))
            .collect()
    };
    let templates: Vec<Value> = at("/spec/triggers")
        .map(|trigger| trigger["template"].clone())
        .collect();
    let within = |kind: &'static str, field: &'static str| -> Vec<Value> {
        templates
            .iter()
            .map(|template| template[kind][field].clone())
            .collect()
    };
    let sources = within("k8s", "source")
        .into_iter()
        .chain(within("argoWorkflow", "source"))
        .collect();
    let dependencies: Vec<Value> = at("/spec/dependencies").collect();
    let filters = dependencies
        .iter()
        .map(|dependency| dependency["filters"].clone())
        .collect();
    let transforms = dependencies
        .iter()
        .map(|dependency| dependency["transform"].clone())
        .collect();
    let template = "/properties/triggers/items/properties/template";
    let source = format!("{template}/properties/k8s/properties/source");
    let dependency = "/properties/dependencies/items/properties";
    let own = ["eventBusName", "replicas", "service", "template"];
    for (what, has, wants) in [
        (
            "EventBus",
            keys(at("/spec").collect()),
            fields("eventbus", "", &[]),
        ),
        (
            "EventSource",
            keys(at("/spec").collect()),
            fields("eventsources", "", &own),
        ),
        (
            "trigger",
            keys(templates.clone()),
            fields("sensors", template, &[]),
        ),
        (
            "source of an object",
            keys(sources),
            fields("sensors", &source, &[]),
        ),
        (
            "filter",
            keys(filters),
            fields("sensors", &format!("{dependency}/filters"), &[]),
        ),
        (
            "transform",
            keys(transforms),
            fields("sensors", &format!("{dependency}/transform"), &[]),
        ),
    ] {
        let missing: Vec<_> = wants.difference(&has).collect();
        assert!(missing.is_empty(), "{what}: no example of {missing:?}");
        assert!(!wants.is_empty(), "{what}");
    }
    let operations = |kind| -> BTreeSet<String> {
        let found = within(kind, "operation").into_iter();
        found
            .filter_map(|operation| operation.as_str().map(str::to_owned))
            .collect()
    };
    let all = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let k8s: BTreeSet<String> = all(&["create", "update", "patch", "delete"]);
    assert_eq!(operations("k8s"), k8s);
    let workflows: BTreeSet<String> = all(&[
        "submit",
        "submit-from",
        "resubmit",
        "retry",
        "resume",
        "suspend",
        "stop",
        "terminate",
    ]);
    assert_eq!(operations("argoWorkflow"), workflows);
}
