//! Reads back what was created. It creates nothing.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::{Api, Client};

use super::manifests::{NAMESPACE, ONE, PAIR};
use crate::argo_crds::argo;

const PAGE: u32 = 1000;

/// Objects by the event that they were made for.
#[derive(Debug, Default, Clone)]
pub(super) struct Found {
    /// Of the trigger for each event: how many objects an event has.
    pub(super) one: BTreeMap<String, usize>,
    /// Of the trigger for pairs: in how many objects an event takes part.
    pub(super) halves: BTreeMap<String, usize>,
    /// Objects that have not one event, or not two.
    pub(super) strange: Vec<String>,
}

fn api(client: Client, workflows: bool) -> Api<DynamicObject> {
    let kind = if workflows {
        argo("Workflow")
    } else {
        ApiResource::erase::<ConfigMap>(&())
    };
    Api::namespaced_with(client, NAMESPACE, &kind)
}

/// How many there are, without reading them, where the server says so.
pub(super) async fn count(client: Client, workflows: bool) -> Option<usize> {
    let page = api(client, workflows)
        .list(&ListParams::default().limit(1))
        .await
        .ok()?;
    let rest = page.metadata.remaining_item_count.unwrap_or(0);
    Some(page.items.len() + usize::try_from(rest).unwrap_or(0))
}

/// All of them.
pub(super) async fn read(client: Client, workflows: bool) -> kube::Result<Found> {
    let (api, mut found) = (api(client, workflows), Found::default());
    let mut params = ListParams::default().limit(PAGE);
    loop {
        let page = api.list(&params).await?;
        for object in &page.items {
            take(object, &mut found);
        }
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(found),
        }
    }
}

fn take(object: &DynamicObject, found: &mut Found) {
    let annotation = |key: &str| {
        let annotations = object.metadata.annotations.as_ref();
        annotations
            .and_then(|all| all.get(key))
            .map_or("", String::as_str)
    };
    let ids: Vec<&str> = annotation("tiphys.dev/event-ids").split(',').collect();
    let (events, expected) = match annotation("tiphys.dev/trigger") {
        ONE => (&mut found.one, 1),
        PAIR => (&mut found.halves, 2),
        // Not ours, such as the certificates that every namespace has.
        _ => return,
    };
    if ids.len() != expected {
        let name = object.metadata.name.clone().unwrap_or_default();
        found.strange.push(format!("{name}: {ids:?}"));
    }
    for id in ids {
        *events.entry(id.to_owned()).or_default() += 1;
    }
}
