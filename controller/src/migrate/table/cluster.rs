//! What the controller makes of the objects.

use super::super::Level::{Differs, Safer};
use super::super::detect::cluster;
use super::{Difference, row};

pub(super) const ROWS: &[Difference] = &[
    row(
        "status-ready",
        "there is no `Ready` condition, every condition's time moves at each look, and pods are not asked",
        "`Ready` says whether the object works, pods included, with a sentence; times move when something changes",
        "a status that says nothing is not read",
    ),
    row(
        "bus-is-watched",
        "an EventSource or Sensor that finds no bus tries again after up to 16 minutes",
        "EventBuses are watched, and what hangs on one follows it at once",
        "",
    ),
    row(
        "drift",
        "what is changed by hand stays, a deleted Secret comes back some time",
        "what is made is watched and kept as it must be; a Secret or ConfigMap that an object names rolls its pods when it changes",
        "what is written is what runs",
    ),
    row(
        "pod-security",
        "pods run as the image and the cluster have it, without probes",
        "as non-root, with a read-only root and no capabilities, where the object does not say otherwise; with probes that tell the truth",
        "",
    )
    .found(
        Differs,
        "look whether a user that is not root may use these files, or write template.securityContext",
        cluster::volumes,
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
    row(
        "one-pod",
        "several replicas of a kind that sends every event from each pod elect one that works",
        "there is one pod, which is stopped before the next one starts",
        "an election that is lost ends pods that work",
    )
    .found(
        Differs,
        "set replicas to 1, which is what runs",
        cluster::one_pod,
    ),
    row(
        "no-election",
        "pods of EventSources and Sensors elect one that works, through the bus or by a Lease",
        "nothing is elected, and the annotation `events.argoproj.io/leader-election` has no effect",
        "a Lease that is lost ends pods that work",
    )
    .found(
        Safer,
        "nothing; the right to Leases can be taken from the service account",
        cluster::election,
    ),
    row(
        "shared-work",
        "of several replicas of a Sensor one works and the others wait",
        "all of them work, and share the events of each trigger through the bus",
        "whoever asks for two pods wants the work of two",
    )
    .found(
        Differs,
        "write replicas: 1 where the events of different firings must not overlap",
        cluster::shared_work,
    ),
    row(
        "bus-versions",
        "seven versions of JetStream are known, from 2.8.1 on",
        "`latest` and `2.10.29`, and those that the ConfigMap `argo-events-controller-config` names",
        "old versions of NATS lose data that new ones keep",
    )
    .found(
        Differs,
        "keep Argo's ConfigMap argo-events-controller-config, or write version: latest",
        cluster::bus_version,
    ),
    row(
        "pooled",
        "every EventSource and Sensor has pods of its own",
        "so it is, or with `--pooled` they are tasks of one deployment; an EventSource without `spec.service` gets a Service there all the same",
        "a thousand small objects need no thousand pods",
    ),
    row(
        "missing-secret",
        "a Secret that is not there keeps the pods from starting, or fails at its first use",
        "besides that, the status of the object names the Secret and the key where it is hosted",
        "",
    ),
    row(
        "service-stays",
        "a changed Service of an EventSource is deleted and made again, with another address",
        "it is changed in place; only a changed `clusterIP` needs a new one",
        "",
    ),
];
