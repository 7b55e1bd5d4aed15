//! Discovery: which groups, versions and kinds are served.
//!
//! Read only; says what [`Registry`] holds in the words of the API.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::kinds::Resource;
use crate::registry::Registry;

/// The Kubernetes version whose API this resembles.
pub(crate) fn version() -> Value {
    json!({
        "major": "1",
        "minor": "33",
        "gitVersion": concat!("v1.33.0+tiphys-", env!("CARGO_PKG_VERSION")),
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "none",
        "compiler": "rustc",
        "platform": concat!("linux/", "amd64"),
    })
}

/// `/api`.
pub(crate) fn core_versions() -> Value {
    json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
}

/// `/apis`.
pub(crate) fn groups(registry: &Registry) -> Value {
    let groups: Vec<Value> = by_group(registry)
        .into_iter()
        .map(|(name, versions)| entry(&name, &versions))
        .collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/GROUP`.
pub(crate) fn group(registry: &Registry, name: &str) -> Option<Value> {
    let mut group = entry(name, by_group(registry).get(name)?);
    if let Value::Object(group) = &mut group {
        group.insert("kind".into(), "APIGroup".into());
        group.insert("apiVersion".into(), "v1".into());
    }
    Some(group)
}

fn by_group(registry: &Registry) -> BTreeMap<String, Vec<String>> {
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for resource in registry
        .all()
        .iter()
        .filter(|resource| !resource.group.is_empty())
    {
        let versions = groups.entry(resource.group.clone()).or_default();
        if !versions.contains(&resource.version) {
            versions.push(resource.version.clone());
        }
    }
    groups
}

fn entry(group: &str, versions: &[String]) -> Value {
    let versions: Vec<Value> = versions
        .iter()
        .map(|version| json!({"groupVersion": format!("{group}/{version}"), "version": version}))
        .collect();
    json!({"name": group, "versions": versions, "preferredVersion": versions.first()})
}

/// `/api/v1` and `/apis/GROUP/VERSION`.
pub(crate) fn resources(registry: &Registry, group: &str, version: &str) -> Option<Value> {
    let mut served: Vec<Arc<Resource>> = registry.all();
    served.retain(|resource| resource.group == group && resource.version == version);
    let api_version = served.first()?.api_version();
    let mut list = Vec::new();
    for resource in &served {
        list.push(json!({
            "name": resource.plural,
            "singularName": resource.singular,
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update",
                      "watch"],
            "shortNames": resource.short_names,
            "categories": categories(resource),
        }));
        let mut part = |name: &str, verbs: &[&str]| {
            list.push(json!({
                "name": format!("{}/{name}", resource.plural),
                "singularName": "",
                "namespaced": resource.namespaced,
                "kind": resource.kind,
                "verbs": verbs,
            }));
        };
        if resource.status {
            part("status", &["get", "patch", "update"]);
        }
        if resource.is_core("Pod") {
            part("log", &["get"]);
        }
    }
    Some(json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": api_version,
        "resources": list,
    }))
}

/// What `kubectl get all` asks for.
fn categories(resource: &Resource) -> &'static [&'static str] {
    let running = [
        "Pod",
        "Service",
        "Deployment",
        "StatefulSet",
        "Job",
        "CronJob",
    ];
    if resource.built_in() && running.contains(&resource.kind.as_str()) {
        &["all"]
    } else {
        &[]
    }
}
