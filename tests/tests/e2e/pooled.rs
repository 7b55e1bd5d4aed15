//! `tiphys controller --pooled`: EventSources and Sensors as tasks of one deployment's replicas, against a real API
//! server and a real bus. Replicas are processes on loopback addresses of their own, as pods have their own.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use k8s_openapi::api::core::v1::{Pod as PodObject, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tiphys_tests::tls::http_client;
use tiphys_tests::{HttpSink, Tiphys, eventually, eventually_ok};

use crate::cluster::{Ground, Pod, apply, kubeconfig, own_address, to_url, to_workflows, webhook};
use crate::scene::{send, send_patiently};
use crate::support::{LIMIT, NAMESPACE, wait_for_workflows};

/// One replica.
pub(crate) struct Replica {
    pub(crate) pod: Pod,
    address: Ipv4Addr,
}

impl Replica {
    pub(crate) async fn start(ground: &Ground, name: &str) -> Self {
        let address = own_address();
        let command = Tiphys::command(["controller", "--pooled", "-n", NAMESPACE])
            .args(["--bind", &address.to_string(), "--lease-duration", "3s"])
            .args(["--linger", "1", "--pool-selector", "app=the-pool"])
            .env("POD_NAME", name)
            .env("KUBECONFIG", kubeconfig(ground));
        let mut pod = Pod::start(command);
        pod.ready().await;
        Self { pod, address }
    }

    /// Where it serves a port of the pool.
    fn url(&self, port: u16) -> String {
        format!("http://{}:{port}/in", self.address)
    }

    /// Waits until it takes an event.
    pub(crate) async fn takes(&self, port: u16, message: &str) {
        let http = http_client(None);
        let what = format!("{} to take {message:?}", self.url(port));
        eventually(&what, LIMIT, async || {
            let (status, _) = send(&http, &self.url(port), message).await?;
            (status == 200).then_some(())
        })
        .await;
    }
}

impl Ground {
    pub(crate) async fn pool_bus(&self) {
        let url = self.nats.url();
        self.apply(
            "EventBus",
            "default",
            json!({"jetstreamExotic": {"url": url}}),
        )
        .await;
    }

    /// Where the Service of an EventSource leads, once it is there.
    pub(crate) async fn service(&self, namespace: &str, name: &str) -> (u16, Service) {
        let api = Api::<Service>::namespaced(self.client.clone(), namespace);
        let service = format!("{name}-eventsource-svc");
        eventually_ok(&format!("Service {service}"), LIMIT, async || {
            let found = api.get(&service).await.map_err(|error| error.to_string())?;
            let ports = found
                .spec
                .clone()
                .unwrap_or_default()
                .ports
                .unwrap_or_default();
            let target = serde_json::to_value(&ports[0].target_port).unwrap();
            let target = target.as_u64().and_then(|port| u16::try_from(port).ok());
            let target = target.ok_or_else(|| format!("{ports:?}"))?;
            Ok::<_, String>((target, found))
        })
        .await
    }

