//! Every command on a local run that runs what it creates.

use serde_json::{Value, json};
use tempfile::TempDir;
use tiphys_tests::{Tiphys, temp_dir};

use super::{fine, gate, gated, object, plain, refused, write};
use crate::support::{LIMIT, LocalRun, NAMESPACE};

#[tokio::test]
async fn every_command_works_on_a_local_run() {
    let mut run = LocalRun::empty();
    let template = object(
        "WorkflowTemplate",
        json!({"name": "gated"}),
        gated("echo {{workflow.parameters.x}}"),
    );
    run.write("template.yaml", &format!("{template}\n"));
    run.start().await;
    let files = temp_dir();
    let say = write(
        &files,
        "say.json",
        &object(
            "Workflow",
            json!({"generateName": "say-"}),
            plain("echo one; echo {{workflow.parameters.x}}"),
        ),
    );

    // Creation, in every way.
    let said = fine(
        &run.in_namespace(&["submit", &say, "--name", "one", "-p", "x=new", "--wait"])
            .await,
    );
    assert!(said.starts_with("Name:                one\n"), "{said}");
    assert!(said.contains("\none Succeeded at 2"), "{said}");
    let logged = ["submit", &say, "--name", "logged", "--log"];
    let said = fine(&run.in_namespace(&logged).await);
    assert!(said.ends_with("\nlogged: one\nlogged: old\n"), "{said}");
    let parameters = write(&files, "parameters.yaml", &json!({"x": "from file"}));
    let name = fine(
        &run.in_namespace(&[
            "submit",
            &say,
            "-f",
            &parameters,
            "-l",
            "team=a",
            "-o",
            "name",
        ])
        .await,
    );
    assert!(name.starts_with("say-"), "{name}");
    let made = run.is(name.trim(), "Succeeded").await;
    assert_eq!(
        made["spec"]["arguments"]["parameters"][0]["value"],
        "from file"
    );
    let from = fine(
        &run.in_namespace(&[
            "submit",
            "--from",
            "workflowtemplate/gated",
            "--name",
            "two",
            "-p",
            "x=2",
            "-o",
            "json",
        ])
        .await,
    );
    let from: Value = serde_json::from_str(&from).unwrap();
    assert_eq!(
        from["spec"]["workflowTemplateRef"],
        json!({"name": "gated"})
    );
    let dry = fine(
        &run.in_namespace(&["submit", &say, "--name", "dry", "--dry-run", "-o", "yaml"])
            .await,
    );
    assert!(dry.contains("name: dry"), "{dry}");
    let data = run.data.path().to_string_lossy().into_owned();
    let script = format!("cat {say} | \"$@\"");
    let piped = [
        "submit",
        "-",
        "--name",
        "piped",
        "-n",
        NAMESPACE,
        "--data-dir",
        &data,
        "-o",
        "name",
    ];
    let piped = Tiphys::in_shell(&script, piped).output(LIMIT).await;
    assert_eq!(fine(&piped), "piped\n");
    for name in ["logged", "piped"] {
        run.is(name, "Succeeded").await;
    }

    // A gate, held and let go.
    run.is("two", "Waits").await;
    let shown = fine(&run.in_namespace(&["get", "two"]).await);
    assert!(
        shown.contains("Status:              Running (Suspended)"),
        "{shown}"
    );
    assert!(shown.contains("ǁ approve"), "{shown}");
    assert_eq!(
        fine(&run.in_namespace(&["suspend", "two"]).await),
        "workflow two suspended\n"
    );
    assert_eq!(
        fine(&run.in_namespace(&["resume", "two"]).await),
        "workflow two resumed\n"
    );
    let waited = fine(&run.in_namespace(&["wait", "two"]).await);
    assert!(waited.starts_with("two Succeeded at 2"), "{waited}");
    assert_eq!(
        fine(&run.in_namespace(&["logs", "two", "--no-prefix"]).await),
        "2\n"
    );

    // Ends.
    for (verb, name, said, how) in [
        ("stop", "three", "workflow three stopped\n", "Stop"),
        (
            "terminate",
            "four",
            "workflow four terminated\n",
            "Terminate",
        ),
    ] {
        fine(
            &run.in_namespace(&["submit", "--from", "wftmpl/gated", "--name", name])
                .await,
        );
        run.is(name, "Waits").await;
        let dry = fine(&run.in_namespace(&[verb, name, "--dry-run"]).await);
        assert!(dry.ends_with("(dry-run)\n"), "{dry}");
        assert_eq!(fine(&run.in_namespace(&[verb, name]).await), said);
        let ended = run.is(name, "Failed").await;
        assert_eq!(
            ended["status"]["message"],
            format!("Stopped with strategy '{how}'")
        );
        let output = run.in_namespace(&["wait", name]).await;
        assert_eq!(output.code, Some(1), "{output:?}");
        let again = refused(&run.in_namespace(&[verb, name]).await);
        assert!(
            again.contains("cannot shutdown a completed workflow"),
            "{again}"
        );
        let shown = fine(&run.in_namespace(&["get", name]).await);
        assert!(
            shown.contains("Failed (Terminated)") && shown.contains('✖'),
            "{shown}"
        );
    }
    fine(
        &run.in_namespace(&["submit", "--from", "wftmpl/gated", "--name", "five"])
            .await,
    );
    run.is("five", "Waits").await;
    let stopped = run
        .in_namespace(&[
            "stop",
            "five",
            "--node-field-selector",
            "displayName=approve",
            "--message",
            "not today",
        ])
        .await;
    assert_eq!(fine(&stopped), "workflow five stopped\n");
    let shown = run.is("five", "Failed").await;
    assert_eq!(gate(&shown), "Failed");

    // Again.
    let mend = files.path().join("mend");
    let bad = write(
        &files,
        "bad.json",
        &object(
            "Workflow",
            json!({"name": "bad"}),
            plain(&format!("test -e {}", mend.display())),
        ),
    );
    let failed = run.in_namespace(&["submit", &bad, "--wait"]).await;
    assert_eq!(failed.code, Some(1), "{failed:?}");
    assert!(failed.stdout.contains("bad Failed at 2"), "{failed:?}");
    std::fs::write(&mend, "").unwrap();
    let retried = fine(&run.in_namespace(&["retry", "bad", "--wait"]).await);
    assert!(retried.contains("bad Succeeded at 2"), "{retried}");
    let again = fine(
        &run.in_namespace(&["resubmit", "one", "-p", "x=again", "-o", "name"])
            .await,
    );
    let again = again.trim().to_owned();
    let made = run.is(&again, "Succeeded").await;
    assert_eq!(
        made["metadata"]["labels"]["workflows.argoproj.io/resubmitted-from-workflow"],
        "one"
    );
    let log = fine(
        &run.in_namespace(&["logs", &again, "--no-prefix", "--tail", "1"])
            .await,
    );
    assert_eq!(log, "again\n");
    let log = fine(
        &run.in_namespace(&["logs", &again, "--no-prefix", "--grep", "^on."])
            .await,
    );
    assert_eq!(log, "one\n");

    lists_and_deletions(&run, &again).await;
    refusals(&run, &files).await;
}

