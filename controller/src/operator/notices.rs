//! Kubernetes Events on the users' objects: what was done, and what went wrong. A lost one harms nothing.

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tiphys_core::tasks::chain;

use super::known::Known;
use crate::check::API_VERSION;

/// How the controller is called in them.
const CONTROLLER: &str = "tiphys-controller";

/// The API server takes no longer note.
const LONGEST_NOTE: usize = 1000;

/// Whether somebody should look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    Normal,
    Warning,
}

/// Writes Events.
#[derive(Clone)]
pub(crate) struct Notices {
    client: Client,
    identity: String,
}

impl Notices {
    pub(crate) const fn new(client: Client, identity: String) -> Self {
        Self { client, identity }
    }

    /// Writes one.
    pub(crate) async fn say(
        &self,
        about: &Known,
        weight: Weight,
        action: &str,
        reason: &str,
        note: &str,
    ) {
        let now = Timestamp::now();
        let namespace = &about.key.namespace;
        let name: String = about.key.name.chars().take(220).collect();
        let event = Event {
            metadata: ObjectMeta {
                name: Some(format!("{name}.{:x}", now.as_nanosecond())),
                namespace: Some(namespace.clone()),
                ..ObjectMeta::default()
            },
            action: Some(action.to_owned()),
            event_time: Some(MicroTime(now)),
            note: Some(short(note)),
            reason: Some(reason.to_owned()),
            regarding: Some(ObjectReference {
                api_version: Some(API_VERSION.to_owned()),
                kind: Some(about.key.kind.as_str().to_owned()),
                name: Some(about.key.name.clone()),
                namespace: Some(namespace.clone()),
                uid: Some(about.uid.clone()),
                ..ObjectReference::default()
            }),
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(self.identity.chars().take(128).collect()),
            type_: Some(
                match weight {
                    Weight::Normal => "Normal",
                    Weight::Warning => "Warning",
                }
                .to_owned(),
            ),
            ..Event::default()
        };
        let api = Api::<Event>::namespaced(self.client.clone(), namespace);
        if let Err(error) = api.create(&PostParams::default(), &event).await {
            tracing::debug!(error = %chain(&error), "cannot write an event");
        }
    }
}

fn short(note: &str) -> String {
    if note.len() <= LONGEST_NOTE {
        return note.to_owned();
    }
    let mut short: String = note.chars().take(LONGEST_NOTE / 4).collect();
    short.push('…');
    short
}
