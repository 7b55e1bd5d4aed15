//! Reads a request's body within its limits of size, time and shared memory. It undoes no compression.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt as _;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

/// Bodies up to this size do not take part in the shared limit: connections bound them well enough.
const SMALL: u64 = 64 << 10;

/// So much of a body that is refused is read all the same: closing earlier could take the answer away with it.
const DISCARDED: u64 = 8 << 20;
/// And for so long at most.
const DISCARDING: Duration = Duration::from_secs(2);

/// Why there is no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// It is longer than it may be.
    TooLong,
    /// It did not arrive in time.
    TooSlow,
    /// The connection broke, or the chunks are not chunks.
    Broken,
}

/// The memory that all longer bodies share.
pub(crate) struct Memory {
    /// A permit stands for one KiB.
    permits: Semaphore,
    total: u32,
}

impl Memory {
    pub(crate) fn new(bytes: u32) -> Self {
        let total = (bytes >> 10).max(1);
        Self {
            permits: Semaphore::new(total as usize),
            total,
        }
    }

    /// Waits for room. A body longer than all there is gets all there is, so that it is read alone.
    async fn reserve(&self, bytes: u64) -> Option<SemaphorePermit<'_>> {
        let permits = u32::try_from(bytes.div_ceil(1 << 10)).unwrap_or(u32::MAX);
        self.permits
            .acquire_many(permits.min(self.total))
            .await
            .ok()
    }
}

/// A body, and its share of the memory for as long as it is in hand.
#[derive(Debug)]
pub(crate) struct Read<'m> {
    pub(crate) bytes: Bytes,
    _share: Option<SemaphorePermit<'m>>,
}

/// Reads all of a body that is no longer than `limit`, and throws a part of a longer one away.
pub(crate) async fn read<B>(
    mut body: B,
    limit: u64,
    time: Duration,
    memory: &Memory,
) -> Result<Read<'_>, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
{
    let announced = body.size_hint().lower();
    if announced > DISCARDED.max(limit) {
        return Err(BodyError::TooLong);
    }
    let read = if announced > limit {
        Err(BodyError::TooLong)
    } else {
        // The future is polled once before a timer is made: most bodies come with their headers.
        let read = timeout(time, collect(&mut body, limit, memory)).await;
        read.unwrap_or(Err(BodyError::TooSlow))
    };
    if matches!(read, Err(BodyError::TooLong)) {
        // Either end is as good as the other.
        let _ended = timeout(DISCARDING, discard(&mut body)).await;
    }
    read
}

async fn discard<B>(body: &mut B)
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut size = 0;
    while let Some(Ok(frame)) = body.frame().await {
        size += frame.data_ref().map_or(0, |data| data.len() as u64);
        if size > DISCARDED {
            return;
        }
    }
}

async fn collect<'m, B>(body: &mut B, limit: u64, memory: &'m Memory) -> Result<Read<'m>, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
{
    let expected = body.size_hint().upper().unwrap_or(0).min(limit);
    let mut share: Option<SemaphorePermit<'_>> = None;
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    let mut size = 0_u64;
    if expected > SMALL {
        share = memory.reserve(expected).await;
    }
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| BodyError::Broken)?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        size += data.len() as u64;
        if size > limit {
            return Err(BodyError::TooLong);
        }
        if size > SMALL && share.is_none() {
            // A body of unknown length may become as long as is allowed.
            share = memory.reserve(limit).await;
        }
        // A body of one piece, the usual case, is not copied.
        if first.is_empty() && all.is_empty() {
            first = data;
        } else {
            if all.is_empty() {
                all.extend_from_slice(&first);
            }
            all.extend_from_slice(&data);
        }
    }
    let bytes = if all.is_empty() { first } else { all.freeze() };
    Ok(Read {
        bytes,
        _share: share,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Full;

    async fn read_full(bytes: usize, limit: u64) -> Result<usize, BodyError> {
        let body = Full::new(Bytes::from(vec![b'x'; bytes]));
        let memory = Memory::new(1 << 20);
        let read = read(body, limit, Duration::from_secs(1), &memory).await;
        let read = read.map(|read| read.bytes.len());
        assert_eq!(memory.permits.available_permits(), 1 << 10);
        read
    }

    #[tokio::test]
    async fn exactly_the_limit_is_read_and_one_more_is_not() {
        assert_eq!(read_full(0, 10).await, Ok(0));
        assert_eq!(read_full(10, 10).await, Ok(10));
        assert_eq!(read_full(11, 10).await, Err(BodyError::TooLong));
        assert_eq!(read_full(4 << 20, 8 << 20).await, Ok(4 << 20));
    }
}