async fn lists_and_deletions(run: &LocalRun, again: &str) {
    let list = async |args: &[&str]| {
        let said = fine(
            &run.in_namespace(&[&["list", "-o", "name"], args].concat())
                .await,
        );
        let mut names: Vec<String> = said.lines().map(str::to_owned).collect();
        names.sort();
        names.join(" ")
    };
    assert_eq!(list(&["--status", "failed"]).await, "five four three");
    assert_eq!(list(&["--running"]).await, "");
    assert_eq!(list(&["--prefix", "t"]).await, "three two");
    assert_eq!(list(&["--resubmitted"]).await, again);
    assert_eq!(list(&["--since", "1d", "--prefix", "one"]).await, "one");
    assert_eq!(list(&["--older", "1d"]).await, "");
    assert_eq!(
        list(&["-l", "workflows.argoproj.io/phase=Failed", "--prefix", "f"]).await,
        "five four"
    );
    let table = fine(&run.in_namespace(&["list", "--prefix", "three", "-A"]).await);
    let mut lines = table.lines();
    assert_eq!(
        lines.next().unwrap().split_whitespace().collect::<Vec<_>>(),
        [
            "NAMESPACE",
            "NAME",
            "STATUS",
            "AGE",
            "DURATION",
            "PRIORITY",
            "MESSAGE"
        ]
    );
    assert!(
        lines.next().unwrap().contains("Failed (Terminated)"),
        "{table}"
    );
    let plain = fine(
        &run.in_namespace(&["list", "--prefix", "three", "--no-headers"])
            .await,
    );
    assert!(plain.starts_with("three "), "{plain}");

    assert_eq!(
        fine(&run.in_namespace(&["delete", "one"]).await),
        "Workflow 'one' deleted\n"
    );
    assert_eq!(
        fine(&run.in_namespace(&["delete", "one"]).await),
        "Workflow 'one' not found\n"
    );
    let said = fine(
        &run.in_namespace(&["delete", "--status", "Failed", "--dry-run"])
            .await,
    );
    assert_eq!(said.lines().count(), 3, "{said}");
    let said = fine(&run.in_namespace(&["delete", "--status", "Failed"]).await);
    assert_eq!(said.lines().count(), 3, "{said}");
    fine(&run.in_namespace(&["delete", "--all"]).await);
    assert_eq!(
        fine(&run.in_namespace(&["delete", "--all"]).await),
        "No resources found\n"
    );
    assert_eq!(
        fine(&run.in_namespace(&["list"]).await),
        "No workflows found\n"
    );
}

