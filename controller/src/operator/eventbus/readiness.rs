//! Whether a bus's servers run, from their StatefulSet, and which changes of it would lose events.

use serde_json::Value;

use super::Bus;
use super::pods::{CONFIG_ANNOTATION, SERVERS_ANNOTATION};
use super::server_config::ALONE;
use super::servers::Servers;
use crate::operator::wanted::Refused;

/// Whether the servers of a bus can take and give events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Readiness {
    /// A quorum of the servers is ready.
    pub(crate) ready: bool,
    /// One word for programs.
    pub(crate) reason: &'static str,
    /// One sentence for people.
    pub(crate) message: String,
}

/// Judges the StatefulSet as it stands in the API, or its absence. `None` for a bus whose servers we do not make.
pub(crate) fn readiness(bus: Bus<'_>, stateful_set: Option<&Value>) -> Option<Readiness> {
    let servers = Servers::of(bus)?;
    let name = servers.name();
    let Some(object) = stateful_set else {
        return Some(Readiness {
            ready: false,
            reason: "NotCreated",
            message: format!("the StatefulSet {name:?} does not exist yet"),
        });
    };
    let number = |path: &str| object.pointer(path).and_then(Value::as_u64).unwrap_or(0);
    let wanted = servers.replicas as u64;
    let ready = number("/status/readyReplicas");
    let quorum = wanted / 2 + 1;
    let seen = number("/status/observedGeneration") >= number("/metadata/generation");
    let updated = number("/status/updatedReplicas");
    let servers = |count: u64| {
        if count == 1 {
            "1 server".to_owned()
        } else {
            format!("{count} servers")
        }
    };
    let (ready, reason, message) = if ready < quorum {
        let message = format!(
            "{ready} of {} ready, and {quorum} must be: see kubectl describe statefulset {name}",
            servers(wanted)
        );
        (false, "ServersNotReady", message)
    } else if ready < wanted {
        let message = format!(
            "{ready} of {} ready, which is enough; see kubectl describe statefulset {name} for the others",
            servers(wanted)
        );
        (true, "SomeServersNotReady", message)
    } else if !seen || updated < wanted {
        let message = format!(
            "all of {} ready, and a change is rolled out",
            servers(wanted)
        );
        (true, "RollingOut", message)
    } else {
        (true, "Running", format!("all of {} ready", servers(wanted)))
    };
    Some(Readiness {
        ready,
        reason,
        message,
    })
}

/// Refuses what loses stored events: servers that join a cluster drop what they kept alone, one that is left alone does
/// not open what it kept in a cluster, and of a stream most copies may lie on the servers that would go.
///
/// `stateful_set` is the one that exists now. Who wants that all the same deletes it first.
pub(crate) fn refused_change(bus: Bus<'_>, stateful_set: &Value) -> Option<Refused> {
    let servers = Servers::of(bus)?;
    let there = made(stateful_set)?;
    let why = tiphys_eventbus::refused_scale(there, servers.replicas)?;
    Some(Refused {
        reason: "JetStreamStatefulSetFailed".to_owned(),
        message: format!(
            "replicas {why}, or delete the StatefulSet {:?} and its PersistentVolumeClaims to go on without those events",
            servers.name()
        ),
    })
}

/// How many servers were made, whatever somebody has scaled them to by hand.
fn made(stateful_set: &Value) -> Option<usize> {
    let there = || {
        stateful_set
            .pointer("/spec/replicas")
            .and_then(Value::as_u64)
    };
    let marked = stateful_set
        .pointer("/metadata/annotations")
        .and_then(|annotations| annotations.get(SERVERS_ANNOTATION))
        .and_then(Value::as_str)
        .and_then(|count| count.parse().ok());
    let started = stateful_set
        .pointer("/spec/template/metadata/annotations")
        .and_then(|annotations| annotations.get(CONFIG_ANNOTATION))
        .and_then(Value::as_str);
    let count = match (marked, started) {
        (Some(count), _) => count,
        // Made before servers were counted: alone or in a cluster is all that is sure.
        (None, Some(started)) if started.starts_with(ALONE) => 1,
        (None, Some(_)) => there()?.max(3),
        // Argo's controller made it.
        (None, None) => there()?,
    };
    usize::try_from(count).ok()
}
