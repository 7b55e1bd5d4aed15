//! What a condition holds, as it is stored: one entry, or for a `join` many, over which the keys are spread so that an
//! event writes only what it may meet. It counts what enters and leaves, and decides nothing.

use std::collections::BTreeSet;

use bytes::Bytes;
use tiphys_eventbus::StateError;

use super::ledger::Outcome;
use super::runner::Runner;
use super::short;
use super::store::Store;
use super::told::tell_dead;
use crate::conditions::State;

/// The events that wait on one shelf have no more bytes; what has waited longest is given up.
pub(super) const MOST_BYTES: usize = 4 << 20;

/// One entry.
#[derive(Default)]
pub(super) struct Shelf {
    /// As it was read or written last.
    pub(super) state: Option<(State, Option<u64>)>,
    /// The events that are counted as pending here; `None` before the stored ones were.
    counted: Option<BTreeSet<String>>,
}

/// Where the events of a key are: one of 256, or the only one of a condition without keys.
pub(super) fn shelf_of(durable: &str, group: Option<&str>) -> String {
    match group {
        None => durable.to_owned(),
        Some(group) => format!("{durable}/{}", short(&[group], 2)),
    }
}

impl Shelf {
    /// Changes the stored state, again where another replica was faster. Events that leave it are counted.
    pub(super) async fn change<T>(
        &mut self,
        (runner, store, key): (&Runner, &Store, &str),
        outcome: Outcome,
        change: impl Fn(&mut State) -> (T, bool),
    ) -> Result<T, StateError> {
        loop {
            let (mut state, revision) = self.load(runner, store, key).await?;
            let before = state.pending();
            let heard = state.settled(&runner.settled());
            let (result, changed) = change(&mut state);
            if !changed {
                self.state = Some((state, revision));
                return Ok(result);
            }
            let bytes = serde_json::to_vec(&state).map_err(|error| StateError::Unavailable {
                reason: error.to_string(),
            })?;
            match store.put(key, Bytes::from(bytes), revision).await {
                Ok(revision) => {
                    self.count(runner, &before, &state.pending(), outcome);
                    runner.forget_settled(&heard);
                    self.state = Some((state, Some(revision)));
                    return Ok(result);
                }
                // The stored state is read anew and the change made on that.
                Err(StateError::Conflict) => self.state = None,
                Err(error) => {
                    self.state = None;
                    return Err(error);
                }
            }
        }
    }

    /// Counts what a change did, each event once in this replica whatever others have done with it.
    fn count(
        &mut self,
        runner: &Runner,
        before: &BTreeSet<String>,
        after: &BTreeSet<String>,
        outcome: Outcome,
    ) {
        let counted = self.counted.get_or_insert_default();
        for event in after.difference(before) {
            if counted.insert(event.clone()) {
                runner.ledger.entered();
            }
        }
        for event in before.difference(after) {
            // One that another replica has taken ends here.
            if !counted.remove(event) {
                runner.ledger.entered();
            }
            runner.ledger.leave(outcome, 1);
        }
        let gone: Vec<String> = counted.difference(after).cloned().collect();
        for event in &gone {
            counted.remove(event);
        }
        runner.ledger.leave(Outcome::Elsewhere, gone.len());
    }

    /// Reads what is stored, and counts it where it was not yet.
    pub(super) async fn load(
        &mut self,
        runner: &Runner,
        store: &Store,
        key: &str,
    ) -> Result<(State, Option<u64>), StateError> {
        if let Some(known) = self.state.take() {
            return Ok(known);
        }
        let version = &runner.prepared.version;
        let Some(entry) = store.get(key).await? else {
            self.counted.get_or_insert_default();
            return Ok((State::new(version), None));
        };
        let stored = serde_json::from_slice::<State>(&entry.value).ok();
        let current = stored.as_ref().is_some_and(|state| state.is_of(version));
        let pending = stored.as_ref().map(State::pending).unwrap_or_default();
        let events = pending.len();
        if self.counted.is_none() {
            runner.ledger.adopt(events);
            if current {
                self.counted = Some(pending);
            } else {
                runner.ledger.leave(Outcome::Dead, events);
                self.counted = Some(BTreeSet::new());
                for (dependency, kept) in stored.iter().flat_map(State::all) {
                    let note = "the condition has changed since it came".to_owned();
                    tell_dead(runner, dependency, &kept.0, note);
                }
            }
        }
        match stored {
            Some(state) if current => Ok((state, Some(entry.revision))),
            _ => {
                if events > 0 {
                    tracing::warn!(events, "held events are dropped: the condition has changed");
                }
                Ok((State::new(version), Some(entry.revision)))
            }
        }
    }
}

/// Removes the entries of a condition that is no longer of this kind, and counts what was held in them.
pub(super) async fn clear(runner: &Runner, store: &Store, key: &str) -> Result<(), StateError> {
    let mut shelf = Shelf::default();
    shelf.load(runner, store, key).await?;
    store.delete(key).await
}
