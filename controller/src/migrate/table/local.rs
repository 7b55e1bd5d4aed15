//! Runs without a cluster.

use super::{Difference, row};

pub(super) const ROWS: &[Difference] = &[
    row(
        "local-run",
        "there is no local run",
        "`tiphys run` hosts the same YAML with a built-in API and engine",
        "",
    ),
    row(
        "local-default-bus",
        "an EventBus must exist",
        "on a laptop an EventBus called `default` need not be written",
        "it would say nothing",
    ),
    row(
        "local-workflows",
        "Workflows run in pods",
        "`container` and `script` run as processes of this machine; `docker/whalesay` has its `cowsay` built in; `suspend` waits to be resumed; what cannot run so is refused with its path",
        "a laptop has no cluster",
    ),
];
