//! `mns` receives the messages of an Alibaba Cloud MNS queue.
//!
//! ```yaml
//! mns:
//!   example:
//!     queue: test
//!     endpoint: http://account.mns.region.aliyuncs.com
//!     accessKey:
//!       name: mns
//!       key: accesskey
//!     secretKey:
//!       name: mns
//!       key: secretkey
//! ```
//!
//! This kind is read and checked; running it is not supported yet.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tiphys_core::Problems;
use tiphys_core::refs::KeyRef;

use crate::source::{Replicas, SourceSpec};
use crate::sources::shared::check_ref;
use crate::spec::FilterSpec;

/// Messages of an Alibaba Cloud MNS queue.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Mns {
    /// The queue.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub queue: String,
    /// Messages are JSON and become JSON in the event; otherwise base64.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub json_body: bool,
    /// The access key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key: Option<KeyRef>,
    /// The secret key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_key: Option<KeyRef>,
    /// The service.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub endpoint: String,
    /// Drops events that do not meet a condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<FilterSpec>,
}

impl SourceSpec for Mns {
    const KIND: &'static str = "mns";
    const REPLICAS: Replicas = Replicas::Many;

    fn validate(&self, problems: &mut Problems) {
        problems.require("queue", &self.queue, " to the name of the queue");
        problems.require(
            "endpoint",
            &self.endpoint,
            ", as http://account.mns.region.aliyuncs.com",
        );
        check_ref("accessKey", self.access_key.as_ref(), problems);
        check_ref("secretKey", self.secret_key.as_ref(), problems);
        FilterSpec::validate(self.filter.as_ref(), problems);
    }

    fn filter(&self) -> Option<&str> {
        self.filter
            .as_ref()
            .map(|filter| filter.expression.as_str())
    }
}
