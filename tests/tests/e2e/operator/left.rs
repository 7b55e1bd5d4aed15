//! What Sensors leave on a bus when they go, above all while nobody runs: a pod of ours just goes away, and so may all
//! of them, and the controller too.

use std::collections::BTreeSet;

use async_nats::jetstream::{self, Context};
use bytes::Bytes;
use futures::TryStreamExt as _;
use k8s_openapi::api::core::v1::{EnvVar, PodTemplateSpec, Secret};
use tiphys_core::{Event, envelope};
use tiphys_eventbus::{Bus, EmbeddedConfig};
use tiphys_sensor::Tenant;
use tiphys_tests::eventually;
use tiphys_tests::nats::{Nats, NatsAuth, NatsOptions};
use tiphys_tests::pods::{Places, Pod, Run};
use tiphys_tests::tls::http_client;

use super::*;
use crate::cluster::{self, Ground, encoded, kubeconfig, own_address};
use crate::scene::{send, source};
use crate::support::LocalRun;

/// What a bus keeps of Sensors.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Kept {
    consumers: BTreeSet<String>,
    state: BTreeSet<String>,
    tenants: BTreeSet<String>,
}

impl Kept {
    async fn on(nats: &Nats) -> Self {
        let context = jetstream::new(nats.connect().await);
        let consumers = match context.get_stream("default").await {
            Ok(stream) => stream.consumer_names().try_collect().await.unwrap(),
            Err(_) => BTreeSet::new(),
        };
        Self {
            consumers,
            state: keys(&context, "tiphys-sensors").await,
            tenants: keys(&context, "tiphys-tenants").await,
        }
    }

    fn counts(&self) -> [usize; 3] {
        [self.consumers.len(), self.state.len(), self.tenants.len()]
    }

    /// Waits until the bus keeps so many consumers, states and entries.
    async fn reaches(nats: &Nats, each: usize) -> Self {
        let what = format!("{each} Sensors to have something on the bus");
        eventually_ok(&what, LIMIT, async || {
            let kept = Self::on(nats).await;
            match kept.counts() == [each; 3] {
                true => Ok(kept),
                false => Err(format!("{kept:?}")),
            }
        })
        .await
    }

    /// Waits until the bus keeps this and nothing else.
    async fn becomes(nats: &Nats, wanted: &Self, said: impl Fn() -> String) {
        eventually_ok("the bus to be rid of the others", LIMIT, async || {
            let kept = Self::on(nats).await;
            match kept == *wanted {
                true => Ok(()),
                false => Err(format!("{kept:?}, not {wanted:?}\n{}", said())),
            }
        })
        .await;
    }
}

async fn keys(context: &Context, bucket: &str) -> BTreeSet<String> {
    let Ok(stream) = context.get_stream(format!("KV_{bucket}")).await else {
        return BTreeSet::new();
    };
    let subjects = stream.info_with_subjects(">").await.unwrap();
    let subjects: Vec<(String, usize)> = subjects.try_collect().await.unwrap();
    subjects.into_iter().map(|(subject, _)| subject).collect()
}

/// Stores an event `a` of EventSource `in`.
async fn publish(nats: &Nats) {
    let event = Event::new("in", "webhook", "a", Bytes::from_static(b"{}"));
    let context = jetstream::new(nats.connect().await);
    let body = envelope::encode(&event).into();
    let stored = context.publish("default.in.a", body).await.unwrap();
    stored.await.unwrap();
}

/// A Sensor that holds each event `a` until a `b` comes.
fn spec(bus: &str) -> Value {
    json!({
        "eventBusName": bus,
        "dependencies": [
            {"name": "a", "eventSourceName": "in", "eventName": "a"},
            {"name": "b", "eventSourceName": "in", "eventName": "b"},
        ],
        "triggers": [{"template": {"name": "t", "conditions": "a && b", "log": {}}}],
    })
}

fn holds(name: &str) -> String {
    let sensor = json!({"kind": "Sensor", "metadata": {"name": name}, "spec": spec("default")});
    format!("---\n{sensor}\n")
}

/// Runs the pod of a Sensor as its Deployment says.
async fn pod(client: &Client, name: &str, template: &PodTemplateSpec) -> Pod {
    let admin = free_port();
    let run = Run {
        client,
        namespace: NAMESPACE,
        pod: name,
        program: tiphys_tests::tiphys::binary(),
        args: vec!["--admin".to_owned(), format!("127.0.0.1:{admin}")],
        env: Vec::new(),
        places: Places::default(),
    };
    let pod = run.start(template).await;
    let url = format!("http://127.0.0.1:{admin}/readyz");
    eventually_ok("the pod to be ready", LIMIT, async || {
        let answer = http_client(None).get(&url).send().await;
        let ready = answer.is_ok_and(|answer| answer.status().is_success());
        ready.then_some(()).ok_or_else(|| pod.said())
    })
    .await;
    pod
}

