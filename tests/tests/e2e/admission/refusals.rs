//! What the webhook denies: a table of objects with every problem that must be named. The rules are those of Argo's
//! webhook, so that an object that one takes is taken by the other.

use kube::Client;
use serde_json::{Value, json};
use tiphys_core::manifest;

use crate::crds::{api, create, object};

/// The kind of object that a case of the table makes.
fn whole(of: &str, is: &Value) -> (&'static str, Value) {
    let dependency = json!({"name": "d", "eventSourceName": "s", "eventName": "e"});
    let trigger = json!({"template": {"name": "t", "log": {}}});
    match of {
        "EventBus" => ("EventBus", is.clone()),
        "EventSource" => ("EventSource", is.clone()),
        "Dependency" => (
            "Sensor",
            json!({"dependencies": [is], "triggers": [trigger]}),
        ),
        "Trigger" => (
            "Sensor",
            json!({"dependencies": [dependency], "triggers": [is]}),
        ),
        other => panic!("{other}"),
    }
}

/// Tries everything; there is an EventBus `default`.
pub(super) async fn are_denied(client: &Client) {
    let mut wrong = Vec::new();
    let mut tried = 0;
    for group in manifest::parse(include_str!("refusals.yaml")).unwrap() {
        let of = group.object["of"].as_str().unwrap().to_owned();
        for case in group.object["cases"].as_array().unwrap() {
            tried += 1;
            let (kind, spec) = whole(&of, &case["is"]);
            let made = create(&api(client, kind), &object(kind, "refused", spec)).await;
            let said = match made {
                Err(kube::Error::Api(status)) => status.message,
                other => format!("{other:?}"),
            };
            let head = format!(
                "admission webhook \"webhook.tiphys.dev\" denied the request: invalid {kind}: "
            );
            let all = case["says"].as_array().unwrap();
            let named = all.iter().all(|one| said.contains(one.as_str().unwrap()));
            if !said.starts_with(&head) || !named {
                wrong.push(format!("{of} {} must say {all:?}:\n{said}", case["is"]));
            }
        }
    }
    println!("{tried} objects were tried that must be denied");
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
