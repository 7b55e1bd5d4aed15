//! `tiphys logs` on pods: through a real API server to something that answers as a kubelet does. No container runs.

use std::path::Path;

use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tiphys_tests::argo_crds::apply_crds;
use tiphys_tests::tiphys::TiphysOutput;
use tiphys_tests::{ApiServer, Kubelet, Tiphys, TiphysCommand, eventually_ok};

use super::{fine, object, plain, refused, workflows};
use crate::support::{LIMIT, NAMESPACE};

const WORKFLOW: &str = "workflows.argoproj.io/workflow";
const NODE_ID: &str = "workflows.argoproj.io/node-id";

struct Scene {
    server: ApiServer,
    kubelet: Kubelet,
}

impl Scene {
    async fn start() -> Self {
        let server = ApiServer::start().await;
        let client = server.client().await;
        apply_crds(&client).await;
        server.create_namespace(NAMESPACE).await;
        let kubelet = Kubelet::start(client).await;
        Self { server, kubelet }
    }

    /// A Workflow in a phase, with a node for each id and step, in the order in which they began.
    async fn workflow(&self, phase: &str, nodes: &[(&str, &str)]) {
        let api = workflows(self.server.client().await);
        let wf = object("Workflow", json!({"name": "wf"}), plain("true"));
        let wf = serde_json::from_value(wf).unwrap();
        api.create(&PostParams::default(), &wf).await.unwrap();
        self.phase(phase, nodes).await;
    }

    async fn phase(&self, phase: &str, nodes: &[(&str, &str)]) {
        let nodes = nodes.iter().enumerate().map(|(number, (id, step))| {
            let node = json!({
                "id": id, "name": format!("wf.{step}"), "displayName": step, "type": "Pod",
                "templateName": "main", "phase": phase, "startedAt": format!("2026-01-01T00:00:0{number}Z"),
            });
            ((*id).to_owned(), node)
        });
        let nodes: serde_json::Map<String, Value> = nodes.collect();
        let status = json!({"status": {"phase": phase, "nodes": nodes}});
        let api = workflows(self.server.client().await);
        api.patch("wf", &PatchParams::default(), &Patch::Merge(&status))
            .await
            .unwrap();
    }

    /// A pod as Argo's controller makes it.
    async fn pod(&self, name: &str, node: &str, label: &str) {
        let metadata = json!({
            "labels": {WORKFLOW: "wf", "team": label},
            "annotations": {NODE_ID: node},
        });
        let containers = ["main", "wait"];
        self.kubelet
            .run(NAMESPACE, name, metadata, &containers)
            .await;
    }

    fn print(&self, pod: &str, container: &str, at: &str, line: &str) {
        let at = format!("2026-01-01T00:00:{at}Z");
        self.kubelet.print((NAMESPACE, pod, container), &at, line);
    }

    fn command(&self, args: &[&str]) -> TiphysCommand {
        let kubeconfig = self.server.kubeconfig_path();
        Tiphys::command(["logs", "wf", "-n", NAMESPACE])
            .args(args)
            .args([Path::new("--kubeconfig"), &kubeconfig])
    }