/// The pod of a Sensor of another cluster, whose EventBus has the same servers.
fn elsewhere(template: &PodTemplateSpec) -> PodTemplateSpec {
    let mut template = template.clone();
    let main = &mut template.spec.as_mut().unwrap().containers[0];
    let object =
        json!({"metadata": {"name": "far", "namespace": NAMESPACE}, "spec": spec("default")});
    for (name, value) in [
        ("SENSOR_OBJECT", encoded(&object)),
        ("EVENTBUS_UID", "of-another-cluster".to_owned()),
    ] {
        let all = main.env.as_mut().unwrap();
        let found = all
            .iter_mut()
            .find(|variable: &&mut EnvVar| variable.name == name);
        found.unwrap().value = Some(value);
    }
    template
}

/// A server that asks for a user, as the Secret `nats` has it.
async fn guarded(client: &Client) -> Nats {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "nats"},
        "stringData": {"auth": "username: js\npassword: secret\n"},
    });
    Api::<Secret>::namespaced(client.clone(), NAMESPACE)
        .create(
            &PostParams::default(),
            &serde_json::from_value(secret).unwrap(),
        )
        .await
        .unwrap();
    let auth = NatsAuth::User {
        user: "js".to_owned(),
        password: "secret".to_owned(),
    };
    Nats::start(NatsOptions {
        auth,
        ..NatsOptions::default()
    })
    .await
}

