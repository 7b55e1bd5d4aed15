//! `join`: events of one key inside a window make a condition together, whatever else comes between. Pure: no bus, no clock.
//!
//! ```yaml
//! join: {key: body.sha, within: 30m}     # or one path a dependency: keys: {build: body.sha, review: body.head.sha}
//! ```
//!
//! Events of one key and dependency queue up: the first ones meet first. What has met nobody inside the window is
//! given up, and said so.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tiphys_core::{Event, duration};
use tiphys_lang::condition::Condition;

use crate::conditions::{Held, Kept, KeptEvents};
use crate::dialect::{Selector, text_form};
use crate::spec::JoinSpec;

/// A compiled `join`.
#[derive(Debug)]
pub(crate) struct Join {
    key: Option<Selector>,
    keys: BTreeMap<String, Option<Selector>>,
    pub(crate) within: SignedDuration,
    /// The window as the spec writes it.
    pub(crate) text: String,
}

impl Join {
    pub(crate) fn new(spec: &JoinSpec) -> Self {
        let keys = spec.keys.iter();
        let within = duration::parse(&spec.within).unwrap_or_default();
        Self {
            key: Selector::compile(&spec.key).ok(),
            keys: keys
                .map(|(name, path)| (name.clone(), Selector::compile(path).ok()))
                .collect(),
            within: SignedDuration::try_from(within).unwrap_or(SignedDuration::MAX),
            text: spec.within.clone(),
        }
    }

    /// The key of an event, or why it has none.
    pub(crate) fn key(&self, dependency: &str, event: &Event) -> Result<String, String> {
        let selector = match self.keys.get(dependency) {
            Some(selector) => selector,
            None => &self.key,
        };
        let selector = selector
            .as_ref()
            .ok_or_else(|| "join has no key for it".to_owned())?;
        let data = event.data.as_deref().unwrap_or_default();
        let found = selector.get(data);
        let text = found.map(|found| text_form(&found).into_owned());
        text.filter(|text| !text.is_empty())
            .ok_or_else(|| "join.key is not in the event".to_owned())
    }

    /// Events from before this time are too old beside one of now.
    pub(crate) fn oldest(&self, now: Timestamp) -> Timestamp {
        now.saturating_sub(self.within)
            .unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

/// Events that wait, by key and dependency.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Groups(BTreeMap<String, BTreeMap<String, VecDeque<Held>>>);

/// An event that met nobody.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Unmet {
    pub(crate) key: String,
    pub(crate) dependency: String,
    pub(crate) event: Kept,
}

impl Groups {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn all(&self) -> impl Iterator<Item = (&String, &String, &Held)> {
        self.0.iter().flat_map(|(key, queues)| {
            let queues = queues.iter();
            queues.flat_map(move |(dependency, queue)| {
                queue.iter().map(move |held| (key, dependency, held))
            })
        })
    }

    /// The events that wait.
    pub(crate) fn kept(&self) -> impl Iterator<Item = &Kept> {
        self.all().map(|(_, _, held)| &held.event)
    }

    /// The events that wait, with their dependencies.
    pub(crate) fn by_dependency(&self) -> impl Iterator<Item = (&String, &Kept)> {
        self.all()
            .map(|(_, dependency, held)| (dependency, &held.event))
    }

    /// Their ids by dependency and key.
    pub(crate) fn ids(&self) -> BTreeMap<String, String> {
        let all = self.all();
        all.map(|(key, dependency, held)| {
            (format!("{dependency} of {key}"), held.event.0.id.clone())
        })
        .take(64)
        .collect()
    }

    /// Whether a dependency has an event of a key.
    pub(crate) fn has(&self, key: &str, dependency: &str) -> bool {
        let queues = self.0.get(key);
        queues.is_some_and(|queues| queues.contains_key(dependency))
    }

