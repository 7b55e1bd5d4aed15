//! Every command on a real API server. Nobody runs Workflows there: the test writes their status as a controller would.

use std::path::Path;

use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};
use tiphys_tests::argo_crds::{apply_crds, argo};
use tiphys_tests::{ApiServer, ApiServerOptions, Authorization, Tiphys, temp_dir};

use super::{fine, gate, gated, object, plain, refused, workflows, write};
use crate::support::{LIMIT, NAMESPACE};

#[tokio::test]
async fn every_command_changes_the_objects_of_a_cluster_as_argo_does() {
    let server = ApiServer::start().await;
    let client = server.client().await;
    apply_crds(&client).await;
    server.create_namespace(NAMESPACE).await;
    let api = workflows(client.clone());
    let files = temp_dir();
    let kubeconfig = server.kubeconfig_path();
    let tiphys = async |args: &[&str]| {
        let all = [args, &["-n", NAMESPACE]].concat();
        Tiphys::command(all)
            .args([Path::new("--kubeconfig"), &kubeconfig])
            .output(LIMIT)
            .await
    };
    let get = async |name: &str| serde_json::to_value(api.get(name).await.unwrap()).unwrap();
    let status = async |name: &str, status: Value| {
        let patch = Patch::Merge(json!({"status": status}));
        api.patch(name, &PatchParams::default(), &patch)
            .await
            .unwrap();
    };

    let labels = json!({"workflows.argoproj.io/controller-instanceid": "other", "team": "a"});
    let wf = write(
        &files,
        "wf.json",
        &object(
            "Workflow",
            json!({"generateName": "wf-", "labels": labels}),
            gated("true"),
        ),
    );
    let dry = fine(
        &tiphys(&[
            "submit",
            &wf,
            "--name",
            "dry",
            "--server-dry-run",
            "-o",
            "name",
        ])
        .await,
    );
    assert_eq!(dry, "dry\n");
    assert!(api.get_opt("dry").await.unwrap().is_none());
    let said = fine(
        &tiphys(&[
            "submit",
            &wf,
            "--name",
            "one",
            "-p",
            "x=1",
            "--entrypoint",
            "main",
            "--serviceaccount",
            "runner",
        ])
        .await,
    );
    assert!(
        said.contains("ServiceAccount:      runner")
            && said.contains("Status:              Pending"),
        "{said}"
    );
    let one = get("one").await;
    let labels = &one["metadata"]["labels"];
    assert!(
        labels
            .get("workflows.argoproj.io/controller-instanceid")
            .is_none(),
        "{labels}"
    );
    assert!(
        labels["workflows.argoproj.io/creator"].is_string(),
        "{labels}"
    );
    assert_eq!(
        one["spec"]["arguments"]["parameters"],
        json!([{"name": "x", "value": "1"}])
    );
    let taken = refused(&tiphys(&["submit", &wf, "--name", "one"]).await);
    assert!(
        taken.contains("workflows.argoproj.io \"one\" already exists"),
        "{taken}"
    );

    let running = json!({"phase": "Running", "startedAt": "2026-01-01T00:00:00Z", "nodes": {
        "one": {"id": "one", "name": "one", "displayName": "one", "type": "Steps", "templateName": "main", "phase": "Running", "children": ["g"]},
        "g": {"id": "g", "name": "one[0]", "displayName": "[0]", "type": "StepGroup", "phase": "Running", "boundaryID": "one", "children": ["s"]},
        "s": {"id": "s", "name": "one[0].approve", "displayName": "approve", "type": "Suspend", "templateName": "gate", "phase": "Running", "boundaryID": "one"},
    }});
    status("one", running).await;
    assert_eq!(
        fine(&tiphys(&["suspend", "@latest"]).await),
        "workflow one suspended\n"
    );
    let held = get("one").await;
    assert_eq!(held["spec"]["suspend"], true);
    assert_eq!(
        held["metadata"]["labels"]["workflows.argoproj.io/action"],
        "Suspend"
    );
    let shown = fine(&tiphys(&["get", "one"]).await);
    assert!(
        shown.contains("Running (Suspended)") && shown.contains(" └───ǁ approve"),
        "{shown}"
    );
    assert_eq!(
        fine(&tiphys(&["resume", "one"]).await),
        "workflow one resumed\n"
    );
    let resumed = get("one").await;
    assert!(resumed["spec"].get("suspend").is_none());
    assert_eq!(gate(&resumed), "Succeeded");
    let message = resumed["status"]["nodes"]["s"]["message"].as_str().unwrap();
    assert!(message.starts_with("Resumed by: map[User:"), "{message}");
    fine(&tiphys(&["stop", "-l", "team=a"]).await);
    assert_eq!(get("one").await["spec"]["shutdown"], "Stop");
    fine(&tiphys(&["terminate", "one"]).await);
    assert_eq!(get("one").await["spec"]["shutdown"], "Terminate");

    let failed = json!({"phase": "Failed", "finishedAt": "2026-01-01T00:00:09Z", "message": "why", "nodes": {
        "g": {"phase": "Failed"},
        "p": {"id": "p", "name": "one[0].work", "displayName": "work", "type": "Pod", "templateName": "work", "phase": "Failed", "boundaryID": "one"},
    }});
    status("one", failed).await;
    status("one", json!({"nodes": {"g": {"children": ["s", "p"]}}})).await;
    let waited = tiphys(&["wait", "one"]).await;
    assert_eq!(
        (waited.code, waited.stdout.as_str()),
        (Some(1), "one Failed at 2026-01-01T00:00:09Z\n")
    );
    let memoized = fine(&tiphys(&["resubmit", "one", "--memoized", "-o", "json"]).await);
    let memoized: Value = serde_json::from_str(&memoized).unwrap();
    assert!(
        memoized["metadata"]["name"]
            .as_str()
            .unwrap()
            .starts_with("wf-")
    );
    assert!(memoized["spec"].get("shutdown").is_none());
    assert_eq!(memoized["status"]["nodes"].as_object().unwrap().len(), 4);
    fine(&tiphys(&["retry", "one", "-p", "x=2"]).await);
    let retried = get("one").await;
    assert_eq!(
        (&retried["status"]["phase"], &retried["status"]["message"]),
        (&json!("Running"), &json!(""))
    );
    assert!(
        retried["spec"].get("shutdown").is_none()
            && retried["status"]
                .get("finishedAt")
                .is_none_or(Value::is_null)
    );
    assert!(retried["status"]["nodes"].get("p").is_none());
    assert_eq!(retried["spec"]["arguments"]["parameters"][0]["value"], "2");

    let template = object("WorkflowTemplate", json!({"name": "hello"}), plain("true"));
    let templates =
        Api::<DynamicObject>::namespaced_with(client.clone(), NAMESPACE, &argo("WorkflowTemplate"));
    templates
        .create(
            &kube::api::PostParams::default(),
            &serde_json::from_value(template).unwrap(),
        )
        .await
        .unwrap();
    let name = fine(&tiphys(&["submit", "--from", "workflowtemplate/hello", "-o", "name"]).await);
    assert!(name.starts_with("hello-"), "{name}");
    assert_eq!(
        get(name.trim()).await["metadata"]["labels"]["workflows.argoproj.io/workflow-template"],
        "hello"
    );
    let listed = fine(&tiphys(&["list", "-o", "name"]).await);
    assert_eq!(listed.lines().count(), 3, "{listed}");
    // What belongs to another controller is seen and touched only by those who name it.
    let theirs = ["--instanceid", "other"];
    let theirs = async |args: &[&str]| fine(&tiphys(&[args, &theirs].concat()).await);
    let submit = ["submit", &wf, "--name", "theirs", "-o", "name"];
    assert_eq!(theirs(&submit).await, "theirs\n");
    assert_eq!(fine(&tiphys(&["list", "-o", "name"]).await), listed);
    assert_eq!(theirs(&["list", "-o", "name"]).await, "theirs\n");
    assert_eq!(theirs(&["get", "@latest", "-o", "name"]).await, "theirs\n");
    assert_ne!(
        fine(&tiphys(&["get", "@latest", "-o", "name"]).await),
        "theirs\n"
    );
    for words in [["delete", "--all", "--dry-run"], ["stop", "-l", "team=a"]] {
        let said = fine(&tiphys(&words).await);
        assert!(!said.contains("theirs"), "{said}");
    }
    let deleted = theirs(&["delete", "--all"]).await;
    assert_eq!(deleted, "Workflow 'theirs' deleted\n");
    assert_eq!(
        fine(&tiphys(&["delete", "one"]).await),
        "Workflow 'one' deleted\n"
    );
    assert!(api.get_opt("one").await.unwrap().is_none());
}

