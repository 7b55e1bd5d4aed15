//! Clients of the webhook: each sends an event until it is accepted, under one id, so that sending again is no second event.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::Plan;
use crate::tls::http_client;

/// Longer than any answer may take; a paused process answers nothing.
const ANSWER: Duration = Duration::from_secs(20);

/// Before the same event is sent again.
const AGAIN: Duration = Duration::from_millis(25);

/// What the senders have seen.
#[derive(Debug, Default)]
pub(super) struct Sent {
    begun: AtomicUsize,
    accepted: AtomicUsize,
    pub(super) refused: AtomicUsize,
    pub(super) unanswered: AtomicUsize,
    /// Milliseconds of the slowest refusal.
    pub(super) slowest: AtomicUsize,
    pub(super) seen: Mutex<Seen>,
}

/// The events that were answered 2xx, by what must come of them.
#[derive(Debug, Default, Clone)]
pub(super) struct Seen {
    /// One object each.
    pub(super) wanted: BTreeSet<String>,
    /// None.
    pub(super) unwanted: BTreeSet<String>,
    /// At most one object, together with one of the other side.
    pub(super) halves: BTreeSet<String>,
    /// Answers that are neither 2xx nor 503.
    pub(super) strange: Vec<String>,
}

impl Sent {
    pub(super) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an event is for.
#[derive(Debug, Clone, Copy)]
enum Use {
    Wanted,
    Unwanted,
    Left,
    Right,
}

impl Use {
    const fn of(number: usize) -> Self {
        match number % 40 {
            7 => Self::Left,
            27 => Self::Right,
            3 | 13 | 23 | 33 => Self::Unwanted,
            _ => Self::Wanted,
        }
    }

    const fn place(self) -> (&'static str, &'static str) {
        match self {
            Self::Wanted => ("one", "wanted"),
            Self::Unwanted => ("one", "other"),
            Self::Left => ("left", "wanted"),
            Self::Right => ("right", "wanted"),
        }
    }
}

/// The running senders.
#[derive(Debug)]
pub(super) struct Senders(JoinSet<()>);

impl Senders {
    pub(super) fn start(count: usize, plan: &Plan, port: u16, sent: Arc<Sent>) -> Self {
        let mut senders = JoinSet::new();
        for _ in 0..count {
            senders.spawn(send(plan.events, plan.seed, port, Arc::clone(&sent)));
        }
        Self(senders)
    }

    pub(super) async fn finish(mut self) {
        while self.0.join_next().await.is_some() {}
    }
}

async fn send(events: usize, seed: u64, port: u16, sent: Arc<Sent>) {
    let http = http_client(None);
    loop {
        let number = sent.begun.fetch_add(1, Ordering::Relaxed);
        if number >= events {
            return;
        }
        let using = Use::of(number);
        let id = format!("{seed}-{number}");
        let (path, kind) = using.place();
        let url = format!("http://127.0.0.1:{port}/{path}");
        let body = format!(r#"{{"kind":"{kind}","n":"{number}"}}"#);
        while !accepted(&http, &url, &id, &body, &sent).await {
            tokio::time::sleep(AGAIN).await;
        }
        let mut seen = sent.seen();
        match using {
            Use::Wanted => seen.wanted.insert(id),
            Use::Unwanted => seen.unwanted.insert(id),
            Use::Left | Use::Right => seen.halves.insert(id),
        };
        drop(seen);
        sent.accepted.fetch_add(1, Ordering::Relaxed);
    }
}

/// Sends it once.
async fn accepted(http: &reqwest::Client, url: &str, id: &str, body: &str, sent: &Sent) -> bool {
    let begun = Instant::now();
    let request = http
        .post(url)
        .timeout(ANSWER)
        .header("content-type", "application/json")
        .header("ce-specversion", "1.0")
        .header("ce-type", "chaos")
        .header("ce-source", "/chaos")
        .header("ce-id", id)
        .body(body.to_owned());
    match request.send().await {
        Ok(answer) if answer.status().is_success() => true,
        Ok(answer) if answer.status() == 503 => {
            let millis = usize::try_from(begun.elapsed().as_millis()).unwrap_or(usize::MAX);
            sent.slowest.fetch_max(millis, Ordering::Relaxed);
            sent.refused.fetch_add(1, Ordering::Relaxed);
            false
        }
        Ok(answer) => {
            let status = answer.status();
            let text = answer.text().await.unwrap_or_default();
            sent.seen().strange.push(format!("{id}: {status} {text}"));
            false
        }
        Err(_) => {
            sent.unanswered.fetch_add(1, Ordering::Relaxed);
            false
        }
    }
}
