//! Which rights come of which object.

use serde_json::{Value, json};
use tiphys_core::manifest::Document;

use super::*;

fn derived(kind: &str, spec: Value) -> Derived {
    let document = Document::from_object(json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": kind,
        "metadata": { "name": "x", "namespace": "events" },
        "spec": spec,
    }));
    let options = Options {
        namespace: "default",
        account: None,
        lookup: &|_, _| None,
    };
    derive(&[document], &options)
}

fn sensor(triggers: Value) -> Derived {
    derived(
        "Sensor",
        json!({
            "template": { "serviceAccountName": "sa" },
            "dependencies": [{ "name": "d", "eventSourceName": "s", "eventName": "e" }],
            "triggers": triggers,
        }),
    )
}

/// `Role namespace: verbs resource.group[names]; …` of every role.
fn roles(derived: &Derived) -> Vec<String> {
    let roles = derived.objects.iter().filter(|object| {
        let kind = object["kind"].as_str().unwrap();
        !kind.ends_with("Binding")
    });
    roles
        .map(|role| {
            let text = |value: &Value| value.as_str().unwrap_or("*").to_owned();
            let list = |value: &Value| {
                let items = value.as_array().into_iter().flatten();
                items.map(text).collect::<Vec<_>>().join(",")
            };
            let rules: Vec<String> = role["rules"]
                .as_array()
                .unwrap()
                .iter()
                .map(|rule| {
                    let names = list(&rule["resourceNames"]);
                    let names = if names.is_empty() {
                        names
                    } else {
                        format!("[{names}]")
                    };
                    format!(
                        "{} {}.{}{names}",
                        list(&rule["verbs"]),
                        list(&rule["resources"]),
                        list(&rule["apiGroups"])
                    )
                })
                .collect();
            format!(
                "{} {}: {}",
                text(&role["kind"]),
                text(&role["metadata"]["namespace"]),
                rules.join("; ")
            )
        })
        .collect()
}

fn k8s(operation: &str, object: Value, parameters: Value) -> Value {
    json!([{ "template": { "name": "t", "k8s": {
        "operation": operation, "source": { "resource": object }, "parameters": parameters,
    }}}])
}

fn workflow(operation: &str, object: Value, args: Value) -> Value {
    json!([{ "template": { "name": "t", "argoWorkflow": {
        "operation": operation, "source": { "resource": object }, "args": args,
    }}}])
}

fn named(api_version: &str, kind: &str, name: &str) -> Value {
    json!({ "apiVersion": api_version, "kind": kind, "metadata": { "name": name } })
}

fn dest(dest: &str) -> Value {
    json!([{ "src": { "dependencyName": "d", "dataKey": "a" }, "dest": dest }])
}

#[test]
fn an_operation_on_an_object_needs_its_verbs_and_no_others() {
    let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "generateName": "p-" } });
    let web = named("apps/v1", "Deployment", "web");
    let mut other = web.clone();
    other["metadata"]["namespace"] = json!("prod");
    let node = named("v1", "Node", "n1");
    for (triggers, wanted) in [
        (
            k8s("create", pod.clone(), json!([])),
            vec!["Role events: get,create pods."],
        ),
        (
            k8s("", web.clone(), json!([])),
            vec!["Role events: create deployments.apps; get deployments.apps[web]"],
        ),
        (
            k8s("update", web.clone(), json!([])),
            vec!["Role events: create deployments.apps; get,update deployments.apps[web]"],
        ),
        (
            k8s("patch", other.clone(), json!([])),
            vec!["Role prod: create deployments.apps; patch deployments.apps[web]"],
        ),
        (
            k8s("patch", web.clone(), dest("metadata.name")),
            vec!["Role events: create,patch deployments.apps"],
        ),
        (
            k8s("delete", web.clone(), dest("metadata.namespace")),
            vec!["ClusterRole *: delete deployments.apps[web]"],
        ),
        (
            k8s("delete", node, json!([])),
            vec!["ClusterRole *: delete nodes.[n1]"],
        ),
        (k8s("create", web.clone(), dest("kind")), vec![]),
        (
            workflow(
                "submit",
                json!({ "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": { "generateName": "a-" } }),
                json!([]),
            ),
            vec!["Role events: get,create workflows.argoproj.io"],
        ),
        (
            workflow(
                "submit-from",
                named("argoproj.io/v1alpha1", "WorkflowTemplate", "w"),
                json!([]),
            ),
            vec!["Role events: get,create workflows.argoproj.io"],
        ),
        (
            workflow(
                "submit-from",
                named("argoproj.io/v1alpha1", "CronWorkflow", "w"),
                json!([]),
            ),
            vec![
                "Role events: get cronworkflows.argoproj.io[w]; update cronworkflows/finalizers.argoproj.io[w]; get,create workflows.argoproj.io",
            ],
        ),
        (
            workflow(
                "suspend",
                named("argoproj.io/v1alpha1", "Workflow", "w"),
                json!([]),
            ),
            vec!["Role events: get,patch workflows.argoproj.io[w]"],
        ),
        (
            workflow(
                "stop",
                named("argoproj.io/v1alpha1", "Workflow", "w"),
                json!([]),
            ),
            vec!["Role events: get,patch workflows.argoproj.io[w]"],
        ),
        (
            json!([{ "template": { "name": "t", "log": {} }, "dlqTrigger": k8s("create", pod, json!([]))[0] }]),
            vec!["Role events: get,create pods."],
        ),
        (
            json!([{ "template": { "name": "t", "http": { "url": "http://a", "payload": [] } } }]),
            vec![],
        ),
    ] {
        let shown = triggers.to_string();
        assert_eq!(roles(&sensor(triggers)), wanted, "{shown}");
    }
}

