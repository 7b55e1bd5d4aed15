//! What an EventBus is made of.

use super::super::Level::{Differs, Safer, Stops};
use super::super::detect::bus;
use super::{Difference, row};

pub(super) const ROWS: &[Difference] = &[
    row(
        "durability",
        "the durability of an acknowledgement is not stated",
        "`memory`, `disk` or `quorum`, in the status, the log and the metric `tiphys_bus_connected`; for JetStream with `sync_interval: always` say so by the annotation `tiphys.dev/bus-durability`",
        "clients cannot see the server's setting",
    ),
    row(
        "stream-replicas",
        "`spec.jetstream.replicas: 1` asks for three stream replicas and fails",
        "no more replicas than servers",
        "it works out of the box",
    )
    .found(Safer, "", bus::one_replica),
    row(
        "access-secret",
        "the access secret must be a YAML mapping",
        "a mapping, or a token alone",
        "the documentation says the second, the code wants the first",
    ),
    row(
        "stan",
        "`spec.nats.native` starts NATS Streaming, which is at its end of life",
        "an embedded log on a laptop, JetStream on a cluster",
        "the same YAML goes on working",
    )
    .found(
        Differs,
        "let the old bus run empty before you move: what it holds stays there, and pods of Argo Events cannot speak to the new one over it",
        bus::stan,
    ),
    row(
        "stan-exotic",
        "`spec.nats.exotic` is a NATS Streaming server",
        "it must be a server with JetStream",
        "NATS Streaming is at its end of life",
    )
    .found(
        Stops,
        "run a nats-server with JetStream and write jetstreamExotic",
        bus::stan_exotic,
    ),
    row(
        "kafka-bus",
        "Kafka is a bus",
        "read and checked; it does not run yet",
        "",
    )
    .found(
        Stops,
        "make a second EventBus with jetstream, and leave what needs Kafka with Argo Events",
        bus::kafka,
    ),
];
