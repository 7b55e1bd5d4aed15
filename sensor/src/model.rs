//! Random sensors and events against the rule in words, with everything that can go wrong between any two steps.
//! It runs what decides (dependencies, conditions, names of firings) with a small bus, state store and cluster of its own.
//!
//! ```text
//! events ─▶ queue: any order, twice, again without an acknowledgement
//!             └─▶ two replicas, step by step in any order, each of which may die before and after each step:
//!                 take part ─▶ store state (only if nobody else has) ─▶ effect ─▶ store state ─▶ acknowledge
//! ```

mod random;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};

use crate::conditions::{KeptEvents, State, Step};
use crate::dependency::Admission;
use crate::document::{Events, Input};
use crate::filters::{Detail, Report};
use crate::prepared::{Owner, Prepared};
use crate::spec::TemplateEngine;
use random::{Message, Wanted, messages, sensor};

/// A firing as the rule says it: event ids by dependency.
type Match = BTreeMap<String, String>;

/// So many seeds that are always the same, and so many that never are.
const FIXED: u64 = 1500;
const FRESH: u64 = 1500;

/// Where a replica is with a message.
enum At {
    /// Before its dependency of this index.
    Part(usize),
    /// A firing is stored; its effect is next.
    Effect(usize, String, KeptEvents),
    /// The effect is over, well or not.
    Done(usize, String, End),
    /// All is done but the acknowledgement.
    Ack,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Fired,
    Dead,
}

#[derive(Default)]
struct Replica {
    job: Option<(usize, At)>,
    /// What it remembers of the stored state.
    state: Option<(State, Option<u64>)>,
}

/// Everything that outlives a replica.
struct Outside {
    messages: Vec<Message>,
    stored: Option<(Vec<u8>, u64)>,
    /// Objects by the name of the firing.
    objects: BTreeMap<String, Match>,
    /// Matches that an attempt gave up.
    given_up: BTreeSet<Match>,
    /// Each part in the order in which it was stored.
    takes: Vec<(String, String)>,
    entered: usize,
    left: BTreeMap<End, usize>,
}

/// The rule in words: of the events that were not seen before under a dependency, the last one of each waits; when the
/// condition holds, all that wait fire together and none waits.
fn rule(prepared: &Prepared, takes: &[(String, String)]) -> (Vec<Match>, Match) {
    let (mut seen, mut waiting, mut firings) = (BTreeSet::new(), Match::new(), Vec::new());
    for (dependency, id) in takes {
        if !seen.insert((dependency, id)) {
            continue;
        }
        waiting.insert(dependency.clone(), id.clone());
        if prepared.condition.holds(|name| waiting.contains_key(name)) {
            firings.push(std::mem::take(&mut waiting));
        }
    }
    (firings, waiting)
}

/// A trigger with its two replicas.
struct Play<'a> {
    prepared: &'a Prepared,
    joined: bool,
    random: StdRng,
    outside: Outside,
    replicas: [Replica; 2],
    /// Nothing goes wrong any more.
    calm: bool,
}