#[test]
fn every_role_is_bound_to_the_account_of_the_object() {
    let web = named("apps/v1", "Deployment", "web");
    let derived = sensor(k8s("delete", web, json!([])));
    let binding = &derived.objects[1];
    assert_eq!(binding["kind"], "RoleBinding");
    assert_eq!(
        binding["roleRef"]["name"],
        derived.objects[0]["metadata"]["name"]
    );
    assert_eq!(
        binding["subjects"],
        json!([{ "kind": "ServiceAccount", "name": "sa", "namespace": "events" }])
    );
    assert!(derived.notes.is_empty(), "{:?}", derived.notes);
}

#[test]
fn a_resource_source_lists_and_watches() {
    let derived = derived(
        "EventSource",
        json!({ "resource": {
            "a": { "namespace": "one", "group": "apps", "version": "v1", "resource": "deployments", "eventTypes": ["ADD"] },
            "b": { "version": "v1", "resource": "pods", "eventTypes": ["ADD"] },
        }}),
    );
    assert_eq!(
        roles(&derived),
        [
            "Role one: list,watch deployments.apps",
            "ClusterRole *: list,watch pods."
        ]
    );
}

#[test]
fn what_cannot_be_known_is_said() {
    for (triggers, says) in [
        (
            k8s("create", named("v1", "Pod", "p"), dest("apiVersion")),
            "takes the object's apiVersion from the event",
        ),
        (
            k8s(
                "create",
                named("v1", "Pod", "p"),
                dest("metadata.namespace"),
            ),
            "takes the namespace from the event",
        ),
        (
            json!([{ "template": { "name": "t", "k8s": { "source": { "configmap": { "name": "c", "key": "k" } } } } }]),
            "reads its object when it fires",
        ),
        (
            json!([{ "parameters": dest("k8s.operation"), "template": k8s("create", named("v1", "Pod", "p"), json!([]))[0]["template"] }]),
            "takes its operation from the event",
        ),
        (
            k8s(
                "create",
                named("rbac.authorization.k8s.io/v1", "Role", "r"),
                json!([]),
            ),
            "makes rights",
        ),
    ] {
        let notes = sensor(triggers).notes.join("\n");
        assert!(notes.contains(says), "{says}: {notes}");
    }
}

#[test]
fn a_cluster_that_is_asked_knows_better() {
    let document = Document::from_object(json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Sensor", "metadata": { "name": "x" },
        "spec": {
            "dependencies": [{ "name": "d", "eventSourceName": "s", "eventName": "e" }],
            "triggers": k8s("delete", named("example.com/v1", "Sheep", "s"), json!([])),
        },
    }));
    let options = Options {
        namespace: "default",
        account: Some(("pool".to_owned(), "tiphys".to_owned())),
        lookup: &|version, kind| {
            (version == "example.com/v1" && kind == "Sheep").then(|| Resource {
                group: "example.com".to_owned(),
                plural: "sheep".to_owned(),
                namespaced: false,
            })
        },
    };
    let derived = derive(&[document], &options);
    assert_eq!(
        roles(&derived),
        ["ClusterRole *: delete sheep.example.com[s]"]
    );
    assert_eq!(derived.objects[1]["subjects"][0]["namespace"], "pool");
}

