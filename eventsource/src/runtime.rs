//! The sources of a process: objects come and go, their events are served meanwhile. It never judges an event's content.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};

use futures::future::join_all;
use prometheus::IntGauge;
use tiphys_core::metrics::Metrics;
use tiphys_core::{Problems, Secrets, Tasks};
use tiphys_eventbus::Publish;
use tokio::sync::{Mutex, watch};

use crate::claims::{Claim, weigh};
use crate::error::{ApplyError, EventError};
use crate::filter::Filter;
use crate::http::auth::Bearer;
use crate::http::limits::Limits;
use crate::http::route::Route;
use crate::http::tls::{Tls, TlsAt};
use crate::listeners::Listener;
use crate::source::Source;
use crate::spec::Entry;
use crate::state::{Applied, EventState, ObjectName, PortMap, SourceObject, States};

/// Runs the events of any number of EventSource objects. Cloning shares it.
///
/// Ports are shared by all of them; an object is replaced without a request being dropped.
#[derive(Clone)]
pub struct SourceRuntime {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    /// For finding itself again from a task that must not keep it alive.
    this: Weak<Inner>,
    tasks: Tasks,
    ports: PortMap,
    limits: Limits,
    registry: Mutex<Registry>,
    states: watch::Sender<States>,
}

#[derive(Default)]
struct Registry {
    stopping: bool,
    next: u64,
    objects: BTreeMap<ObjectName, Object>,
    listeners: BTreeMap<u16, Listener>,
}

/// Objects of which another number of events is listened for than before.
type Changed = BTreeSet<ObjectName>;

struct Object {
    /// Its place in the order of arrival, which an update keeps.
    order: u64,
    claims: Vec<Claim>,
    running: IntGauge,
}

