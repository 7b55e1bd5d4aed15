//! Named tasks under one stop signal. A task that panics or fails is an answer, never silence.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The tasks of one part of the process.
///
/// Cloning shares them. [`Tasks::child`] makes a group that can be stopped alone and is stopped with its parent.
#[derive(Clone)]
pub struct Tasks {
    stop: CancellationToken,
    tracker: TaskTracker,
    failure: Arc<Failure>,
}

#[derive(Default)]
struct Failure {
    first: Mutex<Option<TaskFailed>>,
    notify: Notify,
}

/// A task that ended although nobody asked it to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("task {name:?} ended: {reason}")]
pub struct TaskFailed {
    /// The name it was spawned with.
    pub name: String,
    /// What it said, or that it panicked.
    pub reason: String,
}

/// Why [`Tasks::run_until`] did not end cleanly.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// A task ended unasked.
    #[error(transparent)]
    Failed(#[from] TaskFailed),
    /// Tasks were still running when the time to finish was over.
    #[error("{running} tasks were still running {grace_secs} s after the signal to stop")]
    TimedOut {
        /// How many.
        running: usize,
        /// How long they had, in seconds.
        grace_secs: u64,
    },
}

impl Default for Tasks {
    fn default() -> Self {
        Self::new()
    }
}

impl Tasks {
    /// An empty group.
    #[must_use]
    pub fn new() -> Self {
        Self {
            stop: CancellationToken::new(),
            tracker: TaskTracker::new(),
            failure: Arc::default(),
        }
    }

    /// A group that ends with this one and can be stopped by itself; its failures are its own.
    #[must_use]
    pub fn child(&self) -> Self {
        Self {
            stop: self.stop.child_token(),
            tracker: TaskTracker::new(),
            failure: Arc::default(),
        }
    }

    /// The signal to stop, for loops to select on.
    #[must_use]
    pub fn stop_token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Starts a task that lasts until the signal to stop: ending before it, or an error, is a failure.
    pub fn spawn<F, E>(&self, name: impl Into<String>, task: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: std::error::Error + Send + 'static,
    {
        let name = name.into();
        let told = name.clone();
        let (stop, failure) = (self.stop.clone(), self.failure.clone());
        let task = async move {
            let reason = match task.await {
                Ok(()) if stop.is_cancelled() => return,
                Ok(()) => "it returned before it was asked to stop".to_owned(),
                Err(error) => chain(&error),
            };
            failure.report(TaskFailed { name, reason });
        };
        self.start(told, Box::pin(task));
    }

    /// Starts a piece of work that ends by itself, such as one firing. Only a panic is a failure.
    pub fn spawn_job<F>(&self, name: impl Into<String>, job: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.start(name.into(), Box::pin(job));
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that spawns: tracked, and its panic is reported"
    )]
    // Boxed, so that what a runtime does with a task is compiled once and not for each task of the program.
    fn start(&self, name: String, task: BoxFuture<'static, ()>) {
        let failure = self.failure.clone();
        tokio::spawn(self.tracker.track_future(async move {
            // A task that has panicked is never polled again.
            if let Err(panic) = AssertUnwindSafe(task).catch_unwind().await {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text
                    .or_else(|| panic.downcast_ref::<&str>().copied())
                    .unwrap_or("no message");
                failure.report(TaskFailed {
                    name,
                    reason: format!("it panicked: {text}"),
                });
            }
        }));
    }

    /// Waits for the first failure. Dropping the future loses nothing.
    pub async fn failed(&self) -> TaskFailed {
        loop {
            let notified = self.failure.notify.notified();
            if let Some(failed) = self.failure.first() {
                return failed;
            }
            notified.await;
        }
    }

    /// Asks all tasks to stop and waits for them, at most `grace`.
    ///
    /// # Errors
    /// [`RunError::TimedOut`] with the number of tasks still running.
    pub async fn stop(&self, grace: Duration) -> Result<(), RunError> {
        self.stop.cancel();
        self.tracker.close();
        if tokio::time::timeout(grace, self.tracker.wait())
            .await
            .is_ok()
        {
            return Ok(());
        }
        Err(RunError::TimedOut {
            running: self.tracker.len(),
            grace_secs: grace.as_secs(),
        })
    }

