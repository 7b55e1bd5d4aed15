//! `minio` receives the notifications of a MinIO bucket.
//!
//! ```yaml
//! minio:
//!   example:
//!     bucket:
//!       name: input
//!     endpoint: minio:9000
//!     events:
//!     - s3:ObjectCreated:Put
//!     insecure: true
//!     accessKey:
//!       name: minio
//!       key: accesskey
//!     secretKey:
//!       name: minio
//!       key: secretkey
//! ```
//!
//! This kind is read and checked; running it is not supported yet.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tiphys_core::Problems;
use tiphys_core::refs::KeyRef;

use crate::source::{Replicas, SourceSpec};
use crate::sources::shared::check_ref;

/// Notifications of a MinIO bucket.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Minio {
    /// The server, as host:9000.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub endpoint: String,
    /// The bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<MinioBucket>,
    /// Not used.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub region: String,
    /// Connect without TLS.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub insecure: bool,
    /// The access key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key: Option<KeyRef>,
    /// The secret key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_key: Option<KeyRef>,
    /// The notifications, as s3:ObjectCreated:Put.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    /// Which objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<MinioFilter>,
    /// Copied into the event data.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// A PEM bundle that replaces the system's roots.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_certificate: Option<KeyRef>,
}

/// A bucket.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct MinioBucket {
    /// Not used.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// Its name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
}

/// Which objects of a bucket.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct MinioFilter {
    /// How their keys begin.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// How their keys end.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub suffix: String,
}

impl SourceSpec for Minio {
    const KIND: &'static str = "minio";
    const REPLICAS: Replicas = Replicas::One;

    fn validate(&self, problems: &mut Problems) {
        problems.require_some("accessKey", self.access_key.as_ref(), ", as {name, key}");
        problems.require_some("secretKey", self.secret_key.as_ref(), ", as {name, key}");
        check_ref("accessKey", self.access_key.as_ref(), problems);
        check_ref("secretKey", self.secret_key.as_ref(), problems);
        check_ref("caCertificate", self.ca_certificate.as_ref(), problems);
        problems.require("endpoint", &self.endpoint, ", as host:9000");
        problems.at("bucket", |problems| {
            let name = self.bucket.as_ref().map(|bucket| bucket.name.as_str());
            problems.require(
                "name",
                name.unwrap_or_default(),
                " to the name of the bucket",
            );
        });
        problems.each("events", &self.events, |event, problems| {
            if event.is_empty() {
                problems.error("must be the name of a notification, as s3:ObjectCreated:Put");
            }
        });
    }
}
