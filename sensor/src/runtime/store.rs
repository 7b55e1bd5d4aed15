//! State of any size over the bus's store, whose values a server limits: a larger one lies in pieces beside its entry.
//! It knows nothing of conditions.
//!
//! ```text
//! key            the value, or `#TAG COUNT`
//! key/TAG/0 …    its pieces, written before the entry names them and removed after it names others
//! ```

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use tiphys_eventbus::{Bus, Entry, State, StateError, SubscribeError};

use super::tenants::unavailable;

/// Where the state of conditions is kept.
pub(super) const BUCKET: &str = "tiphys-sensors";

/// Pieces that no entry names may belong to a write that is under way; after so long they do not.
const UNDER_WAY: Duration = Duration::from_secs(600);

/// How often an entry is read again whose pieces have just been replaced.
const TRIES: usize = 5;

/// Which pieces hold a value.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pieces {
    tag: String,
    count: usize,
}

impl Pieces {
    /// For a value that is written now. Its name tells when.
    fn new(count: usize) -> Self {
        let tag = format!(
            "{:013}-{:08x}",
            Timestamp::now().as_millisecond(),
            rand::random::<u32>()
        );
        Self { tag, count }
    }

    fn entry(&self) -> Bytes {
        format!("#{} {}", self.tag, self.count).into()
    }

    fn parse(value: &[u8]) -> Option<Self> {
        let text = str::from_utf8(value.strip_prefix(b"#")?).ok()?;
        let (tag, count) = text.split_once(' ')?;
        Some(Self {
            tag: tag.to_owned(),
            count: count.parse().ok()?,
        })
    }

    fn keys(&self, key: &str) -> impl Iterator<Item = String> {
        (0..self.count).map(move |index| format!("{key}/{}/{index}", self.tag))
    }
}

/// The store.
pub(super) struct Store {
    inner: Arc<dyn State>,
    /// The pieces of the values that were read or written last.
    known: Mutex<HashMap<String, Pieces>>,
}

impl Store {
    pub(super) async fn open(bus: &Bus) -> Result<Self, StateError> {
        Ok(Self::over(bus.state(BUCKET).await?))
    }

    fn over(inner: Arc<dyn State>) -> Self {
        let known = Mutex::default();
        Self { inner, known }
    }

