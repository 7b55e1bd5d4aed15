//! The smallest definitions under which a real API server keeps Argo's
//! resources: every field as it comes, no validation.
//!
//! What users install is in `manifests/`; these are for tests that need the
//! resources and nothing of ours.

use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ListParams, Patch, PatchParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::wait::eventually_ok;

const GROUP: &str = "argoproj.io";
const VERSION: &str = "v1alpha1";
const ESTABLISHED: Duration = Duration::from_secs(120);

/// Everything that the server serves, in one answer.
const DISCOVERY: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

struct Definition {
    kind: &'static str,
    plural: &'static str,
    short: &'static str,
    namespaced: bool,
    /// Workflows have none: their status is written with the object itself.
    status_apart: bool,
}

const fn definition(
    kind: &'static str,
    plural: &'static str,
    short: &'static str,
    status_apart: bool,
) -> Definition {
    Definition {
        kind,
        plural,
        short,
        namespaced: true,
        status_apart,
    }
}

const DEFINITIONS: [Definition; 7] = [
    definition("EventBus", "eventbus", "eb", true),
    definition("EventSource", "eventsources", "es", true),
    definition("Sensor", "sensors", "sn", true),
    definition("Workflow", "workflows", "wf", false),
    definition("WorkflowTemplate", "workflowtemplates", "wftmpl", false),
    Definition {
        namespaced: false,
        ..definition(
            "ClusterWorkflowTemplate",
            "clusterworkflowtemplates",
            "cwftmpl",
            false,
        )
    },
    definition("CronWorkflow", "cronworkflows", "cwf", false),
];

/// Installs the definitions of Argo's resources and waits until all are served.
/// Where they are there already nothing changes.
///
/// # Panics
///
/// When the server refuses one or never serves it.
pub async fn apply_crds(client: &Client) {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    for definition in &DEFINITIONS {
        let name = format!("{}.{GROUP}", definition.plural);
        definitions
            .patch(
                &name,
                &PatchParams::apply("tiphys-tests").force(),
                &Patch::Apply(definition.object(&name)),
            )
            .await
            .unwrap_or_else(|error| panic!("install {name}: {error}"));
    }
    // Together: the server takes a second for the first request to each.
    join_all(
        DEFINITIONS
            .iter()
            .map(|definition| served(client, definition)),
    )
    .await;
    let plurals = DEFINITIONS.map(|definition| definition.plural);
    discovered(client, &plurals).await;
}

/// Waits until the server tells of these resources of Argo's group: it does so a moment after it serves them, and
/// kubectl knows no kind that the server does not tell of.
///
/// # Panics
///
/// When it never does.
pub async fn discovered(client: &Client, plurals: &[&str]) {
    eventually_ok("the definitions to be told of", ESTABLISHED, async || {
        let request = http::Request::get("/apis")
            .header("accept", DISCOVERY)
            .body(Vec::new())
            .expect("the request is well formed");
        let told: Value = client
            .request(request)
            .await
            .map_err(|error| error.to_string())?;
        let named = |group: &&Value| {
            let name = group.pointer("/metadata/name").and_then(Value::as_str);
            name == Some(GROUP)
        };
        let resources: Vec<&str> = listed(&told, "items")
            .filter(named)
            .flat_map(|group| listed(group, "versions"))
            .flat_map(|version| listed(version, "resources"))
            .filter_map(|resource| resource.get("resource")?.as_str())
            .collect();
        let all = plurals.iter().all(|plural| resources.contains(plural));
        all.then_some(())
            .ok_or_else(|| format!("it tells of {resources:?}"))
    })
    .await;
}

async fn served(client: &Client, definition: &Definition) {
    let objects: Api<DynamicObject> = Api::all_with(client.clone(), &resource(definition));
    let what = format!("{} to be served", definition.plural);
    eventually_ok(&what, ESTABLISHED, async || {
        objects.list(&ListParams::default()).await
    })
    .await;
}

/// What a dynamic client needs to know of one of Argo's kinds, such as `Sensor`.
///
/// # Panics
///
/// When there is no such kind.
pub fn argo(kind: &str) -> ApiResource {
    DEFINITIONS
        .iter()
        .find(|definition| definition.kind == kind)
        .map_or_else(|| panic!("Argo has no kind {kind}"), resource)
}

fn resource(definition: &Definition) -> ApiResource {
    let kind = GroupVersionKind::gvk(GROUP, VERSION, definition.kind);
    ApiResource::from_gvk_with_plural(&kind, definition.plural)
}

impl Definition {
    fn object(&self, name: &str) -> Value {
        let anything = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
        let scope = if self.namespaced {
            "Namespaced"
        } else {
            "Cluster"
        };
        let subresources = if self.status_apart {
            json!({ "status": {} })
        } else {
            json!({})
        };
        json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": { "name": name },
            "spec": {
                "group": GROUP,
                "scope": scope,
                "names": {
                    "kind": self.kind,
                    "listKind": format!("{}List", self.kind),
                    "plural": self.plural,
                    "singular": self.kind.to_lowercase(),
                    "shortNames": [self.short],
                },
                "versions": [{
                    "name": VERSION,
                    "served": true,
                    "storage": true,
                    "subresources": subresources,
                    "schema": { "openAPIV3Schema": {
                        "type": "object",
                        "x-kubernetes-preserve-unknown-fields": true,
                        "properties": { "spec": anything, "status": anything },
                    }},
                }],
            },
        })
    }
}

/// The items of a list that may not be there.
fn listed<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> + use<'v> {
    let items = value.get(key).and_then(Value::as_array);
    items.into_iter().flatten()
}