impl SourceRuntime {
    /// Makes a runtime without objects. It stops with `tasks`, after the requests in hand.
    #[must_use]
    pub fn new(tasks: &Tasks, ports: PortMap) -> Self {
        Self::with_limits(tasks, ports, Limits::default())
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(tasks: &Tasks, ports: PortMap, limits: Limits) -> Self {
        let inner = Arc::new_cyclic(|this| Inner {
            this: this.clone(),
            tasks: tasks.clone(),
            ports,
            limits,
            registry: Mutex::default(),
            states: watch::Sender::default(),
        });
        let (stop, waiting) = (tasks.stop_token(), inner.clone());
        tasks.spawn("event sources", async move {
            stop.cancelled().await;
            waiting.drain().await;
            Ok::<_, Infallible>(())
        });
        Self { inner }
    }

    /// Starts or replaces one EventSource.
    ///
    /// Events fail one by one and harm no other: the result says which and why.
    /// What can mend itself, such as a port in use, is tried again while the object stays.
    ///
    /// # Errors
    /// When nothing of the object can run; what ran under its name before goes on.
    pub async fn apply(
        &self,
        object: &SourceObject,
        publisher: Arc<dyn Publish>,
        secrets: Arc<dyn Secrets>,
        metrics: &Metrics,
    ) -> Result<Applied, ApplyError> {
        let nowhere_else = BTreeMap::new();
        self.apply_at(object, &nowhere_else, publisher, secrets, metrics)
            .await
    }

    /// As [`SourceRuntime::apply`], with other ports in the place of those that the spec says: objects that share a
    /// process keep their own.
    ///
    /// # Errors
    /// As [`SourceRuntime::apply`].
    pub async fn apply_at(
        &self,
        object: &SourceObject,
        ports: &BTreeMap<u16, u16>,
        publisher: Arc<dyn Publish>,
        secrets: Arc<dyn Secrets>,
        metrics: &Metrics,
    ) -> Result<Applied, ApplyError> {
        let mut problems = Problems::default();
        problems.at("spec", |problems| object.spec.validate(problems));
        if problems.has_errors() {
            return Err(ApplyError::Invalid(problems));
        }
        let name = (object.namespace.clone(), object.name.clone());
        let mut claims = Vec::new();
        let mut failed = BTreeMap::new();
        for entry in object.spec.entries() {
            match claim(&entry, object, &publisher, &secrets, metrics) {
                Ok(mut claim) => {
                    if let Some(port) = ports.get(&claim.at.port) {
                        claim.at.port = *port;
                    }
                    claims.push(claim);
                }
                Err(error) => {
                    tracing::error!(
                        eventsource = object.name,
                        event = entry.name,
                        error = tiphys_core::tasks::chain(&error),
                        "an event cannot be listened for"
                    );
                    failed.insert(entry.name.to_owned(), EventState::Failed { error });
                }
            }
        }
        let running = metrics.running(&object.namespace, &object.name);
        self.inner.replace(name, claims, failed, running).await
    }

    /// Stops one EventSource; its ports close when no other object uses them.
    pub async fn remove(&self, namespace: &str, name: &str) {
        self.inner
            .remove(&(namespace.to_owned(), name.to_owned()))
            .await;
    }

    /// Stops accepting and finishes the requests in hand. Nothing can be applied afterwards.
    pub async fn drain(&self) {
        self.inner.drain().await;
    }

    /// The state of every event, and each change of it.
    #[must_use]
    pub fn states(&self) -> watch::Receiver<States> {
        self.inner.states.subscribe()
    }
}

/// Makes the running half of one event.
fn claim(
    entry: &Entry<'_>,
    object: &SourceObject,
    publisher: &Arc<dyn Publish>,
    secrets: &Arc<dyn Secrets>,
    metrics: &Metrics,
) -> Result<Claim, EventError> {
    let Source::Hook { at, hook } = entry.source.build()?;
    let filter = entry.source.filter().map(Filter::compile).transpose();
    let filter = filter.map_err(|error| EventError::Filter(error.to_string()))?;
    let tls = at.tls.clone().map(|(cert, key)| {
        let namespace = object.namespace.clone();
        Arc::new(Tls::new(
            TlsAt {
                namespace,
                cert,
                key,
            },
            secrets.clone(),
        ))
    });
    let bearer = at
        .auth
        .clone()
        .map(|token| Bearer::new(token, secrets.clone()));
    let route = Arc::new(Route {
        owner: (object.namespace.clone(), object.name.clone()),
        event: entry.name.to_owned(),
        kind: entry.source.event_type(),
        max_payload: at.max_payload,
        hook,
        filter,
        bearer,
        publisher: publisher.clone(),
        metrics: metrics.source(&object.namespace, &object.name, entry.name),
    });
    Ok(Claim { at, route, tls })
}

impl Inner {
    async fn replace(
        &self,
        name: ObjectName,
        claims: Vec<Claim>,
        failed: BTreeMap<String, EventState>,
        running: IntGauge,
    ) -> Result<Applied, ApplyError> {
        let mut registry = self.registry.lock().await;
        if registry.stopping {
            return Err(ApplyError::Stopping);
        }
        let mut touched: BTreeSet<u16> = claims.iter().map(|claim| claim.at.port).collect();
        let old = registry.objects.get(&name);
        touched.extend(
            old.iter()
                .flat_map(|old| old.claims.iter().map(|claim| claim.at.port)),
        );
        let order = old.map_or(registry.next, |old| old.order);
        registry.next = registry.next.max(order + 1);
        let object = Object {
            order,
            claims,
            running,
        };
        registry.objects.insert(name.clone(), object);
        self.states.send_modify(|states| {
            states.insert(name.clone(), failed);
        });
        self.settle(&mut registry, touched).await;
        // Also where none of its events is served any more.
        self.count(&registry, &Changed::from([name.clone()]));
        let events = self.states.borrow().get(&name).cloned().unwrap_or_default();
        Ok(Applied { events })
    }

    async fn remove(&self, name: &ObjectName) {
        let mut registry = self.registry.lock().await;
        let Some(old) = registry.objects.remove(name) else {
            return;
        };
        old.running.set(0);
        self.states.send_modify(|states| {
            states.remove(name);
        });
        let touched = old.claims.iter().map(|claim| claim.at.port).collect();
        self.settle(&mut registry, touched).await;
    }

