//! `generic` receives events from a gRPC server that speaks Argo's `generic.Eventing` service.
//!
//! ```yaml
//! generic:
//!   example:
//!     url: server:8080
//!     insecure: true
//!     config: |-
//!       key: value
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
use crate::spec::FilterSpec;

/// Events of a gRPC server of one's own.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Generic {
    /// The server, as host:8080.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub url: String,
    /// Text that the server is given.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub config: String,
    /// Connect without TLS.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub insecure: bool,
    /// Messages are JSON and become JSON in the event; otherwise base64.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub json_body: bool,
    /// Copied into the event data.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// The bearer token that the server is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_secret: Option<KeyRef>,
    /// Drops events that do not meet a condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<FilterSpec>,
}

impl SourceSpec for Generic {
    const KIND: &'static str = "generic";
    const REPLICAS: Replicas = Replicas::One;

    fn validate(&self, problems: &mut Problems) {
        problems.require("url", &self.url, ", as host:8080");
        problems.require(
            "config",
            &self.config,
            " to the text that the server expects",
        );
        check_ref("authSecret", self.auth_secret.as_ref(), problems);
        FilterSpec::validate(self.filter.as_ref(), problems);
    }

    fn filter(&self) -> Option<&str> {
        self.filter
            .as_ref()
            .map(|filter| filter.expression.as_str())
    }
}
