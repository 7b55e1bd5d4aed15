//! `bitbucketserver` receives the webhooks of Bitbucket Server and Data Center.
//!
//! ```yaml
//! bitbucketserver:
//!   example:
//!     webhook:
//!       endpoint: /push
//!       port: "12000"
//!       method: POST
//!     bitbucketserverBaseURL: https://bitbucket.example.com/rest
//!     repositories:
//!     - projectKey: KEY
//!       repositorySlug: project
//!     events:
//!     - repo:refs_changed
//! ```
//!
//! This kind is read and checked; running it is not supported yet.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tiphys_core::Problems;
use tiphys_core::duration;
use tiphys_core::refs::KeyRef;
use tiphys_core::spec::TlsSpec;

use crate::context::{self, WebhookContext};
use crate::source::{Replicas, SourceSpec};
use crate::sources::shared::{check_list, check_optional, check_ref};
use crate::spec::FilterSpec;

/// Webhooks of Bitbucket Server and Data Center.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct BitbucketServer {
    /// Where the hook is received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookContext>,
    /// The project of the one repository. Write `repositories` instead.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub project_key: String,
    /// The one repository. Write `repositories` instead.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub repository_slug: String,
    /// Projects, of which all repositories are hooked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub projects: Vec<String>,
    /// The repositories.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub repositories: Vec<BitbucketServerRepository>,
    /// The events, as repo:refs_changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    /// Pass over pushes to branches that have an open pull request.
    #[serde(
        rename = "skipBranchRefsChangedOnOpenPR",
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub skip_branch_refs_changed_on_open_pr: bool,
    /// One event for each change of a push.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub one_event_per_change: bool,
    /// The token for the API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_token: Option<KeyRef>,
    /// The secret that signs the hooks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_secret: Option<KeyRef>,
    /// The API, with /rest at its end.
    #[serde(
        rename = "bitbucketserverBaseURL",
        skip_serializing_if = "String::is_empty"
    )]
    pub bitbucketserver_base_url: String,
    /// Delete the hooks when the source stops.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub delete_hook_on_finish: bool,
    /// Copied into the event data.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Drops events that do not meet a condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<FilterSpec>,
    /// TLS towards the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSpec>,
    /// How often the hooks are checked. Default 1m.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub check_interval: String,
}

/// A repository of Bitbucket Server.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct BitbucketServerRepository {
    /// The key of its project.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub project_key: String,
    /// Its name in URLs.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub repository_slug: String,
}

impl SourceSpec for BitbucketServer {
    const KIND: &'static str = "bitbucketserver";
    const REPLICAS: Replicas = Replicas::Many;

    fn validate(&self, problems: &mut Problems) {
        let single = !self.project_key.is_empty() && !self.repository_slug.is_empty();
        let repositories = single || !self.repositories.is_empty() || !self.projects.is_empty();
        let url = self
            .webhook
            .as_ref()
            .is_some_and(|webhook| !webhook.url.is_empty());
        if self.access_token.is_some() && url && repositories {
            check_list("events", &self.events, ", as repo:refs_changed", problems);
        }
        problems.require(
            "bitbucketserverBaseURL",
            &self.bitbucketserver_base_url,
            ", as https://host/rest",
        );
        if !self.check_interval.is_empty()
            && let Err(error) = duration::parse(&self.check_interval)
        {
            problems.at("checkInterval", |problems| {
                problems.error(error.to_string());
            });
        }
        if self.skip_branch_refs_changed_on_open_pr && self.access_token.is_none() {
            problems.at("accessToken", |problems| {
                problems.error(
                    "must be set where skipBranchRefsChangedOnOpenPR is, which asks the API",
                );
            });
        }
        check_ref("accessToken", self.access_token.as_ref(), problems);
        check_ref("webhookSecret", self.webhook_secret.as_ref(), problems);
        check_optional("tls", self.tls.as_ref(), problems);
        context::validate(self.webhook.as_ref(), problems);
        FilterSpec::validate(self.filter.as_ref(), problems);
    }

    fn filter(&self) -> Option<&str> {
        self.filter
            .as_ref()
            .map(|filter| filter.expression.as_str())
    }
}
