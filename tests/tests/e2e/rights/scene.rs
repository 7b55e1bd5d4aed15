//! What the tests of the controller's rights share: rights as values, and a namespace in which every right is needed:
//! objects that come, objects that go, and what objects of the past have left.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::Api;
use kube::api::{DynamicObject, ListParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use tiphys_core::manifest;
use tiphys_tests::argo_crds::argo;
use tiphys_tests::{ApiServer, Tiphys, eventually_ok};

use super::{make, until_said};
use crate::crds::{kubectl, said};
use crate::support::LIMIT;

const OBJECTS: [&str; 3] = ["eventbus", "eventsources", "sensors"];
const MADE: [&str; 6] = [
    "secrets",
    "configmaps",
    "services",
    "statefulsets",
    "deployments",
    "poddisruptionbudgets",
];

/// One right: resource and verb.
pub(super) type Right = (String, String);

/// The rules of the roles of these names in a text.
pub(super) fn rules(text: &str, roles: &[&str]) -> Vec<Value> {
    let documents = manifest::parse(text).unwrap().into_iter();
    let rules = documents
        .filter(|document| roles.contains(&document.name()))
        .filter_map(|document| document.object["rules"].as_array().cloned());
    rules.flatten().collect()
}

fn strings(value: &Value) -> Vec<String> {
    let items = value.as_array().into_iter().flatten();
    items
        .map(|item| item.as_str().unwrap().to_owned())
        .collect()
}

/// Every right that the rules give.
pub(super) fn rights(rules: &[Value]) -> BTreeSet<Right> {
    let mut all = BTreeSet::new();
    for rule in rules {
        for resource in strings(&rule["resources"]) {
            for verb in strings(&rule["verbs"]) {
                all.insert((resource.clone(), verb));
            }
        }
    }
    all
}

/// The same rules but for these rights.
pub(super) fn without(rules: &[Value], less: &[Right]) -> Vec<Value> {
    let mut left = Vec::new();
    for rule in rules {
        for resource in strings(&rule["resources"]) {
            let verbs: Vec<String> = strings(&rule["verbs"])
                .into_iter()
                .filter(|verb| !less.contains(&(resource.clone(), verb.clone())))
                .collect();
            if !verbs.is_empty() {
                let mut kept = rule.clone();
                kept["resources"] = json!([resource]);
                kept["verbs"] = json!(verbs);
                left.push(kept);
            }
        }
    }
    left
}

/// These rights to each resource.
pub(super) fn each(verb: &str, resources: &[&str]) -> Vec<Right> {
    let resources = resources.iter();
    resources
        .map(|resource| ((*resource).to_owned(), verb.to_owned()))
        .collect()
}

/// What a controller may do whatever it hosts, as it is taken away together: rights whose lack does not hide the
/// others'. `deployed` are the Deployments, where it makes any.
pub(super) fn variants(deployed: &[&str]) -> Vec<Vec<Right>> {
    let below = |part: &str| OBJECTS.map(|object| format!("{object}/{part}"));
    let (status, finalizers) = (below("status"), below("finalizers"));
    let all = |verb: &str, resources: &[String]| {
        let resources: Vec<&str> = resources.iter().map(String::as_str).collect();
        each(verb, &resources)
    };
    let watched = [OBJECTS.as_slice(), MADE.as_slice()].concat();
    let mut variants = vec![
        Vec::new(),
        each("list", &watched),
        each("watch", &watched),
        each("patch", &OBJECTS),
        each("get", &OBJECTS),
        [all("patch", &status), each("create", &["events"])].concat(),
        all("update", &finalizers),
        each("delete", &MADE),
        each("list", &["persistentvolumeclaims"]),
        each("delete", &["persistentvolumeclaims"]),
    ];
    // A bus's objects are made one after the other, and so are those of an EventSource.
    for verb in ["get", "create", "patch"] {
        variants.push(each(verb, &[&["secrets"], deployed].concat()));
        variants.push(each(verb, &["configmaps", "services"]));
        variants.push(each(verb, &["statefulsets"]));
        variants.push(each(verb, &["poddisruptionbudgets"]));
    }
    for verb in ["get", "create", "update"] {
        variants.push(each(verb, &["leases"]));
    }
    variants
}

/// Waits until a controller has said of each right that it lacks it.
pub(super) async fn until_missed(process: &mut Tiphys, less: &[Right]) {
    for (resource, verb) in less {
        let what = format!("a controller that may not {verb} {resource}");
        if resource.ends_with("/finalizers") {
            // The server does not say which.
            let text = "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on";
            until_said(process, &what, text).await;
        } else {
            let text = format!("cannot {verb} resource \"{resource}\"");
            until_said(process, &what, &text).await;
        }
    }
}

/// A Role with these rules, bound to an account.
pub(super) fn role(namespace: &str, rules: &[Value], account: (&str, &str)) -> [Value; 2] {
    [
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": { "name": "controller", "namespace": namespace }, "rules": rules,
        }),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": { "name": "controller", "namespace": namespace },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "controller" },
            "subjects": [{ "kind": "ServiceAccount", "name": account.1, "namespace": account.0 }],
        }),
    ]
}

