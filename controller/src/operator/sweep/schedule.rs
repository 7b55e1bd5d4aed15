//! When which bus is looked at. Pure; the time is given.

use std::collections::HashMap;
use std::time::Duration;

use tiphys_core::backoff::Backoff;
use tokio::time::Instant;

/// How often a bus is looked at where nothing has happened: somebody may have gone unseen.
const ROUND: Backoff = Backoff {
    first: Duration::from_secs(3600),
    // So that the buses of a cluster do not all come at once.
    jitter: 0.25,
    factor: 1.0,
    steps: u32::MAX,
    longest: Duration::from_secs(3600),
};

/// The pauses after failures.
const TRY_AGAIN: Backoff = Backoff {
    first: Duration::from_secs(5),
    longest: Duration::from_secs(600),
    ..Backoff::reconnect()
};

/// What a look has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing that must go.
    Nothing,
    /// Something that is removed; another look shows whether it stays away.
    Removed,
    /// The look has failed.
    Failed,
}

struct Entry {
    at: Instant,
    ready: bool,
    running: bool,
    failures: u32,
    /// What the next look comes too early for asks for another one.
    again: Option<Instant>,
}

/// See the module. Each bus is known by its uid.
pub(super) struct Schedule {
    after: Duration,
    entries: HashMap<String, Entry>,
}

impl Schedule {
    /// Nothing yet; `after` is how long after an event its bus is looked at.
    pub(super) fn new(after: Duration) -> Self {
        Self {
            after,
            entries: HashMap::new(),
        }
    }

    /// A bus is there, and can be used or not.
    pub(super) fn keep(&mut self, uid: &str, ready: bool, now: Instant) {
        let new = Entry {
            at: now + self.after,
            ready,
            running: false,
            failures: 0,
            again: None,
        };
        self.entries.entry(uid.to_owned()).or_insert(new).ready = ready;
    }

    /// A Sensor has left a bus.
    pub(super) fn soon(&mut self, uid: &str, now: Instant) {
        let at = now + self.after;
        if let Some(entry) = self.entries.get_mut(uid) {
            if !entry.running && entry.failures == 0 && entry.at > at {
                entry.at = at;
            } else {
                // The look that is under way or due comes too early for this one.
                entry.again = Some(at);
            }
        }
    }

    /// A bus is gone.
    pub(super) fn forget(&mut self, uid: &str) {
        self.entries.remove(uid);
    }

    /// When the next look is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.waiting().map(|(_, entry)| entry.at).min()
    }

    /// The bus to look at now.
    pub(super) fn take(&mut self, now: Instant) -> Option<String> {
        let due = self.waiting().filter(|(_, entry)| entry.at <= now);
        let uid = due.min_by_key(|(_, entry)| entry.at)?.0.clone();
        let entry = self.entries.get_mut(&uid)?;
        entry.running = true;
        // This look is late enough for it.
        entry.again = entry.again.filter(|again| *again > now);
        Some(uid)
    }

    fn waiting(&self) -> impl Iterator<Item = (&String, &Entry)> {
        let entries = self.entries.iter();
        entries.filter(|(_, entry)| entry.ready && !entry.running)
    }

    /// Says how a look ended; gives how many have failed in a row.
    pub(super) fn done(&mut self, uid: &str, found: Found, now: Instant) -> u32 {
        let Some(entry) = self.entries.get_mut(uid) else {
            return 0;
        };
        entry.running = false;
        let again = entry.again.take();
        if found != Found::Failed {
            entry.failures = 0;
        }
        let at = match found {
            Found::Nothing => now + ROUND.wait_after(1).unwrap_or(ROUND.longest),
            Found::Removed => now + self.after,
            Found::Failed => {
                entry.failures = entry.failures.saturating_add(1);
                now + TRY_AGAIN
                    .wait_after(entry.failures)
                    .unwrap_or(TRY_AGAIN.longest)
            }
        };
        entry.at = again.map_or(at, |again| match found {
            Found::Failed => at.max(again),
            Found::Nothing | Found::Removed => again,
        });
        entry.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: Duration = Duration::from_secs(60);

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn a_bus_is_looked_at_some_time_after_it_is_ready_and_then_once_an_hour() {
        let (mut schedule, now) = (Schedule::new(AFTER), Instant::now());
        schedule.keep("bus", false, now);
        assert_eq!(
            (schedule.due(), schedule.take(now + AFTER * 9)),
            (None, None)
        );
        schedule.keep("bus", true, now + secs(1));
        assert_eq!(schedule.due(), Some(now + AFTER));
        assert_eq!(schedule.take(now), None);
        let now = now + AFTER;
        assert_eq!(schedule.take(now).as_deref(), Some("bus"));
        assert_eq!(
            (schedule.due(), schedule.take(now + AFTER * 9)),
            (None, None)
        );
        assert_eq!(schedule.done("bus", Found::Nothing, now), 0);
        let due = schedule.due().unwrap() - now;
        assert!(due >= ROUND.first && due <= ROUND.first * 2, "{due:?}");
        schedule.forget("bus");
        assert_eq!(schedule.due(), None);
    }

    #[test]
    fn who_leaves_is_given_time_also_where_somebody_has_left_before_or_a_look_is_under_way() {
        let (mut schedule, now) = (Schedule::new(AFTER), Instant::now());
        schedule.keep("bus", true, now);
        schedule.soon("bus", now + secs(50));
        assert_eq!(schedule.due(), Some(now + AFTER));
        let now = now + AFTER;
        schedule.take(now).unwrap();
        schedule.done("bus", Found::Nothing, now);
        assert_eq!(schedule.due(), Some(now + secs(50)));
        let now = now + secs(50);
        schedule.take(now).unwrap();
        schedule.soon("bus", now + secs(1));
        schedule.done("bus", Found::Nothing, now + secs(2));
        assert_eq!(schedule.due(), Some(now + secs(61)));
        let now = now + secs(61);
        schedule.take(now).unwrap();
        schedule.done("bus", Found::Nothing, now);
        schedule.soon("bus", now + secs(5));
        assert_eq!(schedule.due(), Some(now + secs(65)));
        // What has been removed is looked for once more.
        let now = now + secs(65);
        schedule.take(now).unwrap();
        schedule.done("bus", Found::Removed, now);
        assert_eq!(schedule.due(), Some(now + AFTER));
        schedule.soon("other", now);
        assert_eq!(schedule.due(), Some(now + AFTER));
    }

    #[test]
    fn a_bus_that_cannot_be_looked_at_waits_longer_each_time_whatever_happens() {
        let (mut schedule, mut now) = (Schedule::new(secs(1)), Instant::now());
        schedule.keep("bus", true, now);
        let mut pauses = Vec::new();
        for failures in 1..=12 {
            now = schedule.due().unwrap();
            schedule.take(now).unwrap();
            schedule.soon("bus", now);
            assert_eq!(schedule.done("bus", Found::Failed, now), failures);
            schedule.soon("bus", now);
            pauses.push(schedule.due().unwrap() - now);
        }
        assert!(pauses[0] >= secs(5) && pauses[0] < secs(10), "{pauses:?}");
        assert!(
            pauses[11] >= secs(600) && pauses[11] < secs(1000),
            "{pauses:?}"
        );
        now = schedule.due().unwrap();
        schedule.take(now).unwrap();
        assert_eq!(schedule.done("bus", Found::Removed, now), 0);
        assert_eq!(schedule.due(), Some(now + secs(1)));
    }
}
