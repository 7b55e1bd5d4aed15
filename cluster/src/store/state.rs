//! What is in memory: the objects, who owns whom, and the recent changes of each kind.
//!
//! Changes only through [`State::apply`], after the disk has them; never touches the disk.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::watch;

use crate::store::object::{Key, Stored};

/// Changes kept per kind for watches to catch up from.
const RING_EVENTS: usize = 10_000;
/// Bytes of objects kept per kind for the same purpose.
const RING_BYTES: usize = 8 << 20;

/// One change to one object.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) table: Arc<str>,
    pub(crate) key: Key,
    pub(crate) version: u64,
    /// The object before, if there was one.
    pub(crate) before: Option<Arc<Stored>>,
    /// The object after, or as it was last when it is gone.
    pub(crate) object: Arc<Stored>,
    pub(crate) gone: bool,
}

/// All objects and their recent past.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// The version of the last change that is on disk.
    pub(crate) version: u64,
    tables: HashMap<Arc<str>, Table>,
    /// Owner uid to the objects that name it as owner.
    dependents: HashMap<String, BTreeSet<(Arc<str>, Key)>>,
}

#[derive(Debug)]
struct Table {
    objects: BTreeMap<Key, Arc<Stored>>,
    ring: VecDeque<Arc<Change>>,
    ring_bytes: usize,
    /// Changes up to and including this version are no longer in the ring.
    floor: u64,
    changed: watch::Sender<u64>,
}

/// What happened to a kind since a version.
pub(crate) enum Since {
    /// The past asked for is no longer kept.
    Expired,
    /// The changes, oldest first, and the version up to which they are complete.
    Changes(Vec<Arc<Change>>, u64),
}

impl State {
    /// Nothing yet, after this version.
    pub(crate) fn at(version: u64) -> Self {
        Self {
            version,
            ..Self::default()
        }
    }

    /// Makes room for a kind, so that it can be watched before its first object.
    pub(crate) fn open_table(&mut self, table: &Arc<str>) {
        let floor = self.version;
        self.tables
            .entry(Arc::clone(table))
            .or_insert_with(|| Table {
                objects: BTreeMap::new(),
                ring: VecDeque::new(),
                ring_bytes: 0,
                floor,
                changed: watch::Sender::new(floor),
            });
    }

    /// Takes an object from the disk at start, when nobody watches yet.
    pub(crate) fn load(&mut self, table: &Arc<str>, key: Key, object: Arc<Stored>) {
        self.open_table(table);
        for owner in &object.owners {
            self.dependents
                .entry(owner.clone())
                .or_default()
                .insert((Arc::clone(table), key.clone()));
        }
        if let Some(table) = self.tables.get_mut(table) {
            table.objects.insert(key, object);
        }
    }

    /// One object.
    pub(crate) fn get(&self, table: &str, key: &Key) -> Option<&Arc<Stored>> {
        self.tables.get(table)?.objects.get(key)
    }

    /// The objects of one kind in order, in one namespace or in all, after a key.
    pub(crate) fn list<'a>(
        &'a self,
        table: &str,
        namespace: Option<&'a str>,
        after: Option<&Key>,
    ) -> impl Iterator<Item = (&'a Key, &'a Arc<Stored>)> + use<'a> {
        use std::ops::Bound;
        let start = match (after, namespace) {
            (Some(key), _) => Bound::Excluded(key.clone()),
            (None, Some(namespace)) => Bound::Included(Key::new(namespace, "")),
            (None, None) => Bound::Unbounded,
        };
        self.tables
            .get(table)
            .into_iter()
            .flat_map(move |table| table.objects.range((start.clone(), Bound::Unbounded)))
            .take_while(move |(key, _)| namespace.is_none_or(|ns| key.namespace == ns))
    }

    /// Everything that lives in a namespace.
    pub(crate) fn in_namespace(&self, namespace: &str) -> Vec<(Arc<str>, Key)> {
        let mut found = Vec::new();
        for table in self.tables.keys() {
            for (key, _) in self.list(table, Some(namespace), None) {
                found.push((Arc::clone(table), key.clone()));
            }
        }
        found
    }

    /// The objects that name this uid as an owner.
    pub(crate) fn dependents(&self, uid: &str) -> Vec<(Arc<str>, Key)> {
        self.dependents
            .get(uid)
            .map(|set| set.iter().cloned().collect())
            .unwrap_or_default()
    }

    /// Hears of changes to a kind; `None` if the kind is unknown.
    pub(crate) fn subscribe(&self, table: &str) -> Option<watch::Receiver<u64>> {
        Some(self.tables.get(table)?.changed.subscribe())
    }

    /// The changes to a kind after a version, at most `limit` of them.
    pub(crate) fn since(&self, table: &str, version: u64, limit: usize) -> Since {
        let Some(table) = self.tables.get(table) else {
            return Since::Expired;
        };
        if version < table.floor {
            return Since::Expired;
        }
        let start = table
            .ring
            .partition_point(|change| change.version <= version);
        let changes: Vec<_> = table
            .ring
            .iter()
            .skip(start)
            .take(limit)
            .map(Arc::clone)
            .collect();
        let complete = match changes.last() {
            Some(last) if changes.len() == limit => last.version,
            _ => self.version,
        };
        Since::Changes(changes, complete)
    }

    /// The oldest version from which the changes to a kind are still complete.
    pub(crate) fn floor(&self, table: &str) -> u64 {
        self.tables
            .get(table)
            .map_or(self.version, |table| table.floor)
    }

    /// Makes durable changes visible and wakes those who watch them.
    pub(crate) fn apply(&mut self, changes: Vec<Change>, version: u64) {
        for change in &changes {
            self.open_table(&change.table);
        }
        self.version = version;
        let mut touched = BTreeSet::new();
        for change in changes {
            self.relink(&change);
            touched.insert(Arc::clone(&change.table));
            if let Some(table) = self.tables.get_mut(&change.table) {
                table.apply(change);
            }
        }
        for table in touched {
            if let Some(table) = self.tables.get(&table) {
                table.changed.send_replace(version);
            }
        }
    }

    fn relink(&mut self, change: &Change) {
        let place = (Arc::clone(&change.table), change.key.clone());
        for owner in change.before.iter().flat_map(|before| &before.owners) {
            if let Some(set) = self.dependents.get_mut(owner) {
                set.remove(&place);
                if set.is_empty() {
                    self.dependents.remove(owner);
                }
            }
        }
        if !change.gone {
            for owner in &change.object.owners {
                self.dependents
                    .entry(owner.clone())
                    .or_default()
                    .insert(place.clone());
            }
        }
    }
}

impl Table {
    fn apply(&mut self, change: Change) {
        if change.gone {
            self.objects.remove(&change.key);
        } else {
            self.objects
                .insert(change.key.clone(), Arc::clone(&change.object));
        }
        self.ring_bytes += change.object.bytes.len();
        self.ring.push_back(Arc::new(change));
        while self.ring.len() > 1 && (self.ring.len() > RING_EVENTS || self.ring_bytes > RING_BYTES)
        {
            if let Some(old) = self.ring.pop_front() {
                self.ring_bytes -= old.object.bytes.len();
                self.floor = old.version;
            }
        }
    }
}
