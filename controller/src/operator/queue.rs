//! What is to be looked at next: each thing once, never twice at a time, later and later after a failure. Pure; the time
//! is given.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::time::Duration;

use tiphys_core::backoff::Backoff;
use tokio::time::Instant;

use super::child::ChildKey;
use crate::hosting::ObjectKey;

/// Something to look at.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Job {
    /// An EventBus, EventSource or Sensor.
    Object(ObjectKey),
    /// Something that was made for an object that is not there.
    Orphan(ChildKey),
}

/// How a look ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing more until something changes.
    Wait,
    /// Again, later and later.
    Retry,
}

/// See the module.
pub(crate) struct Queue {
    ready: VecDeque<Job>,
    waiting: HashSet<Job>,
    later: BTreeSet<(Instant, Job)>,
    when: HashMap<Job, Instant>,
    running: HashSet<Job>,
    again: HashSet<Job>,
    failures: HashMap<Job, u32>,
    backoff: Backoff,
}

impl Queue {
    pub(crate) fn new() -> Self {
        Self {
            ready: VecDeque::new(),
            waiting: HashSet::new(),
            later: BTreeSet::new(),
            when: HashMap::new(),
            running: HashSet::new(),
            again: HashSet::new(),
            failures: HashMap::new(),
            backoff: Backoff {
                first: Duration::from_millis(500),
                longest: Duration::from_secs(60),
                ..Backoff::reconnect()
            },
        }
    }

    /// Has something looked at as soon as may be.
    pub(crate) fn add(&mut self, job: Job) {
        if self.running.contains(&job) {
            self.again.insert(job);
            return;
        }
        self.forget_later(&job);
        if self.waiting.insert(job.clone()) {
            self.ready.push_back(job);
        }
    }

    /// What to look at now.
    pub(crate) fn take(&mut self, now: Instant) -> Option<Job> {
        while let Some((when, job)) = self.later.first().cloned() {
            if when > now {
                break;
            }
            self.forget_later(&job);
            if self.waiting.insert(job.clone()) {
                self.ready.push_back(job);
            }
        }
        let job = self.ready.pop_front()?;
        self.waiting.remove(&job);
        self.running.insert(job.clone());
        Some(job)
    }

    /// When something is due that is not ready now.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.later.first().map(|(when, _)| *when)
    }

    /// Says how a look ended.
    pub(crate) fn done(&mut self, job: Job, next: Next, now: Instant) {
        self.running.remove(&job);
        let again = self.again.remove(&job);
        match next {
            Next::Wait => {
                self.failures.remove(&job);
                if again {
                    self.add(job);
                }
            }
            // A change in the meantime does not make a failing server well, so the pause is kept.
            Next::Retry => {
                let attempt = self.failures.entry(job.clone()).or_insert(0);
                *attempt = attempt.saturating_add(1);
                let pause = self.backoff.wait_after(*attempt);
                let when = now + pause.unwrap_or(self.backoff.longest);
                self.later.insert((when, job.clone()));
                self.when.insert(job, when);
            }
        }
    }

    /// How many are ready, waiting for their time, or being looked at.
    pub(crate) fn len(&self) -> usize {
        self.ready.len() + self.later.len() + self.running.len()
    }

    /// How many are ready, being looked at, and waiting for their time.
    pub(crate) fn depth(&self) -> (usize, usize, usize) {
        (self.ready.len(), self.running.len(), self.later.len())
    }

    /// How many are ready or being looked at.
    pub(crate) fn busy(&self) -> usize {
        self.ready.len() + self.running.len()
    }

    fn forget_later(&mut self, job: &Job) {
        if let Some(when) = self.when.remove(job) {
            self.later.remove(&(when, job.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hosting::Kind;

    fn job(name: &str) -> Job {
        Job::Object(ObjectKey {
            kind: Kind::Sensor,
            namespace: "ns".to_owned(),
            name: name.to_owned(),
        })
    }

    #[test]
    fn a_thing_is_looked_at_once_however_often_it_is_added() {
        let (mut queue, now) = (Queue::new(), Instant::now());
        queue.add(job("a"));
        queue.add(job("a"));
        queue.add(job("b"));
        assert_eq!(queue.take(now), Some(job("a")));
        queue.add(job("a"));
        assert_eq!(queue.take(now), Some(job("b")));
        assert_eq!(queue.take(now), None);
        queue.done(job("a"), Next::Wait, now);
        assert_eq!(queue.take(now), Some(job("a")), "it changed meanwhile");
    }

    #[test]
    fn one_that_fails_waits_longer_each_time_and_a_change_wakes_it() {
        let (mut queue, mut now) = (Queue::new(), Instant::now());
        queue.add(job("a"));
        let mut pauses = Vec::new();
        for _ in 0..12 {
            assert_eq!(queue.take(now), Some(job("a")));
            queue.done(job("a"), Next::Retry, now);
            assert_eq!(queue.take(now), None);
            let due = queue.due().unwrap();
            pauses.push(due - now);
            now = due;
        }
        assert!(pauses[0] < Duration::from_secs(2), "{pauses:?}");
        assert!(pauses[4] > pauses[0], "{pauses:?}");
        let longest = Duration::from_secs(120);
        assert!(pauses.iter().all(|pause| *pause <= longest), "{pauses:?}");
        assert_eq!(queue.take(now), Some(job("a")));
        queue.done(job("a"), Next::Retry, now);
        queue.add(job("a"));
        assert_eq!(queue.take(now), Some(job("a")));
        queue.done(job("a"), Next::Wait, now);
        assert_eq!((queue.len(), queue.due()), (0, None));
    }
}
