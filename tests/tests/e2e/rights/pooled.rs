//! The rights of the pooled shape, `manifests/pooled`: those of the controller but for pods of objects, and what
//! hosting needs. One API server and one bus; each pool has a namespace, and another one that it looks after.

use std::collections::BTreeSet;

use futures::StreamExt as _;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use kube::api::{DynamicObject, ListParams};
use serde_json::{Value, json};
use tiphys_tests::argo_crds::{apply_crds, argo};
use tiphys_tests::nats::{Nats, NatsOptions};
use tiphys_tests::{ApiServer, Tiphys, TiphysCommand, eventually};

use super::scene::{self, Right, Scene, all_is_done, each, rights, rules, until_missed, without};
use super::{send, server, until_allowed};
use crate::cluster::own_address;
use crate::crds::{install, kubectl, manifests, said};
use crate::support::{LIMIT, NAMESPACE};

/// Pools that run at a time.
const AT_ONCE: usize = 4;

/// Which rights are taken away together: those whose lack does not hide the others'.
fn variants() -> Vec<Vec<Right>> {
    let mut variants = scene::variants(&[]);
    let mut add = |verb: &str, resources: &[&str]| variants.push(each(verb, resources));
    add("list", &["pods"]);
    add("watch", &["pods"]);
    add("get", &["workflows"]);
    add("create", &["workflows", "endpointslices"]);
    add("patch", &["endpointslices"]);
    variants
}

#[tokio::test]
async fn the_rights_of_the_pool_are_the_least_that_works() {
    let server = server().await;
    let folder = manifests("pooled");
    let built = kubectl(&server, &["kustomize", folder.to_str().unwrap()], "");
    assert!(built.status.success(), "{}", said(&built));
    let roles = ["argo-events-role", "tiphys-election", "tiphys-pool"];
    let all = rules(&String::from_utf8(built.stdout).unwrap(), &roles);
    let taken: BTreeSet<Right> = variants().into_iter().flatten().collect();
    assert_eq!(
        rights(&all),
        taken,
        "every right is taken away in one of the variants"
    );

    let bus = Nats::start(NatsOptions::default()).await;
    send(&bus).await;
    server.create_namespace(NAMESPACE).await;
    apply_crds(&server.client().await).await;
    install(&server).await;
    let tried = futures::stream::iter(variants().into_iter().enumerate())
        .map(|(number, less)| {
            let (server, bus, all) = (&server, &bus, &all);
            async move { is_missed(server, bus, all, number, &less).await }
        })
        .buffer_unordered(AT_ONCE)
        .count()
        .await;
    println!("{} rights taken away in {tried} pools", taken.len());
}

/// The Workflow that the pool's Sensor makes.
fn workflow() -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": { "name": "target" },
        "spec": { "entrypoint": "main" },
    })
}

/// Runs one pool with all rights but these, and waits until it says what it lacks.
async fn is_missed(server: &ApiServer, bus: &Nats, all: &[Value], number: usize, less: &[Right]) {
    let (own, managed) = (format!("pool{number}"), format!("managed{number}"));
    let user = format!("system:serviceaccount:{own}:argo-events-sa");
    let lacks = |resource: &str| less.iter().any(|(lacking, _)| lacking == resource);
    let election = less.is_empty() || lacks("leases");
    let left = without(all, less);
    let mut others = Vec::new();
    for namespace in [&own, &managed] {
        others.push(scene::namespace(namespace));
        others.extend(scene::role(namespace, &left, (&own, "argo-events-sa")));
    }
    others.extend(scene::lease(&own, &left).filter(|_| election));
    if less.contains(&("workflows".to_owned(), "get".to_owned())) {
        // Somebody else's of the same name.
        let mut there = workflow();
        there["metadata"]["namespace"] = json!(managed);
        others.push(there);
    }
    let scene = Scene {
        namespace: &managed,
        bus: &bus.url(),
        trigger: json!({ "k8s": { "operation": "create", "source": { "resource": workflow() } } }),
    };
    scene.set_up(server, others);
    let client = server.client().await;
    // Whatever is taken away, one of these is left.
    for (group, resource, verb) in [("", "services", "list"), ("apps", "deployments", "watch")] {
        for namespace in [&own, &managed] {
            if !less.contains(&(resource.to_owned(), verb.to_owned())) {
                let attributes = json!({ "namespace": namespace, "group": group, "resource": resource, "verb": verb });
                until_allowed(&client, &user, &attributes).await;
            }
        }
    }
    let mut process = pool(server, &own, &managed, &user, election).start();
    until_missed(&mut process, less).await;
    if less.is_empty() {
        works(server, &managed).await;
        let said = process.stderr();
        assert!(!said.contains("forbidden"), "{said}");
    }
    // What it hosts is of no interest any more.
    process.kill_9();
}

fn pool(server: &ApiServer, own: &str, managed: &str, user: &str, election: bool) -> TiphysCommand {
    Tiphys::command(["controller", "--pooled", "--namespaced", "--namespace", own])
        .args(["--managed-namespace", managed, "--linger", "0"])
        .args(["--bind", &own_address().to_string()])
        .args(["--admin", "off", "--log", "debug"])
        .args(["--lease", "argo-events-controller"])
        .args(["--leader-election", if election { "true" } else { "false" }])
        .env("POD_NAME", own)
        .env("KUBECONFIG", server.kubeconfig_as(user))
}

/// With all rights nothing is left to do, requests find the pool and the event has become a Workflow.
async fn works(server: &ApiServer, namespace: &str) {
    all_is_done(server, namespace, 0).await;
    let client = server.client().await;
    let slices = Api::<EndpointSlice>::namespaced(client.clone(), namespace);
    let workflows = Api::<DynamicObject>::namespaced_with(client, namespace, &argo("Workflow"));
    eventually("a slice and a workflow", LIMIT, async || {
        let slices = slices.list(&ListParams::default()).await.ok()?;
        let made = workflows.get_opt("target").await.ok()?;
        (made.is_some() && !slices.items.is_empty()).then_some(())
    })
    .await;
}