#[test]
fn a_wrong_object_is_told_and_harms_no_other() {
    let sensor = |name: &str, spec: Value| {
        Document::from_object(json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Sensor", "metadata": { "name": name }, "spec": spec,
        }))
    };
    let options = Options {
        namespace: "default",
        account: None,
        lookup: &|_, _| None,
    };
    let good = json!({
        "dependencies": [{ "name": "d", "eventSourceName": "s", "eventName": "e" }],
        "triggers": k8s("delete", named("v1", "Pod", "p"), json!([])),
    });
    let derived = derive(&[sensor("bad", json!({})), sensor("good", good)], &options);
    assert_eq!((derived.looked_at, derived.wrong.len()), (2, 1));
    let said = &derived.wrong[0];
    assert!(said.starts_with("Sensor default/bad is wrong"), "{said}");
    assert!(said.contains("spec.triggers"), "{said}");
    assert_eq!(roles(&derived), ["Role default: delete pods.[p]"]);
}

#[test]
fn args_say_which_workflows_and_where() {
    let target = || named("argoproj.io/v1alpha1", "Workflow", "w");
    for (operation, args, wanted) in [
        (
            "submit",
            json!([]),
            "Role events: create workflows.argoproj.io; get workflows.argoproj.io[w]",
        ),
        (
            "submit",
            json!(["--name", "v", "-w"]),
            "Role events: get workflows.argoproj.io[v]; list,watch,create workflows.argoproj.io",
        ),
        (
            "submit",
            json!(["--generate-name=v-", "-n", "other"]),
            "Role other: get,create workflows.argoproj.io",
        ),
        (
            "terminate",
            json!(["v", "--namespace=other"]),
            "Role other: get,patch workflows.argoproj.io[v,w]",
        ),
        (
            "stop",
            json!(["-l", "a=b"]),
            "Role events: get,list,patch workflows.argoproj.io",
        ),
        (
            "suspend",
            json!(["@latest"]),
            "Role events: get,list,patch workflows.argoproj.io",
        ),
        (
            "retry",
            json!(["--field-selector", "metadata.name=x"]),
            "Role events: delete pods.; get,list,patch workflows.argoproj.io",
        ),
        (
            "resubmit",
            json!([]),
            "Role events: get,create workflows.argoproj.io",
        ),
    ] {
        let shown = format!("{operation} {args}");
        let derived = sensor(workflow(operation, target(), args));
        assert_eq!(roles(&derived), [wanted], "{shown}");
    }
}

#[test]
fn args_of_an_event_matter_only_where_they_name_something() {
    let with = |operation: &str, args: Value, set: &str| {
        let target = named("argoproj.io/v1alpha1", "Workflow", "w");
        let mut triggers = workflow(operation, target, args);
        triggers[0]["parameters"] = dest(set);
        sensor(triggers)
    };
    let value = with("submit", json!(["-p", "a=b"]), "argoWorkflow.args.1");
    assert_eq!(
        roles(&value),
        ["Role events: create workflows.argoproj.io; get workflows.argoproj.io[w]"]
    );
    assert_eq!(value.notes, Vec::<String>::new());
    let name = with("stop", json!(["v"]), "argoWorkflow.args.0");
    assert_eq!(
        roles(&name),
        ["Role events: get,patch workflows.argoproj.io"]
    );
    for (args, set) in [
        (json!(["-n", "x"]), "argoWorkflow.args.1"),
        (json!([]), "argoWorkflow.args"),
        (json!([]), "argoWorkflow.args.-1"),
    ] {
        let unknown = with("submit", args, set);
        assert_eq!(roles(&unknown), Vec::<String>::new(), "{set}");
        let notes = unknown.notes.join("\n");
        assert!(notes.contains("takes its args from the event"), "{notes}");
    }
}
