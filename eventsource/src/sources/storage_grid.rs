//! `storageGrid` receives the notifications of a NetApp StorageGRID bucket.
//!
//! ```yaml
//! storageGrid:
//!   example:
//!     webhook:
//!       endpoint: /
//!       port: "8080"
//!       method: POST
//!     events:
//!     - s3:ObjectCreated:*
//!     topicArn: urn:topic
//!     bucket: bucket
//!     apiURL: https://storagegrid.example.com
//!     authToken:
//!       name: storagegrid
//!       key: token
//! ```
//!
//! This kind is read and checked; running it is not supported yet.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tiphys_core::Problems;
use tiphys_core::refs::KeyRef;
use tiphys_core::spec::TlsSpec;

use crate::context::{self, WebhookContext};
use crate::source::{Replicas, SourceSpec};
use crate::sources::shared::{check_list, check_optional, check_ref};

/// Notifications of a NetApp StorageGRID bucket.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct StorageGrid {
    /// Where the hook is received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookContext>,
    /// The notifications, as s3:ObjectCreated:*.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    /// Which objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<StorageGridFilter>,
    /// The topic.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub topic_arn: String,
    /// The bucket.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub bucket: String,
    /// Not used.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub region: String,
    /// The token for the API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_token: Option<KeyRef>,
    /// The API.
    #[serde(rename = "apiURL", skip_serializing_if = "String::is_empty")]
    pub api_url: String,
    /// Copied into the event data.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// TLS towards the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSpec>,
}

/// Which objects of a bucket.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct StorageGridFilter {
    /// How their keys begin.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// How their keys end.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub suffix: String,
}

impl SourceSpec for StorageGrid {
    const KIND: &'static str = "storageGrid";
    const TYPE: &'static str = "storagegrid";
    const REPLICAS: Replicas = Replicas::Many;

    fn validate(&self, problems: &mut Problems) {
        problems.require("topicArn", &self.topic_arn, " to the URN of the topic");
        problems.require("apiURL", &self.api_url, ", as https://host");
        problems.require_some("authToken", self.auth_token.as_ref(), ", as {name, key}");
        check_ref("authToken", self.auth_token.as_ref(), problems);
        problems.require("bucket", &self.bucket, " to the name of the bucket");
        check_list("events", &self.events, ", as s3:ObjectCreated:*", problems);
        check_optional("tls", self.tls.as_ref(), problems);
        context::validate(self.webhook.as_ref(), problems);
    }
}
