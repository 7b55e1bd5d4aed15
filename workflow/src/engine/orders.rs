//! What the object asks of a run that goes on: hold, go on, end, or take a step that waited as ended.
//! It never decides what a node becomes.

use std::collections::BTreeMap;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Run, Unwind};
use crate::resource::{Node, Workflow};

/// What the object asks for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Orders {
    suspended: bool,
    shutdown: Option<String>,
    /// Steps that waited and that others have ended. Once seen they stay, because status of our own may hide them.
    ended: BTreeMap<String, Node>,
}

impl Orders {
    /// What an object asks for from the start.
    pub(crate) fn of(workflow: &Workflow) -> Self {
        let mut orders = Self::default();
        orders.take(workflow);
        orders
    }

    /// Takes in a newer state of the object.
    pub(crate) fn take(&mut self, workflow: &Workflow) {
        self.suspended = workflow.spec.suspend == Some(true);
        let asked = workflow.spec.shutdown.as_ref();
        self.shutdown = asked.filter(|how| !how.is_empty()).cloned();
        for (id, node) in workflow.status.iter().flat_map(|status| &status.nodes) {
            if node.kind == "Suspend" && node.phase.is_done() {
                self.ended.insert(id.clone(), node.clone());
            }
        }
    }

    /// How the Workflow is to be ended, if it is.
    pub(crate) fn shutdown(&self) -> Option<&str> {
        self.shutdown.as_deref()
    }
}

/// The engine's side of the orders, and what ends the processes of a run.
#[derive(Clone)]
pub(crate) struct Control {
    pub(crate) orders: watch::Receiver<Orders>,
    /// Tiphys stops; the run goes on when it is started again.
    pub(crate) stop: CancellationToken,
    /// No process of this run goes on; also when Tiphys stops.
    pub(crate) cut: CancellationToken,
}

/// What may be begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Gate {
    /// Anything.
    Open,
    /// Nothing, because of this.
    Shut(String),
}

impl Run {
    /// Waits while the Workflow is held, and says whether anything new may begin.
    pub(super) async fn gate(&self) -> Result<Gate, Unwind> {
        let mut orders = self.control.orders.clone();
        loop {
            if self.control.stop.is_cancelled() {
                return Err(Unwind::Stopped);
            }
            {
                let now = orders.borrow_and_update();
                if let Some(how) = now.shutdown() {
                    return Ok(Gate::Shut(cut_off(how)));
                }
                if self.is_late() {
                    return Ok(Gate::Shut(LATE.to_owned()));
                }
                if !now.suspended {
                    return Ok(Gate::Open);
                }
            }
            tokio::select! {
                changed = orders.changed() => changed.map_err(|_| Unwind::Stopped)?,
                () = self.control.stop.cancelled() => return Err(Unwind::Stopped),
                () = self.until_late() => {}
            }
        }
    }

    /// How the Workflow is to be ended, if it is.
    pub(super) fn shutdown(&self) -> Option<String> {
        let orders = self.control.orders.borrow();
        orders.shutdown().map(str::to_owned)
    }

    /// Waits until others have ended a step that waits, or the Workflow.
    pub(super) async fn until_ended(&self, id: &str) -> Result<Result<Node, String>, Unwind> {
        let mut orders = self.control.orders.clone();
        let found = orders
            .wait_for(|orders| orders.ended.contains_key(id) || orders.shutdown.is_some())
            .await
            .map_err(|_| Unwind::Stopped)?;
        Ok(match (found.ended.get(id), found.shutdown()) {
            (Some(node), _) => Ok(node.clone()),
            (None, how) => Err(format!(
                "Stopped with strategy '{}'",
                how.unwrap_or_default()
            )),
        })
    }

    /// Whether the object says that nothing new is to begin.
    pub(super) fn is_held(&self) -> bool {
        self.control.orders.borrow().suspended
    }

    fn is_late(&self) -> bool {
        self.deadline
            .is_some_and(|deadline| tokio::time::Instant::now() >= deadline)
    }

    /// Waits for the deadline of the Workflow, for ever where it has none.
    pub(super) async fn until_late(&self) {
        match self.deadline {
            Some(deadline) => tokio::time::sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    }
}

/// What a node says that the deadline of the Workflow has ended.
pub(super) const LATE: &str = "Step exceeded its deadline";

/// What a leaf says that was cut off, with Argo's two spaces.
pub(super) fn cut_off(how: &str) -> String {
    format!("workflow shutdown with strategy:  {how}")
}
