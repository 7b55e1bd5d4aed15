//! Watches Workflows and gives each its run, tells runs what their objects ask for, and deletes finished ones when
//! their time to live is over.
//! It never runs a template itself.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use kube::api::{DeleteParams, Preconditions};
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, ResourceExt as _};
use tiphys_core::Tasks;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::engine::{self, Control, Orders, Shared, Unwind};
use crate::logs::Logs;
use crate::resource::{NodePhase, Workflow};

/// How the engine runs.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// The folder of logs and scratch files.
    pub folder: PathBuf,
    /// How many leaves run at once.
    pub parallel: usize,
    /// This program, which stands for `cowsay` where a shell calls it; `None` leaves that out.
    pub program: Option<PathBuf>,
}

/// The engine of the local shape.
pub struct Engine {
    shared: Arc<Shared>,
}

/// Why the engine could not start.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the folder {folder} for workflow logs")]
pub struct EngineError {
    folder: String,
    #[source]
    source: std::io::Error,
}

/// A run that goes on.
struct Active {
    stop: CancellationToken,
    cut: CancellationToken,
    orders: watch::Sender<Orders>,
    /// The object as it was seen last.
    latest: Workflow,
}

/// What is known of Workflows, by the uid of each.
#[derive(Default)]
struct Known {
    active: HashMap<String, Active>,
    /// The version of each object that says that its run has ended. What was seen before is old news.
    ended: HashMap<String, u64>,
    /// When finished ones are to be deleted.
    expiry: BTreeMap<(Timestamp, String), Workflow>,
}

impl Known {
    /// Whether a state of an object is from before the end of its run.
    fn is_old(&self, uid: &str, workflow: &Workflow) -> bool {
        self.ended
            .get(uid)
            .is_some_and(|ended| version(workflow) <= *ended)
    }

    fn keep(&mut self, uid: &str) {
        self.expiry.retain(|(_, known), _| known != uid);
    }
}

/// How a run ended: the version that says so, or nothing where it was cut off.
type End = (String, Option<u64>);

