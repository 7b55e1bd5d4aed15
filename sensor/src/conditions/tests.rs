//! Sequences of events with what they fire: the reference's own, and random ones against the rule in words.

use proptest::prelude::*;

use super::*;
use crate::testing::event;

/// Events are written `a1`: dependency `a`, id `a1`. Firings are written as their ids in order of dependency.
fn play(condition: &str, names: &[&str], sequence: &str) -> (Vec<String>, State) {
    let condition = match condition {
        "" => Condition::all(names),
        text => Condition::compile(text, names).unwrap(),
    };
    let mut state = State::new("v1");
    let mut firings = Vec::new();
    for id in sequence.split_whitespace() {
        let event = Arc::new(event(id, "{}"));
        let dependency = id.get(..1).unwrap();
        let step = state.on_event(&condition, dependency, &event, Timestamp::UNIX_EPOCH);
        if let Step::Fire(by, events) = step {
            let ids: Vec<_> = events.values().map(|kept| kept.0.id.clone()).collect();
            firings.push(ids.join(","));
            state.done(&by);
        }
        // What is stored is what goes on.
        let stored = serde_json::to_vec(&state).unwrap();
        state = serde_json::from_slice(&stored).unwrap();
    }
    (firings, state)
}

#[test]
fn sequences_fire_as_the_reference_says() {
    for (case, condition, sequence, expected) in [
        ("Q3", "a && b", "a1 a2 b1", vec!["a2,b1"]),
        ("Q4", "a && b", "a1 b1 b2 a2", vec!["a1,b1", "a2,b2"]),
        ("Q5", "(a || b) && c", "a1 b1 c1", vec!["a1,b1,c1"]),
        ("Q6", "(a && b) || c", "a1 c1 b1", vec!["a1,c1"]),
        ("Q7", "(a && b) || c", "a1 b1 b2 c1", vec!["a1,b1", "b2,c1"]),
        ("Q16", "a && b", "a1 a1 b1", vec!["a1,b1"]),
        (
            "used events come again",
            "a && b",
            "a1 b1 a1 b1",
            vec!["a1,b1"],
        ),
        (
            "a replaced event comes again",
            "a && b",
            "a1 a2 a1 b1",
            vec!["a2,b1"],
        ),
        ("all", "", "c1 a1 b1", vec!["a1,b1,c1"]),
    ] {
        let (firings, _) = play(condition, &["a", "b", "c"], sequence);
        assert_eq!(firings, expected, "{case}");
    }
}

#[test]
fn a_firing_that_has_not_ended_is_found_again_and_nothing_is_used_twice() {
    let condition = Condition::compile("a && b", &["a", "b"]).unwrap();
    let mut state = State::new("v1");
    let (a1, b1, b2) = (event("a1", "{}"), event("b1", "{}"), event("b2", "{}"));
    let mut take = |dependency: &str, event: &Event| {
        state.on_event(
            &condition,
            dependency,
            &Arc::new(event.clone()),
            Timestamp::UNIX_EPOCH,
        )
    };
    assert_eq!(take("a", &a1), Step::Held);
    let Step::Fire(by, events) = take("b", &b1) else {
        panic!()
    };
    assert_eq!(take("b", &b1), Step::Fire(by.clone(), events));
    assert_eq!(take("a", &a1), Step::Known);
    assert_eq!(take("b", &b2), Step::Held);
    state.done(&by);
    assert_eq!(state.present(), BTreeSet::from(["b"]));
}

#[test]
fn an_event_whose_message_may_come_again_is_known_however_many_came_after_it() {
    let condition = Condition::compile("a && b", &["a", "b"]).unwrap();
    let mut state = State::new("v1");
    let first = Arc::new(event("first", "{}"));
    let take = |state: &mut State, event: &Arc<Event>, seq: u64| {
        let step = state.on_event(&condition, "a", event, Timestamp::UNIX_EPOCH);
        if step != Step::Known {
            state.opened("a", event, seq);
        }
        step
    };
    assert_eq!(take(&mut state, &first, 1), Step::Held);
    for seq in 2..=u64::try_from(REMEMBERED).unwrap() + 3 {
        take(
            &mut state,
            &Arc::new(event(&format!("later{seq}"), "{}")),
            seq,
        );
        state.settled(&BTreeSet::from([seq]));
    }
    assert_eq!(take(&mut state, &first, 1), Step::Known);
    state.settled(&BTreeSet::from([1]));
    assert!(state.open.is_empty());
}

