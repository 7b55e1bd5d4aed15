//! From EventSource over the bus and the Sensor to a Workflow, all of it run from what the controller has made: the
//! servers of the StatefulSet and the pods of the Deployments, as processes with their environment and volumes.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PodTemplateSpec, Secret};
use tiphys_tests::argo_crds::apply_crds;
use tiphys_tests::pods::{Places, Pod, Run};
use tiphys_tests::tls::{TlsFiles, http_client};
use tiphys_tests::{eventually, servers, temp_dir};

use super::*;
use crate::support::{wait_for_workflows, workflows};

struct Ground {
    server: ApiServer,
    client: Client,
    bus: u16,
    webhook: u16,
}

impl Ground {
    /// What stands for the bus's Service, and for the ports of its server.
    fn places(&self) -> Places {
        let host = "eventbus-default-js-svc.argo-events.svc:4222";
        Places(vec![
            (host.to_owned(), format!("127.0.0.1:{}", self.bus)),
            ("port: 4222".to_owned(), format!("port: {}", self.bus)),
            ("http: 8222".to_owned(), "http: \"127.0.0.1:-1\"".to_owned()),
        ])
    }

    fn run(&self, pod: &'static str, program: std::path::PathBuf) -> Run<'_> {
        Run {
            client: &self.client,
            namespace: NAMESPACE,
            pod,
            program,
            args: Vec::new(),
            env: Vec::new(),
            places: self.places(),
        }
    }

    /// A pod of ours, which needs an admin port of its own here, and the rights of its service account.
    async fn pod(&self, name: &'static str, template: &PodTemplateSpec) -> (Pod, u16) {
        let admin = free_port();
        let mut run = self.run(name, tiphys_tests::tiphys::binary());
        run.args = [
            "--admin",
            &format!("127.0.0.1:{admin}"),
            "--bind",
            "127.0.0.1",
        ]
        .map(str::to_owned)
        .to_vec();
        run.env = vec![(
            "KUBECONFIG".to_owned(),
            self.server.kubeconfig_path().display().to_string(),
        )];
        (run.start(template).await, admin)
    }

    /// As a kubelet asks the probes that the pod names.
    async fn ready(&self, pod: &(Pod, u16), template: &PodTemplateSpec) {
        let container = &template.spec.as_ref().unwrap().containers[0];
        let probe = container.readiness_probe.as_ref().unwrap();
        let path = probe.http_get.as_ref().unwrap().path.clone().unwrap();
        let url = format!("http://127.0.0.1:{}{path}", pod.1);
        eventually_ok("the pod to be ready", LIMIT, async || {
            let answer = http_client(None).get(&url).send().await;
            let answer = answer.map_err(|error| format!("{error}\n{}", pod.0.said()))?;
            if answer.status().is_success() {
                return Ok(());
            }
            Err(format!(
                "{}\n{}",
                answer.text().await.unwrap_or_default(),
                pod.0.said()
            ))
        })
        .await;
    }

    async fn post(&self, message: &str) -> u16 {
        let url = format!("http://127.0.0.1:{}/in", self.webhook);
        let request = http_client(None).post(url).bearer_auth("open sesame");
        let answer = request.json(&json!({ "message": message })).send().await;
        answer.map_or(0, |answer| answer.status().as_u16())
    }
}

/// A certificate that holds on this machine, where the controller finds it as the bus's own.
async fn certificate(client: &Client) {
    let bus = objects(client, "EventBus").get("default").await.unwrap();
    let folder = temp_dir();
    let files = TlsFiles::create(folder.path());
    let text = |path: &std::path::Path| std::fs::read_to_string(path).unwrap();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {
            "name": "eventbus-default-js-server",
            "ownerReferences": [{
                "apiVersion": "argoproj.io/v1alpha1", "kind": "EventBus", "name": "default",
                "uid": bus.metadata.uid, "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "stringData": {
            "private-key": text(&files.key), "cert": text(&files.certificate), "ca-cert": text(&files.ca),
        },
    });
    Api::<Secret>::namespaced(client.clone(), NAMESPACE)
        .create(
            &PostParams::default(),
            &serde_json::from_value(secret).unwrap(),
        )
        .await
        .unwrap();
}

fn sensor() -> String {
    "---
kind: Sensor
metadata: {name: s}
spec:
  dependencies: [{name: in, eventSourceName: in, eventName: in}]
  triggers:
  - template:
      name: act
      k8s:
        operation: create
        source:
          resource:
            apiVersion: argoproj.io/v1alpha1
            kind: Workflow
            metadata: {generateName: w-}
            spec: {arguments: {parameters: [{name: message}]}}
        parameters:
        - src: {dependencyName: in, dataKey: body.message}
          dest: spec.arguments.parameters.0.value
"
    .to_owned()
}

async fn messages(client: &Client) -> Vec<String> {
    let found = workflows(client).await;
    let mut messages: Vec<String> = found
        .iter()
        .map(|workflow| {
            workflow["spec"]["arguments"]["parameters"][0]["value"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    messages.sort();
    messages
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_becomes_a_workflow_through_what_the_controller_has_made() {
    // The definitions are Argo's own, as on a cluster that comes from there.
    let server = ApiServer::start().await;
    let client = server.client().await;
    apply_crds(&client).await;
    server.create_namespace(NAMESPACE).await;
    let ground = Ground {
        server,
        client: client.clone(),
        bus: free_port(),
        webhook: free_port(),
    };
    apply(&client, "kind: EventBus\nmetadata: {name: default}\nspec: {jetstream: {version: latest, replicas: 1}}").await;
    certificate(&client).await;
    let token = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": { "name": "tokens" }, "stringData": { "hook": "open sesame" },
    });
    Api::<Secret>::namespaced(client.clone(), NAMESPACE)
        .create(
            &PostParams::default(),
            &serde_json::from_value(token).unwrap(),
        )
        .await
        .unwrap();
    apply(
        &client,
        &format!(
            "kind: EventSource\nmetadata: {{name: in}}\nspec:\n  webhook: {{in: {{endpoint: /in, method: POST, port: '{}', authSecret: {{name: tokens, key: hook}}}}}}\n{}",
            ground.webhook,
            sensor()
        ),
    )
    .await;
    let mut controller = command(&ground.server, free_port()).start();

    let source = deployment(&client, NAMESPACE, "EventSource", "in", |_| Ok(())).await;
    let act = deployment(&client, NAMESPACE, "Sensor", "s", |_| Ok(())).await;
    let sets = Api::<StatefulSet>::namespaced(client.clone(), NAMESPACE);
    let set = eventually_ok("the StatefulSet of the bus", LIMIT, async || {
        sets.get("eventbus-default-js").await
    })
    .await;
    let nats = ground.run("eventbus-default-js-0", servers::nats_server());
    let mut nats = nats.start(&set.spec.unwrap().template).await;

    let (source, act) = (source.spec.unwrap().template, act.spec.unwrap().template);
    let sensor = ground.pod("s-0", &act).await;
    ground.ready(&sensor, &act).await;
    let webhook = ground.pod("in-0", &source).await;
    ground.ready(&webhook, &source).await;
    assert_eq!(ground.post("hello").await, 200);
    wait_for_workflows(&client, 1).await;
    assert_eq!(messages(&client).await, ["hello"]);

    // A change of the Sensor makes pods of another kind, which go on where the others were.
    let change = json!({ "spec": { "triggers": [{ "template": { "name": "act", "k8s": {
        "operation": "create",
        "source": { "resource": {
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": { "generateName": "w-" },
            "spec": { "arguments": { "parameters": [{ "name": "message", "value": "changed: " }] } },
        }},
        "parameters": [{
            "src": { "dependencyName": "in", "dataKey": "body.message" },
            "dest": "spec.arguments.parameters.0.value", "operation": "append",
        }],
    }}}]}});
    objects(&client, "Sensor")
        .patch("s", &PatchParams::default(), &Patch::Merge(change))
        .await
        .unwrap();
    let changed = deployment(&client, NAMESPACE, "Sensor", "s", |deployment| {
        let template = &deployment.spec.as_ref().unwrap().template;
        (*template != act).then_some(()).ok_or("not yet".to_owned())
    })
    .await;
    drop(sensor);
    // What comes while no Sensor runs is kept for it.
    assert_eq!(ground.post("one").await, 200);
    let changed = changed.spec.unwrap().template;
    let sensor = ground.pod("s-1", &changed).await;
    ground.ready(&sensor, &changed).await;
    assert_eq!(ground.post("two").await, 200);
    eventually("a Workflow of each event", LIMIT, async || {
        let found = messages(&client).await;
        (found == ["changed: one", "changed: two", "hello"]).then_some(())
    })
    .await;
    assert!(nats.is_running(), "{}", nats.said());
    controller.terminate();
    let status = controller.wait_exit(LIMIT).await;
    assert!(status.success(), "{}", controller.stderr());
}
