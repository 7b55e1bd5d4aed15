//! Watches: the changes of a kind as a stream of events, pulled by the client.
//!
//! A watch holds a position and nothing else, so a slow client costs no memory: when the
//! changes it still needs are no longer kept, it is told so and ends.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::{BufMut, Bytes, BytesMut};
use futures::stream;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cluster::Inner;
use crate::kinds::Resource;
use crate::request::{Params, Target};
use crate::selector::Selector;
use crate::status::{ApiError, json_response};
use crate::store::{Change, Since, Stored};

/// Changes looked at in one go.
const SCAN: usize = 256;
/// Bytes of events joined into one frame of the body.
const FRAME: usize = 64 << 10;
/// How often a quiet watch is told the current version.
const BOOKMARK: Duration = Duration::from_secs(60);
/// How long a watch lasts that does not say.
const LIFETIME: Duration = Duration::from_secs(30 * 60);

struct Watch {
    inner: Arc<Inner>,
    resource: Arc<Resource>,
    namespace: Option<String>,
    selector: Selector,
    /// Everything up to here has been sent or was not selected.
    position: u64,
    initial: std::vec::IntoIter<Arc<Stored>>,
    /// The bookmark that ends the initial events is still to be sent.
    initial_end: bool,
    bookmarks: bool,
    next_bookmark: Instant,
    deadline: Instant,
    changed: watch::Receiver<u64>,
    stop: CancellationToken,
    ended: bool,
}

/// Answers a watch.
pub(crate) fn watch(
    inner: &Arc<Inner>,
    target: &Target,
    selector: Selector,
    params: &Params,
    stop: CancellationToken,
) -> Result<Response, ApiError> {
    let timeout = params.timeout()?.unwrap_or(LIFETIME);
    let bookmarks = params.flag("allowWatchBookmarks")?;
    let stream_list = match params.text("sendInitialEvents") {
        None => None,
        Some(_) => Some(params.flag("sendInitialEvents")?),
    };
    let from = match params.text("resourceVersion") {
        None | Some("0") => None,
        Some(text) => Some(text.parse::<u64>().map_err(|_| {
            ApiError::bad_request(format!("resourceVersion must be a number, not {text:?}"))
        })?),
    };
    let resource = Arc::clone(&target.resource);

    let state = inner.store.read();
    let Some(changed) = state.subscribe(&resource.table) else {
        return Err(ApiError::no_route());
    };
    // Without a version to start from, what is there now comes first.
    let replays = stream_list.unwrap_or(from.is_none());
    let (position, initial) = if replays {
        let objects = state
            .list(&resource.table, target.namespace.as_deref(), None)
            .filter(|(key, object)| selector.matches(key, object))
            .map(|(_, object)| Arc::clone(object))
            .collect();
        (state.version, objects)
    } else {
        (from.unwrap_or(state.version), Vec::new())
    };
    let ahead = from.is_some_and(|from| from > state.version);
    drop(state);

    let now = Instant::now();
    let watch = Watch {
        inner: Arc::clone(inner),
        resource,
        namespace: target.namespace.clone(),
        selector,
        // A version of the future is one of another store; saying so makes clients list again.
        position: if ahead { 0 } else { position },
        initial: initial.into_iter(),
        initial_end: stream_list == Some(true) && bookmarks,
        bookmarks,
        next_bookmark: now + BOOKMARK,
        deadline: now + timeout,
        changed,
        stop,
        ended: false,
    };
    let frames = stream::unfold((watch, ahead), |(mut watch, ahead)| async move {
        let frame = if ahead {
            watch.expired()
        } else {
            watch.next().await?
        };
        Some((Ok::<Bytes, Infallible>(frame), (watch, false)))
    });
    Ok(json_response(StatusCode::OK, Body::from_stream(frames)))
}