impl Play<'_> {
    fn luck(&mut self, chance: f64) -> bool {
        !self.calm && self.random.random_bool(chance)
    }

    /// Plays until every message is acknowledged. Bounded, because a hang is a failure.
    fn run(&mut self) {
        for step in 0..20_000 {
            self.calm = step > 600;
            if self.outside.messages.iter().all(|message| message.acked) {
                return;
            }
            let who = self.random.random_range(0..self.replicas.len());
            if self.luck(0.04) {
                self.replicas[who] = Replica::default();
            }
            self.step(who);
            if self.luck(0.04) {
                self.replicas[who] = Replica::default();
            }
        }
        panic!("messages are delivered again and again");
    }

    fn step(&mut self, who: usize) {
        let Some((index, at)) = self.replicas[who].job.take() else {
            return self.deliver(who);
        };
        let next = match at {
            At::Part(part) => self.part(who, index, part),
            At::Effect(part, by, events) => self.effect(part, by, &events),
            At::Done(part, by, end) => self.done(who, part, by, end),
            At::Ack => {
                // One that is lost on its way means another delivery.
                if !self.luck(0.1) {
                    self.outside.messages[index].acked = true;
                }
                None
            }
        };
        self.replicas[who].job = next.map(|at| (index, at));
    }

    /// Any message that is not acknowledged, also one that the other replica is slow with.
    fn deliver(&mut self, who: usize) {
        let open: Vec<usize> = (0..self.outside.messages.len())
            .filter(|index| !self.outside.messages[*index].acked)
            .collect();
        if let Some(index) = open.choose(&mut self.random) {
            self.replicas[who].job = Some((*index, At::Part(0)));
        }
    }

    fn part(&mut self, who: usize, index: usize, part: usize) -> Option<At> {
        let Some(dependency) = self.prepared.dependencies.get(part) else {
            return Some(At::Ack);
        };
        let event = Arc::clone(&self.outside.messages[index].event);
        let next = Some(At::Part(part + 1));
        if !dependency.matches(&event) {
            return next;
        }
        let admission = dependency.admit(&event, &mut Report::new(Detail::Failures));
        let Admission::Passed(input) = admission else {
            return next;
        };
        let name = dependency.name.clone();
        if !self.joined {
            self.outside.takes.push((name.clone(), event.id.clone()));
            let kept =
                KeptEvents::from([(name, crate::conditions::Kept(Arc::clone(input.event())))]);
            return Some(At::Effect(part, String::new(), kept));
        }
        let condition = &self.prepared.condition;
        let step = self.change(who, End::Dead, |state| {
            let step = state.on_event(condition, &name, input.event(), Timestamp::UNIX_EPOCH);
            let changed = !matches!(step, Step::Known);
            (step, changed)
        });
        match step {
            // Another replica was faster: once more, on what that has stored.
            None => Some(At::Part(part)),
            Some(Step::Known) => next,
            Some(step) => {
                self.outside.takes.push((name, event.id.clone()));
                match step {
                    Step::Fire(by, events) => Some(At::Effect(part, by, events)),
                    _ => next,
                }
            }
        }
    }

    fn effect(&mut self, part: usize, by: String, kept: &KeptEvents) -> Option<At> {
        let ids: Match = kept
            .iter()
            .map(|(name, kept)| (name.clone(), kept.0.id.clone()))
            .collect();
        let events: Events = kept
            .iter()
            .map(|(name, kept)| (name.clone(), Input::new(Arc::clone(&kept.0))))
            .collect();
        let id = self.prepared.launcher.firing_id(&events).text().to_owned();
        let end = if self.luck(0.05) {
            End::Dead
        } else {
            End::Fired
        };
        if end == End::Fired {
            let there = self
                .outside
                .objects
                .entry(id)
                .or_insert_with(|| ids.clone());
            assert_eq!(*there, ids, "one name for two firings");
        }
        if self.luck(0.1) {
            // The target did not answer, whether it did it or not: the message comes again.
            return None;
        }
        if end == End::Dead {
            self.outside.given_up.insert(ids);
        }
        Some(At::Done(part, by, end))
    }

    fn done(&mut self, who: usize, part: usize, by: String, end: End) -> Option<At> {
        if !self.joined {
            return Some(At::Part(part + 1));
        }
        let stored = self.change(who, end, |state| {
            state.done(&by);
            ((), true)
        });
        Some(match stored {
            None => At::Done(part, by, end),
            Some(()) => At::Part(part + 1),
        })
    }

    /// Changes the stored state; `None` where somebody else has since it was read.
    fn change<T>(
        &mut self,
        who: usize,
        end: End,
        change: impl Fn(&mut State) -> (T, bool),
    ) -> Option<T> {
        let version = &self.prepared.version;
        let (mut state, revision) = self.replicas[who]
            .state
            .take()
            .unwrap_or_else(|| match &self.outside.stored {
                None => (State::new(version), None),
                Some((bytes, revision)) => {
                    (serde_json::from_slice(bytes).unwrap(), Some(*revision))
                }
            });
        let before = state.pending();
        let (result, changed) = change(&mut state);
        if changed {
            if self.outside.stored.as_ref().map(|(_, revision)| *revision) != revision {
                return None;
            }
            let next = revision.unwrap_or(0) + 1;
            self.outside.stored = Some((serde_json::to_vec(&state).unwrap(), next));
            let after = state.pending();
            self.outside.entered += after.difference(&before).count();
            *self.outside.left.entry(end).or_default() += before.difference(&after).count();
            self.replicas[who].state = Some((state, Some(next)));
        } else {
            self.replicas[who].state = Some((state, revision));
        }
        Some(result)
    }

    /// Compares with the rule.
    fn judge(&self, wanted: &[Wanted]) {
        let outside = &self.outside;
        let used: BTreeSet<&str> = self
            .prepared
            .condition
            .dependencies()
            .iter()
            .map(String::as_str)
            .collect();
        let passes = |wanted: &Wanted, message: &Message| {
            wanted.event == message.event.subject
                && wanted.above.is_none_or(|above| message.number > above)
        };
        let mut expected = BTreeSet::new();
        for wanted in wanted.iter().filter(|wanted| used.contains(wanted.name)) {
            for message in outside
                .messages
                .iter()
                .filter(|message| passes(wanted, message))
            {
                expected.insert((wanted.name.to_owned(), message.event.id.clone()));
            }
        }
        let taken: BTreeSet<(String, String)> = outside.takes.iter().cloned().collect();
        assert_eq!(
            taken, expected,
            "each event counts where it passes, and only there"
        );

        let (firings, waiting) = if self.joined {
            rule(self.prepared, &outside.takes)
        } else {
            (
                expected
                    .into_iter()
                    .map(|part| Match::from([part]))
                    .collect(),
                Match::new(),
            )
        };
        let distinct: BTreeSet<&Match> = firings.iter().collect();
        assert_eq!(
            distinct.len(),
            firings.len(),
            "the rule uses each event once"
        );
        let objects: Vec<&Match> = outside.objects.values().collect();
        let made: BTreeSet<&Match> = objects.iter().copied().collect();
        assert_eq!(made.len(), objects.len(), "a match has one object");
        assert!(
            made.is_subset(&distinct),
            "made {made:?}, the rule says {distinct:?}"
        );
        for lost in distinct.difference(&made) {
            assert!(
                outside.given_up.contains(*lost),
                "{lost:?} has neither an object nor an end"
            );
        }
        if !self.joined {
            return;
        }
        let state: State = match &outside.stored {
            Some((bytes, _)) => serde_json::from_slice(bytes).unwrap(),
            None => State::new(""),
        };
        let present: BTreeSet<&str> = state.present();
        assert_eq!(
            present,
            waiting.keys().map(String::as_str).collect(),
            "what waits"
        );
        let held: BTreeSet<&String> = waiting.values().collect();
        assert_eq!(
            state.pending().len(),
            held.len(),
            "no firing is left open: {state:?}"
        );
        let left: usize = outside.left.values().sum();
        assert_eq!(
            outside.entered,
            left + state.pending().len(),
            "accepted = fired + dead + pending"
        );
    }
}

