//! `orderBy`: events of one key one after the other, in the order in which they came; others side by side. Pure.

use std::collections::{HashMap, VecDeque};

/// Who waits for whom.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    /// The first of each lane is at work.
    lanes: HashMap<String, VecDeque<u64>>,
    next: u64,
}

impl Lanes {
    /// Takes a place in a lane, and says whether its turn is now.
    pub(crate) fn enter(&mut self, key: &str) -> (u64, bool) {
        self.next += 1;
        let lane = self.lanes.entry(key.to_owned()).or_default();
        lane.push_back(self.next);
        (self.next, lane.len() == 1)
    }

    /// Gives a place up, done or not. Returns whose turn begins with that.
    pub(crate) fn leave(&mut self, key: &str, place: u64) -> Option<u64> {
        let lane = self.lanes.get_mut(key)?;
        let first = lane.front() == Some(&place);
        lane.retain(|other| *other != place);
        let next = lane.front().copied();
        if next.is_none() {
            self.lanes.remove(key);
        }
        next.filter(|_| first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_of_a_key_is_at_work_and_others_are_not_held_up() {
        let mut lanes = Lanes::default();
        let (one, now) = lanes.enter("x");
        assert!(now);
        let (two, now) = lanes.enter("x");
        assert!(!now);
        assert!(lanes.enter("y").1);
        let (three, _) = lanes.enter("x");
        assert_eq!(lanes.leave("x", two), None, "it gave up before its turn");
        assert_eq!(lanes.leave("x", one), Some(three));
        assert_eq!(lanes.leave("x", three), None);
        assert!(lanes.enter("x").1);
    }

    proptest! {
        #[test]
        fn every_lane_is_worked_off_in_order(keys in prop::collection::vec(0..4_u8, 0..50), seed in any::<u64>()) {
            let (mut lanes, mut at_work, mut done) = (Lanes::default(), Vec::new(), HashMap::<u64, String>::new());
            let mut order: HashMap<String, Vec<u64>> = HashMap::new();
            let mut key_of = HashMap::new();
            for key in &keys {
                let key = key.to_string();
                let (place, now) = lanes.enter(&key);
                key_of.insert(place, key.clone());
                if now { at_work.push(place); }
                order.entry(key).or_default().push(place);
            }
            let mut worked: HashMap<String, Vec<u64>> = HashMap::new();
            let mut random = seed;
            while !at_work.is_empty() {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let index = usize::try_from(random >> 33).unwrap() % at_work.len();
                let place = at_work.swap_remove(index);
                let key = key_of[&place].clone();
                worked.entry(key.clone()).or_default().push(place);
                done.insert(place, key.clone());
                at_work.extend(lanes.leave(&key, place));
            }
            prop_assert_eq!(worked, order);
            prop_assert!(lanes.lanes.is_empty());
        }
    }
}
