//! One stored object: its bytes, and the few facts that the store itself needs.
//!
//! The bytes are what clients get; nothing here changes an object.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

/// Where an object is, within the table of its kind; ordered as lists are.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    /// Empty for kinds outside of namespaces.
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Key {
    pub(crate) fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

/// A version of an object.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) bytes: Bytes,
    pub(crate) version: u64,
    pub(crate) uid: String,
    pub(crate) labels: BTreeMap<String, String>,
    /// The uids of its owners.
    pub(crate) owners: Vec<String>,
}

#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    metadata: HeadMeta,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct HeadMeta {
    uid: String,
    resource_version: String,
    labels: Option<BTreeMap<String, String>>,
    owner_references: Option<Vec<HeadOwner>>,
}

#[derive(Deserialize)]
struct HeadOwner {
    #[serde(default)]
    uid: String,
}

impl Stored {
    /// Reads the facts out of the bytes of an object.
    pub(crate) fn from_bytes(bytes: Bytes) -> Result<Self, serde_json::Error> {
        let Head { metadata } = serde_json::from_slice(&bytes)?;
        let HeadMeta {
            uid,
            resource_version,
            labels,
            owner_references,
        } = metadata;
        Ok(Self {
            bytes,
            version: resource_version.parse().unwrap_or(0),
            uid,
            labels: labels.unwrap_or_default(),
            owners: owner_references
                .unwrap_or_default()
                .into_iter()
                .map(|o| o.uid)
                .collect(),
        })
    }

    /// The whole object.
    pub(crate) fn value(&self) -> Result<Value, serde_json::Error> {
        serde_json::from_slice(&self.bytes)
    }
}
