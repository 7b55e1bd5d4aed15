//! Which events were stored lately, by key. It holds hashes in memory and is rebuilt from the log at the start.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};

use hashbrown::hash_table::{Entry, HashTable};

/// More keys are not remembered: 500,000 take about 20 MB.
const MOST: usize = 500_000;

/// The keys of a window of time.
pub(crate) struct Dedup {
    window_nanos: i64,
    // Two seeded hashes of 64 bits: senders can choose keys, and cannot aim at a collision.
    hashers: [RandomState; 2],
    /// Oldest first.
    order: VecDeque<Known>,
    /// How many are gone from the front of `order`, with overflow: what `places` count from.
    gone: u32,
    /// Where in `order` each key is. Only the places are kept here, so that a key takes five bytes and not fifty.
    places: HashTable<u32>,
}

/// The two hashes of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    high: u64,
    low: u64,
}

struct Known {
    key: Key,
    seq: u64,
    at_nanos: i64,
}

impl Dedup {
    pub(crate) fn new(window_nanos: i64) -> Self {
        Self {
            window_nanos,
            hashers: [RandomState::new(), RandomState::new()],
            order: VecDeque::new(),
            gone: 0,
            places: HashTable::new(),
        }
    }

    pub(crate) fn hash(&self, key: &[u8]) -> Key {
        let [high, low] = &self.hashers;
        Key {
            high: high.hash_one(key),
            low: low.hash_one(key),
        }
    }

    /// The number under which the key is stored, if it is known.
    pub(crate) fn find(&mut self, key: Key, now_nanos: i64) -> Option<u64> {
        self.expire(now_nanos);
        let (order, gone) = (&self.order, self.gone);
        let same = |place: &u32| at(order, gone, *place).is_some_and(|known| known.key == key);
        let place = self.places.find(key.low, same)?;
        at(order, gone, *place).map(|known| known.seq)
    }

    /// Remembers a key; one that is known stands for the later event from now on.
    pub(crate) fn insert(&mut self, key: Key, seq: u64, now_nanos: i64) {
        if self.window_nanos <= 0 {
            return;
        }
        while self.order.len() >= MOST {
            self.drop_oldest();
        }
        let place = u32::try_from(self.order.len()).unwrap_or(u32::MAX);
        let place = self.gone.wrapping_add(place);
        self.order.push_back(Known {
            key,
            seq,
            at_nanos: now_nanos,
        });
        let (order, gone) = (&self.order, self.gone);
        let same = |place: &u32| at(order, gone, *place).is_some_and(|known| known.key == key);
        let hash = |place: &u32| at(order, gone, *place).map_or(0, |known| known.key.low);
        match self.places.entry(key.low, same, hash) {
            Entry::Occupied(mut entry) => *entry.get_mut() = place,
            Entry::Vacant(entry) => drop(entry.insert(place)),
        }
    }

    /// Takes back an event that was not stored after all.
    pub(crate) fn forget(&mut self, key: Key, seq: u64) {
        let (order, gone) = (&self.order, self.gone);
        let same = |place: &u32| {
            at(order, gone, *place).is_some_and(|known| known.key == key && known.seq == seq)
        };
        if let Ok(entry) = self.places.find_entry(key.low, same) {
            entry.remove();
        }
    }

    fn expire(&mut self, now_nanos: i64) {
        let oldest = now_nanos.saturating_sub(self.window_nanos);
        let old = |known: &Known| known.at_nanos < oldest;
        while self.order.front().is_some_and(old) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let Some(known) = self.order.pop_front() else {
            return;
        };
        // A key that was taken back has no place any more, and may have a later one.
        let oldest = self.gone;
        if let Ok(entry) = self
            .places
            .find_entry(known.key.low, |place| *place == oldest)
        {
            entry.remove();
        }
        self.gone = self.gone.wrapping_add(1);
    }
}

/// What is remembered at a place.
fn at(order: &VecDeque<Known>, gone: u32, place: u32) -> Option<&Known> {
    order.get(usize::try_from(place.wrapping_sub(gone)).ok()?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_is_known_for_the_window() {
        let mut dedup = Dedup::new(100);
        let key = dedup.hash(b"a");
        dedup.insert(key, 1, 0);
        assert_eq!(dedup.find(key, 100), Some(1));
        assert_eq!(dedup.find(key, 101), None);
        assert!(dedup.order.is_empty() && dedup.places.is_empty());
    }

    #[test]
    fn what_was_not_stored_can_be_stored_later() {
        let mut dedup = Dedup::new(100);
        let key = dedup.hash(b"a");
        dedup.insert(key, 1, 0);
        dedup.forget(key, 1);
        dedup.insert(key, 2, 50);
        assert_eq!(dedup.find(key, 101), Some(2));
    }

    #[test]
    fn no_more_than_the_most_are_known_and_the_oldest_go() {
        let mut dedup = Dedup::new(i64::MAX);
        let keys: Vec<Key> = (0..MOST + 3)
            .map(|n| dedup.hash(&n.to_le_bytes()))
            .collect();
        for (key, seq) in keys.iter().zip(1..) {
            dedup.insert(*key, seq, 0);
        }
        assert_eq!((dedup.order.len(), dedup.places.len()), (MOST, MOST));
        assert_eq!(dedup.find(keys[2], 0), None);
        assert_eq!(dedup.find(keys[3], 0), Some(4));
        assert_eq!(dedup.find(keys[MOST + 2], 0), Some(MOST as u64 + 3));
    }

    #[test]
    fn a_key_that_comes_again_stands_for_the_later_event() {
        let mut dedup = Dedup::new(100);
        let key = dedup.hash(b"a");
        dedup.insert(key, 1, 0);
        dedup.insert(key, 2, 50);
        assert_eq!(dedup.find(key, 150), Some(2));
        assert_eq!(dedup.find(key, 151), None);
    }

    proptest! {
        /// A map that remembers when each key came is the rule.
        #[test]
        fn it_knows_what_a_plain_map_knows(
            steps in prop::collection::vec((0u8..12, 0i64..40, any::<bool>()), 0..200),
            gone in prop::sample::select(vec![0, u32::MAX - 20]),
        ) {
            const WINDOW: i64 = 100;
            let mut dedup = Dedup { gone, ..Dedup::new(WINDOW) };
            let mut plain: BTreeMap<u8, (u64, i64)> = BTreeMap::new();
            let mut now = 0;
            for ((name, wait, stored), seq) in steps.into_iter().zip(1..) {
                now += wait;
                plain.retain(|_, (_, at)| *at >= now - WINDOW);
                let key = dedup.hash(&[name]);
                let known = plain.get(&name).map(|(seq, _)| *seq);
                prop_assert_eq!(dedup.find(key, now), known);
                if known.is_none() {
                    dedup.insert(key, seq, now);
                    if stored {
                        plain.insert(name, (seq, now));
                    } else {
                        dedup.forget(key, seq);
                    }
                }
            }
        }
    }
}
