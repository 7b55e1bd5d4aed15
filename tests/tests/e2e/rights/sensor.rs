//! What `tiphys rbac` prints for a Sensor is what it needs: with it the trigger does its work, and with one right less
//! the Sensor says which. One API server, two buses with the same event; each Sensor has a namespace, an account and a
//! process of its own, which gets its object as pods do.

mod cases;

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;

use futures::{FutureExt as _, StreamExt as _};
use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};
use tempfile::TempDir;
use tiphys_tests::argo_crds::{apply_crds, argo};
use tiphys_tests::nats::{Nats, NatsOptions};
use tiphys_tests::{ApiServer, HttpSink, Tiphys, eventually, temp_dir};

use self::cases::{Case, NAMESPACE, SINK, Scene, cases, mounted_workflow};
use super::{make, send, server, until_allowed, until_said};
use crate::cluster::encoded;
use crate::crds::{kubectl, said};
use crate::support::LIMIT;

/// Sensors that run at a time.
const AT_ONCE: usize = 6;

/// What all Sensors share.
struct Ground {
    server: ApiServer,
    /// The second one brings the same event to a Sensor that knows nothing of the first one.
    buses: [Nats; 2],
    sink: HttpSink,
    /// What a kubelet mounts.
    mounts: TempDir,
}

/// One Sensor: which case, and which right is missing.
struct Variant<'a> {
    case: &'a Case,
    namespace: String,
    /// Resource and verb.
    less: Option<(String, String)>,
    scene: Scene,
    roles: Vec<Value>,
}

#[tokio::test]
async fn a_sensor_needs_what_rbac_prints_and_nothing_less() {
    let ground = ground().await;
    let cases = cases();
    let printed = futures::future::join_all(cases.iter().map(printed)).await;
    let mut all = Vec::new();
    for (case, roles) in cases.iter().zip(printed) {
        all.extend(variants(case, &roles));
    }
    let rights = all.iter().filter(|variant| variant.less.is_some()).count();
    // Each says what is wrong by itself, and the others go on.
    let failed: Vec<&str> = futures::stream::iter(&all)
        .map(async |variant| {
            let tried = AssertUnwindSafe(try_out(&ground, variant)).catch_unwind();
            tried.await.err().map(|_| variant.namespace.as_str())
        })
        .buffer_unordered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await;
    assert!(failed.is_empty(), "{failed:?}");
    println!("{rights} rights taken away in {} Sensors", all.len());
}

async fn ground() -> Ground {
    let (server, one, two) = tokio::join!(
        server(),
        Nats::start(NatsOptions::default()),
        Nats::start(NatsOptions::default())
    );
    apply_crds(&server.client().await).await;
    let buses = [one, two];
    // Every Sensor has a consumer of its own.
    for bus in &buses {
        send(bus).await;
    }
    let mounts = temp_dir();
    let workflow = mounted_workflow().to_string();
    for (path, text) in [
        ("argo-events/config/from/workflow", workflow.as_str()),
        ("argo-events/secrets/from/token", "open sesame"),
    ] {
        let path = mounts.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    Ground {
        server,
        buses,
        sink: HttpSink::start(),
        mounts,
    }
}

/// The Sensor's spec, and what stands beside it.
fn spec(case: &Case, namespace: &str, sink: &str) -> Value {
    let text = case.trigger.to_string();
    let text = text.replace(NAMESPACE, namespace).replace(SINK, sink);
    let mut trigger: Value = serde_json::from_str(&text).unwrap();
    trigger["template"]["name"] = json!("act");
    // The first word is the last.
    trigger["retryStrategy"] = json!({ "steps": 1 });
    json!({
        "template": { "serviceAccountName": "actor" },
        "dependencies": [{ "name": "in", "eventSourceName": "in", "eventName": "in" }],
        "triggers": [trigger],
    })
}

fn metadata(namespace: &str) -> Value {
    json!({ "name": "s", "namespace": namespace, "annotations": { "tiphys.dev/start-from": "oldest" } })
}

/// What the program prints for a Sensor.
async fn printed(case: &Case) -> Vec<Value> {
    let folder = temp_dir();
    let file = folder.path().join("sensor.json");
    let sensor = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Sensor",
        "metadata": metadata(NAMESPACE_OF_ROLES), "spec": spec(case, NAMESPACE_OF_ROLES, "http://sink"),
    });
    std::fs::write(&file, sensor.to_string()).unwrap();
    let output = Tiphys::command(["rbac", "-o", "json"])
        .args([file.as_os_str()])
        .output(LIMIT)
        .await;
    assert_eq!(output.code, Some(0), "{output:?}");
    let list: Value = serde_json::from_str(&output.stdout).unwrap();
    list["items"].as_array().unwrap().clone()
}

