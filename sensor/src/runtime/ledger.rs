//! What becomes of each event, counted once per trigger: `accepted = fired + filtered + pending + dead`.
//! It holds numbers only; deliveries of the same event share one entry.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foldhash::fast::RandomState;
use tiphys_core::metrics::TriggerMetrics;
use tokio::time::Instant;

/// The end of an event; of several, the greatest counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    Filtered,
    Fired,
    Dead,
    /// Another replica has seen to it.
    Elsewhere,
}

pub(super) struct Ledger {
    metrics: TriggerMetrics,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    events: HashMap<u64, Progress, RandomState>,
    /// Events that come again, mostly: done, with an acknowledgement that failed, or given back. Where one does not
    /// come, the bus has the acknowledgement all the same, or another replica has the event.
    unconfirmed: Vec<(Instant, u64, Outcome)>,
    /// Events that an earlier run of this trigger in this process counted and did not finish.
    carried: u64,
}

/// How far an event is that was delivered and not acknowledged.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    /// Dependencies whose firing has ended. Empty where there is one only: its end is the message's.
    pub(super) done: Vec<usize>,
    /// The worst of their ends.
    pub(super) outcome: Option<Outcome>,
}

impl Ledger {
    /// Goes on where an earlier run of the trigger in this process stopped.
    pub(super) fn new(metrics: TriggerMetrics) -> Self {
        let carried = u64::try_from(metrics.pending.get()).unwrap_or(0);
        Self {
            metrics,
            open: Mutex::new(Open {
                carried,
                ..Open::default()
            }),
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an event that is pending from now on, unless an earlier run has.
    fn enter(&self, open: &mut Open, seen_before: bool) {
        if seen_before && open.carried > 0 {
            open.carried -= 1;
        } else {
            self.metrics.accepted.inc();
            self.metrics.pending.inc();
        }
    }

    /// A message came. Returns how far it got before.
    pub(super) fn begin(&self, seq: u64, delivery: u64) -> Progress {
        let mut open = self.open();
        if let Some(progress) = open.events.get(&seq).cloned() {
            self.metrics.redelivered.inc();
            open.unconfirmed.retain(|(_, waiting, _)| *waiting != seq);
            return progress;
        }
        self.enter(&mut open, delivery > 1);
        open.events.insert(seq, Progress::default());
        Progress::default()
    }

    /// Remembers how far a message got, for its next delivery.
    pub(super) fn progress(&self, seq: u64, progress: Progress) {
        self.open().events.insert(seq, progress);
    }

    /// A message is acknowledged.
    pub(super) fn end(&self, seq: u64, outcome: Outcome) {
        if self.open().events.remove(&seq).is_some() {
            self.leave(outcome, 1);
        }
    }

    /// A message is done, and its acknowledgement failed: its next delivery ends it, or time does.
    pub(super) fn unconfirmed(&self, seq: u64, outcome: Outcome) {
        self.open().unconfirmed.push((Instant::now(), seq, outcome));
    }

    /// A message was given back, to come again after `wait`: here, or to another replica.
    pub(super) fn given_back(&self, seq: u64, wait: Duration) {
        let mut open = self.open();
        if open.events.contains_key(&seq) {
            let from = Instant::now() + wait;
            open.unconfirmed.push((from, seq, Outcome::Elsewhere));
        }
    }

    /// Ends what was not delivered again for so long that the bus must have its acknowledgement.
    ///
    /// Returns whether some still wait for that.
    pub(super) fn sweep(&self, after: Duration) -> bool {
        let mut ended = Vec::new();
        let mut open = self.open();
        let (late, waiting): (Vec<_>, Vec<_>) = std::mem::take(&mut open.unconfirmed)
            .into_iter()
            .partition(|(at, _, _)| at.elapsed() >= after);
        open.unconfirmed = waiting;
        for (_, seq, outcome) in late {
            if open.events.remove(&seq).is_some() {
                ended.push(outcome);
            }
        }
        let waits = !open.unconfirmed.is_empty();
        drop(open);
        for outcome in ended {
            self.leave(outcome, 1);
        }
        waits
    }

    /// A message whose event stays pending in a condition.
    pub(super) fn held(&self, seq: u64) {
        self.open().events.remove(&seq);
    }

    /// A message whose event was counted at an earlier delivery.
    pub(super) fn repeated(&self) {
        self.metrics.redelivered.inc();
    }

    /// Events that pend no longer.
    pub(super) fn leave(&self, outcome: Outcome, events: usize) {
        let signed = i64::try_from(events).unwrap_or(i64::MAX);
        let events = u64::try_from(events).unwrap_or(u64::MAX);
        self.metrics.pending.sub(signed);
        match outcome {
            Outcome::Filtered => self.metrics.filtered.inc_by(events),
            Outcome::Fired => self.metrics.fired.inc_by(events),
            Outcome::Dead => self.metrics.dead.inc_by(events),
            Outcome::Elsewhere => self.metrics.elsewhere.inc_by(events),
        }
    }

    /// An event that a condition holds from now on.
    pub(super) fn entered(&self) {
        self.metrics.accepted.inc();
        self.metrics.pending.inc();
    }

    /// Counts events of a stored state that this process does not know yet.
    pub(super) fn adopt(&self, events: usize) {
        let mut open = self.open();
        for _ in 0..events {
            self.enter(&mut open, true);
        }
    }

    /// Counts stored events that an earlier run held and that a changed spec drops.
    pub(super) fn drop_carried(&self, events: usize) {
        let mut open = self.open();
        let known = open.carried.min(u64::try_from(events).unwrap_or(u64::MAX));
        open.carried -= known;
        drop(open);
        self.leave(Outcome::Dead, usize::try_from(known).unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tiphys_core::metrics::Metrics;

    fn sums(metrics: &TriggerMetrics) -> [u64; 5] {
        let pending = u64::try_from(metrics.pending.get()).unwrap();
        let TriggerMetrics {
            accepted,
            fired,
            filtered,
            dead,
            ..
        } = metrics;
        [
            accepted.get(),
            fired.get(),
            filtered.get(),
            dead.get(),
            pending,
        ]
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_acknowledgement_does_not_leave_an_event_pending_for_ever() {
        let metrics = Metrics::try_new("0").unwrap().trigger("n", "s", "t");
        let ledger = Ledger::new(metrics.clone());
        ledger.begin(1, 1);
        ledger.begin(2, 1);
        ledger.unconfirmed(1, Outcome::Fired);
        ledger.unconfirmed(2, Outcome::Fired);
        // The second comes again and is acknowledged then.
        ledger.begin(2, 2);
        ledger.end(2, Outcome::Fired);
        assert!(ledger.sweep(Duration::from_secs(60)));
        assert_eq!(sums(&metrics), [2, 1, 0, 0, 1]);
        tokio::time::advance(Duration::from_secs(61)).await;
        assert!(!ledger.sweep(Duration::from_secs(60)));
        assert_eq!(sums(&metrics), [2, 2, 0, 0, 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_that_is_given_back_is_counted_elsewhere_where_it_does_not_return() {
        let metrics = Metrics::try_new("0").unwrap().trigger("n", "s", "t");
        let ledger = Ledger::new(metrics.clone());
        ledger.begin(1, 1);
        ledger.begin(2, 1);
        ledger.given_back(1, Duration::from_secs(30));
        ledger.given_back(2, Duration::from_secs(30));
        ledger.begin(2, 2);
        tokio::time::advance(Duration::from_secs(61)).await;
        assert!(ledger.sweep(Duration::from_secs(60)));
        tokio::time::advance(Duration::from_secs(30)).await;
        assert!(!ledger.sweep(Duration::from_secs(60)));
        assert_eq!(
            (sums(&metrics), metrics.elsewhere.get()),
            ([2, 0, 0, 0, 1], 1)
        );
        ledger.end(2, Outcome::Fired);
        assert_eq!(
            (sums(&metrics), metrics.elsewhere.get()),
            ([2, 1, 0, 0, 0], 1)
        );
    }

    #[test]
    fn each_event_counts_once_however_often_it_comes() {
        let metrics = Metrics::try_new("0").unwrap().trigger("n", "s", "t");
        let ledger = Ledger::new(metrics.clone());
        ledger.begin(1, 1);
        ledger.begin(1, 2);
        ledger.begin(2, 1);
        ledger.end(1, Outcome::Fired);
        ledger.end(1, Outcome::Fired);
        assert_eq!(sums(&metrics), [2, 1, 0, 0, 1]);
        // The trigger is restarted while the second is unfinished.
        let ledger = Ledger::new(metrics.clone());
        ledger.begin(2, 2);
        ledger.end(2, Outcome::Dead);
        assert_eq!(sums(&metrics), [2, 1, 0, 1, 0]);
    }
}
