//! The controller's own rights, `manifests/base`. One API server; each controller has a namespace and a scene of its
//! own, in which every right is needed: objects that come, objects that go, and what objects of the past have left.

use std::collections::BTreeSet;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::Api;
use kube::api::{DynamicObject, ListParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use tiphys_core::manifest;
use tiphys_tests::argo_crds::argo;
use tiphys_tests::{ApiServer, Tiphys, TiphysCommand, eventually_ok};

use super::{make, server, until_allowed, until_said};
use crate::crds::{install, kubectl, manifests, said};
use crate::support::{LIMIT, NAMESPACE};

/// Controllers that run at a time.
const AT_ONCE: usize = 4;

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
type Right = (String, String);

/// The rules of the manifests for what the controller looks after.
fn rules(file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(manifests(file)).unwrap();
    let documents = manifest::parse(&text).unwrap().into_iter();
    let rules = documents.filter_map(|document| document.object["rules"].as_array().cloned());
    rules.flatten().collect()
}

fn strings(value: &Value) -> Vec<String> {
    let items = value.as_array().into_iter().flatten();
    items
        .map(|item| item.as_str().unwrap().to_owned())
        .collect()
}

/// Every right that the rules give.
fn rights(rules: &[Value]) -> BTreeSet<Right> {
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
fn without(rules: &[Value], less: &[Right]) -> Vec<Value> {
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

/// Which rights are taken away together: those whose lack does not hide the others'.
fn variants() -> Vec<Vec<Right>> {
    let each = |resources: &[&str], verb: &str| -> Vec<Right> {
        let resources = resources.iter();
        resources
            .map(|resource| ((*resource).to_owned(), verb.to_owned()))
            .collect()
    };
    let below = |part: &str| OBJECTS.map(|object| format!("{object}/{part}"));
    let status = below("status");
    let finalizers = below("finalizers");
    let names = |list: &[String]| list.to_vec();
    let mut variants = vec![
        Vec::new(),
        each(&[OBJECTS.as_slice(), MADE.as_slice()].concat(), "list"),
        each(&[OBJECTS.as_slice(), MADE.as_slice()].concat(), "watch"),
        each(&OBJECTS, "patch"),
        each(&OBJECTS, "get"),
        [
            names(&status)
                .iter()
                .map(|one| (one.clone(), "patch".to_owned()))
                .collect(),
            each(&["events"], "create"),
        ]
        .concat(),
        names(&finalizers)
            .iter()
            .map(|one| (one.clone(), "update".to_owned()))
            .collect(),
        each(&MADE, "delete"),
        each(&["persistentvolumeclaims"], "list"),
        each(&["persistentvolumeclaims"], "delete"),
    ];
    // A bus's objects are made one after the other, and so are those of an EventSource.
    for verb in ["get", "create", "patch"] {
        variants.push(each(&["secrets", "deployments"], verb));
        variants.push(each(&["configmaps", "services"], verb));
        variants.push(each(&["statefulsets"], verb));
        variants.push(each(&["poddisruptionbudgets"], verb));
    }
    for verb in ["get", "create", "update"] {
        variants.push(each(&["leases"], verb));
    }
    variants
}

#[tokio::test]
async fn the_rights_of_the_controller_are_the_least_that_works() {
    let all = [rules("base/role.yaml"), rules("base/election.yaml")].concat();
    let taken: BTreeSet<Right> = variants().into_iter().flatten().collect();
    assert_eq!(
        rights(&all),
        taken,
        "every right is taken away in one of the variants"
    );

    let server = server().await;
    server.create_namespace(NAMESPACE).await;
    install(&server).await;
    let tried = futures::stream::iter(variants().into_iter().enumerate())
        .map(|(number, less)| {
            let (server, all) = (&server, &all);
            async move { is_missed(server, all, number, &less).await }
        })
        .buffer_unordered(AT_ONCE)
        .count()
        .await;
    println!("{} rights taken away in {tried} controllers", taken.len());
}

/// Runs one controller with all rights but these, and waits until it says what it lacks.
async fn is_missed(server: &ApiServer, all: &[Value], number: usize, less: &[Right]) {
    let namespace = format!("v{number}");
    let user = format!("system:serviceaccount:{namespace}:argo-events-sa");
    let lease = less.is_empty() || less.iter().any(|(resource, _)| resource == "leases");
    set_up(server, &namespace, &without(all, less), lease);
    let client = server.client().await;
    // Whatever is taken away, one of these is left.
    for (group, resource, verb) in [("", "services", "list"), ("apps", "deployments", "watch")] {
        if !less.contains(&(resource.to_owned(), verb.to_owned())) {
            let attributes = json!({ "namespace": namespace, "group": group, "resource": resource, "verb": verb });
            until_allowed(&client, &user, &attributes).await;
        }
    }
    let mut process = controller(server, &namespace, &user, lease).start();
    for (resource, verb) in less {
        let what = format!("a controller that may not {verb} {resource}");
        if resource.ends_with("/finalizers") {
            // The server does not say which.
            let text = "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on";
            until_said(&mut process, &what, text).await;
        } else {
            let text = format!("cannot {verb} resource \"{resource}\"");
            until_said(&mut process, &what, &text).await;
        }
    }
    if less.is_empty() {
        all_is_done(server, &namespace).await;
        let said = process.stderr();
        assert!(!said.contains("forbidden"), "{said}");
    }
    process.terminate();
    process.wait_exit(LIMIT).await;
}

fn controller(server: &ApiServer, namespace: &str, user: &str, lease: bool) -> TiphysCommand {
    Tiphys::command(["controller", "--namespaced", "--namespace", namespace])
        .args(["--image", "tiphys:test", "--admin", "off", "--log", "debug"])
        .args(["--lease", "argo-events-controller"])
        .args(["--leader-election", if lease { "true" } else { "false" }])
        .env("KUBECONFIG", server.kubeconfig_as(user))
}

/// The scene: what must be made, what must go, and what is left from before.
fn set_up(server: &ApiServer, namespace: &str, rules: &[Value], lease: bool) {
    let account = "argo-events-sa";
    let mut objects = vec![
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } }),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": { "name": "controller", "namespace": namespace }, "rules": rules,
        }),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": { "name": "controller", "namespace": namespace },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "controller" },
            "subjects": [{ "kind": "ServiceAccount", "name": account, "namespace": namespace }],
        }),
    ];
    let ours = |kind: &str, name: &str, spec: Value| {
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": kind,
            "metadata": { "name": name, "namespace": namespace }, "spec": spec,
        })
    };
    let sensor = |bus: &str| {
        json!({
            "eventBusName": bus,
            "dependencies": [{ "name": "d", "eventSourceName": "s", "eventName": "e" }],
            "triggers": [{ "template": { "name": "t", "log": {} } }],
        })
    };
    let source = |bus: &str| {
        json!({
            "eventBusName": bus,
            "service": { "ports": [{ "port": 12000 }] },
            "webhook": { "e": { "port": "12000", "endpoint": "/e", "method": "POST" } },
        })
    };
    objects.extend([
        ours(
            "EventBus",
            "made",
            json!({ "jetstream": { "version": "latest", "replicas": 3 } }),
        ),
        ours(
            "EventBus",
            "there",
            json!({ "jetstreamExotic": { "url": "nats://127.0.0.1:1" } }),
        ),
        ours("EventSource", "here", source("there")),
        ours("Sensor", "here", sensor("there")),
    ]);
    // What Argo's controller held on to, and what it has left.
    for (kind, finalizer, spec) in [
        (
            "EventBus",
            "eventbus-controller",
            json!({ "jetstreamExotic": { "url": "nats://127.0.0.1:1" } }),
        ),
        ("EventSource", "eventsource-controller", source("there")),
        ("Sensor", "sensor-controller", sensor("there")),
    ] {
        let mut leaving = ours(kind, "leaving", spec);
        leaving["metadata"]["finalizers"] = json!([finalizer]);
        objects.push(leaving);
    }
    objects.push(json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": { "name": "kept", "namespace": namespace, "labels": {
            "controller": "eventbus-controller", "eventbus-name": "leaving", "owner-name": "leaving",
        } },
        "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } },
    }));
    objects.extend(orphans(namespace));
    if lease {
        // One that has run out, for the right to update it; without it one is created.
        let update = rules.iter().all(|rule| {
            rule["resources"] != json!(["leases"]) || rule["verbs"] != json!(["get", "update"])
        });
        if update {
            objects.push(json!({
                "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                "metadata": { "name": "argo-events-controller", "namespace": namespace },
                "spec": { "holderIdentity": "" },
            }));
        }
    }
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
async fn all_is_done(server: &ApiServer, namespace: &str) {
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
            ("apps", "Deployment", 2),
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