fn play(seed: u64) -> usize {
    let mut random = StdRng::seed_from_u64(seed);
    let (spec, wanted) = sensor(&mut random);
    let owner = Owner {
        namespace: "n".to_owned(),
        sensor: "s".to_owned(),
    };
    let mut firings = 0;
    let messages_seed = random.random();
    for trigger in &spec.triggers {
        let prepared = Prepared::new(&spec, trigger, &owner, TemplateEngine::default()).unwrap();
        let mut play = Play {
            joined: prepared.condition.needs_all(),
            prepared: &prepared,
            random: StdRng::seed_from_u64(random.random()),
            outside: Outside {
                messages: messages(&mut StdRng::seed_from_u64(messages_seed), &wanted),
                stored: None,
                objects: BTreeMap::new(),
                given_up: BTreeSet::new(),
                takes: Vec::new(),
                entered: 0,
                left: BTreeMap::new(),
            },
            replicas: Default::default(),
            calm: false,
        };
        play.run();
        play.judge(&wanted);
        firings += play.outside.objects.len();
    }
    firings
}

#[test]
fn random_sensors_fire_as_the_rule_says_whatever_dies_and_however_often_messages_come() {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    let fresh = now.as_secs().wrapping_mul(1_000_003);
    let mut firings = 0;
    for seed in (0..FIXED).chain((0..FRESH).map(|index| fresh.wrapping_add(index))) {
        match std::panic::catch_unwind(|| play(seed)) {
            Ok(count) => firings += count,
            Err(_) => panic!("the seed is {seed}"),
        }
    }
    assert!(firings > 10_000, "{firings} firings");
}