    pub(crate) fn holds(&self, dependency: &str, same: impl Fn(&Kept) -> bool) -> bool {
        self.all()
            .any(|(_, name, held)| name == dependency && same(&held.event))
    }

    /// Takes an event; the first of each queue of its key, where they make the condition with it.
    pub(crate) fn add(
        &mut self,
        condition: &Condition,
        key: &str,
        dependency: &str,
        held: Held,
    ) -> Option<KeptEvents> {
        let queues = self.0.entry(key.to_owned()).or_default();
        let queue = queues.entry(dependency.to_owned()).or_default();
        queue.push_back(held);
        // Where one waits already, another of its dependency makes nothing true that was not.
        if queue.len() > 1 || !condition.holds(|name| queues.contains_key(name)) {
            return None;
        }
        let mut events = KeptEvents::new();
        for (name, queue) in queues.iter_mut() {
            if let Some(first) = queue.pop_front() {
                events.insert(name.clone(), first.event);
            }
        }
        self.tidy();
        Some(events)
    }

    /// Takes out what has waited since before a time.
    pub(crate) fn expire(&mut self, before: Timestamp) -> Vec<Unmet> {
        let mut unmet = Vec::new();
        for (key, queues) in &mut self.0 {
            for (dependency, queue) in queues {
                queue.retain(|held| {
                    let stays = held.at >= before;
                    if !stays {
                        unmet.push(Unmet {
                            key: key.clone(),
                            dependency: dependency.clone(),
                            event: held.event.clone(),
                        });
                    }
                    stays
                });
            }
        }
        if !unmet.is_empty() {
            self.tidy();
        }
        unmet
    }

    /// When the first of those that wait was stored.
    pub(crate) fn oldest(&self) -> Option<Timestamp> {
        self.all().map(|(_, _, held)| held.at).min()
    }

    /// Takes out what has waited longest, until the rest has no more than so many bytes. One always stays.
    pub(crate) fn shrink(&mut self, bytes: usize) -> Vec<Unmet> {
        let mut sizes: Vec<(Timestamp, usize)> = self
            .all()
            .map(|(_, _, held)| (held.at, held.event.bytes()))
            .collect();
        let mut total: usize = sizes.iter().map(|(_, bytes)| bytes).sum();
        if total <= bytes {
            return Vec::new();
        }
        sizes.sort_unstable();
        let (mut before, last) = (None, sizes.last().map(|(at, _)| *at));
        for (at, size) in sizes {
            // Those of one moment go or stay together.
            if total <= bytes && before.is_none_or(|before| before < at) {
                break;
            }
            before = Some(at);
            total = total.saturating_sub(size);
        }
        match (before, last) {
            (Some(before), Some(last)) => {
                let next = before.saturating_add(SignedDuration::from_nanos(1));
                self.expire(next.map_or(last, |next| next.min(last)))
            }
            _ => Vec::new(),
        }
    }

