//! The loop of the controller: watches fill the cache, the cache fills the queue, looks empty it. All in one task, so
//! nothing is shared and nothing is locked.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use kube::api::DynamicObject;
use kube::runtime::watcher::{self, Event};
use tiphys_core::tasks::chain;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::cache::Cache;
use super::measures::Measures;
use super::notices::Notices;
use super::pool::Followed;
use super::queue::{Job, Queue};
use super::reconcile::{self, Context, Outcome, View};
use super::settings::Settings;
use super::sweep::Sweeper;
use super::watches::{self, Watched};
use super::{OperatorOptions, Workloads};
use crate::hosting::{Kind, Snapshot};

/// How many objects are worked on at once. More would only wait for the API server.
const AT_ONCE: usize = 16;

type Looks = FuturesUnordered<BoxFuture<'static, (Job, Outcome, Duration)>>;

pub(super) struct Run {
    context: Context,
    cache: Cache,
    queue: Queue,
    settings: watch::Receiver<Settings>,
    state: watch::Sender<Snapshot>,
    /// What each broken watch said last, so that it is logged once.
    trouble: HashMap<Watched, String>,
    synced: bool,
    quiet: bool,
    pool: Option<Followed>,
    measures: Measures,
    sweeper: Sweeper,
}

impl Run {
    pub(super) fn new(options: &OperatorOptions, state: watch::Sender<Snapshot>) -> Self {
        let settings = options.settings.clone();
        let current = Arc::new(settings.borrow().clone());
        let pool = match &options.workloads {
            Workloads::Pods => None,
            Workloads::Pooled(pool) => Some(Followed::new(pool.clone())),
        };
        Self {
            pool,
            context: Context {
                client: options.client.clone(),
                settings: current,
                workloads: options.workloads.clone(),
                notices: Notices::new(options.client.clone(), options.identity.clone()),
            },
            cache: Cache::default(),
            queue: Queue::new(),
            settings,
            state,
            trouble: HashMap::new(),
            synced: false,
            quiet: true,
            measures: Measures::new(&options.metrics),
            sweeper: Sweeper::new(options.client.clone(), options.forget_after),
        }
    }

