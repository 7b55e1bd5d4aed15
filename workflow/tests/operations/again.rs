//! Workflows that run again: retried, resubmitted, and once for each mark.

use serde_json::json;
use tiphys_workflow::operations::{
    Create, NodeSelector, OperationError, Parameter, ResubmitOptions, RetryOptions, Shutdown,
};

use crate::{Fixture, gated, node, phase, shell, told, told_as};

#[tokio::test]
async fn a_retry_runs_what_failed_and_nothing_else() {
    let fixture = Fixture::new();
    let (fine, mend) = (
        fixture.folder.path().join("fine"),
        fixture.folder.path().join("mend"),
    );
    let spec = json!({"entrypoint": "main", "arguments": {"parameters": [{"name": "x", "value": "old"}]}, "templates": [
        {"name": "main", "steps": [[{"name": "good", "template": "good"}], [{"name": "bad", "template": "bad"}]]},
        shell("good", &format!("echo x >> {}", fine.display())),
        shell("bad", &format!("echo {{{{workflow.parameters.x}}}}; test -e {}", mend.display())),
    ]});
    fixture.submit("wf", spec).await;
    let failed = fixture.done("wf").await;
    assert_eq!(
        told(&failed, "bad"),
        told_as("Failed", "main: Error (exit code 1)")
    );
    std::fs::write(&mend, "").unwrap();
    let options = RetryOptions::default();
    let outcome = fixture.operator.retry("wf", &options).await.unwrap();
    assert_eq!(phase(&outcome.workflow), "Running");
    let workflow = fixture.done("wf").await;
    assert_eq!(phase(&workflow), "Succeeded", "{workflow}");
    assert_eq!(std::fs::read_to_string(&fine).unwrap(), "x\n");
    assert_eq!(
        node(&workflow, "good")["startedAt"],
        node(&failed, "good")["startedAt"]
    );
    let error = fixture.operator.retry("wf", &options).await.unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("To retry a succeeded workflow"),
        "{error}"
    );
    let options = RetryOptions {
        restart_successful: true,
        nodes: NodeSelector::parse("displayName=bad").unwrap(),
        parameters: vec![Parameter {
            name: "x".into(),
            value: "new".into(),
        }],
    };
    fixture.operator.retry("wf", &options).await.unwrap();
    let workflow = fixture.done("wf").await;
    assert_eq!(phase(&workflow), "Succeeded");
    let uid = workflow["metadata"]["uid"].as_str().unwrap();
    let id = node(&workflow, "bad")["id"].as_str().unwrap();
    let logs = tiphys_workflow::logs::Logs::new(fixture.folder.path().join("engine/logs"));
    assert_eq!(logs.read("default", "wf", uid, id).await.unwrap(), b"new\n");
}

#[tokio::test]
async fn what_was_stopped_can_be_retried() {
    let fixture = Fixture::new();
    fixture.submit("wf", gated()).await;
    fixture
        .until("wf", |workflow| told(workflow, "approve").0 == "Running")
        .await;
    fixture
        .operator
        .shut_down("wf", Shutdown::Stop, None, "")
        .await
        .unwrap();
    assert_eq!(phase(&fixture.done("wf").await), "Failed");
    fixture
        .operator
        .retry("wf", &RetryOptions::default())
        .await
        .unwrap();
    fixture
        .until("wf", |workflow| told(workflow, "approve").0 == "Running")
        .await;
    fixture.operator.resume("wf", None).await.unwrap();
    let workflow = fixture.done("wf").await;
    assert_eq!(phase(&workflow), "Succeeded");
    assert!(workflow["spec"].get("shutdown").is_none());
}

#[tokio::test]
async fn a_resubmission_is_a_new_workflow_and_memoized_keeps_what_went_well() {
    let fixture = Fixture::new();
    let (fine, mend) = (
        fixture.folder.path().join("fine"),
        fixture.folder.path().join("mend"),
    );
    let spec = json!({"entrypoint": "main", "templates": [
        {"name": "main", "steps": [[{"name": "good", "template": "good"}], [{"name": "bad", "template": "bad"}]]},
        shell("good", &format!("echo x >> {}", fine.display())),
        shell("bad", &format!("test -e {}", mend.display())),
    ]});
    fixture.submit("wf", spec).await;
    fixture.done("wf").await;
    std::fs::write(&mend, "").unwrap();
    for (memoized, name, runs) in [(true, "wf-memo", 1), (false, "wf-full", 2)] {
        let options = ResubmitOptions {
            memoized,
            ..ResubmitOptions::default()
        };
        let draft = fixture
            .operator
            .resubmitted("wf", &options, |_| name.to_owned())
            .await
            .unwrap();
        fixture
            .operator
            .create(&draft, Create::default())
            .await
            .unwrap();
        let workflow = fixture.done(name).await;
        assert_eq!(phase(&workflow), "Succeeded", "{workflow}");
        assert_eq!(
            std::fs::read_to_string(&fine).unwrap().lines().count(),
            runs
        );
        assert_eq!(
            workflow["metadata"]["labels"]["workflows.argoproj.io/resubmitted-from-workflow"],
            "wf"
        );
        assert_eq!(
            workflow["metadata"]["labels"]["workflows.argoproj.io/creator"],
            "ann"
        );
    }
    let again = |_: &str| "wf-memo".to_owned();
    let draft = fixture
        .operator
        .resubmitted("wf", &ResubmitOptions::default(), again)
        .await
        .unwrap();
    let error = fixture.operator.create(&draft, Create::default());
    assert!(matches!(error.await, Err(OperationError::Exists { .. })));
}

#[tokio::test]
async fn a_mark_is_acted_under_once() {
    let fixture = Fixture::new();
    let spec = json!({"entrypoint": "main", "templates": [shell("main", "exit 3")]});
    fixture.submit("wf", spec).await;
    fixture.done("wf").await;
    let operator = fixture.operator.clone().marked("firing-1");
    assert!(
        operator
            .retry("wf", &RetryOptions::default())
            .await
            .unwrap()
            .changed
    );
    fixture
        .until("wf", |workflow| phase(workflow) == "Failed")
        .await;
    assert!(
        !operator
            .retry("wf", &RetryOptions::default())
            .await
            .unwrap()
            .changed
    );
    assert!(
        fixture
            .operator
            .clone()
            .marked("firing-2")
            .retry("wf", &RetryOptions::default())
            .await
            .unwrap()
            .changed
    );
}
