//! What the controller's loop knows of the pool: the ports that it has allotted, and how its objects did when they were
//! looked at last. It writes nothing.

use std::collections::{BTreeMap, HashMap};

use tiphys_core::manifest;
use tiphys_eventsource::EventSourceSpec;

use super::cache::Cache;
use super::known::Known;
use crate::hosting::{Kind, ObjectKey, ObjectState};
use crate::pooled::Pool;
use crate::pooled::ports::PortBook;

/// The pool, as one term of leadership follows it.
pub(super) struct Followed {
    pool: Pool,
    book: PortBook,
    told: HashMap<ObjectKey, ObjectState>,
}

impl Followed {
    pub(super) fn new(pool: Pool) -> Self {
        Self {
            pool,
            book: PortBook::default(),
            told: HashMap::new(),
        }
    }

    /// Takes in what leaders before this one have written down; the oldest object comes first.
    pub(super) fn learn(&mut self, cache: &Cache) {
        let mut all: Vec<&Known> = cache
            .of_kind(Kind::EventSource)
            .map(AsRef::as_ref)
            .collect();
        let created = |known: &Known| {
            let at = known.object.pointer("/metadata/creationTimestamp");
            at.and_then(|at| at.as_str()).unwrap_or_default().to_owned()
        };
        all.sort_by_cached_key(|known| (created(known), known.key.clone()));
        for known in all {
            self.book.learn(&known.key, known.status());
        }
    }

    /// The ports of the pool that stand for those of an EventSource.
    pub(super) fn ports_for(&mut self, known: &Known, cache: &Cache) -> BTreeMap<u16, u16> {
        if known.key.kind != Kind::EventSource || known.deleting {
            return BTreeMap::new();
        }
        let spec = manifest::read::<EventSourceSpec>(known.spec());
        let ports = spec.map(|spec| spec.ports()).unwrap_or_default();
        let alive = |key: &ObjectKey| cache.object(key).is_some();
        self.book.allot(&known.key, &ports, alive)
    }

    /// Waits until an object does otherwise than before, or pods have come or gone, and says whom that concerns.
    pub(super) async fn changed(followed: &mut Option<Self>, cache: &Cache) -> Vec<ObjectKey> {
        let Some(Self { pool, told, .. }) = followed else {
            return std::future::pending().await;
        };
        tokio::select! {
            changed = pool.hosted.changed() => {
                if changed.is_err() {
                    // The host is gone, and the process with it.
                    return std::future::pending().await;
                }
                let snapshot = pool.hosted.borrow_and_update();
                let news = snapshot.objects.iter().filter(|(key, state)| {
                    key.kind != Kind::EventBus && told.get(*key) != Some(*state)
                });
                let news: Vec<_> = news.map(|(key, state)| (key.clone(), state.clone())).collect();
                told.retain(|key, _| snapshot.objects.contains_key(key));
                drop(snapshot);
                let keys = news.iter().map(|(key, _)| key.clone()).collect();
                told.extend(news);
                keys
            }
            changed = pool.pods.changed() => {
                if changed.is_err() {
                    return std::future::pending().await;
                }
                pool.pods.mark_unchanged();
                let far = cache.of_kind(Kind::EventSource);
                far.filter(|known| known.key.namespace != pool.namespace)
                    .map(|known| known.key.clone())
                    .collect()
            }
        }
    }
}
