//! `file` watches files of a directory.
//!
//! ```yaml
//! file:
//!   example:
//!     eventType: CREATE
//!     watchPathConfig:
//!       directory: /test-data/
//!       path: x.txt
//! ```
//!
//! This kind is read and checked; running it is not supported yet.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tiphys_core::Problems;

use crate::source::{Replicas, SourceSpec};
use crate::sources::shared::WatchPathSpec;
use crate::spec::FilterSpec;

/// Changes of files in a directory.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct File {
    /// `CREATE`, `WRITE`, `REMOVE`, `RENAME` or `CHMOD`, or several joined by `|`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub event_type: String,
    /// Which files.
    pub watch_path_config: WatchPathSpec,
    /// Look again and again rather than being told, for network file systems.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub polling: bool,
    /// Copied into the event data.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Drops events that do not meet a condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<FilterSpec>,
}

impl SourceSpec for File {
    const KIND: &'static str = "file";
    const REPLICAS: Replicas = Replicas::One;

    fn validate(&self, problems: &mut Problems) {
        problems.require(
            "eventType",
            &self.event_type,
            " to CREATE, WRITE, REMOVE, RENAME or CHMOD",
        );
        problems.at("watchPathConfig", |problems| {
            self.watch_path_config.validate(problems);
        });
        FilterSpec::validate(self.filter.as_ref(), problems);
    }

    fn filter(&self) -> Option<&str> {
        self.filter
            .as_ref()
            .map(|filter| filter.expression.as_str())
    }
}
