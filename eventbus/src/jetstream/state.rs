//! The key-value state on JetStream: a bucket with one version of each key.

use std::sync::Arc;

use async_nats::jetstream::Context;
use async_nats::jetstream::context::{GetStreamError, KeyValueError, KeyValueErrorKind};
use async_nats::jetstream::kv::{self, CreateErrorKind, Store, UpdateErrorKind};
use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt as _;
use tiphys_core::tasks::chain;

use super::link::Link;
use super::stream;
use crate::bus::{Entry, State, StateError};

/// Room for headers and protocol beside a value.
const OVERHEAD: usize = 1 << 10;

pub(crate) struct JetStreamState {
    link: Arc<Link>,
    store: Store,
}

impl JetStreamState {
    /// Finds the bucket.
    pub(crate) async fn find(link: Arc<Link>, bucket: &str) -> Result<Option<Self>, StateError> {
        let context = ready(&link)?;
        match context.get_key_value(bucket).await {
            Ok(store) => Ok(Some(Self { link, store })),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(away(&error)),
        }
    }

    /// Finds or makes the bucket.
    pub(crate) async fn open(link: Arc<Link>, bucket: &str) -> Result<Self, StateError> {
        let context = ready(&link)?;
        let store = match context.get_key_value(bucket).await {
            Ok(store) => store,
            Err(_) => {
                let replicas = match context.get_stream(stream::STREAM).await {
                    Ok(found) => found.cached_info().config.num_replicas,
                    Err(error) => return Err(away(&error)),
                };
                let config = kv::Config {
                    bucket: bucket.to_owned(),
                    history: 1,
                    num_replicas: replicas,
                    ..kv::Config::default()
                };
                context
                    .create_key_value(config)
                    .await
                    .map_err(|error| away(&error))?
            }
        };
        Ok(Self { link, store })
    }

    fn ready(&self) -> Result<(), StateError> {
        ready(&self.link).map(drop)
    }
}

fn ready(link: &Link) -> Result<Context, StateError> {
    let context = link.ready();
    context.map_err(|reason| StateError::Unavailable { reason })
}

/// Whether the server knows no bucket of that name.
fn is_absent(error: &KeyValueError) -> bool {
    use std::error::Error as _;
    error.kind() == KeyValueErrorKind::GetBucket
        && error
            .source()
            .and_then(|source| source.downcast_ref::<GetStreamError>())
            .is_some_and(stream::is_absent)
}

fn away(error: &(dyn std::error::Error + 'static)) -> StateError {
    StateError::Unavailable {
        reason: chain(error),
    }
}

#[async_trait]
impl State for JetStreamState {
    async fn get(&self, key: &str) -> Result<Option<Entry>, StateError> {
        self.ready()?;
        let entry = self
            .store
            .entry(escape(key))
            .await
            .map_err(|error| away(&error))?;
        Ok(entry
            .filter(|entry| entry.operation == kv::Operation::Put)
            .map(|entry| Entry {
                value: entry.value,
                revision: entry.revision,
            }))
    }

    async fn put(&self, key: &str, value: Bytes, expected: Option<u64>) -> Result<u64, StateError> {
        self.ready()?;
        let key = escape(key);
        match expected {
            None => self
                .store
                .create(key, value)
                .await
                .map_err(|error| match error.kind() {
                    CreateErrorKind::AlreadyExists => StateError::Conflict,
                    _ => away(&error),
                }),
            Some(revision) => self
                .store
                .update(key, value, revision)
                .await
                .map_err(|error| match error.kind() {
                    UpdateErrorKind::WrongLastRevision => StateError::Conflict,
                    _ => away(&error),
                }),
        }
    }

    async fn delete(&self, key: &str) -> Result<(), StateError> {
        self.ready()?;
        // The message itself goes, and no mark of it stays: a key that is gone costs nothing.
        let subject = format!("{}{}", self.store.prefix, escape(key));
        let purged = self.store.stream.purge().filter(subject).await;
        purged.map(drop).map_err(|error| away(&error))
    }

    async fn keys(&self, prefix: &str) -> Result<Vec<String>, StateError> {
        self.ready()?;
        let keys = self.store.keys().await.map_err(|error| away(&error))?;
        let keys: Vec<String> = keys.try_collect().await.map_err(|error| away(&error))?;
        let mut keys: Vec<String> = keys.iter().map(|key| unescape(key)).collect();
        keys.retain(|key| key.starts_with(prefix));
        keys.sort();
        Ok(keys)
    }

    /// What the server takes in a message, with room for headers.
    fn most(&self) -> usize {
        let context = self.link.context.borrow().clone();
        let most = context.map_or(0, |context| context.client().max_payload());
        match most.saturating_sub(OVERHEAD) {
            0 => 1 << 10,
            most => most,
        }
    }
}

/// Any text as a key: what a bucket does not allow becomes `=` and two hex digits.
pub(super) fn escape(key: &str) -> String {
    if key.is_empty() {
        return "=".to_owned();
    }
    let mut out = String::with_capacity(key.len());
    for byte in key.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'/') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("={byte:02X}"));
        }
    }
    out
}

fn unescape(key: &str) -> String {
    let mut out = Vec::with_capacity(key.len());
    let mut rest = key.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let digits = tail.get(..2).and_then(|digits| str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if *first == b'=' => {
                out.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                if *first != b'=' {
                    out.push(*first);
                }
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_is_a_key() {
        for key in ["", "a/b", ".a.", "ü=3D", "a b*>", "="] {
            let escaped = escape(key);
            assert!(
                escaped
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_/=".contains(&b)),
                "{escaped}"
            );
            assert_eq!(unescape(&escaped), key);
        }
    }
}
