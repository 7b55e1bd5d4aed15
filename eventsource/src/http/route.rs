//! One event's way from an accepted request to the bus: filter, publish, count, answer. It never says success before the bus.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::try_join_all;
use http::{Request, StatusCode};
use tiphys_core::Event;
use tiphys_core::metrics::SourceMetrics;
use tiphys_eventbus::{Publish, PublishError};
use tokio::time::{Instant, timeout};

use super::auth::{Bearer, Denied};
use super::reply::{self, Reply};
use crate::filter::Filter;
use crate::source::{Accepted, Attributes, Draft, Hook};
use crate::state::ObjectName;

/// The event that a route makes, and all it needs for that.
pub(crate) struct Route {
    /// Namespace and name of the EventSource.
    pub(crate) owner: ObjectName,
    pub(crate) event: String,
    pub(crate) kind: &'static str,
    pub(crate) max_payload: u64,
    pub(crate) hook: Box<dyn Hook>,
    pub(crate) filter: Option<Filter>,
    pub(crate) bearer: Option<Bearer>,
    pub(crate) publisher: Arc<dyn Publish>,
    pub(crate) metrics: SourceMetrics,
}

/// What became of one draft.
enum Outcome {
    Stored(String),
    Dropped,
}

impl Route {
    /// The answer to a request that may not pass, if it may not.
    pub(crate) async fn denies(&self, headers: &http::HeaderMap) -> Option<Reply> {
        match self.bearer.as_ref()?.check(headers).await {
            Ok(()) => None,
            Err(Denied::Missing) => Some(reply::unauthorized(
                "the header Authorization must be set to `Bearer <token>`",
            )),
            Err(Denied::Wrong) => {
                Some(reply::unauthorized("the bearer token is not the right one"))
            }
            Err(Denied::Unknown { error, told }) => {
                // Once, not for each request of who knows how many.
                if !told {
                    let error = tiphys_core::tasks::chain(&error);
                    tracing::warn!(
                        eventsource = self.owner.1,
                        event = self.event,
                        error,
                        "requests are refused: the token in authSecret cannot be read"
                    );
                }
                Some(reply::again("the token to compare with cannot be read now"))
            }
        }
    }

    /// Turns a whole request into stored events and an answer.
    pub(crate) async fn take(&self, request: &Request<Bytes>, publish: Duration) -> Reply {
        let begun = Instant::now();
        let reply = match self.hook.accept(request) {
            Ok(Accepted::One(draft)) => match self.settle(draft, publish).await {
                Ok(Outcome::Stored(id)) => reply::success(Some(&id)),
                Ok(Outcome::Dropped) => reply::success(None),
                Err(error) => refused(&error),
            },
            Ok(Accepted::Many(drafts)) => {
                let all = drafts.into_iter().map(|draft| self.settle(draft, publish));
                match try_join_all(all).await {
                    Ok(_) => reply::success(None),
                    Err(error) => refused(&error),
                }
            }
            Err(rejection) => {
                self.reject(&rejection.message);
                reply::error(rejection.status, &rejection.message)
            }
        };
        self.metrics
            .processing
            .observe(begun.elapsed().as_secs_f64());
        reply
    }

    /// Counts a request that becomes no event.
    pub(crate) fn reject(&self, reason: &str) {
        self.metrics.processing_failed.inc();
        tracing::debug!(
            eventsource = self.owner.1,
            event = self.event,
            reason,
            "a request is refused"
        );
    }

    async fn settle(&self, draft: Draft, within: Duration) -> Result<Outcome, PublishError> {
        if let Some(filter) = &self.filter {
            match filter.passes(&draft.data) {
                Ok(true) => {}
                Ok(false) => {
                    self.metrics.dropped.inc();
                    tracing::debug!(
                        eventsource = self.owner.1,
                        event = self.event,
                        "the filter drops an event"
                    );
                    return Ok(Outcome::Dropped);
                }
                Err(error) => {
                    self.metrics.dropped.inc();
                    tracing::warn!(
                        eventsource = self.owner.1,
                        event = self.event,
                        error = tiphys_core::tasks::chain(&error),
                        "an event is dropped: its filter cannot be evaluated"
                    );
                    return Ok(Outcome::Dropped);
                }
            }
        }
        let event = self.event(draft);
        let stored = timeout(within, self.publisher.publish(&event)).await;
        let stored = stored.unwrap_or_else(|_| {
            Err(PublishError::Unavailable {
                reason: format!("no answer within {} ms", within.as_millis()),
            })
        });
        match stored {
            Ok(stored) => {
                self.metrics.sent.inc();
                tracing::debug!(
                    eventsource = self.owner.1,
                    event = self.event,
                    id = event.id,
                    seq = stored.seq,
                    duplicate = stored.duplicate,
                    "Succeeded to publish an event"
                );
                Ok(Outcome::Stored(event.id))
            }
            Err(error) => {
                self.metrics.sent_failed.inc();
                self.metrics.processing_failed.inc();
                // The bus itself logs when it goes and comes back; a line for each request would drown that.
                tracing::debug!(
                    eventsource = self.owner.1,
                    event = self.event,
                    error = tiphys_core::tasks::chain(&error),
                    "failed to publish an event"
                );
                Err(error)
            }
        }
    }

    fn event(&self, draft: Draft) -> Event {
        let mut event = Event::new(&self.owner.1, self.kind, &self.event, draft.data);
        let Some(sender) = draft.sender else {
            return event;
        };
        let Attributes {
            id,
            source,
            subject,
            kind,
            time,
            extensions,
        } = *sender;
        // An id is unique for its source only, and the same CloudEvent may be wanted under two names.
        event.dedup = Some(format!("{}/{}/{source}/{id}", self.owner.1, self.event));
        event.id = id;
        event.kind = kind;
        event.time = time.or(event.time);
        event.extensions = extensions;
        event.extensions.insert("cesource".to_owned(), source);
        if let Some(subject) = subject {
            event.extensions.insert("cesubject".to_owned(), subject);
        }
        event
    }
}

/// What the sender of an event that was not stored is told.
fn refused(error: &PublishError) -> Reply {
    match error {
        PublishError::Unavailable { .. } => {
            reply::again("the event is not stored: the event bus cannot be reached; send it again")
        }
        PublishError::Full { .. } => {
            reply::again("the event is not stored: the event bus is full; send it again later")
        }
        PublishError::Refused { reason } => reply::error(
            StatusCode::INTERNAL_SERVER_ERROR,
            &format!("the event is not stored: the event bus refuses it: {reason}"),
        ),
    }
}