async fn refusals(run: &LocalRun, files: &TempDir) {
    let other = write(
        files,
        "other.json",
        &object("WorkflowTemplate", json!({"name": "x"}), json!({})),
    );
    let odd = write(
        files,
        "odd.json",
        &object(
            "Workflow",
            json!({"generateName": "odd-"}),
            json!({"arguments": {"parameters": [{"name": false}]}}),
        ),
    );
    for (args, part) in [
        (
            &["stop", "nosuch"][..],
            "no workflow \"nosuch\" in namespace",
        ),
        (&["retry", "@latest"], "no workflows in namespace"),
        (&["wait", "nosuch"], "no workflow \"nosuch\" in namespace"),
        (&["wait", "nosuch"], "no workflow \"nosuch\" in namespace"),
        (&["watch", "nosuch"], "no workflow \"nosuch\" in namespace"),
        (&["submit", &other], "No Workflow found in given files"),
        (
            &["submit", &odd, "-o", "name"],
            "odd.json: spec.arguments.parameters[0].name: must be text",
        ),
        (&["submit", "/nosuch.yaml"], "cannot read /nosuch.yaml"),
        (&["submit", "--from", "pod/x"], "invalid kind \"pod\""),
        (
            &["submit", "--from", "workflowtemplate/nosuch"],
            "workflowtemplates.argoproj.io \"nosuch\" not found",
        ),
        (
            &["submit", &other, "-p", "odd"],
            "expected parameter of the form: NAME=VALUE. Received: odd",
        ),
        (
            &["resume", "nosuch", "--node-field-selector", "colour=red"],
            "nodes have no field \"colour\"",
        ),
        (
            &["list", "--status", "Odd"],
            "status \"Odd\" must be one of",
        ),
        (&["list", "--since", "soon"], "\"soon\" is not a duration"),
    ] {
        let said = refused(&run.in_namespace(args).await);
        assert!(said.contains(part), "{args:?} {said}");
    }
    assert_eq!(
        fine(
            &run.in_namespace(&["wait", "nosuch", "--ignore-not-found"])
                .await
        ),
        ""
    );
}