    async fn logs(&self, args: &[&str]) -> TiphysOutput {
        self.command(args).output(LIMIT).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_logs_of_pods_are_read_as_every_flag_says() {
    let scene = Scene::start().await;
    let nodes = [("n1", "first"), ("n2", "second"), ("n3", "gone")];
    scene.workflow("Succeeded", &nodes).await;
    scene.pod("wf-a", "n1", "red").await;
    scene.pod("wf-b", "n2", "blue").await;
    scene.print("wf-a", "main", "01.100000000", "a before");
    scene.kubelet.restart((NAMESPACE, "wf-a", "main"));
    scene.print("wf-a", "main", "02.100000000", "a one");
    scene.print("wf-b", "main", "03.100000000", "b one");
    scene.print("wf-a", "main", "04.100000000", "a two");
    scene.print("wf-a", "main", "04.600000000", "a three");
    scene.print("wf-b", "main", "05.100000000", "");
    scene.print("wf-b", "wait", "06.100000000", "b waits");
    scene.print("wf-a", "wait", "07.100000000", "a waits");

    let all = scene.logs(&[]).await;
    let expected = "wf-a: a one\nwf-b: b one\nwf-a: a two\nwf-a: a three\nwf-b: \n";
    assert_eq!(fine(&all), expected);
    // The pod of the third step is not there any more, and the others are worth reading.
    let note = all.stderr.lines().next().unwrap();
    assert!(
        note.starts_with("cannot read the log of pod wf-main-") && note.contains("not found"),
        "{all:?}"
    );

    let after = "2026-01-01T00:00:04.5Z";
    for (args, expected) in [
        (
            vec!["--no-prefix", "-l", "team=red"],
            "a one\na two\na three\n",
        ),
        (
            vec!["--timestamps", "--no-prefix", "second"],
            "2026-01-01T00:00:03.100000000Z b one\n2026-01-01T00:00:05.100000000Z \n",
        ),
        (vec!["n1", "--tail", "1"], "wf-a: a three\n"),
        (vec!["wf-b", "--grep", "one"], "wf-b: b one\n"),
        (vec!["first", "--since-time", after], "wf-a: a three\n"),
        (vec!["first", "--since", "1h"], ""),
        (
            vec!["first", "--since", "90000d"],
            "wf-a: a one\nwf-a: a two\nwf-a: a three\n",
        ),
        (
            vec!["-c", "wait", "--selector", "team in (red, blue)"],
            "wf-b: b waits\nwf-a: a waits\n",
        ),
        (vec!["first", "--previous"], "wf-a: a before\n"),
        (
            vec!["first", "--follow", "--no-color"],
            "wf-a: a one\nwf-a: a two\nwf-a: a three\n",
        ),
        (vec!["-l", "team=green"], ""),
    ] {
        let output = scene.logs(&args).await;
        assert_eq!(fine(&output), expected, "{args:?} {output:?}");
        assert_eq!(output.stderr, "", "{args:?}");
    }

    let said = scene.logs(&["first", "-c", "other"]).await;
    assert!(
        said.stderr
            .contains("container other is not valid for pod wf-a"),
        "{said:?}"
    );
    let said = refused(&scene.logs(&["third"]).await);
    assert!(
        said.contains("workflow \"wf\" has no step \"third\"; `tiphys get wf` shows them"),
        "{said}"
    );
    // One that has not begun is said, in the kubelet's words, and does not hide the others.
    scene.pod("wf-c", "n3", "red").await;
    let said = scene.logs(&["--tail", "1"]).await;
    assert_eq!(fine(&said), "wf-a: a three\nwf-b: \n");
    assert!(
        said.stderr.contains("pod wf-c") && said.stderr.contains("is waiting to start"),
        "{said:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_followed_through_new_pods_and_broken_connections_until_the_end() {
    let scene = Scene::start().await;
    let nodes = [("n1", "first"), ("n2", "second")];
    scene.workflow("Running", &nodes[..1]).await;
    scene.pod("wf-a", "n1", "red").await;
    let mut process = scene.command(&["--follow"]).start();
    let until = async |process: &Tiphys, lines: &[&str]| {
        eventually_ok(&format!("{lines:?}"), LIMIT, async || {
            let said = process.stdout();
            let found: Vec<&str> = said.lines().collect();
            (found == lines).then_some(()).ok_or(said)
        })
        .await;
    };
    // It begins after somebody waits for it.
    scene.print("wf-a", "main", "01.100000000", "one");
    until(&process, &["wf-a: one"]).await;
    scene.print("wf-a", "main", "01.200000000", "two");
    until(&process, &["wf-a: one", "wf-a: two"]).await;
    // A connection that is gone is made anew, and what was read does not come again.
    scene.kubelet.cut();
    scene.print("wf-a", "main", "01.300000000", "three");
    let three = ["wf-a: one", "wf-a: two", "wf-a: three"];
    until(&process, &three).await;
    // The next step.
    scene.pod("wf-b", "n2", "red").await;
    scene.phase("Running", &nodes).await;
    scene.print("wf-b", "main", "02.100000000", "four");
    until(&process, &[&three[..], &["wf-b: four"]].concat()).await;
    for pod in ["wf-a", "wf-b"] {
        scene.kubelet.end((NAMESPACE, pod, "main"));
    }
    assert!(process.is_running());
    scene.phase("Succeeded", &nodes).await;
    let status = process.wait_exit(LIMIT).await;
    assert_eq!(status.code(), Some(0), "{}", process.stderr());
    until(&process, &[&three[..], &["wf-b: four"]].concat()).await;
    assert_eq!(process.stderr(), "");
    let asked = scene.kubelet.asked();
    let follows = |asked: &&String| asked.contains("/wf-a/main") && asked.contains("follow=true");
    assert!(asked.iter().filter(follows).count() >= 2, "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_is_watched_until_the_end() {
    let scene = Scene::start().await;
    scene.workflow("Running", &[("n1", "first")]).await;
    let kubeconfig = scene.server.kubeconfig_path();
    let mut process = Tiphys::command(["watch", "@latest", "-n", NAMESPACE])
        .args([Path::new("--kubeconfig"), &kubeconfig])
        .start();
    let shows = async |process: &Tiphys, words: &[&str]| {
        eventually_ok(&format!("{words:?}"), LIMIT, async || {
            let said = process.stdout();
            let all = words.iter().all(|word| said.contains(word));
            all.then_some(()).ok_or(said)
        })
        .await;
    };
    shows(&process, &["Status:              Running"]).await;
    assert!(process.is_running());
    scene
        .phase("Succeeded", &[("n1", "first"), ("n2", "second")])
        .await;
    let status = process.wait_exit(LIMIT).await;
    assert_eq!(status.code(), Some(0), "{}", process.stderr());
    shows(&process, &["Status:              Succeeded"]).await;
}
