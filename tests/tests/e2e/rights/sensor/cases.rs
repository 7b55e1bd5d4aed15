//! What Sensors do in the test of their rights, the rights that `tiphys rbac` prints for each, and when each right is used.
//! It runs nothing.

use serde_json::{Value, json};

/// What is there when the trigger fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scene {
    /// The object that it acts on.
    There,
    /// Nothing.
    Absent,
    /// What a firing of the same event has made before.
    Twice,
}

use Scene::{Absent, There, Twice};

/// One right, and a scene in which it is used.
pub(super) type Right = (&'static str, &'static str, Scene);

/// A trigger.
pub(super) struct Case {
    pub(super) name: &'static str,
    /// The trigger without the template's name.
    pub(super) trigger: Value,
    /// The object that it acts on, as it is there before.
    pub(super) there: Value,
    /// Every right that is printed.
    pub(super) rights: Vec<Right>,
    /// The scene in which it works.
    pub(super) works: Scene,
}

/// Stands for the Sensor's namespace.
pub(super) const NAMESPACE: &str = "NAMESPACE";
/// Stands for the address of a server.
pub(super) const SINK: &str = "SINK";

const MAPS: &str = "configmaps";
const WORKFLOWS: &str = "workflows";

/// A Sensor's Workflow from a mounted ConfigMap.
pub(super) fn mounted_workflow() -> Value {
    ours(
        "Workflow",
        json!({ "generateName": "mounted-" }),
        json!({ "entrypoint": "main" }),
    )
}

