//! The watches of the host, as wide as its scope, patient with a server that is away. They never decide anything.

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use kube::api::DynamicObject;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::utils::{Backoff, ResetTimerBackoff};
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};

use super::host::Scope;
use super::state::Kind;

/// After so long without a failure the pauses are short again; that an attempt begins is no success.
const QUIET: Duration = Duration::from_secs(60);

/// An event of the watch of a kind.
pub(crate) type Seen = (Kind, Result<Event<DynamicObject>, watcher::Error>);

/// The kinds that are watched.
pub(crate) fn kinds(scope: &Scope) -> Vec<Kind> {
    match scope {
        Scope::All | Scope::Namespace(_) => Kind::ALL.to_vec(),
        Scope::One { kind, .. } => vec![Kind::EventBus, *kind],
    }
}

/// Watches them.
pub(crate) fn watch(client: &Client, scope: &Scope) -> BoxStream<'static, Seen> {
    let streams = kinds(scope).into_iter().map(|kind| {
        let resource = kind.resource();
        let mut config = watcher::Config::default();
        let api: Api<DynamicObject> = match scope {
            Scope::All => Api::all_with(client.clone(), &resource),
            Scope::Namespace(namespace) => {
                Api::namespaced_with(client.clone(), namespace, &resource)
            }
            Scope::One {
                kind: wanted,
                namespace,
                name,
            } => {
                if kind == *wanted {
                    config = config.fields(&format!("metadata.name={name}"));
                }
                Api::namespaced_with(client.clone(), namespace, &resource)
            }
        };
        watcher::watcher(api, config)
            .backoff(ResetTimerBackoff::new(Pauses::default(), QUIET))
            .map(move |event| (kind, event))
            .boxed()
    });
    stream::select_all(streams).boxed()
}

/// The pauses between attempts to watch: soon back after a restart of the server, and never a flood.
#[derive(Default)]
struct Pauses {
    attempts: u32,
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.attempts = self.attempts.saturating_add(1);
        tiphys_core::backoff::Backoff::reconnect().wait_after(self.attempts)
    }
}

impl Backoff for Pauses {
    fn reset(&mut self) {
        self.attempts = 0;
    }
}
