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
        "stream-room",
        "a new stream holds 50,000 events",
        "three quarters of the servers' volume; what `streamConfig` writes is obeyed",
        "it refuses when it is full, so it is as large as it can be",
    ),
    row(
        "consumed-room",
        "a stream with `discard: 1` stays full until its events are old",
        "on a stream that Tiphys made, what every consumer has acknowledged goes once it is nearly full",
        "senders are refused only for what somebody still needs",
    ),
    row(
        "bus-losses",
        "nobody hears of events that a stream's limits removed before a sensor had them",
        "they are counted for each consumer: a warning, the bus's status, the metric `tiphys_bus_events_lost`",
        "a backlog is never eaten in silence",
    ),
    row(
        "consumer-takeover",
        "a new consumer sees what comes after it",
        "the same, and one that is new goes on where Argo's consumers for the same Sensor, trigger and dependency ended",
        "no event is missed when a pod is exchanged",
    ),
    row(
        "bus-certificates",
        "clients do not verify the servers that the controller makes",
        "the bus's status names the CA that they are verified by; servers that Argo's controller made are reached as Argo reaches them",
        "who is in between must not read",
    ),
    row(
        "bus-secrets",
        "when one of a bus's two Secrets is missing, both are made anew",
        "what is left tells the other half",
        "servers and pods that run go on",
    ),
    row(
        "store-key",
        "the store's key is the text `$JS_KEY` on every installation",
        "the same, so that volumes can be opened and there is a way back; the annotation `tiphys.dev/bus-encryption: secret` on a new EventBus makes a real one, which must not be lost",
        "what lies on a volume can be read in no other way",
    ),
    row(
        "bus-scale-up",
        "`replicas` from 1 to 3, from 3 to 1, or from 5 to 3, loses what the servers had kept, or can",
        "refused by the webhook and in the status, with what to do",
        "nothing that was acknowledged is lost",
    ),
    row(
        "leftovers",
        "its consumers and the bucket of a Sensor stay on the bus, also when Tiphys runs the Sensor",
        "they stay as the way back; `tiphys migrate leftovers` prints the commands that remove them",
        "a consumer that nobody reads keeps a full stream from making room",
    ),
    row(
        "server-restart",
        "a changed server configuration restarts no pod",
        "the same for routes; whatever a running server cannot take rolls the pods one by one",
        "a setting that is silently ignored is a trap",
    ),
    row(
        "context-extensions",
        "`context` has seven members, and `specversion` as it came",
        "the extensions of the CloudEvent beside them, and always version 1.0",
        "what a sender added can be used",
    ),
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
