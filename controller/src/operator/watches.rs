//! Every watch of the controller as one stream. It keeps nothing and decides nothing.

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use kube::api::{DynamicObject, PartialObjectMeta};
use kube::core::{ApiResource, DynamicResourceScope};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::utils::Backoff as WatchBackoff;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, Resource};
use tiphys_core::backoff::Backoff;

use super::settings::Scope;
use super::wanted::Made;
use crate::hosting::Kind;

/// What is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Watched {
    /// The users' objects.
    Objects(Kind),
    /// What is made for them; of Secrets and ConfigMaps, which users have as well, all names and versions.
    Made(Made),
}

impl Watched {
    /// Everything that is watched.
    pub(crate) fn all() -> Vec<Self> {
        Kind::ALL
            .into_iter()
            .map(Self::Objects)
            .chain(Made::ALL.into_iter().map(Self::Made))
            .collect()
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Objects(kind) => kind.as_str(),
            Self::Made(made) => made.as_str(),
        }
    }
}

/// What a watch has seen.
pub(crate) type Seen = (Watched, Result<Event<DynamicObject>, watcher::Error>);

/// What the controller has made, and nothing else.
const MADE: &str = "controller in (eventbus-controller, eventsource-controller, sensor-controller)";

/// Starts all watches.
pub(crate) fn all(client: &Client, scope: &Scope) -> BoxStream<'static, Seen> {
    let streams = Watched::all().into_iter().map(|watched| {
        let events = match watched {
            Watched::Objects(kind) => {
                let api = api(client, scope, &kind.resource());
                whole(api, watcher::Config::default())
            }
            Watched::Made(made) if made.is_watched_whole() => {
                let api = api(client, scope, &made.resource());
                whole(api, watcher::Config::default().labels(MADE))
            }
            Watched::Made(made) => names(api(client, scope, &made.resource())),
        };
        events.map(move |event| (watched, event)).boxed()
    });
    stream::select_all(streams).boxed()
}

fn api<K: Resource<DynamicType = ApiResource, Scope = DynamicResourceScope>>(
    client: &Client,
    scope: &Scope,
    resource: &ApiResource,
) -> Api<K> {
    match scope {
        Scope::Cluster => Api::all_with(client.clone(), resource),
        Scope::Namespace(namespace) => Api::namespaced_with(client.clone(), namespace, resource),
    }
}

type Events = BoxStream<'static, Result<Event<DynamicObject>, watcher::Error>>;

fn whole(api: Api<DynamicObject>, config: watcher::Config) -> Events {
    watcher::watcher(api, config)
        .backoff(Pauses::new())
        .map(|event| {
            event.map(|event| {
                event.modify(|object| {
                    // Half of an object's bytes, and nobody here reads them.
                    object.metadata.managed_fields = None;
                })
            })
        })
        .boxed()
}

fn names(api: Api<PartialObjectMeta<DynamicObject>>) -> Events {
    watcher::watcher(api, watcher::Config::default())
        .backoff(Pauses::new())
        .map(|event| event.map(without_data))
        .boxed()
}

fn without_data(event: Event<PartialObjectMeta<DynamicObject>>) -> Event<DynamicObject> {
    let bare = |object: PartialObjectMeta<DynamicObject>| {
        let mut metadata = object.metadata;
        metadata.managed_fields = None;
        DynamicObject {
            types: None,
            metadata,
            data: serde_json::Value::Null,
        }
    };
    match event {
        Event::Apply(object) => Event::Apply(bare(object)),
        Event::Delete(object) => Event::Delete(bare(object)),
        Event::InitApply(object) => Event::InitApply(bare(object)),
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
    }
}

/// The pauses of a watch that breaks: short at first, because the server is mostly back at once.
struct Pauses {
    backoff: Backoff,
    attempt: u32,
}

impl Pauses {
    fn new() -> Self {
        Self {
            backoff: Backoff::reconnect(),
            attempt: 0,
        }
    }
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.attempt = self.attempt.saturating_add(1);
        let pause = self.backoff.wait_after(self.attempt);
        Some(pause.unwrap_or(self.backoff.longest))
    }
}

impl WatchBackoff for Pauses {
    fn reset(&mut self) {
        self.attempt = 0;
    }
}