    /// Makes the ports serve what the objects want now.
    async fn settle(&self, registry: &mut Registry, touched: BTreeSet<u16>) {
        let mut changed = Changed::new();
        for port in touched {
            let verdict = weigh(port, in_order(&registry.objects, port));
            if verdict.won.is_empty() {
                if let Some(listener) = registry.listeners.remove(&port) {
                    listener.shared.set_table(verdict.table);
                    listener.close().await;
                    let grace = self.limits.drain;
                    tracing::info!(port, "a port is closed");
                    self.tasks
                        .spawn_job(format!("drain of port {port}"), async move {
                            listener.finish(grace).await;
                        });
                }
                continue;
            }
            let known = registry.listeners.remove(&port);
            let opening = known.is_none();
            let mut listener =
                known.unwrap_or_else(|| Listener::new(self.limits.clone(), &self.tasks, port));
            listener.shared.set_table(verdict.table);
            if listener.shared.tls_at() != verdict.tls.as_ref().map(|tls| tls.at.clone()) {
                listener.shared.set_tls(verdict.tls);
            }
            if opening {
                listener.open(port, &self.ports, &self.this).await;
            }
            let state = state(&listener);
            registry.listeners.insert(port, listener);
            self.states.send_modify(|states| {
                for route in verdict.won {
                    record(states, &mut changed, &route, state.clone());
                }
                for (route, error) in verdict.lost {
                    let known = failed(states, &route);
                    if !known {
                        tracing::error!(
                            eventsource = route.owner.1,
                            event = route.event,
                            %error,
                            "an event cannot be listened for"
                        );
                    }
                    record(states, &mut changed, &route, EventState::Failed { error });
                }
            });
        }
        self.count(registry, &changed);
    }

    /// A port that could not be opened at first is open now.
    pub(crate) async fn opened(&self, port: u16, addr: SocketAddr) {
        let mut registry = self.registry.lock().await;
        let Some(listener) = registry.listeners.get_mut(&port) else {
            return;
        };
        listener.state = Ok(addr);
        let mut changed = Changed::new();
        let verdict = weigh(port, in_order(&registry.objects, port));
        self.states.send_modify(|states| {
            for route in verdict.won {
                record(states, &mut changed, &route, EventState::Listening { addr });
            }
        });
        self.count(&registry, &changed);
    }

    async fn drain(&self) {
        let listeners = {
            let mut registry = self.registry.lock().await;
            registry.stopping = true;
            std::mem::take(&mut registry.listeners)
        };
        join_all(listeners.values().map(Listener::close)).await;
        let grace = self.limits.drain;
        join_all(listeners.values().map(|listener| listener.finish(grace))).await;
    }

    /// Tells the metrics how many events of the changed objects are listened for.
    fn count(&self, registry: &Registry, changed: &Changed) {
        let states = self.states.borrow();
        for name in changed {
            let Some(object) = registry.objects.get(name) else {
                continue;
            };
            let events = states.get(name).into_iter().flat_map(BTreeMap::values);
            let listening = events
                .filter(|state| matches!(state, EventState::Listening { .. }))
                .count();
            object
                .running
                .set(i64::try_from(listening).unwrap_or(i64::MAX));
        }
    }
}

/// Writes a state down, and the object into `changed` where that counts differently.
fn record(states: &mut States, changed: &mut Changed, route: &Route, state: EventState) {
    let listens = |state: &EventState| matches!(state, EventState::Listening { .. });
    let events = match states.get_mut(&route.owner) {
        Some(events) => events,
        None => states.entry(route.owner.clone()).or_default(),
    };
    let now = listens(&state);
    let before = match events.get_mut(&route.event) {
        Some(known) => Some(listens(&std::mem::replace(known, state))),
        None => {
            events.insert(route.event.clone(), state);
            None
        }
    };
    if before != Some(now) {
        changed.insert(route.owner.clone());
    }
}

/// Whether an event is known not to be listened for.
fn failed(states: &States, route: &Route) -> bool {
    let event = states
        .get(&route.owner)
        .and_then(|events| events.get(&route.event));
    matches!(event, Some(EventState::Failed { .. }))
}

fn state(listener: &Listener) -> EventState {
    match &listener.state {
        Ok(addr) => EventState::Listening { addr: *addr },
        Err(error) => EventState::Failed {
            error: error.clone(),
        },
    }
}

/// The claims for a port, those of earlier objects first.
fn in_order(objects: &BTreeMap<ObjectName, Object>, port: u16) -> impl Iterator<Item = &Claim> {
    let mut objects: Vec<&Object> = objects.values().collect();
    objects.sort_unstable_by_key(|object| object.order);
    objects
        .into_iter()
        .flat_map(|object| &object.claims)
        .filter(move |claim| claim.at.port == port)
}
