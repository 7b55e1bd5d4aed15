//! `bitbucket` receives the webhooks of Bitbucket Cloud.
//!
//! ```yaml
//! bitbucket:
//!   example:
//!     webhook:
//!       endpoint: /push
//!       port: "12000"
//!       method: POST
//!       url: https://events.example.com
//!     repositories:
//!     - owner: me
//!       repositorySlug: project
//!     events:
//!     - repo:push
//!     auth:
//!       oauthToken:
//!         name: bitbucket
//!         key: token
//! ```
//!
//! This kind is read and checked; running it is not supported yet.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tiphys_core::Problems;
use tiphys_core::refs::KeyRef;
use tiphys_core::spec::BasicAuthSpec;

use crate::context::{self, WebhookContext};
use crate::source::{Replicas, SourceSpec};
use crate::sources::shared::{check_list, check_optional, check_ref};
use crate::spec::FilterSpec;

/// Webhooks of Bitbucket Cloud.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Bitbucket {
    /// Delete the hook when the source stops.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub delete_hook_on_finish: bool,
    /// Copied into the event data.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Where the hook is received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookContext>,
    /// How to reach the API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<BitbucketAuth>,
    /// The events, as repo:push.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    /// The owner of the one repository. Write `repositories` instead.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub owner: String,
    /// Not used.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub project_key: String,
    /// The one repository. Write `repositories` instead.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub repository_slug: String,
    /// The repositories.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub repositories: Vec<BitbucketRepository>,
    /// Drops events that do not meet a condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<FilterSpec>,
}

/// How to reach the API of Bitbucket Cloud.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct BitbucketAuth {
    /// User and app password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basic: Option<BasicAuthSpec>,
    /// An OAuth token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oauth_token: Option<KeyRef>,
}

/// A repository of Bitbucket Cloud.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct BitbucketRepository {
    /// Its owner.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub owner: String,
    /// Its name in URLs.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub repository_slug: String,
}

impl SourceSpec for Bitbucket {
    const KIND: &'static str = "bitbucket";
    const REPLICAS: Replicas = Replicas::Many;

    fn validate(&self, problems: &mut Problems) {
        let single = !self.owner.is_empty() && !self.repository_slug.is_empty();
        if self.repositories.is_empty() && !single {
            problems.at("repositories", |problems| {
                problems.error(
                    "must have at least one element, as {owner: me, repositorySlug: project}",
                );
            });
        }
        match &self.auth {
            None => problems.at("auth", |problems| {
                problems.error("must be set, with basic or oauthToken");
            }),
            Some(auth) => problems.at("auth", |problems| {
                if auth.basic.is_none() && auth.oauth_token.is_none() {
                    problems.error("must have basic or oauthToken");
                }
                check_optional("basic", auth.basic.as_ref(), problems);
                check_ref("oauthToken", auth.oauth_token.as_ref(), problems);
            }),
        }
        let managed = self
            .webhook
            .as_ref()
            .is_some_and(|webhook| !webhook.url.is_empty());
        if managed && self.auth.is_some() {
            check_list("events", &self.events, ", as repo:push", problems);
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