    fn remember(&self, key: &str, pieces: Option<Pieces>) -> Option<Pieces> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match pieces {
            Some(pieces) => known.insert(key.to_owned(), pieces),
            None => known.remove(key),
        }
    }

    /// The value, if there is one.
    pub(super) async fn get(&self, key: &str) -> Result<Option<Entry>, StateError> {
        let mut entry = self.inner.get(key).await?;
        for _ in 0..TRIES {
            let pieces = entry.as_ref().and_then(|entry| Pieces::parse(&entry.value));
            self.remember(key, pieces.clone());
            let (Some(found), Some(pieces)) = (&entry, pieces) else {
                return Ok(entry);
            };
            if let Some(value) = self.collect(key, &pieces).await? {
                let revision = found.revision;
                return Ok(Some(Entry { value, revision }));
            }
            // Somebody has replaced them since the entry was read.
            entry = self.inner.get(key).await?;
        }
        tracing::error!(key, "a part of the stored state is gone; it is begun anew");
        Ok(entry)
    }

    /// Whether there is a value.
    pub(super) async fn has(&self, key: &str) -> Result<bool, StateError> {
        Ok(self.inner.get(key).await?.is_some())
    }

    async fn collect(&self, key: &str, pieces: &Pieces) -> Result<Option<Bytes>, StateError> {
        let mut value = BytesMut::new();
        for piece in pieces.keys(key) {
            match self.inner.get(&piece).await? {
                Some(entry) => value.extend_from_slice(&entry.value),
                None => return Ok(None),
            }
        }
        Ok(Some(value.freeze()))
    }

    /// Writes the value if its revision is still `expected`.
    pub(super) async fn put(
        &self,
        key: &str,
        value: Bytes,
        expected: Option<u64>,
    ) -> Result<u64, StateError> {
        let most = self.inner.most().max(1);
        let (entry, pieces) = if value.len() <= most {
            (value, None)
        } else {
            let pieces = Pieces::new(value.len().div_ceil(most));
            let mut rest = value;
            for piece in pieces.keys(key) {
                let part = rest.split_to(most.min(rest.len()));
                self.inner.put(&piece, part, None).await?;
            }
            (pieces.entry(), Some(pieces))
        };
        match self.inner.put(key, entry, expected).await {
            Ok(revision) => {
                if let Some(before) = self.remember(key, pieces) {
                    self.remove(key, &before).await;
                }
                Ok(revision)
            }
            Err(error) => {
                // Otherwise the entry may have been written although nobody has heard so.
                if let (StateError::Conflict, Some(pieces)) = (&error, &pieces) {
                    self.remove(key, pieces).await;
                }
                Err(error)
            }
        }
    }

    async fn remove(&self, key: &str, pieces: &Pieces) {
        for piece in pieces.keys(key) {
            if let Err(error) = self.inner.delete(&piece).await {
                tracing::debug!(%error, "a part of an older state stays for now");
            }
        }
    }

    /// The entries below a key, without their pieces.
    pub(super) async fn below(&self, key: &str) -> Result<Vec<String>, StateError> {
        let prefix = format!("{key}/");
        let keys = self.inner.keys(&prefix).await?;
        let own = |name: &String| {
            name.strip_prefix(&prefix)
                .is_some_and(|rest| !rest.contains('/'))
        };
        Ok(keys.into_iter().filter(own).collect())
    }

    /// Removes pieces that a crash has left below a key.
    pub(super) async fn tidy(&self, key: &str) -> Result<(), StateError> {
        let under_way = i64::try_from(UNDER_WAY.as_millis()).unwrap_or(i64::MAX);
        let oldest = Timestamp::now().as_millisecond() - under_way;
        for name in self.inner.keys(&format!("{key}/")).await? {
            let mut parts = name.rsplitn(3, '/');
            let (Some(_), Some(tag), Some(owner)) = (parts.next(), parts.next(), parts.next())
            else {
                continue;
            };
            let written = tag
                .split_once('-')
                .and_then(|(at, _)| at.parse::<i64>().ok());
            if written.is_none_or(|written| written > oldest) {
                continue;
            }
            let entry = self.inner.get(owner).await?;
            let pieces = entry.and_then(|entry| Pieces::parse(&entry.value));
            if pieces.is_none_or(|pieces| pieces.tag != tag) {
                self.inner.delete(&name).await?;
            }
        }
        Ok(())
    }

    /// Removes an entry and its pieces; other entries below it stay.
    pub(super) async fn remove_entry(&self, key: &str) -> Result<(), StateError> {
        if let Some(pieces) = self.remember(key, None) {
            self.remove(key, &pieces).await;
        }
        self.inner.delete(key).await
    }

    /// Removes an entry and everything below it.
    pub(super) async fn delete(&self, key: &str) -> Result<(), StateError> {
        self.remember(key, None);
        self.inner.delete(key).await?;
        for name in self.inner.keys(&format!("{key}/")).await? {
            self.inner.delete(&name).await?;
        }
        Ok(())
    }

    /// As [`Store::delete`], for whoever forgets a trigger.
    pub(super) async fn forget(bus: &Bus, key: &str) -> Result<(), SubscribeError> {
        let Some(inner) = bus.known_state(BUCKET).await.map_err(unavailable)? else {
            return Ok(());
        };
        Self::over(inner).delete(key).await.map_err(unavailable)
    }

    /// Removes every entry whose key starts so. Says whether there was any.
    pub(super) async fn forget_all(bus: &Bus, prefix: &str) -> Result<bool, SubscribeError> {
        let Some(inner) = bus.known_state(BUCKET).await.map_err(unavailable)? else {
            return Ok(false);
        };
        let keys = inner.keys(prefix).await.map_err(unavailable)?;
        for key in &keys {
            inner.delete(key).await.map_err(unavailable)?;
        }
        Ok(!keys.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use async_trait::async_trait;

    use super::*;

    /// A store whose values have at most ten bytes.
    #[derive(Default)]
    struct Small(Mutex<(u64, BTreeMap<String, Entry>)>);

    #[async_trait]
    impl State for Small {
        async fn get(&self, key: &str) -> Result<Option<Entry>, StateError> {
            Ok(self.0.lock().unwrap().1.get(key).cloned())
        }

        async fn put(
            &self,
            key: &str,
            value: Bytes,
            expected: Option<u64>,
        ) -> Result<u64, StateError> {
            let mut inner = self.0.lock().unwrap();
            assert!(value.len() <= 40, "{key} has {} bytes", value.len());
            if inner.1.get(key).map(|entry| entry.revision) != expected {
                return Err(StateError::Conflict);
            }
            inner.0 += 1;
            let revision = inner.0;
            inner.1.insert(key.to_owned(), Entry { value, revision });
            Ok(revision)
        }

        async fn delete(&self, key: &str) -> Result<(), StateError> {
            self.0.lock().unwrap().1.remove(key);
            Ok(())
        }

        async fn keys(&self, prefix: &str) -> Result<Vec<String>, StateError> {
            let inner = self.0.lock().unwrap();
            let keys = inner.1.keys().filter(|key| key.starts_with(prefix));
            Ok(keys.cloned().collect())
        }

        fn most(&self) -> usize {
            40
        }
    }

    fn value(length: usize) -> Bytes {
        (0..length)
            .map(|at| u8::try_from(at % 251).unwrap())
            .collect()
    }

    #[tokio::test]
    async fn a_value_of_any_size_is_kept_and_leaves_no_pieces_behind() {
        let small: Arc<Small> = Arc::default();
        let (store, other) = (Store::over(small.clone()), Store::over(small.clone()));
        let mut revision = None;
        for (length, entries) in [
            (0, 1),
            (40, 1),
            (41, 3),
            (1000, 26),
            (80, 3),
            (7, 1),
            (90, 4),
        ] {
            revision = Some(store.put("k", value(length), revision).await.unwrap());
            let read = other.get("k").await.unwrap().unwrap();
            assert_eq!((read.value, Some(read.revision)), (value(length), revision));
            assert_eq!(small.keys("").await.unwrap().len(), entries, "{length}");
        }
        // One that comes too late takes its pieces away again.
        let late = other.put("k", value(500), None).await;
        assert!(matches!(late, Err(StateError::Conflict)));
        assert_eq!(small.keys("").await.unwrap().len(), 4);
        assert_eq!(store.below("k").await.unwrap(), Vec::<String>::new());
        store.put("k/a", value(100), None).await.unwrap();
        assert_eq!(store.below("k").await.unwrap(), ["k/a"]);
        store.delete("k").await.unwrap();
        assert_eq!(small.keys("").await.unwrap(), Vec::<String>::new());
    }

    #[tokio::test]
    async fn what_a_crash_has_left_is_removed_once_nobody_can_be_writing_it() {
        let small: Arc<Small> = Arc::default();
        let store = Store::over(small.clone());
        store.put("k", value(50), None).await.unwrap();
        let now = Timestamp::now().as_millisecond();
        for key in ["k/0000000000001-aa/0", "k/0000000000001-aa/1"] {
            small.put(key, value(3), None).await.unwrap();
        }
        small
            .put(&format!("k/{now:013}-bb/0"), value(3), None)
            .await
            .unwrap();
        store.tidy("k").await.unwrap();
        assert_eq!(small.keys("").await.unwrap().len(), 4);
        assert_eq!(store.get("k").await.unwrap().unwrap().value, value(50));
    }
}