/// The Lease, for the right to update it: one that has run out. Without `get` and `update` alone it is created.
pub(super) fn lease(namespace: &str, rules: &[Value]) -> Option<Value> {
    let update = rules.iter().all(|rule| {
        rule["resources"] != json!(["leases"]) || rule["verbs"] != json!(["get", "update"])
    });
    update.then(|| {
        json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": { "name": "argo-events-controller", "namespace": namespace },
            "spec": { "holderIdentity": "" },
        })
    })
}

pub(super) fn namespace(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } })
}

/// The objects: what must be made, what must go, and what is left from before.
pub(super) struct Scene<'a> {
    pub(super) namespace: &'a str,
    /// The NATS server of those that are to run.
    pub(super) bus: &'a str,
    /// What their Sensor does.
    pub(super) trigger: Value,
}

impl Scene<'_> {
    /// Makes them, with others.
    pub(super) fn set_up(&self, server: &ApiServer, others: Vec<Value>) {
        let namespace = self.namespace;
        let mut objects = others;
        objects.extend(self.objects());
        objects.push(json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": { "name": "kept", "namespace": namespace, "labels": {
                "controller": "eventbus-controller", "eventbus-name": "leaving", "owner-name": "leaving",
            } },
            "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } },
        }));
        objects.extend(orphans(namespace));
        make(server, &objects);
        let leave = kubectl(
            server,
            &[
                "delete",
                "--wait=false",
                "-n",
                namespace,
                "eventbus/leaving",
                "eventsources/leaving",
                "sensors/leaving",
            ],
            "",
        );
        assert!(leave.status.success(), "{}", said(&leave));
    }

    fn objects(&self) -> Vec<Value> {
        let ours = |kind: &str, name: &str, spec: Value| {
            json!({
                "apiVersion": "argoproj.io/v1alpha1", "kind": kind, "spec": spec,
                "metadata": {
                    "name": name, "namespace": self.namespace,
                    "annotations": { "tiphys.dev/start-from": "oldest" },
                },
            })
        };
        let exotic = json!({ "jetstreamExotic": { "url": self.bus } });
        let servers = json!({ "jetstream": { "version": "latest", "replicas": 3 } });
        let mut trigger = self.trigger.clone();
        trigger["name"] = json!("t");
        let sensor = json!({
            "eventBusName": "there",
            "dependencies": [{ "name": "d", "eventSourceName": "in", "eventName": "in" }],
            "triggers": [{ "template": trigger }],
        });
        let source = json!({
            "eventBusName": "there",
            "service": { "ports": [{ "port": 12000 }] },
            "webhook": { "e": { "port": "12000", "endpoint": "/e", "method": "POST" } },
        });
        let mut objects = vec![
            ours("EventBus", "made", servers),
            ours("EventBus", "there", exotic.clone()),
            ours("EventSource", "here", source.clone()),
            ours("Sensor", "here", sensor.clone()),
        ];
        // What Argo's controller held on to.
        for (kind, finalizer, spec) in [
            ("EventBus", "eventbus-controller", exotic),
            ("EventSource", "eventsource-controller", source),
            ("Sensor", "sensor-controller", sensor),
        ] {
            let mut leaving = ours(kind, "leaving", spec);
            leaving["metadata"]["finalizers"] = json!([finalizer]);
            objects.push(leaving);
        }
        objects
    }
}

