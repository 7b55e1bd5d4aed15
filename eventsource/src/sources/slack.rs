//! `slack` receives the events, interactions and commands of Slack.
//!
//! ```yaml
//! slack:
//!   example:
//!     webhook:
//!       endpoint: /
//!       port: "12000"
//!       method: POST
//!     token:
//!       name: slack
//!       key: token
//!     signingSecret:
//!       name: slack
//!       key: signingSecret
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
use crate::spec::FilterSpec;

/// Events, interactions and commands of Slack.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Slack {
    /// The secret that signs the requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_secret: Option<KeyRef>,
    /// The verification token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<KeyRef>,
    /// Where the hook is received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookContext>,
    /// Copied into the event data.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Drops events that do not meet a condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<FilterSpec>,
}

impl SourceSpec for Slack {
    const KIND: &'static str = "slack";
    const REPLICAS: Replicas = Replicas::Many;

    fn validate(&self, problems: &mut Problems) {
        problems.require_some("token", self.token.as_ref(), ", as {name, key}");
        problems.require_some(
            "signingSecret",
            self.signing_secret.as_ref(),
            ", as {name, key}",
        );
        check_ref("token", self.token.as_ref(), problems);
        check_ref("signingSecret", self.signing_secret.as_ref(), problems);
        context::validate(self.webhook.as_ref(), problems);
        FilterSpec::validate(self.filter.as_ref(), problems);
    }

    fn filter(&self) -> Option<&str> {
        self.filter
            .as_ref()
            .map(|filter| filter.expression.as_str())
    }
}
