//! Finds connections that hold their place without sending: half a request, or none. It costs no timer per request.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, sleep};

use super::limits::Limits;

/// What one connection has been doing. Times are milliseconds since it began.
pub(crate) struct Watch {
    begun: Instant,
    in_hand: AtomicU32,
    /// When the last request was answered.
    answered: AtomicU64,
    /// When the first byte after that came; 0 for none.
    heard: AtomicU64,
}

/// Why a connection should end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expired {
    /// It sends nothing; a request that comes right now is still answered.
    Idle,
    /// It has not finished a request that it began.
    Stalled,
}

impl Watch {
    /// Begins to watch. The first request must come as fast as one that has begun.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            begun: Instant::now(),
            in_hand: AtomicU32::new(0),
            answered: AtomicU64::new(0),
            heard: AtomicU64::new(1),
        })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis())
            .unwrap_or(u64::MAX)
            .max(1)
    }

    /// A request is in hand until the result is dropped.
    pub(crate) fn begin(&self) -> InHand<'_> {
        self.in_hand.fetch_add(1, Ordering::Relaxed);
        InHand(self)
    }

    fn read_bytes(&self) {
        if self.in_hand.load(Ordering::Relaxed) == 0 && self.heard.load(Ordering::Relaxed) == 0 {
            self.heard.store(self.now(), Ordering::Relaxed);
        }
    }

    fn look(&self, limits: &Limits) -> Option<Expired> {
        if self.in_hand.load(Ordering::Relaxed) > 0 {
            return None;
        }
        let since = |at: u64| Duration::from_millis(self.now().saturating_sub(at));
        match self.heard.load(Ordering::Relaxed) {
            0 if since(self.answered.load(Ordering::Relaxed)) > limits.idle => Some(Expired::Idle),
            0 => None,
            heard => (since(heard) > limits.header_read).then_some(Expired::Stalled),
        }
    }

    /// Waits until the connection should end.
    pub(crate) async fn expired(&self, limits: &Limits) -> Expired {
        let shortest = limits.idle.min(limits.header_read);
        let pace = (shortest / 4).clamp(Duration::from_millis(10), Duration::from_secs(5));
        loop {
            sleep(pace).await;
            if let Some(expired) = self.look(limits) {
                return expired;
            }
        }
    }
}

/// A request in hand.
pub(crate) struct InHand<'w>(&'w Watch);

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        let Self(watch) = self;
        watch.answered.store(watch.now(), Ordering::Relaxed);
        watch.heard.store(0, Ordering::Relaxed);
        watch.in_hand.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A stream whose arriving bytes are noticed.
pub(crate) struct Heard<S> {
    pub(crate) stream: S,
    pub(crate) watch: Arc<Watch>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Heard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.watch.read_bytes();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heard<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn half_a_request_stalls_and_no_request_is_idle() {
        let limits = Limits::default();
        let watch = Watch::new();
        let look = async |secs: u64| {
            advance(Duration::from_secs(secs)).await;
            watch.look(&limits)
        };
        // Nothing was ever sent.
        assert_eq!(look(31).await, Some(Expired::Stalled));
        let in_hand = watch.begin();
        assert_eq!(look(1000).await, None);
        drop(in_hand);
        assert_eq!(look(80).await, None);
        assert_eq!(look(20).await, Some(Expired::Idle));
        watch.read_bytes();
        assert_eq!(look(20).await, None);
        watch.read_bytes();
        assert_eq!(look(20).await, Some(Expired::Stalled));
    }
}