    /// Runs until `signal` or the first failure, then stops everything.
    ///
    /// # Errors
    /// What failed, or that tasks did not stop within `grace`.
    pub async fn run_until(
        &self,
        signal: impl Future<Output = ()>,
        grace: Duration,
    ) -> Result<(), RunError> {
        let failed = tokio::select! {
            biased;
            failed = self.failed() => Some(failed),
            () = signal => None,
        };
        let stopped = self.stop(grace).await;
        match failed {
            Some(failed) => Err(failed.into()),
            None => stopped,
        }
    }
}

impl Failure {
    fn report(&self, failed: TaskFailed) {
        tracing::error!(task = failed.name, reason = failed.reason, "task ended");
        self.first
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(failed);
        self.notify.notify_waiters();
    }

    fn first(&self) -> Option<TaskFailed> {
        self.first
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// An error and its causes in one line: `cannot publish: bus unavailable: connection refused`.
#[must_use]
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        // Some clients repeat their cause in their own text.
        if let Some(shorter) = without_dump(&text, &next) {
            text = shorter;
        } else if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

/// Some clients write the name of their own type before their cause, and a dump of its fields behind it; neither is for
/// people. `None` for a text that is not of that kind.
fn without_dump(text: &str, cause: &str) -> Option<String> {
    if cause.is_empty() {
        return None;
    }
    let with_dump = format!("{cause} (");
    let (before, _) = text.split_once(&with_dump)?;
    if !before.is_empty() && !before.ends_with(": ") {
        return None;
    }
    let before = before.trim_end_matches(": ");
    let (rest, word) = before.rsplit_once(": ").unwrap_or(("", before));
    let is_type = word.ends_with("Error") && word.chars().all(|c| c.is_ascii_alphanumeric());
    let before = if is_type { rest } else { before };
    Some(if before.is_empty() {
        cause.to_owned()
    } else {
        format!("{before}: {cause}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    #[derive(Debug)]
    struct Told(&'static str, Option<Box<Told>>);

    impl std::fmt::Display for Told {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.0)
        }
    }

    impl std::error::Error for Told {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            self.1.as_deref().map(|cause| cause as _)
        }
    }

    #[test]
    fn a_chain_says_everything_once_and_no_dump() {
        for (texts, expected) in [
            (&["cannot read", "refused"][..], "cannot read: refused"),
            (&["cannot read: refused", "refused"], "cannot read: refused"),
            (
                &[
                    "cannot apply Service \"a\"",
                    "ApiError: quota: Forbidden (Status { code: 403, message: \"quota\" })",
                    "quota: Forbidden",
                ],
                "cannot apply Service \"a\": quota: Forbidden",
            ),
            (
                &[
                    "ApiError: gone: Expired (Status { code: 410 })",
                    "gone: Expired",
                ],
                "gone: Expired",
            ),
            (&["cannot open: a (b)", "a"], "cannot open: a"),
            (&["cannot open (b)", ""], "cannot open (b)"),
            (&["cannot read data (b)", "a"], "cannot read data (b): a"),
        ] {
            let error = texts
                .iter()
                .rev()
                .fold(None, |cause, text| Some(Box::new(Told(text, cause))));
            assert_eq!(chain(&*error.unwrap()), expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_is_a_failure_with_its_name() {
        let tasks = Tasks::new();
        tasks.spawn("reader", async {
            assert!(std::hint::black_box(false), "boom");
            Ok::<(), Infallible>(())
        });
        let failed = tasks
            .run_until(std::future::pending(), Duration::from_secs(1))
            .await;
        let Err(RunError::Failed(failed)) = failed else {
            panic!("{failed:?}")
        };
        assert_eq!(
            failed.to_string(),
            "task \"reader\" ended: it panicked: boom"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_returns_unasked_is_a_failure() {
        let tasks = Tasks::new();
        tasks.spawn("quiet", async { Ok::<(), Infallible>(()) });
        assert_eq!(tasks.failed().await.name, "quiet");
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_task_is_counted() {
        let tasks = Tasks::new();
        tasks.spawn("deaf", std::future::pending::<Result<(), Infallible>>());
        let stop = tasks.child().stop_token();
        let ended = tasks.run_until(async {}, Duration::from_secs(3)).await;
        assert!(matches!(
            ended,
            Err(RunError::TimedOut { grace_secs: 3, .. })
        ));
        assert!(stop.is_cancelled());
    }
}
