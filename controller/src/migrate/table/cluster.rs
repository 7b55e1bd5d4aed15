//! What the controller makes of the objects.

use super::super::Level::Differs;
use super::super::detect::cluster;
use super::{Difference, row};

pub(super) const ROWS: &[Difference] = &[
    row(
        "status-ready",
        "there is no `Ready` condition, every condition's time moves at each look, and pods are not asked",
        "`Ready` says whether the object works, with a sentence; times move when something changes",
        "a status that says nothing is not read",
    ),
    row(
        "bus-is-watched",
        "an EventSource or Sensor that finds no bus tries again after up to 16 minutes",
        "EventBuses are watched, and what hangs on one follows it at once",
        "",
    ),
    row(
        "image-pull-policy",
        "`template.container.imagePullPolicy` has no effect",
        "it is obeyed",
        "",
    )
    .found(
        Differs,
        "look whether the policy that is written there is wanted",
        cluster::pull_policy,
    ),
];