fn ours(kind: &str, metadata: Value, spec: Value) -> Value {
    json!({ "apiVersion": "argoproj.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec })
}

fn map(metadata: &Value) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": { "a": "b" } })
}

fn target() -> Value {
    map(&json!({ "name": "target", "labels": { "state": "good" } }))
}

fn k8s(operation: &str, object: Value, extra: Value) -> Value {
    let mut spec = json!({ "operation": operation, "source": { "resource": object } });
    merge(&mut spec, extra);
    json!({ "template": { "k8s": spec } })
}

fn merge(into: &mut Value, more: Value) {
    let Value::Object(more) = more else { return };
    for (key, value) in more {
        into[key] = value;
    }
}

fn argo(operation: &str, kind: &str, args: &[&str]) -> Value {
    let source = json!({ "apiVersion": "argoproj.io/v1alpha1", "kind": kind, "metadata": { "name": "target" } });
    json!({ "template": { "argoWorkflow": { "operation": operation, "source": { "resource": source }, "args": args } } })
}

fn workflow(status: Value) -> Value {
    let labels = json!({ "name": "target", "labels": { "app": "x" } });
    let spec = json!({
        "entrypoint": "main",
        "templates": [{ "name": "main", "container": { "image": "busybox" } }],
    });
    let mut object = ours("Workflow", labels, spec);
    object["status"] = status;
    object
}

fn running() -> Value {
    workflow(json!({ "phase": "Running" }))
}

fn failed() -> Value {
    workflow(
        json!({ "phase": "Failed", "finishedAt": "2024-01-01T00:00:00Z", "nodes": { "target": {
            "id": "target", "name": "target", "displayName": "target", "type": "Pod", "phase": "Failed", "templateName": "main",
        } } }),
    )
}

fn held() -> Value {
    let mut object = running();
    object["spec"]["suspend"] = json!(true);
    object
}

fn template(kind: &str) -> Value {
    let spec = match kind {
        "CronWorkflow" => {
            json!({ "schedule": "0 0 1 1 *", "workflowSpec": { "entrypoint": "main" } })
        }
        _ => json!({ "entrypoint": "main" }),
    };
    ours(kind, json!({ "name": "target" }), spec)
}

fn case(name: &'static str, works: Scene, trigger: Value, there: Value, rights: &[Right]) -> Case {
    Case {
        name,
        trigger,
        there,
        rights: rights.to_vec(),
        works,
    }
}

/// Every operation of both kinds of trigger, and what is read from mounted files.
pub(super) fn cases() -> Vec<Case> {
    [
        objects(),
        made_workflows(),
        workflows_that_are_there(),
        mounted(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn objects() -> Vec<Case> {
    let patch = |strategy: &str| {
        let extra = json!({ "patchStrategy": strategy });
        k8s("patch", target(), extra)
    };
    let mut with_policy = k8s("create", target(), json!({}));
    with_policy["policy"] = json!({ "k8s": {
        "labels": { "state": "good" }, "backoff": { "steps": 3, "duration": "1s" }, "errorOnBackoffTimeout": true,
    } });
    let mut operations = target();
    operations["patch"] = json!([{ "op": "add", "path": "/data/c", "value": "d" }]);
    let live = json!({ "liveObject": true });
    let class = json!({
        "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": { "name": NAMESPACE }, "value": 7,
    });
    vec![
        case(
            "create",
            Absent,
            k8s("create", target(), json!({})),
            target(),
            &[(MAPS, "get", There), (MAPS, "create", Absent)],
        ),
        case(
            "generated",
            Absent,
            k8s("", map(&json!({ "generateName": "made-" })), json!({})),
            Value::Null,
            &[(MAPS, "get", Twice), (MAPS, "create", Absent)],
        ),
        // Without a policy nothing looks at what was made.
        case(
            "policy",
            Absent,
            with_policy,
            target(),
            &[(MAPS, "get", Absent), (MAPS, "create", Absent)],
        ),
        case(
            "update",
            There,
            k8s("update", target(), json!({})),
            target(),
            &[
                (MAPS, "get", There),
                (MAPS, "create", Absent),
                (MAPS, "update", There),
            ],
        ),
        case(
            "live",
            There,
            k8s("update", target(), live),
            target(),
            &[(MAPS, "get", There), (MAPS, "update", There)],
        ),
        case(
            "patch",
            There,
            k8s("patch", target(), json!({})),
            target(),
            &[(MAPS, "create", Absent), (MAPS, "patch", There)],
        ),
        case(
            "apply",
            There,
            patch("application/apply-patch+yaml"),
            target(),
            &[(MAPS, "create", Absent), (MAPS, "patch", There)],
        ),
        case(
            "jsonpatch",
            There,
            patch("application/json-patch+json"),
            target(),
            &[
                (MAPS, "get", There),
                (MAPS, "create", Absent),
                (MAPS, "patch", There),
            ],
        ),
        case(
            "operations",
            There,
            k8s(
                "patch",
                operations,
                json!({ "patchStrategy": "application/json-patch+json" }),
            ),
            target(),
            &[(MAPS, "patch", There)],
        ),
        case(
            "delete",
            There,
            k8s("delete", target(), json!({})),
            target(),
            &[(MAPS, "delete", There)],
        ),
        case(
            "nowhere",
            Absent,
            k8s("create", class.clone(), json!({})),
            class,
            &[
                ("priorityclasses", "get", There),
                ("priorityclasses", "create", Absent),
            ],
        ),
    ]
}

fn made_workflows() -> Vec<Case> {
    vec![
        case(
            "submit",
            Absent,
            argo("submit", "Workflow", &[]),
            running(),
            &[(WORKFLOWS, "get", There), (WORKFLOWS, "create", Absent)],
        ),
        case(
            "wait",
            Absent,
            argo("submit", "Workflow", &["--wait"]),
            running(),
            &[
                (WORKFLOWS, "get", There),
                (WORKFLOWS, "list", Absent),
                (WORKFLOWS, "watch", Absent),
                (WORKFLOWS, "create", Absent),
            ],
        ),
        case(
            "from-cron",
            There,
            argo("submit-from", "CronWorkflow", &[]),
            template("CronWorkflow"),
            &[
                ("cronworkflows", "get", There),
                // The Workflow is the CronWorkflow's, and the server wants to know that it may be.
                ("cronworkflows/finalizers", "update", There),
                (WORKFLOWS, "get", Twice),
                (WORKFLOWS, "create", There),
            ],
        ),
        case(
            "from-template",
            There,
            argo("submit-from", "WorkflowTemplate", &[]),
            template("WorkflowTemplate"),
            &[(WORKFLOWS, "get", Twice), (WORKFLOWS, "create", There)],
        ),
        case(
            "resubmit",
            There,
            argo("resubmit", "Workflow", &[]),
            failed(),
            &[(WORKFLOWS, "get", There), (WORKFLOWS, "create", There)],
        ),
    ]
}

fn workflows_that_are_there() -> Vec<Case> {
    let get = (WORKFLOWS, "get", There);
    let list = (WORKFLOWS, "list", There);
    let patch = (WORKFLOWS, "patch", There);
    let each = |name, operation, args: &[&str], there, rights: &[Right]| {
        case(
            name,
            There,
            argo(operation, "Workflow", args),
            there,
            rights,
        )
    };
    vec![
        each(
            "retry",
            "retry",
            &[],
            failed(),
            &[("pods", "delete", There), get, patch],
        ),
        each("resume", "resume", &[], held(), &[get, patch]),
        each("suspend", "suspend", &[], running(), &[get, patch]),
        each("stop", "stop", &[], running(), &[get, patch]),
        each("terminate", "terminate", &[], running(), &[get, patch]),
        each(
            "selected",
            "stop",
            &["-l", "app=x"],
            running(),
            &[get, list, patch],
        ),
        each(
            "latest",
            "suspend",
            &["@latest"],
            running(),
            &[get, list, patch],
        ),
    ]
}

/// What pods have as files is not asked of the API: no right to ConfigMaps or Secrets is needed.
fn mounted() -> Vec<Case> {
    let from = json!({ "template": { "argoWorkflow": {
        "operation": "submit", "source": { "configmap": { "name": "from", "key": "workflow" } },
    } } });
    let http = json!({ "template": { "http": {
        "url": SINK, "method": "POST",
        "payload": [{ "src": { "dependencyName": "in", "dataKey": "body" }, "dest": "body" }],
        "secureHeaders": [{ "name": "x-token", "valueFrom": { "secretKeyRef": { "name": "from", "key": "token" } } }],
    } } });
    vec![
        case(
            "configmap",
            Absent,
            from,
            Value::Null,
            &[(WORKFLOWS, "get", Twice), (WORKFLOWS, "create", Absent)],
        ),
        case("secret", Absent, http, Value::Null, &[]),
    ]
}