/// A name that nothing else in a Role holds.
const NAMESPACE_OF_ROLES: &str = "namespace-of-roles";

/// The Sensor with all rights, and with one less for each that it has.
fn variants<'a>(case: &'a Case, printed: &[Value]) -> Vec<Variant<'a>> {
    let variant = |number: usize, less: Option<(String, String)>, scene: Scene| {
        let namespace = format!("{}-{number}", case.name);
        let text = json!(printed).to_string();
        let roles = text.replace(NAMESPACE_OF_ROLES, &namespace);
        let mut roles: Vec<Value> = serde_json::from_str(&roles).unwrap();
        for role in &mut roles {
            if let (Some(rules), Some(less)) = (role["rules"].as_array_mut(), &less) {
                take(rules, less);
            }
        }
        Variant {
            case,
            namespace,
            less,
            scene,
            roles,
        }
    };
    let mut found = BTreeSet::new();
    for rule in rules(printed) {
        for verb in rule["verbs"].as_array().unwrap() {
            found.insert((rule["resources"][0].as_str(), verb.as_str()));
        }
    }
    let wanted = case.rights.iter();
    let wanted: BTreeSet<_> = wanted
        .map(|(resource, verb, _)| (Some(*resource), Some(*verb)))
        .collect();
    assert_eq!(found, wanted, "{}: {printed:?}", case.name);
    let mut all = vec![variant(0, None, case.works)];
    for (number, (resource, verb, scene)) in case.rights.iter().enumerate() {
        let less = ((*resource).to_owned(), (*verb).to_owned());
        all.push(variant(number + 1, Some(less), *scene));
    }
    all
}

fn rules(roles: &[Value]) -> impl Iterator<Item = &Value> {
    roles
        .iter()
        .filter_map(|role| role["rules"].as_array())
        .flatten()
}

/// Takes one right away; a rule without verbs would be refused.
fn take(rules: &mut Vec<Value>, (resource, verb): &(String, String)) {
    for rule in rules.iter_mut() {
        if rule["resources"][0].as_str() == Some(resource) {
            let verbs = rule["verbs"].as_array_mut().unwrap();
            verbs.retain(|one| one.as_str() != Some(verb));
        }
    }
    rules.retain(|rule| rule["verbs"] != json!([]));
}

async fn try_out(ground: &Ground, variant: &Variant<'_>) {
    let Variant {
        case,
        namespace,
        less,
        scene,
        roles,
    } = variant;
    set_up(ground, variant);
    let user = format!("system:serviceaccount:{namespace}:actor");
    let client = ground.server.client().await;
    for rule in rules(roles) {
        let attributes = json!({
            "namespace": namespace, "verb": rule["verbs"][0], "group": rule["apiGroups"][0],
            "resource": rule["resources"][0], "name": rule["resourceNames"][0].as_str().unwrap_or(""),
        });
        until_allowed(&client, &user, &attributes).await;
    }
    let limited = ground.server.kubeconfig_as(&user);
    let every = ground.server.kubeconfig_path();
    let mut bus = &ground.buses[0];
    if *scene == Scene::Twice {
        let mut first = start(ground, variant, bus, &every);
        works(ground, &mut first, variant).await;
        first.kill_9();
        bus = &ground.buses[1];
    }
    let mut process = start(ground, variant, bus, &limited);
    match less {
        None => works(ground, &mut process, variant).await,
        Some((resource, verb)) => {
            let what = format!("{} without {verb} on {resource}", case.name);
            let on = if resource.ends_with("/finalizers") {
                // The server does not say which.
                "the finalizers of the object's owner".to_owned()
            } else {
                format!("\"{resource}\"")
            };
            let text = format!("the sensor's service account needs the verb \"{verb}\" on {on}");
            until_said(&mut process, &what, &text).await;
        }
    }
    // What it has in hand is of no interest any more.
    process.kill_9();
}

