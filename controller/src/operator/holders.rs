//! Who refers to which Secrets and ConfigMaps, and what those hold, as hashes. Only those that somebody refers to.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::workload::references::Holder;
use crate::hosting::ObjectKey;

/// What a Secret or ConfigMap holds, as hashes by key; none where it does not exist.
pub(crate) type Contents = Option<Arc<BTreeMap<String, String>>>;

/// A Secret or ConfigMap: what holds it, its namespace, its name.
pub(crate) type HolderKey = (Holder, String, String);

/// See the module.
#[derive(Default)]
pub(crate) struct Holders {
    users: HashMap<HolderKey, BTreeSet<ObjectKey>>,
    refers: HashMap<ObjectKey, BTreeSet<HolderKey>>,
    contents: HashMap<HolderKey, Contents>,
    /// Grows with each change.
    turn: u64,
    changed: HashMap<HolderKey, u64>,
}

impl Holders {
    /// Notes what an object refers to.
    pub(crate) fn refer(&mut self, key: &ObjectKey, holders: BTreeSet<HolderKey>) {
        let before = if holders.is_empty() {
            self.refers.remove(key)
        } else {
            self.refers.insert(key.clone(), holders.clone())
        };
        for gone in before.unwrap_or_default().difference(&holders) {
            if let Some(users) = self.users.get_mut(gone) {
                users.remove(key);
                if users.is_empty() {
                    self.users.remove(gone);
                    self.contents.remove(gone);
                    self.changed.remove(gone);
                }
            }
        }
        for holder in holders {
            self.users.entry(holder).or_default().insert(key.clone());
        }
    }

    /// Everything that somebody refers to.
    pub(crate) fn named(&self) -> impl Iterator<Item = &HolderKey> {
        self.users.keys()
    }

    /// Forgets what is known of one that has changed, and gives who refers to it.
    pub(crate) fn touched(&mut self, key: HolderKey) -> BTreeSet<ObjectKey> {
        let Some(users) = self.users.get(&key) else {
            return BTreeSet::new();
        };
        self.contents.remove(&key);
        self.turn = self.turn.saturating_add(1);
        self.changed.insert(key, self.turn);
        users.clone()
    }

    /// What is known of those that an object refers to.
    pub(crate) fn contents_for(&self, key: &ObjectKey) -> HashMap<HolderKey, Contents> {
        let holders = self.refers.get(key).into_iter().flatten();
        holders
            .filter_map(|holder| Some((holder.clone(), self.contents.get(holder)?.clone())))
            .collect()
    }

    /// The moment, for telling what changes after it.
    pub(crate) const fn turn(&self) -> u64 {
        self.turn
    }

    /// Takes in what somebody has read since `turn`, unless it has changed after that.
    pub(crate) fn read(
        &mut self,
        turn: u64,
        read: impl IntoIterator<Item = (HolderKey, Contents)>,
    ) {
        for (key, contents) in read {
            let stale = self
                .changed
                .get(&key)
                .is_some_and(|changed| *changed > turn);
            if !stale && self.users.contains_key(&key) {
                self.contents.insert(key, contents);
            }
        }
    }
}
