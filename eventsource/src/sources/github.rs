//! `github` receives the webhooks of GitHub.
//!
//! ```yaml
//! github:
//!   example:
//!     webhook:
//!       endpoint: /push
//!       port: "12000"
//!       method: POST
//!       url: https://events.example.com
//!     repositories:
//!     - owner: me
//!       names:
//!       - project
//!     events:
//!     - push
//!     apiToken:
//!       name: github
//!       key: token
//!     webhookSecret:
//!       name: github
//!       key: secret
//!     contentType: json
//!     active: true
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

/// Webhooks of GitHub.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Github {
    /// Not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<i64>,
    /// Where the hook is received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookContext>,
    /// The owner of the one repository. Write `repositories` instead.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub owner: String,
    /// The one repository. Write `repositories` instead.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub repository: String,
    /// The events, as push; `*` for all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    /// The token for the API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_token: Option<KeyRef>,
    /// The secret that signs the hooks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_secret: Option<KeyRef>,
    /// GitHub does not verify the certificate of the hook.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub insecure: bool,
    /// The hook is active.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub active: bool,
    /// `json` or `form`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub content_type: String,
    /// The API of GitHub Enterprise; needs `githubUploadURL`.
    #[serde(rename = "githubBaseURL", skip_serializing_if = "String::is_empty")]
    pub github_base_url: String,
    /// The upload API of GitHub Enterprise.
    #[serde(rename = "githubUploadURL", skip_serializing_if = "String::is_empty")]
    pub github_upload_url: String,
    /// Delete the hooks when the source stops.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub delete_hook_on_finish: bool,
    /// Copied into the event data.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// The repositories; or `organizations`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub repositories: Vec<GithubRepositories>,
    /// The organisations, hooked as a whole.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub organizations: Vec<String>,
    /// A GitHub App that reaches the API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub github_app: Option<GithubApp>,
    /// Drops events that do not meet a condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<FilterSpec>,
}

/// Repositories of one owner.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GithubRepositories {
    /// The owner.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub owner: String,
    /// Their names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
}

/// A GitHub App that reaches the API.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GithubApp {
    /// Its private key, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_key: Option<KeyRef>,
    /// Its id.
    #[serde(rename = "appID", skip_serializing_if = "Option::is_none")]
    pub app_id: Option<i64>,
    /// The id of its installation.
    #[serde(rename = "installationID", skip_serializing_if = "Option::is_none")]
    pub installation_id: Option<i64>,
}

impl SourceSpec for Github {
    const KIND: &'static str = "github";
    const REPLICAS: Replicas = Replicas::Many;

    fn validate(&self, problems: &mut Problems) {
        let single = !self.owner.is_empty() && !self.repository.is_empty();
        let repositories = single || !self.repositories.is_empty();
        match (repositories, self.organizations.is_empty()) {
            (false, true) => {
                problems.error(
                    "must have repositories, as {owner: me, names: [project]}, or organizations",
                );
            }
            (true, false) => {
                problems.error("must have one of repositories and organizations, not both");
            }
            _ => {}
        }
        let url = self
            .webhook
            .as_ref()
            .is_some_and(|webhook| !webhook.url.is_empty());
        if url && (self.api_token.is_some() || self.github_app.is_some()) {
            check_list("events", &self.events, ", as push, or *", problems);
        }
        if !matches!(self.content_type.as_str(), "" | "json" | "form") {
            problems.at("contentType", |problems| {
                problems.error("must be json or form");
            });
        }
        match (
            self.github_base_url.is_empty(),
            self.github_upload_url.is_empty(),
        ) {
            (true, false) => problems.require("githubBaseURL", "", " where githubUploadURL is"),
            (false, true) => problems.require("githubUploadURL", "", " where githubBaseURL is"),
            _ => {}
        }
        check_ref("apiToken", self.api_token.as_ref(), problems);
        check_ref("webhookSecret", self.webhook_secret.as_ref(), problems);
        if let Some(app) = &self.github_app {
            problems.at("githubApp", |problems| {
                check_ref("privateKey", app.private_key.as_ref(), problems);
            });
        }
        context::validate(self.webhook.as_ref(), problems);
        FilterSpec::validate(self.filter.as_ref(), problems);
    }

    fn filter(&self) -> Option<&str> {
        self.filter
            .as_ref()
            .map(|filter| filter.expression.as_str())
    }
}