/// The account with its rights, and what the scene wants.
fn set_up(ground: &Ground, variant: &Variant<'_>) {
    let namespace = &variant.namespace;
    let mut objects = vec![
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } }),
        json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": { "name": "actor", "namespace": namespace },
        }),
    ];
    objects.extend(variant.roles.iter().cloned());
    // What is taken from another object is there in each scene but the one without.
    let there = &variant.case.there;
    if variant.scene != Scene::Absent && !there.is_null() {
        let text = there.to_string().replace(NAMESPACE, namespace);
        let mut object: Value = serde_json::from_str(&text).unwrap();
        if object["kind"] != "PriorityClass" {
            object["metadata"]["namespace"] = json!(namespace);
        }
        objects.push(object);
    }
    make(&ground.server, &objects);
}

fn start(
    ground: &Ground,
    variant: &Variant<'_>,
    bus: &Nats,
    kubeconfig: &std::path::Path,
) -> Tiphys {
    let sensor = json!({
        "metadata": metadata(&variant.namespace),
        "spec": spec(variant.case, &variant.namespace, &ground.sink.url()),
    });
    let config = json!({ "jetstream": { "url": bus.url(), "streamConfig": "replicas: 1" } });
    Tiphys::command([
        "sensor",
        "--admin",
        "off",
        "--log",
        "info,tiphys_sensor=debug",
    ])
    .env("SENSOR_OBJECT", encoded(&sensor))
    .env("EVENTBUS_CONFIG", encoded(&config))
    .env("EVENTBUS_SUBJECT", "eventbus-default")
    .env("POD_NAME", &variant.namespace)
    .env("TIPHYS_MOUNTS", ground.mounts.path())
    .env("KUBECONFIG", kubeconfig)
    .start()
}

/// The trigger has done its work, by its own word.
async fn works(ground: &Ground, process: &mut Tiphys, variant: &Variant<'_>) {
    let what = format!("{} with every right", variant.case.name);
    if variant.case.name == "wait" {
        ends(ground, &variant.namespace).await;
    }
    until_said(process, &what, "Successfully processed trigger 'act'").await;
    let said = process.stderr();
    let refused = said.lines().filter(|line| line.contains("forbidden"));
    // Whether a template is there is asked, and does without an answer.
    let refused: Vec<&str> = refused
        .filter(|line| !line.contains("workflowtemplates"))
        .collect();
    assert!(refused.is_empty(), "{what}: {refused:?}");
    match variant.case.name {
        "delete" => {
            let namespace = variant.namespace.as_str();
            let found = kubectl(
                &ground.server,
                &["get", "-n", namespace, "cm", "target"],
                "",
            );
            assert!(!found.status.success(), "{}", self::said(&found));
        }
        "secret" => {
            let received = ground.sink.received().remove(0);
            assert_eq!(received.headers["x-token"], "open sesame");
        }
        _ => {}
    }
}

/// The Workflow that is waited for succeeds.
async fn ends(ground: &Ground, namespace: &str) {
    let client = ground.server.client().await;
    let workflows = Api::<DynamicObject>::namespaced_with(client, namespace, &argo("Workflow"));
    let done = json!({ "status": { "phase": "Succeeded" } });
    let params = PatchParams::default();
    eventually("the workflow to be there", LIMIT, async || {
        let done = Patch::Merge(&done);
        workflows.patch("target", &params, &done).await.ok()
    })
    .await;
}
