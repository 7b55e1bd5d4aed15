//! `stripe` receives the webhooks of Stripe.
//!
//! ```yaml
//! stripe:
//!   example:
//!     webhook:
//!       endpoint: /
//!       port: "12000"
//!       method: POST
//!     eventFilter:
//!     - charge.succeeded
//! ```
//!
//! This kind is read and checked; running it is not supported yet.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tiphys_core::Problems;
use tiphys_core::refs::KeyRef;

use crate::context::{self, WebhookContext};
use crate::source::{Replicas, SourceSpec};
use crate::sources::shared::check_ref;

/// Webhooks of Stripe.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Stripe {
    /// Where the hook is received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookContext>,
    /// Register the hook; needs `apiKey`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub create_webhook: bool,
    /// The key for the API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<KeyRef>,
    /// The event types; all where it is empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub event_filter: Vec<String>,
    /// Copied into the event data.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

impl SourceSpec for Stripe {
    const KIND: &'static str = "stripe";
    const REPLICAS: Replicas = Replicas::Many;

    fn validate(&self, problems: &mut Problems) {
        if self.create_webhook {
            problems.require_some(
                "apiKey",
                self.api_key.as_ref(),
                " where createWebhook is, as {name, key}",
            );
        }
        check_ref("apiKey", self.api_key.as_ref(), problems);
        context::validate(self.webhook.as_ref(), problems);
    }
}
