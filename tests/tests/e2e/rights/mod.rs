//! Rights are the least that works: each verb of a role is taken away, and something fails for the lack of it, with a
//! message that names it.

mod controller;

use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::{Value, json};
use tiphys_tests::{ApiServer, ApiServerOptions, Authorization, Tiphys, eventually, eventually_ok};

use crate::crds::{kubectl, said};
use crate::support::LIMIT;

/// An API server that asks RBAC objects, and that wants owners to be known.
async fn server() -> ApiServer {
    ApiServer::start_with(ApiServerOptions {
        authorization: Authorization::Rbac,
        flags: vec!["--enable-admission-plugins=OwnerReferencesPermissionEnforcement".to_owned()],
    })
    .await
}

/// Makes objects as the administrator.
fn make(server: &ApiServer, objects: &[Value]) {
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": objects }).to_string();
    let made = kubectl(server, &["apply", "-f", "-"], &list);
    assert!(made.status.success(), "{}", said(&made));
}

/// An authorizer hears of new roles after a moment.
async fn until_allowed(client: &Client, user: &str, attributes: &Value) {
    eventually(
        &format!("{user} to be allowed {attributes}"),
        LIMIT,
        async || {
            let review: SubjectAccessReview = serde_json::from_value(json!({
                "spec": { "user": user, "resourceAttributes": attributes },
            }))
            .unwrap();
            let answer = Api::all(client.clone())
                .create(&PostParams::default(), &review)
                .await;
            answer.unwrap().status.unwrap().allowed.then_some(())
        },
    )
    .await;
}

/// Waits until a program has said this; quotes may be escaped, as in JSON.
async fn until_said(process: &mut Tiphys, what: &str, text: &str) {
    let escaped = text.replace('"', "\\\"");
    eventually_ok(&format!("{what} to say {text}"), LIMIT * 2, async || {
        let said = format!("{}{}", process.stdout(), process.stderr());
        if said.contains(text) || said.contains(&escaped) {
            return Ok(());
        }
        let lines: Vec<&str> = said.lines().rev().take(15).collect();
        Err(lines.join("\n"))
    })
    .await;
}
