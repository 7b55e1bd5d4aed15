//! The view that one operation has of the store: what is there, and what it changes.
//!
//! Changes are collected, never applied here; a refused operation leaves no trace.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use crate::status::ApiError;
use crate::store::object::{Key, Stored};
use crate::store::state::{Change, State};

/// The largest object, and the largest request body.
pub(crate) const MAX_OBJECT_BYTES: usize = 3 << 20;

type Place = (Arc<str>, Key);

/// Changes over a state, newest last.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    objects: HashMap<Place, Option<Arc<Stored>>>,
    pub(crate) changes: Vec<Change>,
}

impl Overlay {
    /// Puts later changes on top.
    pub(crate) fn merge(&mut self, later: Self) {
        self.objects.extend(later.objects);
        self.changes.extend(later.changes);
    }
}

/// One operation's view: the state, the batch before it, and its own changes.
#[derive(Debug)]
pub(crate) struct Txn<'a> {
    state: &'a State,
    batch: &'a Overlay,
    mine: Overlay,
    version: u64,
}

impl<'a> Txn<'a> {
    /// Starts after `version`, the last one given out.
    pub(crate) fn new(state: &'a State, batch: &'a Overlay, version: u64) -> Self {
        Self {
            state,
            batch,
            mine: Overlay::default(),
            version,
        }
    }

    /// The changes and the last version given out.
    pub(crate) fn into_changes(self) -> (Overlay, u64) {
        (self.mine, self.version)
    }

    /// One object as this operation sees it.
    pub(crate) fn get(&self, table: &Arc<str>, key: &Key) -> Option<Arc<Stored>> {
        let place = (Arc::clone(table), key.clone());
        for overlay in [&self.mine, self.batch] {
            if let Some(object) = overlay.objects.get(&place) {
                return object.clone();
            }
        }
        self.state.get(table, key).map(Arc::clone)
    }

    /// Writes an object under a new version and returns it as stored.
    pub(crate) fn put(
        &mut self,
        table: &Arc<str>,
        key: &Key,
        mut object: Value,
    ) -> Result<Arc<Stored>, ApiError> {
        let before = self.get(table, key);
        let stored = self.freeze(&mut object)?;
        self.record(table, key, before, Arc::clone(&stored), false);
        Ok(stored)
    }

    /// Removes an object; `last` is what those who watch are told it was.
    pub(crate) fn remove(
        &mut self,
        table: &Arc<str>,
        key: &Key,
        mut last: Value,
    ) -> Result<Arc<Stored>, ApiError> {
        let before = self.get(table, key);
        let stored = self.freeze(&mut last)?;
        self.record(table, key, before, Arc::clone(&stored), true);
        Ok(stored)
    }

    /// The objects that name this uid as an owner.
    pub(crate) fn dependents(&self, uid: &str) -> Vec<Place> {
        let known = self.state.dependents(uid);
        self.seen(known, |_, object| {
            object.owners.iter().any(|owner| owner == uid)
        })
    }

    /// Everything that lives in a namespace.
    pub(crate) fn in_namespace(&self, namespace: &str) -> Vec<Place> {
        let known = self.state.in_namespace(namespace);
        self.seen(known, |key, _| key.namespace == namespace)
    }

    /// The objects of one kind, in one namespace or in all.
    pub(crate) fn list(&self, table: &Arc<str>, namespace: Option<&str>) -> Vec<Key> {
        let known = self
            .state
            .list(table, namespace, None)
            .map(|(key, _)| (Arc::clone(table), key.clone()))
            .collect();
        self.seen(known, |key, _| {
            namespace.is_none_or(|ns| key.namespace == ns)
        })
        .into_iter()
        .filter(|(of, _)| of == table)
        .map(|(_, key)| key)
        .collect()
    }

    /// Corrects what the state knows by the changes that it has not seen yet.
    fn seen(&self, known: Vec<Place>, fits: impl Fn(&Key, &Stored) -> bool) -> Vec<Place> {
        let mut found: BTreeSet<Place> = known.into_iter().collect();
        for overlay in [self.batch, &self.mine] {
            for (place, object) in &overlay.objects {
                match object {
                    Some(object) if fits(&place.1, object) => {
                        found.insert(place.clone());
                    }
                    _ => {
                        found.remove(place);
                    }
                }
            }
        }
        found.into_iter().collect()
    }

    fn freeze(&mut self, object: &mut Value) -> Result<Arc<Stored>, ApiError> {
        let version = self.version + 1;
        if let Some(Value::Object(meta)) = object.get_mut("metadata") {
            meta.insert("resourceVersion".into(), version.to_string().into());
        }
        let bytes = serde_json::to_vec(object)
            .map_err(|error| ApiError::internal(format!("cannot write object: {error}")))?;
        if bytes.len() > MAX_OBJECT_BYTES {
            return Err(ApiError::too_large(MAX_OBJECT_BYTES));
        }
        // Reading it back here means that whatever is stored can be read at the next start.
        let stored = Stored::from_bytes(Bytes::from(bytes))
            .map_err(|error| ApiError::bad_request(format!("cannot read object: {error}")))?;
        self.version = version;
        Ok(Arc::new(stored))
    }

    fn record(
        &mut self,
        table: &Arc<str>,
        key: &Key,
        before: Option<Arc<Stored>>,
        object: Arc<Stored>,
        gone: bool,
    ) {
        let now = (!gone).then(|| Arc::clone(&object));
        self.mine
            .objects
            .insert((Arc::clone(table), key.clone()), now);
        self.mine.changes.push(Change {
            table: Arc::clone(table),
            key: key.clone(),
            version: object.version,
            before,
            object,
            gone,
        });
    }
}
