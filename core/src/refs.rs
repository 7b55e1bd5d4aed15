//! References to other objects, as specs write them. They name things and never read them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::problems::Problems;

/// One key of a Secret or ConfigMap in the object's own namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct KeyRef {
    /// The name of the Secret or ConfigMap.
    pub name: String,
    /// The key in it.
    pub key: String,
    /// Kept for Argo's YAML; a missing value is an error all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optional: Option<bool>,
}

impl KeyRef {
    /// Reports a reference that names nothing.
    pub fn validate(&self, problems: &mut Problems) {
        problems.require("name", &self.name, " to the name of the object");
        problems.require("key", &self.key, " to a key in it");
    }
}
