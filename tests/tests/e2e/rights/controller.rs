//! The controller's own rights, `manifests/base`. One API server; each controller has a namespace and a scene of its
//! own, in which every right is needed: objects that come, objects that go, and what objects of the past have left.

use std::collections::BTreeSet;

use futures::StreamExt as _;
use serde_json::{Value, json};
use tiphys_tests::{ApiServer, Tiphys, TiphysCommand};

use super::scene::{self, Right, Scene, all_is_done, rights, rules, until_missed, without};
use super::{server, until_allowed};
use crate::crds::{install, manifests};
use crate::support::{LIMIT, NAMESPACE};

/// Controllers that run at a time.
const AT_ONCE: usize = 4;

#[tokio::test]
async fn the_rights_of_the_controller_are_the_least_that_works() {
    let text = |file: &str| std::fs::read_to_string(manifests(file)).unwrap();
    let all = [
        rules(&text("base/role.yaml"), &["argo-events-role"]),
        rules(&text("base/election.yaml"), &["tiphys-election"]),
    ]
    .concat();
    let variants = scene::variants(&["deployments"]);
    let taken: BTreeSet<Right> = variants.iter().flatten().cloned().collect();
    assert_eq!(
        rights(&all),
        taken,
        "every right is taken away in one of the variants"
    );

    let server = server().await;
    server.create_namespace(NAMESPACE).await;
    install(&server).await;
    let tried = futures::stream::iter(variants.into_iter().enumerate())
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
    let left = without(all, less);
    let mut others = vec![scene::namespace(&namespace)];
    others.extend(scene::role(
        &namespace,
        &left,
        (&namespace, "argo-events-sa"),
    ));
    others.extend(scene::lease(&namespace, &left).filter(|_| lease));
    let scene = Scene {
        namespace: &namespace,
        bus: "nats://127.0.0.1:1",
        trigger: json!({ "log": {} }),
    };
    scene.set_up(server, others);
    let client = server.client().await;
    // Whatever is taken away, one of these is left.
    for (group, resource, verb) in [("", "services", "list"), ("apps", "deployments", "watch")] {
        if !less.contains(&(resource.to_owned(), verb.to_owned())) {
            let attributes = json!({ "namespace": namespace, "group": group, "resource": resource, "verb": verb });
            until_allowed(&client, &user, &attributes).await;
        }
    }
    let mut process = controller(server, &namespace, &user, lease).start();
    until_missed(&mut process, less).await;
    if less.is_empty() {
        all_is_done(server, &namespace, 2).await;
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