impl Watch {
    /// The next events; `None` when the watch is over.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if self.ended || self.stop.is_cancelled() || self.inner.store.stopped().is_cancelled() {
                return None;
            }
            if let Some(frame) = self.initial_events() {
                return Some(frame);
            }
            if std::mem::take(&mut self.initial_end) {
                return Some(self.bookmark(true));
            }
            self.changed.borrow_and_update();
            match self.scan() {
                Scan::Events(frame) => return Some(frame),
                Scan::Expired => return Some(self.expired()),
                Scan::More => tokio::task::yield_now().await,
                Scan::Quiet => {
                    if let Some(frame) = self.wait().await {
                        return Some(frame);
                    }
                }
            }
        }
    }

    fn initial_events(&mut self) -> Option<Bytes> {
        let mut frame = BytesMut::new();
        while frame.len() < FRAME
            && let Some(object) = self.initial.next()
        {
            event(&mut frame, "ADDED", &object.bytes);
        }
        (!frame.is_empty()).then(|| frame.freeze())
    }

    /// Looks at the changes since the position.
    fn scan(&mut self) -> Scan {
        let since = self
            .inner
            .store
            .read()
            .since(&self.resource.table, self.position, SCAN);
        let Since::Changes(changes, complete) = since else {
            return Scan::Expired;
        };
        let mut frame = BytesMut::new();
        for change in &changes {
            if let Some(kind) = self.kind_of(change) {
                event(&mut frame, kind, &change.object.bytes);
            }
            self.position = change.version;
            if frame.len() >= FRAME {
                return Scan::Events(frame.freeze());
            }
        }
        self.position = complete;
        if !frame.is_empty() {
            Scan::Events(frame.freeze())
        } else if changes.len() == SCAN {
            Scan::More
        } else {
            Scan::Quiet
        }
    }

    /// What a change looks like through this watch's window, if it is seen at all.
    fn kind_of(&self, change: &Change) -> Option<&'static str> {
        if self
            .namespace
            .as_ref()
            .is_some_and(|namespace| *namespace != change.key.namespace)
        {
            return None;
        }
        let selected = |object: &Stored| self.selector.matches(&change.key, object);
        let before = change
            .before
            .as_ref()
            .is_some_and(|object| selected(object));
        let after = !change.gone && selected(&change.object);
        match (before, after) {
            (false, true) => Some("ADDED"),
            (true, true) => Some("MODIFIED"),
            (true, false) => Some("DELETED"),
            (false, false) => None,
        }
    }

    /// Waits for something to happen; a bookmark if that is what is due.
    async fn wait(&mut self) -> Option<Bytes> {
        let due = if self.bookmarks {
            self.deadline.min(self.next_bookmark)
        } else {
            self.deadline
        };
        tokio::select! {
            changed = self.changed.changed() => {
                self.ended = changed.is_err();
                None
            }
            () = tokio::time::sleep_until(due) => {
                self.ended = Instant::now() >= self.deadline;
                self.next_bookmark = Instant::now() + BOOKMARK;
                self.bookmarks.then(|| self.bookmark(false))
            }
            () = self.stop.cancelled() => None,
            () = self.inner.store.stopped().cancelled() => None,
        }
    }

    fn bookmark(&self, initial_end: bool) -> Bytes {
        let mut meta = json!({
            "resourceVersion": self.position.to_string(),
            "creationTimestamp": null,
        });
        if initial_end && let Value::Object(meta) = &mut meta {
            meta.insert(
                "annotations".into(),
                json!({"k8s.io/initial-events-end": "true"}),
            );
        }
        let object = json!({
            "kind": self.resource.kind,
            "apiVersion": self.resource.api_version(),
            "metadata": meta,
        });
        let mut frame = BytesMut::new();
        event(&mut frame, "BOOKMARK", object.to_string().as_bytes());
        frame.freeze()
    }

    fn expired(&mut self) -> Bytes {
        self.ended = true;
        let error = ApiError::expired(format!("too old resource version: {}", self.position));
        let mut frame = BytesMut::new();
        event(&mut frame, "ERROR", error.status().to_string().as_bytes());
        frame.freeze()
    }
}

enum Scan {
    /// There is something to send.
    Events(Bytes),
    /// There is nothing to send yet, and more to look at.
    More,
    /// There is nothing to send.
    Quiet,
    /// The changes are no longer kept.
    Expired,
}

fn event(frame: &mut BytesMut, kind: &str, object: &[u8]) {
    frame.reserve(object.len() + 32);
    frame.put_slice(b"{\"type\":\"");
    frame.put_slice(kind.as_bytes());
    frame.put_slice(b"\",\"object\":");
    frame.put_slice(object);
    frame.put_slice(b"}\n");
}
