//! How often an event arrives and what keeps it.

use super::super::Level::{Differs, Safer};
use super::super::detect::{delivery, sources};
use super::{Difference, row};

pub(super) const ROWS: &[Difference] = &[
    row(
        "at-least-once",
        "`atLeastOnce` defaults to `false`: the event is acknowledged before the trigger runs",
        "at least once unless `atLeastOnce: false` is written out",
        "a crash between the two loses the event, and Argo's own guide promises at least once",
    )
    .found(
        Differs,
        "make sure that the receiver can take an event twice, or write atLeastOnce: false",
        delivery::at_least_once,
    ),
    row(
        "retries-in-force",
        "`retryStrategy` and `dlqTrigger` do nothing without `atLeastOnce: true`",
        "always effective",
        "a setting that is silently ignored is a trap",
    )
    .found(
        Differs,
        "look whether the attempts that are written there are wanted; they have not been made until now",
        delivery::retries,
    ),
    row(
        "bus-away-503",
        "a webhook answers 500 after several seconds when the bus is away",
        "503 with `Retry-After`, within two seconds",
        "senders know what to do with a 503",
    )
    .found(Safer, "", sources::hooks),
    row(
        "derived-names",
        "a redelivered event makes a second Workflow",
        "the name of a created object is derived from sensor, trigger and event ids, so the second creation finds the first",
        "exactly one Workflow for an event",
    )
    .found(
        Safer,
        "nothing, unless something reads the random end of generated names",
        delivery::derived_names,
    ),
    row(
        "stream-discard",
        "the stream drops its oldest events when it is full (`discard: 0`)",
        "new ones are refused (`discard: 1`), so that the sender hears of it; what is written is obeyed, with a warning for 0",
        "a backlog is never eaten in silence",
    )
    .found(
        Differs,
        "write discard into streamConfig where the oldest events may go; a stream that exists is not changed",
        delivery::discard,
    ),
    row(
        "state-errors",
        "errors of the state store are ignored and the event is acknowledged",
        "the event is delivered again",
        "nothing unaccounted",
    ),
];