    fn tidy(&mut self) {
        for queues in self.0.values_mut() {
            queues.retain(|_, queue| !queue.is_empty());
        }
        self.0.retain(|_, queues| !queues.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::conditions::{State, Step};
    use crate::testing::event;

    fn second(at: i64) -> Timestamp {
        Timestamp::from_second(at).unwrap()
    }

    /// Events are written `a1@5/k`: dependency `a`, id `a1`, at second 5, key `k`. Firings are ids in order of dependency.
    fn play(condition: &str, within: i64, sequence: &str) -> (Vec<String>, Vec<String>) {
        let condition = Condition::compile(condition, &["a", "b", "c"]).unwrap();
        let (mut state, mut fired, mut given_up) = (State::new("v"), Vec::new(), Vec::new());
        for text in sequence.split_whitespace() {
            let (id, rest) = text.split_once('@').unwrap();
            let (at, key) = rest.split_once('/').unwrap();
            let at = second(at.parse().unwrap());
            let before = at - SignedDuration::from_secs(within);
            given_up.extend(
                state
                    .expire(before)
                    .into_iter()
                    .map(|unmet| unmet.event.0.id.clone()),
            );
            let event = Arc::new(event(id, "{}"));
            let step = state.on_keyed(&condition, id.get(..1).unwrap(), key, &event, at);
            if let Step::Fire(by, events) = step {
                let ids: Vec<_> = events.values().map(|kept| kept.0.id.clone()).collect();
                fired.push(ids.join(","));
                state.done(&by);
            }
            state = serde_json::from_slice(&serde_json::to_vec(&state).unwrap()).unwrap();
        }
        (fired, given_up)
    }

    #[test]
    fn events_meet_by_key_in_order_and_inside_the_window() {
        for (case, condition, sequence, fired, given_up) in [
            (
                "by key",
                "a && b",
                "a1@0/x a2@1/y b1@2/y b2@3/x",
                vec!["a2,b1", "a1,b2"],
                vec![],
            ),
            (
                "first with first",
                "a && b",
                "a1@0/x a2@1/x b1@2/x b2@3/x",
                vec!["a1,b1", "a2,b2"],
                vec![],
            ),
            (
                "too late",
                "a && b",
                "a1@0/x b1@11/x a2@12/x",
                vec!["a2,b1"],
                vec!["a1"],
            ),
            (
                "at the edge",
                "a && b",
                "a1@0/x b1@10/x",
                vec!["a1,b1"],
                vec![],
            ),
            (
                "again",
                "a && b",
                "a1@0/x a1@1/x b1@2/x a1@3/x b2@4/x",
                vec!["a1,b1"],
                vec![],
            ),
            (
                "three",
                "a && b && c",
                "a1@0/x b1@1/x b2@2/x c1@3/x c2@4/x a2@5/x",
                vec!["a1,b1,c1", "a2,b2,c2"],
                vec![],
            ),
            (
                "either",
                "(a || b) && c",
                "a1@0/x c1@1/x c2@2/x b1@3/x",
                vec!["a1,c1", "b1,c2"],
                vec![],
            ),
        ] {
            let (have, unmet) = play(condition, 10, sequence);
            assert_eq!(
                (have, unmet),
                (
                    fired.iter().map(ToString::to_string).collect(),
                    given_up.iter().map(ToString::to_string).collect()
                ),
                "{case}"
            );
        }
    }

    proptest! {
        #[test]
        fn every_event_fires_once_is_given_up_once_or_waits_and_partners_share_key_and_window(
            sequence in prop::collection::vec((0..2_usize, 0..3_u8, 0..4_i64), 0..60),
        ) {
            let condition = Condition::compile("a && b", &["a", "b"]).unwrap();
            let (mut state, mut now) = (State::new("v"), 0);
            let (mut known, mut ended) = (BTreeMap::new(), Vec::new());
            for (index, (dependency, key, pause)) in sequence.into_iter().enumerate() {
                now += pause;
                let name = ["a", "b"][dependency];
                let (id, key) = (format!("{name}{index}"), format!("k{key}"));
                known.insert(id.clone(), (key.clone(), now));
                for unmet in state.expire(second(now - 5)) {
                    let id = unmet.event.0.id.clone();
                    prop_assert!(known[&id].1 < now - 5);
                    ended.push(id);
                }
                if let Step::Fire(by, events) = state.on_keyed(&condition, name, &key, &Arc::new(event(&id, "{}")), second(now)) {
                    prop_assert_eq!(events.len(), 2);
                    for kept in events.values() {
                        let (of, at) = &known[&kept.0.id];
                        prop_assert_eq!(of, &key);
                        prop_assert!(*at >= now - 5);
                        ended.push(kept.0.id.clone());
                    }
                    state.done(&by);
                }
            }
            let unique: BTreeSet<_> = ended.iter().collect();
            prop_assert_eq!(unique.len(), ended.len());
            prop_assert_eq!(ended.len() + state.pending().len(), known.len());
        }
    }
}
