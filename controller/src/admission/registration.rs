//! Tells the API server which authority to trust: the `caBundle` of the webhook configuration.
//! The configuration itself comes from the manifests; only this one field is written.

use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Registered {
    /// It was so already.
    Unchanged,
    /// The API server learns it now.
    Changed,
    /// There is no such configuration yet.
    Absent,
}

/// Makes every webhook of the configuration trust the authorities of the bundle.
pub(crate) async fn register(
    client: &Client,
    configuration: &str,
    bundle: &str,
) -> kube::Result<Registered> {
    let api = Api::<ValidatingWebhookConfiguration>::all(client.clone());
    let Some(found) = api.get_opt(configuration).await? else {
        return Ok(Registered::Absent);
    };
    let bundle = ByteString(bundle.as_bytes().to_vec());
    let webhooks = found.webhooks.unwrap_or_default();
    let others: Vec<Value> = webhooks
        .iter()
        .filter(|webhook| webhook.client_config.ca_bundle.as_ref() != Some(&bundle))
        .map(|webhook| json!({ "name": webhook.name, "clientConfig": { "caBundle": bundle } }))
        .collect();
    if others.is_empty() {
        return Ok(Registered::Unchanged);
    }
    let patch = Patch::Strategic(json!({ "webhooks": others }));
    api.patch(configuration, &PatchParams::default(), &patch)
        .await?;
    Ok(Registered::Changed)
}
