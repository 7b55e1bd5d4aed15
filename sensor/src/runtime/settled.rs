//! Which messages of a trigger have an end. A bus that loses an acknowledgement brings a message again; it is then only
//! acknowledged again, neither fired nor counted. It holds numbers only, and so many of them.
//!
//! ```text
//! current ──after a minute and a half with the bus there, or when it is full──▶ previous ──▶ forgotten
//! ```
//!
//! While the bus is away nothing is forgotten: what it has lost comes when it is back.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use jiff::Timestamp;
use tiphys_eventbus::Message;

use super::ledger::Outcome;

/// How many are remembered for sure.
const MOST: usize = 32 << 10;

/// After so many looks, half a minute apart, what is remembered is old.
const LOOKS: u32 = 3;

/// The end of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Settled {
    /// When the bus stored it, to tell it from one of the same number in another stream of the same name.
    stored_at: Timestamp,
    /// How it ended; nothing where a condition has taken it.
    pub(super) outcome: Option<Outcome>,
}

/// What is remembered.
#[derive(Debug, Default)]
pub(super) struct Remembered(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    current: HashMap<u64, Settled, RandomState>,
    previous: HashMap<u64, Settled, RandomState>,
    looks: u32,
}

impl Remembered {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A message has an end.
    pub(super) fn put(&self, message: &Message, outcome: Option<Outcome>) {
        let settled = Settled {
            stored_at: message.stored_at,
            outcome,
        };
        self.inner().put(message.seq, settled);
    }

    /// The end that a message had.
    pub(super) fn get(&self, message: &Message) -> Option<Settled> {
        self.inner().get(message.seq, message.stored_at)
    }

    /// Called every half minute while the bus can be reached.
    pub(super) fn look(&self) {
        self.inner().look();
    }
}

impl Inner {
    fn put(&mut self, seq: u64, settled: Settled) {
        if self.current.len() >= MOST {
            // There will be as many again: they find the room that these had.
            std::mem::swap(&mut self.current, &mut self.previous);
            self.current.clear();
            self.looks = 0;
        }
        self.current.insert(seq, settled);
    }

    fn get(&self, seq: u64, stored_at: Timestamp) -> Option<Settled> {
        let found = self.current.get(&seq).or_else(|| self.previous.get(&seq));
        found
            .filter(|settled| settled.stored_at == stored_at)
            .copied()
    }

    fn look(&mut self) {
        if self.current.is_empty() && self.previous.is_empty() {
            return;
        }
        self.looks += 1;
        if self.looks >= LOOKS {
            self.previous = std::mem::take(&mut self.current);
            self.looks = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(at: i64) -> Settled {
        Settled {
            stored_at: Timestamp::from_second(at).unwrap(),
            outcome: Some(Outcome::Fired),
        }
    }

    #[test]
    fn a_number_of_another_stream_is_not_known() {
        let mut inner = Inner::default();
        inner.put(7, settled(1));
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(inner.get(7, at(1)), Some(settled(1)));
        assert_eq!(inner.get(7, at(2)), None);
        assert_eq!(inner.get(8, at(1)), None);
    }

    #[test]
    fn what_is_remembered_is_bounded_in_number_and_in_time() {
        let mut inner = Inner::default();
        let at = Timestamp::from_second(1).unwrap();
        let most = u64::try_from(MOST).unwrap();
        for seq in 0..3 * most {
            inner.put(seq, settled(1));
        }
        assert!(inner.current.len() + inner.previous.len() <= 2 * MOST);
        assert_eq!(inner.get(most - 1, at), None);
        assert!(inner.get(2 * most, at).is_some());
        for _ in 0..LOOKS {
            inner.look();
        }
        assert!(inner.get(3 * most - 1, at).is_some());
        for _ in 0..LOOKS {
            inner.look();
        }
        assert_eq!(inner.get(3 * most - 1, at), None);
        assert!(inner.previous.is_empty() && inner.current.is_empty());
    }
}
