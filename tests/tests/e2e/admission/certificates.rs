//! The webhook's certificate and its rights: shared, renewed, one's own, and not one right too many.

use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tiphys_core::manifest;
use tiphys_tests::ports::free_port;
use tiphys_tests::tls::{TlsFiles, http_client};
use tiphys_tests::{
    ApiServer, ApiServerOptions, Authorization, eventually, eventually_ok, temp_dir,
};

use super::{CONFIGURATION, asked, refusal, register, sensor, webhook};
use crate::crds::{api, create, install, kubectl, manifests, object, said};
use crate::support::{LIMIT, NAMESPACE};

const SECRET: &str = "tiphys-webhook-certs";
const ACCOUNT: &str = "system:serviceaccount:argo-events:tiphys-webhook";

/// The authorities that the API server trusts, as PEM.
async fn bundle(client: &Client) -> Option<String> {
    let api = Api::<ValidatingWebhookConfiguration>::all(client.clone());
    let found = api.get(CONFIGURATION).await.ok()?;
    let bundle = found.webhooks?.first()?.client_config.ca_bundle.clone()?;
    String::from_utf8(bundle.0).ok()
}

/// With the rights of the manifests, and no others.
#[tokio::test]
async fn certificates_are_shared_and_renewed_without_a_missed_review() {
    let server = ApiServer::start_with(ApiServerOptions {
        authorization: Authorization::Rbac,
        ..ApiServerOptions::default()
    })
    .await;
    let client = server.client().await;
    server.create_namespace(NAMESPACE).await;
    install(&server).await;
    for file in ["service-account.yaml", "rbac.yaml"] {
        let path = manifests("webhook").join(file);
        let applied = kubectl(&server, &["apply", "-f", path.to_str().unwrap()], "");
        assert!(applied.status.success(), "{}", said(&applied));
    }
    let ports = [free_port(), free_port()];
    register(&client, ports[0]).await;
    let mut replicas = ports.map(|port| {
        webhook(&server, port)
            // Ten seconds before its end each is replaced by another; a machine that stands still may need some of them.
            .args(["--validity", "30s"])
            .env("KUBECONFIG", server.kubeconfig_as(ACCOUNT))
            .start()
    });
    asked(&client).await;

    let secrets = Api::<Secret>::namespaced(client.clone(), NAMESPACE);
    let mut bundles = std::collections::BTreeSet::new();
    eventually(
        "three authorities to follow each other",
        LIMIT * 4,
        async || {
            // At no moment is an object let in unchecked or a review missed.
            let said = refusal(&client, "EventBus", json!({})).await;
            assert!(
                said.contains("denied the request: invalid EventBus"),
                "{said}"
            );
            bundles.extend(bundle(&client).await);
            (bundles.len() >= 3).then_some(())
        },
    )
    .await;

    // Both replicas serve what is in the one Secret.
    for port in ports {
        let url = format!("https://127.0.0.1:{port}/healthz");
        eventually_ok("every replica to be trusted", LIMIT, async || {
            let folder = temp_dir();
            let ca = folder.path().join("ca.crt");
            std::fs::write(&ca, bundle(&client).await.unwrap()).unwrap();
            http_client(Some(&ca)).get(&url).send().await.map(drop)
        })
        .await;
    }
    // A Secret that somebody has spoiled or removed is made anew.
    let before = bundle(&client).await;
    let spoiled = json!({ "data": { "tls.key": "bm8=" } });
    let merge = PatchParams::default();
    secrets
        .patch(SECRET, &merge, &Patch::Merge(spoiled))
        .await
        .unwrap();
    eventually("a new authority after a spoiled key", LIMIT, async || {
        (bundle(&client).await != before).then_some(())
    })
    .await;
    for replica in &mut replicas {
        replica.terminate();
        assert!(
            replica.wait_exit(LIMIT).await.success(),
            "{}",
            replica.stderr()
        );
    }
}

