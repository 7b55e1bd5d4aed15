//! Rights are the least that works: each verb of a role is taken away, and something fails for the lack of it, with a
//! message that names it.

mod controller;
mod pooled;
mod printed;
mod scene;
mod sensor;

use async_nats::jetstream;
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::{Value, json};
use tiphys_tests::nats::Nats;
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

/// Makes the stream of a bus, with one event in it.
async fn send(bus: &Nats) {
    let context = jetstream::new(bus.connect().await);
    let stream = jetstream::stream::Config {
        name: "default".to_owned(),
        subjects: vec!["default.*.*".to_owned()],
        ..jetstream::stream::Config::default()
    };
    context.create_stream(stream).await.unwrap();
    let event = json!({
        "specversion": "1.0", "id": "1", "source": "in", "type": "webhook", "subject": "in",
        "datacontenttype": "application/json", "time": "2024-01-01T00:00:00Z",
        "data": { "body": {} },
    });
    let sent = context.publish("default.in.in", event.to_string().into());
    sent.await.unwrap().await.unwrap();
}
