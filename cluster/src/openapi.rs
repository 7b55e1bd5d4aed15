//! The part of OpenAPI v3 that `kubectl` needs before it sends anything.
//!
//! It says which parameters a patch of each kind takes, so that checks of fields are left to
//! the server; there are no schemas.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::kinds::Resource;
use crate::registry::Registry;

/// `/openapi/v3`: where the document of each group and version is.
pub(crate) fn index(registry: &Registry) -> Value {
    let roots: BTreeSet<String> = registry
        .all()
        .iter()
        .map(|resource| root(resource))
        .collect();
    let paths: Map<String, Value> = roots
        .into_iter()
        .map(|root| {
            let document = json!({"serverRelativeURL": format!("/openapi/v3/{root}")});
            (root, document)
        })
        .collect();
    json!({"paths": paths})
}

/// `/openapi/v3/ROOT`: the document of one group and version.
pub(crate) fn document(registry: &Registry, wanted: &str) -> Option<Value> {
    let mut paths = Map::new();
    for resource in registry
        .all()
        .iter()
        .filter(|resource| root(resource) == wanted)
    {
        let place = if resource.namespaced {
            "namespaces/{namespace}/"
        } else {
            ""
        };
        let path = format!("/{wanted}/{place}{}/{{name}}", resource.plural);
        paths.insert(path, json!({"patch": patch(resource)}));
    }
    if paths.is_empty() {
        return None;
    }
    Some(json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "v1.33.0"},
        "paths": paths,
    }))
}

fn root(resource: &Resource) -> String {
    let prefix = if resource.group.is_empty() {
        "api"
    } else {
        "apis"
    };
    format!("{prefix}/{}", resource.api_version())
}

fn patch(resource: &Resource) -> Value {
    let parameters: Vec<Value> = ["dryRun", "fieldManager", "fieldValidation", "force"]
        .iter()
        .map(|name| json!({"name": name, "in": "query", "schema": {"type": "string"}}))
        .collect();
    json!({
        "parameters": parameters,
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-action": "patch",
        "x-kubernetes-group-version-kind": {
            "group": resource.group,
            "version": resource.version,
            "kind": resource.kind,
        },
    })
}
