//! `gerrit` receives the webhooks of Gerrit.
//!
//! ```yaml
//! gerrit:
//!   example:
//!     webhook:
//!       endpoint: /push
//!       port: "13000"
//!       method: POST
//!     hookName: events
//!     gerritBaseURL: https://gerrit.example.com
//!     projects:
//!     - project
//!     events:
//!     - patchset-created
//!     auth:
//!       username:
//!         name: gerrit
//!         key: username
//!       password:
//!         name: gerrit
//!         key: password
//! ```
//!
//! This kind is read and checked; running it is not supported yet.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tiphys_core::Problems;
use tiphys_core::spec::BasicAuthSpec;

use crate::context::{self, WebhookContext};
use crate::source::{Replicas, SourceSpec};
use crate::sources::shared::{check_list, check_optional};
use crate::spec::FilterSpec;

/// Webhooks of Gerrit.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Gerrit {
    /// Where the hook is received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookContext>,
    /// The name of the hook in Gerrit.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hook_name: String,
    /// The events, as patchset-created.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    /// How to reach the API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<BasicAuthSpec>,
    /// The server.
    #[serde(rename = "gerritBaseURL", skip_serializing_if = "String::is_empty")]
    pub gerrit_base_url: String,
    /// Delete the hook when the source stops.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub delete_hook_on_finish: bool,
    /// Copied into the event data.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// The projects.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub projects: Vec<String>,
    /// Gerrit verifies the certificate of the hook.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ssl_verify: bool,
    /// How often Gerrit tries to deliver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tries: Option<i64>,
    /// Drops events that do not meet a condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<FilterSpec>,
}

impl SourceSpec for Gerrit {
    const KIND: &'static str = "gerrit";
    const REPLICAS: Replicas = Replicas::Many;

    fn validate(&self, problems: &mut Problems) {
        check_list(
            "projects",
            &self.projects,
            " that names a project",
            problems,
        );
        check_list("events", &self.events, ", as patchset-created", problems);
        problems.require(
            "gerritBaseURL",
            &self.gerrit_base_url,
            ", as https://gerrit.example.com",
        );
        problems.require_some("auth", self.auth.as_ref(), ", with username and password");
        check_optional("auth", self.auth.as_ref(), problems);
        context::validate(self.webhook.as_ref(), problems);
        FilterSpec::validate(self.filter.as_ref(), problems);
    }

    fn filter(&self) -> Option<&str> {
        self.filter
            .as_ref()
            .map(|filter| filter.expression.as_str())
    }
}
