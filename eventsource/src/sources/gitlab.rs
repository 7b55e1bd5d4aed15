//! `gitlab` receives the webhooks of GitLab.
//!
//! ```yaml
//! gitlab:
//!   example:
//!     webhook:
//!       endpoint: /push
//!       port: "12000"
//!       method: POST
//!       url: https://events.example.com
//!     projects:
//!     - me/project
//!     events:
//!     - PushEvents
//!     accessToken:
//!       name: gitlab
//!       key: token
//!     gitlabBaseURL: https://gitlab.com
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
use crate::sources::shared::{check_list, check_ref};
use crate::spec::FilterSpec;

/// Webhooks of GitLab.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Gitlab {
    /// Where the hook is received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookContext>,
    /// The one project. Write `projects` instead.
    #[serde(rename = "projectID", skip_serializing_if = "String::is_empty")]
    pub project_id: String,
    /// The events, as PushEvents.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    /// The token for the API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_token: Option<KeyRef>,
    /// GitLab verifies the certificate of the hook.
    #[serde(
        rename = "enableSSLVerification",
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub enable_ssl_verification: bool,
    /// The server, as https://gitlab.com.
    #[serde(rename = "gitlabBaseURL", skip_serializing_if = "String::is_empty")]
    pub gitlab_base_url: String,
    /// Delete the hooks when the source stops.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub delete_hook_on_finish: bool,
    /// Copied into the event data.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// The projects, by id or path.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub projects: Vec<String>,
    /// The token that GitLab shows with each hook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_token: Option<KeyRef>,
    /// The groups, by id or name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Drops events that do not meet a condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<FilterSpec>,
}

impl SourceSpec for Gitlab {
    const KIND: &'static str = "gitlab";
    const REPLICAS: Replicas = Replicas::Many;

    fn validate(&self, problems: &mut Problems) {
        check_list("events", &self.events, ", as PushEvents", problems);
        problems.require(
            "gitlabBaseURL",
            &self.gitlab_base_url,
            ", as https://gitlab.com",
        );
        problems.require_some(
            "accessToken",
            self.access_token.as_ref(),
            ", as {name, key}",
        );
        check_ref("accessToken", self.access_token.as_ref(), problems);
        check_ref("secretToken", self.secret_token.as_ref(), problems);
        context::validate(self.webhook.as_ref(), problems);
        FilterSpec::validate(self.filter.as_ref(), problems);
    }

    fn filter(&self) -> Option<&str> {
        self.filter
            .as_ref()
            .map(|filter| filter.expression.as_str())
    }
}