/// Takes one verb after the other away and sees something fail for the lack of it.
#[tokio::test]
async fn the_rights_of_the_manifests_are_the_least_that_works() {
    let server = ApiServer::start_with(ApiServerOptions {
        authorization: Authorization::Rbac,
        ..ApiServerOptions::default()
    })
    .await;
    let client = server.client().await;
    server.create_namespace(NAMESPACE).await;
    install(&server).await;
    let text = std::fs::read_to_string(manifests("webhook/rbac.yaml")).unwrap();
    let whole: Vec<Value> = manifest::parse(&text)
        .unwrap()
        .into_iter()
        .map(|document| document.object)
        .collect();
    let mut tried = 0;
    for (at, object) in whole.iter().enumerate() {
        let rules = object["rules"].as_array().cloned().unwrap_or_default();
        for (rule, content) in rules.iter().enumerate() {
            for (place, verb) in content["verbs"].as_array().unwrap().iter().enumerate() {
                let mut less = whole.clone();
                less[at]["rules"][rule]["verbs"]
                    .as_array_mut()
                    .unwrap()
                    .remove(place);
                if less[at]["rules"][rule]["verbs"] == json!([]) {
                    less[at]["rules"].as_array_mut().unwrap().remove(rule);
                }
                let resource = content["resources"][0].as_str().unwrap();
                is_missed(&server, &client, &less, verb.as_str().unwrap(), resource).await;
                tried += 1;
            }
        }
    }
    assert_eq!(tried, 6);
}

async fn is_missed(
    server: &ApiServer,
    client: &Client,
    less: &[Value],
    verb: &str,
    resource: &str,
) {
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": less }).to_string();
    let applied = kubectl(server, &["apply", "-f", "-"], &list);
    assert!(applied.status.success(), "{}", said(&applied));
    let group = match resource {
        "secrets" => "",
        "eventbus" => "argoproj.io",
        _ => "admissionregistration.k8s.io",
    };
    eventually("the right to be gone", LIMIT, async || {
        let name = if resource == "secrets" { SECRET } else { CONFIGURATION };
        let review: SubjectAccessReview = serde_json::from_value(json!({ "spec": {
            "user": ACCOUNT,
            "resourceAttributes": { "namespace": NAMESPACE, "verb": verb, "group": group, "resource": resource, "name": name },
        }}))
        .unwrap();
        let answer = Api::all(client.clone()).create(&PostParams::default(), &review).await;
        (!answer.unwrap().status.unwrap().allowed).then_some(())
    })
    .await;
    let secrets = Api::<Secret>::namespaced(client.clone(), NAMESPACE);
    drop(secrets.delete(SECRET, &DeleteParams::default()).await);
    let configurations = Api::<ValidatingWebhookConfiguration>::all(client.clone());
    drop(
        configurations
            .delete(CONFIGURATION, &DeleteParams::default())
            .await,
    );
    let port = free_port();
    register(client, port).await;
    // Where objects are reviewed the certificate must not end meanwhile.
    let validity = if resource == "eventbus" { "1h" } else { "10s" };
    let mut process = webhook(server, port)
        .args(["--validity", validity])
        .env("KUBECONFIG", server.kubeconfig_as(ACCOUNT))
        .start();
    if resource == "eventbus" {
        asked(client).await;
        create(
            &api(client, "Sensor"),
            &object("Sensor", "s", sensor("default")),
        )
        .await
        .unwrap();
    }
    let line = format!("cannot {verb} resource \\\"{resource}\\\"");
    let plain = format!("cannot {verb} resource \"{resource}\"");
    eventually(
        &format!("{verb} {resource} to be missed"),
        LIMIT,
        async || {
            let said = process.stderr();
            (said.contains(&line) || said.contains(&plain)).then_some(())
        },
    )
    .await;
    process.terminate();
    process.wait_exit(LIMIT).await;
}

#[tokio::test]
async fn a_certificate_of_ones_own_is_served_and_read_again() {
    let server = ApiServer::start().await;
    let client = server.client().await;
    server.create_namespace(NAMESPACE).await;
    install(&server).await;
    let folder = temp_dir();
    let files = TlsFiles::create(folder.path());
    let port = free_port();
    register(&client, port).await;
    let mut process = webhook(&server, port)
        .args(["--cert".as_ref(), files.certificate.as_os_str()])
        .args(["--key".as_ref(), files.key.as_os_str()])
        .args(["--ca".as_ref(), files.ca.as_os_str()])
        .args(["--missing-bus", "warn"])
        .start();
    asked(&client).await;
    let text = json!(object("Sensor", "early", sensor("later"))).to_string();
    let applied = kubectl(&server, &["apply", "-f", "-"], &text);
    assert!(
        applied.status.success() && said(&applied).contains("there is no EventBus \"later\""),
        "{}",
        said(&applied)
    );

    TlsFiles::create(folder.path());
    let url = format!("https://127.0.0.1:{port}/readyz");
    // They are looked at twice a minute.
    eventually_ok("the new files to be served", LIMIT * 4, async || {
        http_client(Some(&files.ca))
            .get(&url)
            .send()
            .await
            .map(drop)
    })
    .await;
    asked(&client).await;
    process.terminate();
    assert!(
        process.wait_exit(LIMIT).await.success(),
        "{}",
        process.stderr()
    );
}
