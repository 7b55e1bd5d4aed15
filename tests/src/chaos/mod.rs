//! Fault runs: events go in by HTTP and come out as objects while everything between is killed, paused, filled up and
//! restarted. Afterwards each accepted event has exactly one object, or the run says which has not.
//!
//! ```text
//! Senders ─▶ eventsource ─▶ bus ─▶ sensor ×2 ─▶ API server ─▶ read back, compared with what was answered 2xx
//!                  ▲          ▲         ▲             ▲
//!                  └──────────┴─ Faults ┴─────────────┘
//! ```
//!
//! A run is bounded: by its number of events, and in time. What is random comes from one seed that is printed. It uses
//! nothing but loopback, and never decides whether a verdict is good enough: [`Verdict::problems`] is what callers look at.

mod dice;
mod disk;
mod faults;
mod manifests;
mod objects;
mod program;
mod senders;
mod stage;
mod verdict;

use std::sync::Arc;
use std::time::{Duration, Instant};

pub use faults::Fault;
pub use verdict::Verdict;

use dice::Dice;
use senders::{Senders, Sent};
use stage::Stage;

use crate::wait::until;

/// Which bus, and so which shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One NATS server; `tiphys eventsource`, two replicas of `tiphys sensor`, a real API server.
    JetStream,
    /// As [`Shape::JetStream`] on three NATS servers that keep the stream together.
    Cluster,
    /// `tiphys run`: everything in one process, with the embedded bus and the built-in API.
    Embedded,
}

impl Shape {
    /// Its name on the command line and in the table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::JetStream => "jetstream",
            Self::Cluster => "cluster",
            Self::Embedded => "embedded",
        }
    }
}

/// What a run does.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where.
    pub shape: Shape,
    /// How many events.
    pub events: usize,
    /// How many moments of faults, spread evenly over the run.
    pub moments: usize,
    /// What may happen at such a moment.
    pub faults: Vec<Fault>,
    /// Where all randomness comes from.
    pub seed: u64,
    /// The longest that the run may take.
    pub limit: Duration,
    /// Keeps files and logs of a run with problems, and prints what happens.
    pub talk: bool,
}

/// How many senders there are; each waits for an answer before it sends the next event.
const SENDERS: usize = 16;

/// Between two looks at how far the run is.
const LOOK: Duration = Duration::from_millis(20);

/// Runs it.
///
/// # Panics
///
/// When a server or the program cannot be started at all.
pub async fn run(mut plan: Plan) -> Verdict {
    let started = Instant::now();
    let mut stage = Stage::start(&plan).await;
    // What cannot happen here must not be counted as having happened.
    plan.faults
        .retain(|fault| *fault != Fault::DiskFull || stage.has_disk());
    let mut dice = Dice::new(plan.seed);
    let sent = Arc::new(Sent::default());
    let senders = Senders::start(SENDERS, &plan, stage.source_port(), Arc::clone(&sent));
    let mut verdict = Verdict::new(&plan);

    // Most events become objects, and both count as progress.
    let total = plan.events * 7 / 4;
    // What a process needs once it works, before anything goes wrong.
    let calm = plan.events / (plan.moments + 2);
    reach(&mut stage, &sent, calm, started + plan.limit, &mut verdict).await;
    verdict.memory_before = stage.memory();

    for moment in 1..=plan.moments {
        let mark = calm + (total - calm) * moment / (plan.moments + 1);
        if !reach(&mut stage, &sent, mark, started + plan.limit, &mut verdict).await {
            break;
        }
        tokio::time::sleep(dice.millis(0..200)).await;
        let mut chosen = vec![dice.pick(&plan.faults)];
        if dice.chance(1, 3) {
            chosen.push(dice.pick(&plan.faults));
        }
        let mut chosen: Vec<Fault> = chosen.into_iter().flatten().collect();
        // What stands still goes on before anybody waits for its end.
        chosen.sort_by_key(|fault| (!fault.is_pause(), *fault));
        chosen.dedup();
        for fault in &chosen {
            stage.talk(&format!("{} begins", fault.name()));
            stage.begin(*fault).await;
            verdict.happened(*fault);
        }
        let hold = chosen.iter().map(|fault| fault.hold(&mut dice)).max();
        tokio::time::sleep(hold.unwrap_or_default()).await;
        for fault in &chosen {
            stage.end(*fault).await;
            stage.talk(&format!("{} is over", fault.name()));
        }
        verdict.peak(stage.memory());
    }

    let end = started + plan.limit;
    let sending = tokio::time::timeout_at(end.into(), senders.finish()).await;
    if sending.is_err() {
        verdict.problem("the senders did not come to an end in time");
    }
    verdict.sent(&sent);
    verdict.settle(&mut stage, end).await;
    verdict.took = started.elapsed();
    if !verdict.problems.is_empty() {
        verdict.said = stage.keep(plan.talk);
    }
    verdict
}

/// Progress, for people who wait.
#[expect(clippy::print_stderr, reason = "only where the plan asks for it")]
fn say(text: &str) {
    eprintln!("{text}");
}

/// Waits until so many events have been accepted or have become objects, each counted; false when that takes too long.
async fn reach(
    stage: &mut Stage,
    sent: &Sent,
    mark: usize,
    end: Instant,
    verdict: &mut Verdict,
) -> bool {
    let reached = until(end.into(), LOOK, async || {
        if sent.accepted() + stage.progress(sent.accepted()).await >= mark {
            return Some(());
        }
        for ended in stage.revive() {
            verdict.problem(&ended);
        }
        None
    });
    if reached.await.is_none() {
        verdict.problem(&format!("progress stopped before {mark}"));
        return false;
    }
    true
}