#[test]
fn one_event_for_two_dependencies_fires_once() {
    let condition = Condition::compile("a && b", &["a", "b"]).unwrap();
    let mut state = State::new("v1");
    let e1 = Arc::new(event("e1", "{}"));
    assert_eq!(
        state.on_event(&condition, "a", &e1, Timestamp::UNIX_EPOCH),
        Step::Held
    );
    let Step::Fire(_, events) = state.on_event(&condition, "b", &e1, Timestamp::UNIX_EPOCH) else {
        panic!()
    };
    assert_eq!(events.len(), 2);
    assert_eq!(state.pending().len(), 1);
}

#[test]
fn a_reset_drops_what_was_held_before_it() {
    let (_, mut state) = play("a && b", &["a", "b"], "a1");
    assert!(state.reset(Timestamp::UNIX_EPOCH).is_empty());
    assert_eq!(
        state.reset("2026-01-01T00:00:00Z".parse().unwrap()).len(),
        1
    );
    assert!(state.present().is_empty());
}

/// The rule in words: of the events that were not seen before, the last one of each dependency waits; when the
/// condition holds, all that wait fire together and none waits.
fn model(condition: &Condition, sequence: &[(usize, u8)]) -> Vec<Vec<String>> {
    let (mut seen, mut waiting, mut firings) = (BTreeSet::new(), BTreeMap::new(), Vec::new());
    for (dependency, number) in sequence {
        let name = NAMES[*dependency];
        let id = format!("{name}{number}");
        if !seen.insert(id.clone()) {
            continue;
        }
        waiting.insert(name, id);
        if condition.holds(|name| waiting.contains_key(name)) {
            firings.push(std::mem::take(&mut waiting).into_values().collect());
        }
    }
    firings
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

proptest! {
    #[test]
    fn any_sequence_with_repeated_deliveries_and_crashes_fires_as_the_rule_says(
        text in prop::sample::select(vec!["a && b", "(a || b) && c", "(a && b) || (c && d)", "a && b && c && d"]),
        sequence in prop::collection::vec((0..4_usize, 0..12_u8), 0..60),
        crashes in prop::collection::vec(any::<bool>(), 60),
    ) {
        let condition = Condition::compile(text, &NAMES).unwrap();
        let known = condition.dependencies();
        let sequence: Vec<_> =
            sequence.into_iter().filter(|(name, _)| known.iter().any(|known| known == NAMES[*name])).collect();
        let (mut state, mut firings) = (State::new("v1"), Vec::new());
        for ((dependency, number), crash) in sequence.iter().zip(crashes) {
            let name = NAMES[*dependency];
            let event = Arc::new(event(&format!("{name}{number}"), "{}"));
            let mut step = state.on_event(&condition, name, &event, Timestamp::UNIX_EPOCH);
            if crash {
                // The process dies after the state is stored; the event is delivered again.
                state = serde_json::from_slice(&serde_json::to_vec(&state).unwrap()).unwrap();
                let again = state.on_event(&condition, name, &event, Timestamp::UNIX_EPOCH);
                if let Step::Fire(..) = &step {
                    prop_assert_eq!(&again, &step);
                } else {
                    prop_assert_eq!(again, Step::Known);
                }
                step = match step { Step::Fire(by, events) => Step::Fire(by, events), _ => Step::Known };
            }
            if let Step::Fire(by, events) = step {
                firings.push(events.values().map(|kept| kept.0.id.clone()).collect::<Vec<_>>());
                state.done(&by);
            }
        }
        prop_assert_eq!(firings, model(&condition, &sequence));
    }
}