impl Engine {
    /// Makes the engine's folder.
    ///
    /// # Errors
    /// When the folder cannot be made or written.
    pub fn open(client: Client, options: &EngineOptions) -> Result<Self, EngineError> {
        let error = |source| EngineError {
            folder: options.folder.display().to_string(),
            source,
        };
        let shims = options.folder.join("bin");
        std::fs::create_dir_all(&shims).map_err(error)?;
        if let Some(program) = &options.program {
            let script = format!(
                "#!/bin/sh\nexec '{}' cowsay \"$@\"\n",
                program.display().to_string().replace('\'', r"'\''")
            );
            let path = shims.join("cowsay");
            std::fs::write(&path, script).map_err(error)?;
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))
                .map_err(error)?;
        }
        let shared = Shared {
            client,
            logs: Logs::new(options.folder.join("logs")),
            leaves: Arc::new(Semaphore::new(options.parallel.max(1))),
            shims,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Where the output of nodes is.
    #[must_use]
    pub fn logs(&self) -> Logs {
        self.shared.logs.clone()
    }

    /// Runs Workflows of all namespaces until `tasks` stops. Runs that are cut off go on at the next start.
    pub fn spawn(self, tasks: &Tasks) {
        let runs = tasks.clone();
        tasks.spawn("workflow engine", async move {
            self.watch(&runs).await;
            Ok::<(), std::convert::Infallible>(())
        });
    }

    async fn watch(self, tasks: &Tasks) {
        let stop = tasks.stop_token();
        let api = Api::<Workflow>::all(self.shared.client.clone());
        // Unknown phases and the like must not stop the watch of the others: the typed parts are lenient.
        let mut events = watcher::watcher(api, watcher::Config::default()).boxed();
        let (done, mut ended) = mpsc::unbounded_channel::<End>();
        let mut known = Known::default();
        let mut broken = false;
        loop {
            let next_expiry = known.expiry.keys().next().map(|(at, _)| until(*at));
            let expire = async {
                match next_expiry {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                Some((uid, version)) = ended.recv() => self.over(&uid, version, &mut known, &done, tasks),
                () = expire => {
                    if let Some((_, workflow)) = known.expiry.pop_first() {
                        self.delete(&workflow).await;
                    }
                }
                event = events.next() => match event {
                    Some(Ok(Event::Apply(workflow) | Event::InitApply(workflow))) => {
                        broken = false;
                        self.seen(workflow, &mut known, &done, tasks);
                    }
                    Some(Ok(Event::Delete(workflow))) => self.gone(&workflow, &mut known).await,
                    Some(Ok(Event::Init | Event::InitDone)) => broken = false,
                    Some(Err(error)) => {
                        if !broken {
                            tracing::warn!(error = %tiphys_core::tasks::chain(&error), "cannot watch workflows, trying again");
                        }
                        broken = true;
                        tokio::time::sleep(Duration::from_millis(500)).await;
                    }
                    None => return,
                }
            }
        }
    }

    fn seen(
        &self,
        workflow: Workflow,
        known: &mut Known,
        done: &mpsc::UnboundedSender<End>,
        tasks: &Tasks,
    ) {
        let uid = workflow.uid().unwrap_or_default();
        if let Some(active) = known.active.get_mut(&uid) {
            active.latest = workflow.clone();
            active.orders.send_modify(|orders| orders.take(&workflow));
            if active.orders.borrow().shutdown().is_some() {
                active.cut.cancel();
            }
        }
        if is_done(&workflow) {
            if let Some(at) = expires(&workflow) {
                known.expiry.insert((at, uid), workflow);
            }
            return;
        }
        if !known.active.contains_key(&uid) && !known.is_old(&uid, &workflow) {
            self.start(workflow, known, done, tasks);
        }
    }

    /// Gives an object its run.
    fn start(
        &self,
        workflow: Workflow,
        known: &mut Known,
        done: &mpsc::UnboundedSender<End>,
        tasks: &Tasks,
    ) {
        if workflow.metadata.deletion_timestamp.is_some() {
            return;
        }
        let uid = workflow.uid().unwrap_or_default();
        // It may have ended before, and goes on now.
        known.keep(&uid);
        let stop = tasks.stop_token().child_token();
        let cut = stop.child_token();
        let (orders, receiver) = watch::channel(Orders::of(&workflow));
        if receiver.borrow().shutdown().is_some() {
            cut.cancel();
        }
        let control = Control {
            orders: receiver,
            stop: stop.clone(),
            cut: cut.clone(),
        };
        let active = Active {
            stop,
            cut,
            orders,
            latest: workflow.clone(),
        };
        known.active.insert(uid.clone(), active);
        let (shared, done) = (self.shared.clone(), done.clone());
        let name = workflow.name_any();
        tasks.spawn_job(format!("workflow {name}"), async move {
            let version = match engine::run(shared, workflow, control).await {
                Ok(version) => {
                    tracing::info!(workflow = name, "workflow finished");
                    Some(version)
                }
                Err(Unwind::Stopped | Unwind::Gone) => {
                    tracing::debug!(workflow = name, "workflow cut off");
                    None
                }
            };
            // The driver may have ended before.
            drop(done.send((uid, version)));
        });
    }

    /// A run has ended; somebody may have let the Workflow go on in the meantime.
    fn over(
        &self,
        uid: &str,
        version: Option<u64>,
        known: &mut Known,
        done: &mpsc::UnboundedSender<End>,
        tasks: &Tasks,
    ) {
        let active = known.active.remove(uid);
        let Some(version) = version else { return };
        known.ended.insert(uid.to_owned(), version);
        if let Some(Active { latest, .. }) = active
            && !is_done(&latest)
            && !known.is_old(uid, &latest)
        {
            self.start(latest, known, done, tasks);
        }
    }

    async fn gone(&self, workflow: &Workflow, known: &mut Known) {
        let uid = workflow.uid().unwrap_or_default();
        if let Some(run) = known.active.get(&uid) {
            run.stop.cancel();
        }
        known.keep(&uid);
        known.ended.remove(&uid);
        let namespace = workflow.namespace().unwrap_or_default();
        if let Err(error) = self
            .shared
            .logs
            .forget(&namespace, &workflow.name_any(), &uid)
            .await
        {
            tracing::warn!(workflow = workflow.name_any(), %error, "cannot remove logs");
        }
    }

    async fn delete(&self, workflow: &Workflow) {
        let api = Api::<Workflow>::namespaced(
            self.shared.client.clone(),
            &workflow.namespace().unwrap_or_default(),
        );
        let only = Preconditions {
            uid: workflow.uid(),
            // Not if it goes on again.
            resource_version: workflow.resource_version(),
        };
        let params = DeleteParams {
            preconditions: Some(only),
            ..DeleteParams::background()
        };
        match api.delete(&workflow.name_any(), &params).await {
            Ok(_) => tracing::debug!(
                workflow = workflow.name_any(),
                "deleted after its time to live"
            ),
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
            Err(error) => {
                tracing::warn!(workflow = workflow.name_any(), error = %tiphys_core::tasks::chain(&error), "cannot delete");
            }
        }
    }
}

fn is_done(workflow: &Workflow) -> bool {
    let status = workflow.status.as_ref();
    status.is_some_and(|status| status.phase.is_done())
}

/// The version of an object; our own API counts them.
fn version(workflow: &Workflow) -> u64 {
    let version = workflow.resource_version();
    version
        .and_then(|version| version.parse().ok())
        .unwrap_or(0)
}

/// When a finished Workflow is to be deleted.
fn expires(workflow: &Workflow) -> Option<Timestamp> {
    let ttl = workflow.spec.ttl_strategy.as_ref()?;
    let status = workflow.status.as_ref()?;
    let specific = if status.phase == NodePhase::Succeeded {
        ttl.seconds_after_success
    } else {
        ttl.seconds_after_failure
    };
    let secs = specific.or(ttl.seconds_after_completion)?;
    let finished: Timestamp = status.finished_at.as_ref()?.parse().ok()?;
    finished
        .checked_add(jiff::SignedDuration::from_secs(i64::from(secs)))
        .ok()
}

fn until(at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or(Duration::ZERO)
}