#[tokio::test]
async fn what_a_user_may_not_do_is_said_in_one_line() {
    let server = ApiServer::start_with(ApiServerOptions {
        authorization: Authorization::Rbac,
        ..ApiServerOptions::default()
    })
    .await;
    let client = server.client().await;
    apply_crds(&client).await;
    server.create_namespace(NAMESPACE).await;
    let made = object("Workflow", json!({"name": "one"}), plain("true"));
    let made = serde_json::from_value(made).unwrap();
    let own = workflows(client);
    own.create(&kube::api::PostParams::default(), &made)
        .await
        .unwrap();
    let files = temp_dir();
    let wf = write(
        &files,
        "wf.json",
        &object("Workflow", json!({"generateName": "wf-"}), plain("true")),
    );
    let poor = server.kubeconfig_as("poor");
    for (args, verb) in [
        (["list"].as_slice(), "list"),
        (&["get", "one"], "get"),
        (&["get", "@latest"], "list"),
        (&["logs", "one"], "get"),
        (&["watch", "one"], "get"),
        (&["wait", "one"], "list"),
        (&["submit", &wf], "create"),
        (&["submit", "--from", "wftmpl/none"], "create"),
        (&["stop", "one"], "get"),
        (&["stop", "-l", "a=b"], "list"),
        (&["resubmit", "one"], "get"),
        (&["retry", "one"], "get"),
        (&["delete", "one"], "get"),
        (&["delete", "--all"], "list"),
    ] {
        let output = Tiphys::command(args)
            .args(["-n", NAMESPACE])
            .args([Path::new("--kubeconfig"), &poor])
            .output(LIMIT)
            .await;
        let said = &output.stderr;
        assert_eq!(output.code, Some(1), "{args:?}: {said}");
        assert_eq!(
            (output.stdout.as_str(), said.lines().count()),
            ("", 1),
            "{args:?}: {said}"
        );
        for part in ["poor", &format!("cannot {verb} resource \"workflows\"")] {
            assert!(said.contains(part), "{args:?}: {said}");
        }
        assert!(!said.contains('{'), "{args:?}: {said}");
    }
}