/// One object of each kind that is made, whose owner is gone.
fn orphans(namespace: &str) -> Vec<Value> {
    let pods = json!({
        "selector": { "matchLabels": { "a": "b" } }, "serviceName": "s",
        "template": { "metadata": { "labels": { "a": "b" } }, "spec": { "containers": [{ "name": "main", "image": "a" }] } },
    });
    let mut deployment = pods.clone();
    deployment.as_object_mut().unwrap().remove("serviceName");
    let of_bus = ("EventBus", "eventbus");
    let of_source = ("EventSource", "eventsource");
    let of_sensor = ("Sensor", "sensor");
    let kinds = [
        ("v1", "Secret", of_bus, json!({ "data": {} })),
        ("v1", "ConfigMap", of_bus, json!({ "data": {} })),
        ("apps/v1", "StatefulSet", of_bus, json!({ "spec": pods })),
        (
            "policy/v1",
            "PodDisruptionBudget",
            of_bus,
            json!({ "spec": { "maxUnavailable": 1 } }),
        ),
        (
            "v1",
            "Service",
            of_source,
            json!({ "spec": { "ports": [{ "port": 1 }] } }),
        ),
        (
            "apps/v1",
            "Deployment",
            of_sensor,
            json!({ "spec": deployment }),
        ),
    ];
    kinds
        .into_iter()
        .map(|(api_version, kind, (owner, word), mut object)| {
            object["apiVersion"] = json!(api_version);
            object["kind"] = json!(kind);
            object["metadata"] = json!({
                "name": "orphan", "namespace": namespace,
                "labels": { "controller": format!("{word}-controller"), format!("{word}-name"): "gone", "owner-name": "gone" },
                "ownerReferences": [{
                    "apiVersion": "argoproj.io/v1alpha1", "kind": owner, "name": "gone",
                    "uid": "00000000-0000-4000-8000-000000000001", "controller": true, "blockOwnerDeletion": true,
                }],
            });
            object
        })
        .collect()
}

/// With all rights nothing is left to do.
pub(super) async fn all_is_done(server: &ApiServer, namespace: &str, deployments: usize) {
    let client = server.client().await;
    let names = async |group: &str, kind: &str| -> Vec<String> {
        let gvk = GroupVersionKind::gvk(group, "v1", kind);
        let plural = format!("{}s", kind.to_lowercase());
        let resource = ApiResource::from_gvk_with_plural(&gvk, &plural);
        let api = Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &resource);
        let list = api.list(&ListParams::default()).await.unwrap();
        list.items
            .into_iter()
            .filter_map(|one| one.metadata.name)
            .collect()
    };
    eventually_ok("everything to be made and removed", LIMIT * 2, async || {
        let mut left = Vec::new();
        for (group, kind, wanted) in [
            ("", "Secret", 2),
            ("", "ConfigMap", 1),
            ("", "Service", 2),
            ("apps", "StatefulSet", 1),
            ("apps", "Deployment", deployments),
            ("policy", "PodDisruptionBudget", 1),
        ] {
            let found = names(group, kind).await;
            if found.len() != wanted || found.contains(&"orphan".to_owned()) {
                left.push(format!("{kind}: {found:?}"));
            }
        }
        for kind in ["EventBus", "EventSource", "Sensor"] {
            let api = Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &argo(kind));
            if api.get_opt("leaving").await.unwrap().is_some() {
                left.push(format!("{kind} leaving"));
            }
        }
        let claims = Api::<PersistentVolumeClaim>::namespaced(client.clone(), namespace);
        // Protection finalizers are another controller's.
        let claim = claims.get_opt("kept").await.unwrap();
        if claim.is_some_and(|claim| claim.metadata.deletion_timestamp.is_none()) {
            left.push("the claim".to_owned());
        }
        if left.is_empty() {
            Ok(())
        } else {
            Err(left.join("; "))
        }
    })
    .await;
}
