//! The key-value state on the embedded bus: rows of the redb file, written by its thread.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::change_meta;
use super::meta::{Change, Changes, Meta};
use crate::bus::{Entry, State, StateError};

pub(crate) struct EmbeddedState {
    pub(crate) bucket: String,
    pub(crate) meta: Arc<Meta>,
    pub(crate) changes: Changes,
}

impl EmbeddedState {
    /// A bucket's name has no NUL, so that no key of one bucket is a key of another.
    fn row(&self, key: &str) -> String {
        format!("{}\0{key}", self.bucket)
    }
}

#[async_trait]
impl State for EmbeddedState {
    async fn get(&self, key: &str) -> Result<Option<Entry>, StateError> {
        self.meta.get(&self.row(key))
    }

    async fn put(&self, key: &str, value: Bytes, expected: Option<u64>) -> Result<u64, StateError> {
        let key = self.row(key);
        change_meta(&self.changes, |reply| Change::Put {
            key,
            value,
            expected,
            reply,
        })
        .await
    }

    async fn delete(&self, key: &str) -> Result<(), StateError> {
        let key = self.row(key);
        change_meta(&self.changes, |reply| Change::Delete { key, reply }).await
    }

    async fn keys(&self, prefix: &str) -> Result<Vec<String>, StateError> {
        self.meta.keys(&self.row(prefix), self.bucket.len() + 1)
    }

    fn most(&self) -> usize {
        8 << 20
    }
}
