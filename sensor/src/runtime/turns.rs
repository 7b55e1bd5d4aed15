//! Turns of `orderBy`: a place taken when a message comes, a wait until those before it are done. Dropping a turn ends it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tiphys_core::Event;
use tokio::sync::oneshot;

use crate::dialect::{Selector, text_form};
use crate::lanes::Lanes;

/// Orders the messages of a trigger.
#[derive(Clone)]
pub(super) struct Turns {
    selector: Option<Arc<Selector>>,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    lanes: Lanes,
    waiting: HashMap<u64, oneshot::Sender<()>>,
}

/// A place in a lane.
pub(super) struct Turn {
    turns: Turns,
    key: String,
    place: u64,
    begins: Option<oneshot::Receiver<()>>,
}

impl Turns {
    /// Orders by what is at a path of the payload.
    pub(super) fn new(path: &str) -> Self {
        Self {
            selector: Selector::compile(path).ok().map(Arc::new),
            inner: Arc::default(),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place behind those that came before. Events without the key share one lane.
    pub(super) fn take(&self, event: Option<&Event>) -> Turn {
        let data = event.and_then(|event| event.data.as_deref());
        let selector = self.selector.as_ref();
        let found = selector
            .zip(data)
            .and_then(|(selector, data)| selector.get(data));
        let key = found
            .map(|found| text_form(&found).into_owned())
            .unwrap_or_default();
        let mut inner = self.inner();
        let (place, now) = inner.lanes.enter(&key);
        let begins = (!now).then(|| {
            let (begin, begins) = oneshot::channel();
            inner.waiting.insert(place, begin);
            begins
        });
        drop(inner);
        Turn {
            turns: self.clone(),
            key,
            place,
            begins,
        }
    }
}

impl Turn {
    /// Waits until it is its turn.
    pub(super) async fn begin(&mut self) {
        if let Some(begins) = &mut self.begins {
            // The sender is dropped only with the place.
            drop(begins.await);
        }
        self.begins = None;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut inner = self.turns.inner();
        inner.waiting.remove(&self.place);
        let next = inner.lanes.leave(&self.key, self.place);
        let begin = next.and_then(|next| inner.waiting.remove(&next));
        drop(inner);
        if let Some(begin) = begin
            && begin.send(()).is_err()
        {
            tracing::trace!("the next of a lane is gone and leaves it by itself");
        }
    }
}
