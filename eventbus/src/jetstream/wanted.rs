//! A durable consumer as a subscription wants it on the server. It asks the server nothing.

use std::collections::BTreeSet;

use async_nats::jetstream::consumer::{AckPolicy, pull};

use super::filters::filters;
use crate::bus::Subscription;

/// What a subscription asks for.
pub(super) fn config(subscription: &Subscription) -> pull::Config {
    let mut filters = filters(&subscription.subjects);
    // One filter goes where servers before 2.10 know it.
    let single = if filters.len() == 1 {
        filters.pop()
    } else {
        None
    };
    pull::Config {
        durable_name: Some(subscription.durable.clone()),
        ack_policy: AckPolicy::Explicit,
        ack_wait: subscription.ack_wait,
        max_ack_pending: i64::try_from(subscription.max_in_flight.max(1)).unwrap_or(i64::MAX),
        filter_subject: single.unwrap_or_default(),
        filter_subjects: filters,
        ..pull::Config::default()
    }
}

/// Whether the one that is there is not what is asked for.
pub(super) fn differs(
    there: &async_nats::jetstream::consumer::Config,
    wanted: &pull::Config,
) -> bool {
    let sorted = |one: &str, many: &[String]| -> BTreeSet<String> {
        many.iter()
            .cloned()
            .chain([one.to_owned()])
            .filter(|filter| !filter.is_empty())
            .collect()
    };
    sorted(&there.filter_subject, &there.filter_subjects)
        != sorted(&wanted.filter_subject, &wanted.filter_subjects)
        || there.ack_wait != wanted.ack_wait
        || there.max_ack_pending != wanted.max_ack_pending
}
