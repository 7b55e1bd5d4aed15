//! Which names fit into subjects and consumers. It only looks at text.

use tiphys_core::Event;

use crate::bus::{PublishError, SubscribeError, Subscription};

/// Why a name cannot be a part of a subject, in words that follow the name.
pub(crate) fn subject_problem(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return Some("is empty");
    }
    let bad = |c: char| c == '.' || c == '*' || c == '>' || c.is_whitespace() || c.is_control();
    name.contains(bad)
        .then_some("has a dot, blank, \"*\" or \">\", which the bus cannot carry: rename it")
}

/// Refuses an event that cannot have a subject, alike on every bus.
pub(crate) fn check_event(event: &Event) -> Result<(), PublishError> {
    for (what, name) in [("event source", &event.source), ("event", &event.subject)] {
        if let Some(problem) = subject_problem(name) {
            return Err(PublishError::Refused {
                reason: format!("the name of the {what}, {name:?}, {problem}"),
            });
        }
    }
    Ok(())
}

/// Refuses a subscription that a bus cannot hold, alike on every bus.
pub(crate) fn check_subscription(subscription: &Subscription) -> Result<(), SubscribeError> {
    let refused = |reason: String| Err(SubscribeError::Refused { reason });
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if subscription.durable.is_empty() || !subscription.durable.chars().all(allowed) {
        return refused(format!(
            "the consumer's name {:?} must be letters, digits, \"-\" and \"_\"",
            subscription.durable
        ));
    }
    if subscription.subjects.is_empty() {
        return refused("it names no events".to_owned());
    }
    for pattern in &subscription.subjects {
        for name in [&pattern.source, &pattern.event] {
            if name != "*"
                && let Some(problem) = subject_problem(name)
            {
                return refused(format!("the name {name:?} {problem}"));
            }
        }
    }
    Ok(())
}
