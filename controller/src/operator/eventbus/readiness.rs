//! Whether a bus's servers run, from their StatefulSet, and which changes of it would lose events.

use serde_json::Value;

use super::Bus;
use super::pods::CONFIG_ANNOTATION;
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

/// Refuses what loses every stored event: servers that join a cluster drop what they kept alone, and one that is left
/// alone does not open what it kept in a cluster.
///
/// `stateful_set` is the one that exists now. Who wants that all the same deletes it first.
pub(crate) fn refused_change(bus: Bus<'_>, stateful_set: &Value) -> Option<Refused> {
    let servers = Servers::of(bus)?;
    let said = stateful_set
        .pointer("/spec/template/metadata/annotations")
        .and_then(|annotations| annotations.get(CONFIG_ANNOTATION))
        .and_then(Value::as_str);
    let there = stateful_set
        .pointer("/spec/replicas")
        .and_then(Value::as_u64);
    let alone = match said {
        Some(said) => said.starts_with(ALONE),
        // Argo's controller made it.
        None => there? == 1,
    };
    let why = match (alone, servers.replicas > 1) {
        (true, true) => {
            "must stay 1, because a server that joins a cluster drops the events that it kept alone"
        }
        (false, false) => {
            "must be 3 or more, because a server that is left alone does not open what it kept in a cluster"
        }
        _ => return None,
    };
    Some(Refused {
        reason: "JetStreamStatefulSetFailed".to_owned(),
        message: format!(
            "replicas {why}: make another EventBus with replicas {}, or delete the StatefulSet {:?} to go on without those events",
            servers.replicas,
            servers.name()
        ),
    })
}