    /// Waits until a condition of an object says this.
    pub(crate) async fn says(&self, kind: &str, name: &str, condition: &str, text: &str) {
        let what = format!("{kind} {name}: {condition} {text}");
        eventually_ok(&what, LIMIT, async || {
            let object = self
                .objects(kind)
                .get(name)
                .await
                .map_err(|error| error.to_string())?;
            let status = &object.data["status"];
            let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
            let said = conditions.iter().find(|said| said["type"] == condition);
            match said {
                Some(said) if said.to_string().contains(text) => Ok(()),
                _ => Err(status.to_string()),
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_event_sources_with_one_port_are_served_by_each_of_two_replicas() {
    let ground = Ground::start().await;
    let one = Replica::start(&ground, "pool-1").await;
    let two = Replica::start(&ground, "pool-2").await;
    for name in ["a", "b"] {
        ground.apply("EventSource", name, webhook(12000)).await;
        ground.apply("Sensor", name, to_workflows(name)).await;
    }
    ground
        .says("EventSource", "a", "Deployed", "EventBusNotFound")
        .await;
    ground.pool_bus().await;
    ground.says("Sensor", "a", "Ready", "\"True\"").await;
    ground.says("Sensor", "b", "Ready", "\"True\"").await;
    let (a, service) = ground.service(NAMESPACE, "a").await;
    let (b, _) = ground.service(NAMESPACE, "b").await;
    assert_ne!(a, b);
    let spec = service.spec.unwrap();
    assert_eq!(spec.ports.unwrap()[0].port, 12000);
    assert_eq!(
        spec.selector.unwrap().into_iter().collect::<Vec<_>>(),
        [("app".to_owned(), "the-pool".to_owned())]
    );
    for (replica, name) in [(&one, "1"), (&two, "2")] {
        replica.takes(a, &format!("a{name}")).await;
        replica.takes(b, &format!("b{name}")).await;
    }
    let made = wait_for_workflows(&ground.client, 4).await;
    let messages: Vec<String> = made
        .iter()
        .map(|made| made["spec"]["arguments"]["parameters"][0]["value"].to_string())
        .collect();
    let different: BTreeSet<&String> = messages.iter().collect();
    assert_eq!((messages.len(), different.len()), (4, 4), "{messages:?}");
    ground.says("EventSource", "a", "Ready", "\"True\"").await;
    // No pods are made for them.
    let deployments = Api::<k8s_openapi::api::apps::v1::Deployment>::all(ground.client.clone());
    let made = deployments.list(&ListParams::default()).await.unwrap();
    assert_eq!(made.items.len(), 0);
    one.pod.ends_well().await;
    two.pod.ends_well().await;
}

/// Posts until told to stop; every request must be taken.
async fn load(url: String, stop: Arc<AtomicBool>) -> BTreeSet<String> {
    let http = http_client(None);
    let mut sent = BTreeSet::new();
    while !stop.load(Ordering::Relaxed) {
        let message = format!("m{}", sent.len());
        let answer = send_patiently(&http, &url, &message, &message).await;
        assert_eq!(answer.map(|(status, _)| status), Some(200), "{message}");
        sent.insert(message);
        tokio::task::yield_now().await;
    }
    sent
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_come_change_and_go_and_no_request_is_dropped() {
    let ground = Ground::start().await;
    let sink = HttpSink::start();
    let replica = Replica::start(&ground, "pool").await;
    ground.pool_bus().await;
    ground.apply("EventSource", "a", webhook(12000)).await;
    ground.apply("Sensor", "a", to_url("a", &sink.url())).await;
    ground.says("Sensor", "a", "Ready", "\"True\"").await;
    let (port, _) = ground.service(NAMESPACE, "a").await;
    let stop = Arc::new(AtomicBool::new(false));
    let load = tokio::spawn(load(replica.url(port), stop.clone()));

    for name in ["b", "c", "d"] {
        ground.apply("EventSource", name, webhook(12000)).await;
        ground.apply("Sensor", name, to_workflows(name)).await;
    }
    let mut targets = vec![port];
    for name in ["b", "c", "d"] {
        let (target, _) = ground.service(NAMESPACE, name).await;
        targets.push(target);
    }
    // One that is wrong harms nobody.
    ground
        .apply("Sensor", "bad", json!({"dependencies": []}))
        .await;
    ground.says("Sensor", "bad", "Ready", "\"False\"").await;
    // Both of those that are in use change.
    let mut source = webhook(12000);
    source["webhook"]["more"] = json!({"endpoint": "/more", "method": "POST", "port": "13000"});
    ground.apply("EventSource", "a", source).await;
    let mut sensor = to_url("a", &sink.url());
    sensor["triggers"][0]["template"]["http"]["headers"] = json!({"x-changed": "yes"});
    ground.apply("Sensor", "a", sensor).await;
    eventually("the changed Sensor to fire", LIMIT, async || {
        let received = sink.received();
        received
            .iter()
            .any(|request| request.headers.contains_key("x-changed"))
            .then_some(())
    })
    .await;
    eventually("a second port", LIMIT, async || {
        let object = ground.objects("EventSource").get("a").await.ok()?;
        let ports = object.data["status"]["pooledPorts"].as_object()?.clone();
        assert_eq!(ports["12000"], port);
        let target = ports.get("13000")?.as_u64()?;
        let url = format!("http://{}:{target}/more", replica.address);
        let (status, _) = send(&http_client(None), &url, "more").await?;
        (status == 200).then_some(())
    })
    .await;
    // The bus itself is described anew.
    let bus =
        json!({"jetstreamExotic": {"url": ground.nats.url(), "streamConfig": "maxMsgs: 100000"}});
    ground.apply("EventBus", "default", bus).await;
    eventually("the bus's new description", LIMIT, async || {
        let object = ground.objects("EventBus").get("default").await.ok()?;
        let config = object.data["status"]["config"].to_string();
        config.contains("100000").then_some(())
    })
    .await;
    for name in ["b", "c"] {
        ground.delete("EventSource", name).await;
        ground.delete("Sensor", name).await;
    }
    let http = http_client(None);
    for target in &targets[1..3] {
        eventually("a port to be closed", LIMIT, async || {
            send(&http, &replica.url(*target), "gone")
                .await
                .is_none()
                .then_some(())
        })
        .await;
    }
    replica.takes(targets[3], "d").await;
    let before = sink.received().len();
    sink.wait_for(before + 5, LIMIT).await;
    stop.store(true, Ordering::Relaxed);
    let sent = load.await.unwrap();
    println!("{} requests, none dropped", sent.len());
    eventually("every event at the sink", LIMIT, async || {
        let got: BTreeSet<String> = received(&sink).into_iter().collect();
        sent.is_subset(&got).then_some(())
    })
    .await;
    let got = received(&sink);
    let different: BTreeSet<&String> = got.iter().collect();
    assert_eq!(got.len(), different.len(), "an event was sent twice");
    replica.pod.ends_well().await;
}

fn received(sink: &HttpSink) -> Vec<String> {
    let received = sink.received();
    received
        .iter()
        .map(|request| request.json()["message"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn another_replica_takes_over_when_the_leader_is_killed() {
    let ground = Ground::start().await;
    let mut one = Replica::start(&ground, "pool-1").await;
    let two = Replica::start(&ground, "pool-2").await;
    ground.pool_bus().await;
    ground.apply("EventSource", "a", webhook(12000)).await;
    let (a, _) = ground.service(NAMESPACE, "a").await;
    let leases = Api::<k8s_openapi::api::coordination::v1::Lease>::namespaced(
        ground.client.clone(),
        NAMESPACE,
    );
    let lease = leases.get("tiphys-controller").await.unwrap();
    let leader = lease.spec.unwrap().holder_identity.unwrap();
    let mut two = two;
    if leader == "pool-2" {
        std::mem::swap(&mut one, &mut two);
    }
    two.takes(a, "before").await;
    one.pod.process.kill_9();
    // What is hosted goes on meanwhile, and the ports stay what they were.
    two.takes(a, "meanwhile").await;
    ground.apply("EventSource", "b", webhook(12000)).await;
    let (b, _) = ground.service(NAMESPACE, "b").await;
    assert_ne!(a, b);
    two.takes(b, "after").await;
    assert_eq!(ground.service(NAMESPACE, "a").await.0, a);
    two.pod.ends_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_of_another_namespace_reaches_the_pods_of_the_pool() {
    let ground = Ground::start().await;
    ground.api.create_namespace("far").await;
    let replica = Replica::start(&ground, "pool").await;
    let bus = json!({"jetstreamExotic": {"url": ground.nats.url()}});
    apply(&ground.client, "far", "EventBus", "default", bus).await;
    apply(&ground.client, "far", "EventSource", "a", webhook(12000)).await;
    let (port, service) = ground.service("far", "a").await;
    assert_eq!(service.spec.unwrap().selector, None);
    replica.takes(port, "hello").await;
    // A pod of the pool, as a kubelet reports it.
    let pods = Api::<PodObject>::namespaced(ground.client.clone(), NAMESPACE);
    let pod: PodObject = serde_json::from_value(json!({
        "metadata": {"name": "pool-1", "labels": {"app": "the-pool"}},
        "spec": {
            "automountServiceAccountToken": false,
            "containers": [{"name": "main", "image": "tiphys"}],
        },
    }))
    .unwrap();
    let account =
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}});
    Api::<k8s_openapi::api::core::v1::ServiceAccount>::namespaced(ground.client.clone(), NAMESPACE)
        .patch(
            "default",
            &PatchParams::apply("test"),
            &Patch::Apply(&account),
        )
        .await
        .unwrap();
    pods.create(&PostParams::default(), &pod).await.unwrap();
    let status = json!({"status": {
        "podIP": "10.1.2.3",
        "podIPs": [{"ip": "10.1.2.3"}],
        "conditions": [{"type": "Ready", "status": "True"}],
    }});
    pods.patch_status("pool-1", &PatchParams::default(), &Patch::Merge(&status))
        .await
        .unwrap();
    let slices = Api::<EndpointSlice>::namespaced(ground.client.clone(), "far");
    let slice = eventually_ok("an endpoint", LIMIT, async || {
        let found = slices.get("a-eventsource-svc-pool").await;
        let said = || replica.pod.process.stderr();
        let slice = found.map_err(|error| format!("{error}: {}", said()))?;
        if slice.endpoints.is_empty() {
            Err(said())
        } else {
            Ok(slice)
        }
    })
    .await;
    let slice: Value = serde_json::to_value(slice).unwrap();
    assert_eq!(slice["endpoints"][0]["addresses"], json!(["10.1.2.3"]));
    assert_eq!(slice["endpoints"][0]["conditions"]["ready"], true);
    assert_eq!(slice["ports"][0]["port"], port);
    assert_eq!(
        slice["metadata"]["labels"]["kubernetes.io/service-name"],
        "a-eventsource-svc"
    );
    replica.pod.ends_well().await;
}
