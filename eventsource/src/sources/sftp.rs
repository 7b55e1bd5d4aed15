//! `sftp` watches files of an SFTP server.
//!
//! ```yaml
//! sftp:
//!   example:
//!     eventType: CREATE
//!     watchPathConfig:
//!       directory: /data/
//!       path: x.txt
//!     address:
//!       name: sftp
//!       key: address
//!     username:
//!       name: sftp
//!       key: username
//!     password:
//!       name: sftp
//!       key: password
//! ```
//!
//! This kind is read and checked; running it is not supported yet.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tiphys_core::Problems;
use tiphys_core::duration;
use tiphys_core::refs::KeyRef;

use crate::source::{Replicas, SourceSpec};
use crate::sources::shared::{WatchPathSpec, check_ref};
use crate::spec::FilterSpec;

/// Changes of files on an SFTP server.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Sftp {
    /// `CREATE` or `REMOVE`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub event_type: String,
    /// Which files.
    pub watch_path_config: WatchPathSpec,
    /// The user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<KeyRef>,
    /// The password; or `sshKeySecret`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<KeyRef>,
    /// The private key, and the public key of the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssh_key_secret: Option<KeyRef>,
    /// The server, as host:22.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<KeyRef>,
    /// Copied into the event data.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Drops events that do not meet a condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<FilterSpec>,
    /// How often the directory is listed. Default 10s.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub poll_interval_duration: String,
}

impl SourceSpec for Sftp {
    const KIND: &'static str = "sftp";
    const REPLICAS: Replicas = Replicas::One;

    fn validate(&self, problems: &mut Problems) {
        problems.require("eventType", &self.event_type, " to CREATE or REMOVE");
        problems.at("watchPathConfig", |problems| {
            self.watch_path_config.validate(problems);
        });
        problems.require_some("address", self.address.as_ref(), ", as {name, key}");
        problems.require_some("username", self.username.as_ref(), ", as {name, key}");
        if self.password.is_none() && self.ssh_key_secret.is_none() {
            problems.error("must have password or sshKeySecret");
        }
        check_ref("username", self.username.as_ref(), problems);
        check_ref("password", self.password.as_ref(), problems);
        check_ref("sshKeySecret", self.ssh_key_secret.as_ref(), problems);
        check_ref("address", self.address.as_ref(), problems);
        if !self.poll_interval_duration.is_empty()
            && let Err(error) = duration::parse(&self.poll_interval_duration)
        {
            problems.at("pollIntervalDuration", |problems| {
                problems.error(error.to_string());
            });
        }
        FilterSpec::validate(self.filter.as_ref(), problems);
    }

    fn filter(&self) -> Option<&str> {
        self.filter
            .as_ref()
            .map(|filter| filter.expression.as_str())
    }
}
