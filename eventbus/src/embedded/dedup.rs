//! Which events were stored lately, by key. It holds hashes in memory and is rebuilt from the log at the start.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};

/// More keys are not remembered: 500,000 take about 30 MB.
const MOST: usize = 500_000;

/// The keys of a window of time.
pub(crate) struct Dedup {
    window_nanos: i64,
    // Two seeded hashes of 64 bits: senders can choose keys, and cannot aim at a collision.
    hashers: [RandomState; 2],
    known: HashMap<u128, u64>,
    order: VecDeque<(i64, u128, u64)>,
}

impl Dedup {
    pub(crate) fn new(window_nanos: i64) -> Self {
        Self {
            window_nanos,
            hashers: [RandomState::new(), RandomState::new()],
            known: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    pub(crate) fn hash(&self, key: &[u8]) -> u128 {
        let [high, low] = &self.hashers;
        u128::from(high.hash_one(key)) << 64 | u128::from(low.hash_one(key))
    }

    /// The number under which the key is stored, if it is known.
    pub(crate) fn find(&mut self, key: u128, now_nanos: i64) -> Option<u64> {
        self.expire(now_nanos);
        self.known.get(&key).copied()
    }

    pub(crate) fn insert(&mut self, key: u128, seq: u64, now_nanos: i64) {
        if self.window_nanos <= 0 {
            return;
        }
        self.known.insert(key, seq);
        self.order.push_back((now_nanos, key, seq));
        while self.order.len() > MOST {
            self.drop_oldest();
        }
    }

    /// Takes back an event that was not stored after all.
    pub(crate) fn forget(&mut self, key: u128, seq: u64) {
        if self.known.get(&key) == Some(&seq) {
            self.known.remove(&key);
        }
    }

    fn expire(&mut self, now_nanos: i64) {
        let oldest = now_nanos.saturating_sub(self.window_nanos);
        while self.order.front().is_some_and(|(at, ..)| *at < oldest) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some((_, key, seq)) = self.order.pop_front()
            && self.known.get(&key) == Some(&seq)
        {
            self.known.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_for_the_window() {
        let mut dedup = Dedup::new(100);
        let key = dedup.hash(b"a");
        dedup.insert(key, 1, 0);
        assert_eq!(dedup.find(key, 100), Some(1));
        assert_eq!(dedup.find(key, 101), None);
        assert!(dedup.order.is_empty());
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
}