    /// Runs until it is told to stop; what is in hand is finished then.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let scope = self.context.settings.scope.clone();
        let mut seen = watches::all(&self.context.client, &scope);
        let mut looks: Looks = FuturesUnordered::new();
        loop {
            if self.synced {
                self.start(&mut looks);
            }
            let due = self.queue.due().filter(|_| looks.len() < AT_ONCE);
            let due = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some((watched, event)) = seen.next() => self.on_event(watched, event),
                Some((job, outcome, time)) = looks.next(), if !looks.is_empty() => {
                    self.measures.looked(&job, outcome.next, time);
                    self.on_done(job, outcome);
                }
                Ok(()) = self.settings.changed() => self.on_settings(),
                keys = Followed::changed(&mut self.pool, &self.cache) => {
                    for key in keys {
                        self.queue.add(Job::Object(key));
                    }
                }
                never = self.sweeper.work(&self.cache), if self.synced => match never {},
                () = due => {}
            }
            self.tell();
        }
        while looks.next().await.is_some() {}
    }

    fn start(&mut self, looks: &mut Looks) {
        while looks.len() < AT_ONCE {
            let Some(job) = self.queue.take(Instant::now()) else {
                return;
            };
            let Some(mut view) = reconcile::view(&mut self.cache, &job) else {
                self.queue.done(job, reconcile::NOTHING, Instant::now());
                continue;
            };
            if let (Some(pool), View::Object(view)) = (&mut self.pool, &mut view) {
                view.pool_ports = pool.ports_for(&view.known, &self.cache);
            }
            let look = reconcile::look(self.context.clone(), job, view);
            let began = Instant::now();
            looks.push(Box::pin(async move {
                let (job, outcome) = look.await;
                (job, outcome, began.elapsed())
            }));
        }
    }

    fn on_event(&mut self, watched: Watched, event: Result<Event<DynamicObject>, watcher::Error>) {
        match event {
            Ok(event) => {
                if matches!(event, Event::InitDone) && self.trouble.remove(&watched).is_some() {
                    tracing::info!(kind = watched.as_str(), "watched again");
                }
                for job in self.cache.learn(watched, event) {
                    self.queue.add(job);
                }
            }
            Err(error) => self.on_trouble(watched, &error),
        }
        let left = self.cache.left();
        if self.synced {
            if watched == Watched::Objects(Kind::EventBus) {
                self.sweeper.follow(&self.cache);
            }
            self.sweeper.left(&left);
        } else if self.cache.is_synced() {
            self.synced = true;
            self.sweeper.follow(&self.cache);
            if let Some(pool) = &mut self.pool {
                pool.learn(&self.cache);
            }
            tracing::info!(
                event_buses = self.cache.count(Kind::EventBus),
                event_sources = self.cache.count(Kind::EventSource),
                sensors = self.cache.count(Kind::Sensor),
                "every object has been read"
            );
        }
    }

    /// The watch tries again by itself; a server that is away is no reason to stop.
    fn on_trouble(&mut self, watched: Watched, error: &watcher::Error) {
        self.measures.interrupted(watched);
        let text = chain(error);
        let refusal = refusal(error);
        if refusal {
            self.cache.refuse(watched);
        }
        if self.trouble.get(&watched) == Some(&text) {
            return;
        }
        let kind = watched.as_str();
        match watched {
            Watched::Objects(_) if refusal => {
                tracing::error!(
                    kind,
                    error = text,
                    "cannot be watched: is its definition installed (tiphys crds | kubectl apply -f -), and may the controller list and watch it?"
                );
            }
            Watched::Made(_) if refusal => {
                tracing::error!(
                    kind,
                    error = text,
                    "cannot be watched: may the controller list and watch it? Until then what changes there goes unseen"
                );
            }
            _ => tracing::warn!(
                kind,
                error = text,
                "the watch was interrupted, trying again"
            ),
        }
        self.trouble.insert(watched, text);
    }

    fn on_done(&mut self, job: Job, outcome: Outcome) {
        let Outcome {
            next,
            applied,
            read,
            status,
            turn,
        } = outcome;
        for applied in applied {
            self.cache.settle(applied);
        }
        self.cache.read(turn, read);
        self.queue.done(job, next, Instant::now());
        if let Some((seen, status)) = status {
            for job in self.cache.wrote_status(&seen, status) {
                self.queue.add(job);
            }
        }
    }

    fn on_settings(&mut self) {
        let settings = Arc::new(self.settings.borrow_and_update().clone());
        if *self.context.settings == *settings {
            return;
        }
        tracing::info!("the configuration has changed, so every object is looked at again");
        self.context.settings = settings;
        for job in self.cache.everything() {
            self.queue.add(job);
        }
    }

    /// Readiness, and a line in the log when the work is done.
    fn tell(&mut self) {
        let quiet = self.queue.busy() == 0;
        if quiet {
            self.cache.at_rest();
        }
        if self.synced && quiet && !self.quiet {
            tracing::debug!(later = self.queue.len(), "nothing to do");
        }
        self.quiet = quiet;
        self.measures.stand(&self.cache, &self.queue, quiet);
        let synced = self.synced;
        self.state.send_if_modified(|state| {
            let news = state.synced != synced;
            state.synced = synced;
            news
        });
    }
}

/// Whether the server has answered, and with a no that waiting alone does not change.
fn refusal(error: &watcher::Error) -> bool {
    let cause = match error {
        watcher::Error::InitialListFailed(cause)
        | watcher::Error::WatchStartFailed(cause)
        | watcher::Error::WatchFailed(cause) => cause,
        watcher::Error::WatchError(status) => return matches!(status.code, 403 | 404),
        _ => return false,
    };
    matches!(cause, kube::Error::Api(status) if matches!(status.code, 403 | 404))
}
