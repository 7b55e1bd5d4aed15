//! What users install: the files are made from the kustomizations, a real API server takes them, also over the
//! manifests of Argo Events with objects in place, and the image has what its file names.

use std::path::{Path, PathBuf};
use std::process::Command;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};
use tiphys_core::manifest;
use tiphys_tests::argo_crds::apply_crds;
use tiphys_tests::{ApiServer, ApiServerOptions, Authorization, eventually, servers};

use crate::crds::{api, kubectl, manifests, object, said};
use crate::support::{LIMIT, NAMESPACE};

const HEAD: &str =
    "# Made from manifests/FOLDER by `kubectl kustomize`; a test keeps it in step.\n";

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn kustomized(folder: &str) -> String {
    let output = Command::new(servers::kubectl())
        .args(["kustomize", manifests(folder).to_str().unwrap()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Writes what is wrong and then fails, so that the next run passes.
#[test]
fn the_files_to_install_are_made_from_the_kustomizations() {
    let mut written = Vec::new();
    for (folder, file) in [
        ("cluster", "install.yaml"),
        ("namespaced", "namespace-install.yaml"),
    ] {
        let made = format!("{}{}", HEAD.replace("FOLDER", folder), kustomized(folder));
        let path = manifests(file);
        if std::fs::read_to_string(&path).ok().as_deref() != Some(made.as_str()) {
            std::fs::write(&path, made).unwrap();
            written.push(file);
        }
    }
    assert!(written.is_empty(), "written anew, commit them: {written:?}");
}

fn apply(server: &ApiServer, args: &[&str], input: &str) -> String {
    let applied = kubectl(server, &[&["apply"], args].concat(), input);
    let said = said(&applied);
    assert!(applied.status.success(), "{args:?}\n{said}");
    // An object that was not made by kubectl is taken over with a remark.
    let mut warnings = said.lines().filter(|line| line.contains("Warning"));
    assert!(
        warnings.all(|line| line.contains("last-applied-configuration")),
        "{said}"
    );
    said
}

/// What an installation of Argo Events has, as far as names matter.
fn argos_own() -> String {
    let items = json!([
        { "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } },
        { "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "argo-events-sa", "namespace": NAMESPACE } },
        {
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": "argo-events-controller-config", "namespace": NAMESPACE },
            "data": { "controller-config.yaml": "eventBus: {jetstream: {settings: 'max_file_store: 2TB'}}\n" },
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": { "name": "argo-events-role" },
            "rules": [{ "apiGroups": [""], "resources": ["pods", "pods/exec"], "verbs": ["create"] }],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": { "name": "argo-events-binding" },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "argo-events-role" },
            "subjects": [{ "kind": "ServiceAccount", "name": "argo-events-sa", "namespace": NAMESPACE }],
        },
        {
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "controller-manager", "namespace": NAMESPACE },
            "spec": {
                "replicas": 1,
                "selector": { "matchLabels": { "app": "controller-manager" } },
                "template": {
                    "metadata": { "labels": { "app": "controller-manager" } },
                    "spec": {
                        "serviceAccountName": "argo-events-sa",
                        "securityContext": { "runAsNonRoot": true, "runAsUser": 9731 },
                        "volumes": [{ "name": "controller-config-volume", "configMap": { "name": "argo-events-controller-config" } }],
                        "containers": [{
                            "name": "controller-manager", "image": "argo-events:v1.9.6", "args": ["controller"], "imagePullPolicy": "Always",
                            "env": [
                                { "name": "NAMESPACE", "valueFrom": { "fieldRef": { "fieldPath": "metadata.namespace" } } },
                                { "name": "ARGO_EVENTS_IMAGE", "value": "argo-events:v1.9.6" },
                            ],
                            "livenessProbe": { "httpGet": { "path": "/healthz", "port": 8081 }, "initialDelaySeconds": 3 },
                            "volumeMounts": [{ "name": "controller-config-volume", "mountPath": "/etc/argo-events" }],
                        }],
                    },
                },
            },
        },
    ]);
    json!({ "apiVersion": "v1", "kind": "List", "items": items }).to_string()
}

#[tokio::test]
async fn it_takes_the_place_of_argos_controller_and_leaves_objects_and_settings_alone() {
    let server = ApiServer::start().await;
    let client = server.client().await;
    apply_crds(&client).await;
    apply(&server, &["-f", "-"], &argos_own());
    let before = [
        (
            "EventBus",
            json!({ "jetstream": { "version": "2.10.10", "odd": [1, null] } }),
        ),
        (
            "EventSource",
            json!({ "webhook": { "e": { "endpoint": "/e", "port": "1", "later": 1.5 } } }),
        ),
        (
            "Sensor",
            json!({ "dependencies": [{ "name": "d", "odd": 1 }], "triggers": [] }),
        ),
    ];
    for (kind, spec) in &before {
        let typed = serde_json::from_value(object(kind, "kept", spec.clone())).unwrap();
        let objects = api(&client, kind);
        objects
            .create(&PostParams::default(), &typed)
            .await
            .unwrap();
    }

    let file = manifests("install.yaml");
    let file = file.to_str().unwrap();
    apply(&server, &["-f", file], "");

    for (kind, spec) in &before {
        let kept = api(&client, kind).get("kept").await.unwrap();
        assert_eq!(kept.data["spec"], *spec, "{kind}");
    }
    let deployments = Api::<Deployment>::namespaced(client.clone(), NAMESPACE);
    let deployment = deployments.get("controller-manager").await.unwrap();
    let pod = serde_json::to_value(deployment).unwrap()["spec"]["template"]["spec"].take();
    let containers = pod["containers"].as_array().unwrap();
    assert_eq!(containers.len(), 1, "{pod}");
    let main = &containers[0];
    assert!(
        main["image"].as_str().unwrap().starts_with("tiphys:"),
        "{pod}"
    );
    let env = main["env"].as_array().unwrap();
    let image = env.iter().find(|one| one["name"] == "TIPHYS_IMAGE");
    assert_eq!(image.unwrap()["value"], main["image"]);
    assert_eq!(pod["volumes"].as_array().unwrap().len(), 1, "{pod}");
    let configs = Api::<ConfigMap>::namespaced(client.clone(), NAMESPACE);
    let config = configs.get("argo-events-controller-config").await.unwrap();
    let data = config.data.unwrap();
    assert!(data["controller-config.yaml"].contains("2TB"), "{data:?}");

    // A second time nothing is new.
    let again = apply(&server, &["-f", file], "");
    for line in again.lines() {
        assert!(
            line.ends_with(" unchanged") || line.contains("customresourcedefinition"),
            "{line}"
        );
    }
}

#[tokio::test]
async fn every_way_to_install_is_taken_by_an_api_server() {
    let server = ApiServer::start().await;
    for folder in ["pooled", "webhook"] {
        let made = apply(&server, &["-k", manifests(folder).to_str().unwrap()], "");
        assert!(made.contains("deployment.apps/"), "{made}");
    }
    apply(
        &server,
        &["-f", manifests("namespace-install.yaml").to_str().unwrap()],
        "",
    );
}

/// Whether an account may do something.
async fn may(server: &ApiServer, verb: &str, resource: &str, namespace: &str) -> bool {
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
        "spec": {
            "user": "system:serviceaccount:argo-events:argo-events-sa",
            "resourceAttributes": { "namespace": namespace, "verb": verb, "group": "", "resource": resource },
        },
    });
    let answer: k8s_openapi::api::authorization::v1::SubjectAccessReview =
        Api::all(server.client().await)
            .create(
                &PostParams::default(),
                &serde_json::from_value(review).unwrap(),
            )
            .await
            .unwrap();
    answer.status.unwrap().allowed
}

#[tokio::test]
async fn a_controller_of_one_namespace_has_no_rights_elsewhere() {
    let server = ApiServer::start_with(ApiServerOptions {
        authorization: Authorization::Rbac,
        ..ApiServerOptions::default()
    })
    .await;
    apply(
        &server,
        &["-f", manifests("namespace-install.yaml").to_str().unwrap()],
        "",
    );
    eventually("the rights to be in force", LIMIT, async || {
        may(&server, "list", "secrets", NAMESPACE)
            .await
            .then_some(())
    })
    .await;
    assert!(!may(&server, "list", "secrets", "default").await);
    // And everywhere with the other file, but nothing that it has no use for.
    apply(
        &server,
        &["-f", manifests("install.yaml").to_str().unwrap()],
        "",
    );
    eventually("the rights to be in force", LIMIT, async || {
        may(&server, "list", "secrets", "default")
            .await
            .then_some(())
    })
    .await;
    for (verb, resource) in [
        ("create", "pods"),
        ("create", "pods/exec"),
        ("update", "secrets"),
        ("deletecollection", "secrets"),
    ] {
        assert!(
            !may(&server, verb, resource, NAMESPACE).await,
            "{verb} {resource}"
        );
    }
}

/// A build of an image is not possible everywhere; what can be known without is checked here.
#[test]
fn the_image_is_made_of_what_is_there_and_runs_as_nobody_in_particular() {
    let text = std::fs::read_to_string(root("Containerfile")).unwrap();
    let lines: Vec<Vec<&str>> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_whitespace().collect())
        .collect();
    let of = |word: &str| -> Vec<&Vec<&str>> {
        let lines = lines.iter();
        lines.filter(|line| line.first() == Some(&word)).collect()
    };
    let last = of("FROM").last().unwrap()[1];
    assert_eq!(last, "scratch");
    assert_eq!(of("USER").last().unwrap()[1], "9731:9731");
    for run in of("RUN") {
        if run[1].starts_with("scripts/") {
            let script = root(run[1]);
            assert!(script.is_file(), "{}", script.display());
        }
    }
    let ignored = std::fs::read_to_string(root(".containerignore")).unwrap();
    for needed in ["Cargo.lock", "scripts", "examples", "cli"] {
        assert!(root(needed).exists(), "{needed}");
        assert!(ignored.lines().all(|line| line != needed), "{needed}");
    }
    // The pods of the manifests run as the user of the image.
    for file in ["base/deployment.yaml", "webhook/deployment.yaml"] {
        let text = std::fs::read_to_string(manifests(file)).unwrap();
        let deployment: Value = manifest::parse(&text).unwrap().remove(0).object;
        let pod = &deployment["spec"]["template"]["spec"];
        assert_eq!(pod["securityContext"]["runAsUser"], 9731, "{file}");
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{file}");
        for container in pod["containers"].as_array().unwrap() {
            let security = &container["securityContext"];
            assert_eq!(security["readOnlyRootFilesystem"], true, "{file}");
            assert_eq!(security["allowPrivilegeEscalation"], false, "{file}");
            assert_eq!(security["capabilities"]["drop"], json!(["ALL"]), "{file}");
        }
    }
}