fn bus(name: &str, nats: &Nats) -> String {
    let url = nats.url();
    let spec = json!({"jetstreamExotic": {
        "url": url, "accessSecret": {"name": "nats", "key": "auth"}, "streamConfig": "replicas: 1",
    }});
    let bus = json!({"kind": "EventBus", "metadata": {"name": name}, "spec": spec});
    format!("---\n{bus}\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_sensors_left_that_went_while_nobody_ran_is_removed_and_nothing_else() {
    let (server, client) = server().await;
    let nats = guarded(&client).await;
    let other = Nats::start(NatsOptions::default()).await;
    apply(&client, &(bus("default", &nats) + &bus("other", &other))).await;
    let names = ["stays", "gone", "before", "moves"];
    apply(&client, &names.map(holds).concat()).await;
    let start = || {
        command(&server, free_port())
            .args(["--forget-after", "1s"])
            .start()
    };
    let mut controller = start();
    let mut templates = Vec::new();
    for name in names {
        let made = deployment(&client, NAMESPACE, "Sensor", name, |_| Ok(())).await;
        templates.push(made.spec.unwrap().template);
    }
    controller.terminate();
    controller.wait_exit(LIMIT).await;

    let here = pod(&client, "stays-0", &templates[0]).await;
    let far = pod(&client, "far-0", &elsewhere(&templates[0])).await;
    publish(&nats).await;
    let stays = Kept::reaches(&nats, 2).await;
    let mut pods = vec![here, far];
    for (name, template) in names.iter().zip(&templates).skip(1) {
        pods.push(pod(&client, name, template).await);
    }
    publish(&nats).await;
    let all = Kept::reaches(&nats, 5).await;
    assert!(all.consumers.is_superset(&stays.consumers), "{all:?}");
    drop(pods);

    let sensors = objects(&client, "Sensor");
    for name in ["gone", "before"] {
        sensors
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
    }
    apply(&client, &holds("after")).await;
    let patch = json!({"spec": {"eventBusName": "other"}});
    sensors
        .patch("moves", &PatchParams::default(), &Patch::Merge(patch))
        .await
        .unwrap();
    assert_eq!(Kept::on(&nats).await, all);
    let mut controller = start();
    Kept::becomes(&nats, &stays, || controller.stderr()).await;
    assert_eq!(Kept::on(&other).await, Kept::default());

    // All go, and the EventBus with them: what another cluster has there is the only thing left.
    for (kind, name) in [
        ("Sensor", "stays"),
        ("Sensor", "after"),
        ("EventBus", "default"),
    ] {
        let api = objects(&client, kind);
        api.delete(name, &DeleteParams::default()).await.unwrap();
    }
    let kept = Kept::reaches(&nats, 1).await;
    let tenant = kept.tenants.first().unwrap();
    assert!(tenant.ends_with("/far/of-another-cluster"), "{tenant}");
    controller.terminate();
    let status = controller.wait_exit(LIMIT).await;
    assert!(status.success(), "{}", controller.stderr());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_removes_what_sensors_leave_while_it_runs_and_while_it_does_not() {
    let ground = Ground::start().await;
    let other = Nats::start(NatsOptions::default()).await;
    for (name, url) in [("default", ground.nats.url()), ("other", other.url())] {
        let spec = json!({"jetstreamExotic": {"url": url, "streamConfig": "replicas: 1"}});
        ground.apply("EventBus", name, spec).await;
    }
    for name in ["stays", "live", "gone"] {
        ground.apply("Sensor", name, spec("default")).await;
    }
    let start = || {
        let command = Tiphys::command(["controller", "--pooled", "-n", NAMESPACE])
            .args([
                "--bind",
                &own_address().to_string(),
                "--lease-duration",
                "3s",
            ])
            .args(["--linger", "0", "--pool-selector", "app=the-pool"])
            .args(["--forget-after", "1s"])
            .env("KUBECONFIG", kubeconfig(&ground));
        cluster::Pod::start(command)
    };
    let mut pool = start();
    pool.ready().await;
    let subscribed = async |nats: &Nats, each: usize| {
        eventually_ok("the Sensors to be subscribed", LIMIT, async || {
            let kept = Kept::on(nats).await;
            let done = kept.consumers.len() == each && kept.tenants.len() == each;
            done.then_some(()).ok_or_else(|| format!("{kept:?}"))
        })
        .await;
    };
    subscribed(&ground.nats, 3).await;
    publish(&ground.nats).await;
    Kept::reaches(&ground.nats, 3).await;
    ground.delete("Sensor", "live").await;
    Kept::reaches(&ground.nats, 2).await;
    pool.ends_well().await;
    ground.delete("Sensor", "gone").await;
    let mut pool = start();
    pool.ready().await;
    let kept = Kept::reaches(&ground.nats, 1).await;
    let tenant = kept.tenants.first().unwrap();
    assert!(tenant.contains("/stays/"), "{tenant}");
    // It goes on on another bus.
    ground.apply("Sensor", "stays", spec("other")).await;
    Kept::becomes(&ground.nats, &Kept::default(), || pool.process.stderr()).await;
    subscribed(&other, 1).await;
    pool.ends_well().await;
}

/// What the embedded bus of a run that has ended keeps of Sensors.
async fn embedded(run: &LocalRun) -> (Vec<String>, usize, Vec<Tenant>) {
    let folder = run.data.path().join("bus").join(NAMESPACE).join("default");
    let bus = Bus::embedded(EmbeddedConfig::new(folder)).unwrap();
    let state = bus.state("tiphys-sensors").await.unwrap();
    let kept = (
        bus.durables("").await.unwrap(),
        state.keys("").await.unwrap().len(),
        Tenant::all(&bus).await.unwrap(),
    );
    bus.close().await;
    kept
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_run_removes_what_a_sensor_leaves_while_it_runs_and_while_it_does_not() {
    let mut run = LocalRun::empty();
    let events = "a: {endpoint: /a, port: \"12000\"}\nb: {endpoint: /b, port: \"12000\"}";
    run.write("source.yaml", &source("in", events));
    let mut sensor = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Sensor",
        "metadata": {"name": "s", "namespace": NAMESPACE}, "spec": spec("default")});
    let holds = async |run: &LocalRun| {
        let taken = send(&http_client(None), &run.at("/a"), "x").await;
        assert_eq!(taken.unwrap().0, 200);
        eventually("the event to be held", LIMIT, async || {
            (run.books("s").await.pending == 1).then_some(())
        })
        .await;
    };
    run.write("sensor.yaml", &sensor.to_string());
    run.start().await;
    holds(&run).await;
    std::fs::remove_file(run.files.path().join("sensor.yaml")).unwrap();
    let books = eventually("the books to be closed", LIMIT, async || {
        let books = run.books("s").await;
        // The counters of one moment are set one after the other.
        (books.pending == 0 && books.dead > 0).then_some(books)
    })
    .await;
    assert_eq!((books.accepted, books.dead), (1, 1), "{books:?}");
    ends(&mut run).await;
    assert_eq!(embedded(&run).await, (Vec::new(), 0, Vec::new()));

    run.write("sensor.yaml", &sensor.to_string());
    run.start().await;
    holds(&run).await;
    ends(&mut run).await;
    // The entry is written in the background, and only who holds the folder can look into it.
    while embedded(&run).await.2.is_empty() {
        run.start().await;
        ends(&mut run).await;
    }
    let (consumers, state, tenants) = embedded(&run).await;
    assert_eq!((consumers.len(), state, tenants.len()), (1, 1, 1));
    sensor["metadata"]["name"] = json!("renamed");
    run.write("sensor.yaml", &sensor.to_string());
    run.start().await;
    ends(&mut run).await;
    let (consumers, state, tenants) = embedded(&run).await;
    assert_eq!((consumers.len(), state), (1, 0));
    assert!(
        tenants.iter().all(|tenant| tenant.sensor == "renamed"),
        "{tenants:?}"
    );
}

/// Ends a run in order.
async fn ends(run: &mut LocalRun) {
    let mut process = run.process.take().unwrap();
    process.terminate();
    let status = process.wait_exit(LIMIT).await;
    assert!(status.success(), "{}", process.stderr());
}
