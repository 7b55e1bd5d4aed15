//! Several controllers: one works, another takes over when it dies; and one that looks after a single namespace.

use k8s_openapi::api::coordination::v1::Lease;

use super::*;

fn replica(server: &ApiServer, identity: &str) -> Tiphys {
    command(server, free_port())
        .args(["--lease-duration", "4s", "--identity", identity])
        .start()
}

async fn leader(client: &Client, wanted: impl Fn(&str) -> bool) -> String {
    let leases = Api::<Lease>::namespaced(client.clone(), NAMESPACE);
    eventually_ok("somebody to lead", LIMIT, async || {
        let lease = leases
            .get("tiphys-controller")
            .await
            .map_err(|error| error.to_string())?;
        let holder = lease
            .spec
            .and_then(|spec| spec.holder_identity)
            .unwrap_or_default();
        wanted(&holder).then_some(holder.clone()).ok_or(holder)
    })
    .await
}

#[tokio::test]
async fn when_the_leader_is_killed_another_takes_over() {
    let (server, client) = server().await;
    let mut replicas = vec![
        ("one", replica(&server, "one")),
        ("two", replica(&server, "two")),
    ];
    let first = leader(&client, |holder| !holder.is_empty()).await;
    // The API server knows who writes, and so does its log.
    let leases = Api::<Lease>::namespaced(client.clone(), NAMESPACE);
    let lease = leases.get("tiphys-controller").await.unwrap();
    let writers = lease.metadata.managed_fields.unwrap();
    let writers: Vec<_> = writers.iter().map(|fields| &fields.manager).collect();
    assert_eq!(writers, [&Some("tiphys".to_owned())]);
    apply(&client, BUS).await;
    apply(&client, &log_sensor("before")).await;
    deployment(&client, NAMESPACE, "Sensor", "before", |_| Ok(())).await;

    let place = replicas
        .iter()
        .position(|(name, _)| *name == first)
        .unwrap();
    let (_, mut killed) = replicas.remove(place);
    killed.kill_9();
    apply(&client, &log_sensor("after")).await;
    deployment(&client, NAMESPACE, "Sensor", "after", |_| Ok(())).await;
    let second = leader(&client, |holder| !holder.is_empty() && holder != first).await;

    // One that ends in order says so, and the next need not wait.
    let mut third = replica(&server, "three");
    let (name, mut leaving) = replicas.remove(0);
    assert_eq!(name, second);
    leaving.terminate();
    let status = leaving.wait_exit(LIMIT).await;
    assert!(status.success(), "{}", leaving.stderr());
    leader(&client, |holder| holder == "three").await;
    apply(&client, &log_sensor("last")).await;
    deployment(&client, NAMESPACE, "Sensor", "last", |_| Ok(())).await;
    assert!(third.is_running());
}

#[tokio::test]
async fn with_one_namespace_to_look_after_no_other_is_touched_and_no_right_is_needed_there() {
    let server = ApiServer::start_with(ApiServerOptions {
        authorization: tiphys_tests::Authorization::Rbac,
        ..Default::default()
    })
    .await;
    let client = server.client().await;
    server.create_namespace(NAMESPACE).await;
    server.create_namespace("elsewhere").await;
    install(&server).await;
    let rights = json!([
        { "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": { "name": "c", "namespace": NAMESPACE },
          "rules": [{ "apiGroups": ["*"], "resources": ["*"], "verbs": ["*"] }] },
        { "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": { "name": "c", "namespace": NAMESPACE },
          "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "c" },
          "subjects": [{ "kind": "ServiceAccount", "name": "controller", "namespace": NAMESPACE }] },
    ]);
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": rights });
    let applied = crate::crds::kubectl(&server, &["apply", "-f", "-"], &list.to_string());
    assert!(applied.status.success(), "{}", crate::crds::said(&applied));
    for namespace in [NAMESPACE, "elsewhere"] {
        let text = format!("{BUS}{}", log_sensor("sensor"));
        for document in text.split("---") {
            apply(
                &client,
                &document.replace(
                    "metadata: {",
                    &format!("metadata: {{namespace: {namespace}, "),
                ),
            )
            .await;
        }
    }
    let account = format!("system:serviceaccount:{NAMESPACE}:controller");
    let mut controller = command(&server, free_port())
        .args(["--namespaced", "--managed-namespace", NAMESPACE])
        .env("KUBECONFIG", server.kubeconfig_as(&account))
        .start();
    deployment(&client, NAMESPACE, "Sensor", "sensor", |_| Ok(())).await;
    let left = deployments(&client, "elsewhere", "Sensor", "sensor").await;
    assert!(left.is_empty());
    controller.terminate();
    assert!(
        controller.wait_exit(LIMIT).await.success(),
        "{}",
        controller.stderr()
    );
}

#[tokio::test]
async fn without_an_image_or_with_a_broken_configuration_it_says_what_to_do() {
    let (server, _) = server().await;
    let folder = tiphys_tests::temp_dir();
    let broken = folder.path().join("config.yaml");
    std::fs::write(&broken, "eventBus: {jetstream: {versions: [{version: x}]}}").unwrap();
    let broken = broken.display().to_string();
    let cases: [(&[&str], &str); 4] = [
        (&["controller"], "set --image or TIPHYS_IMAGE"),
        (
            &["controller", "--image", "x", "--lease-duration", "1h"],
            "--lease-duration \"1h\" must be",
        ),
        (
            &["controller", "--image", "x", "--config", &broken],
            "eventBus.jetstream.versions[0].natsImage: must be set",
        ),
        (
            &[
                "controller",
                "--image",
                "x",
                "--image-pull-policy",
                "Sometimes",
            ],
            "must be Always, IfNotPresent or Never",
        ),
    ];
    for (args, words) in cases {
        let output = Tiphys::command(args)
            .env("KUBECONFIG", server.kubeconfig_path())
            .output(LIMIT)
            .await;
        assert_eq!(output.code, Some(1), "{}", output.stderr);
        assert!(output.stderr.contains(words), "{}", output.stderr);
    }
}
