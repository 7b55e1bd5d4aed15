//! Waiting for something outside the test to happen, with a short sleep
//! between two looks.
//!
//! It never waits for a fixed time: a test goes on as soon as the thing has
//! happened, and fails by name when it has not.

use std::fmt::Display;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

/// Between two looks. Long enough to leave the processors to what is awaited.
const PAUSE: Duration = Duration::from_millis(10);

/// Looks until `probe` gives a value, and returns it.
///
/// # Panics
///
/// When `limit` has passed; the message names `what`.
pub async fn eventually<T>(
    what: &str,
    limit: Duration,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> T {
    eventually_ok(what, limit, async || {
        probe().await.ok_or("it has not happened")
    })
    .await
}

/// Looks until `probe` succeeds, and returns what it gave.
///
/// # Panics
///
/// When `limit` has passed; the message names `what` and carries the last error.
pub async fn eventually_ok<T, E: Display>(
    what: &str,
    limit: Duration,
    mut probe: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let end = Instant::now() + limit;
    let mut last = "no look came to an end".to_owned();
    loop {
        let left = end.saturating_duration_since(Instant::now());
        match timeout(left, probe()).await {
            Ok(Ok(value)) => return value,
            Ok(Err(error)) => last = error.to_string(),
            Err(_) => {}
        }
        // Asked here and not of `timeout`, which lets a look that does not wait pass.
        assert!(Instant::now() < end, "waited {limit:?} for {what}: {last}");
        sleep(PAUSE).await;
    }
}

/// Looks until `probe` gives a value or `end` has passed, which is [`None`]: for
/// whoever has more to say than a panic would.
pub async fn until<T>(
    end: Instant,
    pause: Duration,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> Option<T> {
    loop {
        if let Some(value) = probe().await {
            return Some(value);
        }
        if Instant::now() >= end {
            return None;
        }
        sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use std::panic::AssertUnwindSafe;

    use futures::FutureExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn returns_the_value_of_the_first_look_that_has_one() {
        let mut looks = 0;
        let value = eventually("the third look", Duration::from_secs(1), async || {
            looks += 1;
            (looks == 3).then_some(looks)
        })
        .await;
        assert_eq!(value, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_never_ends_is_cut_short_by_the_limit() {
        let message = failure(async || std::future::pending::<Option<()>>().await).await;
        assert_eq!(message, "waited 1s for it: no look came to an end");
    }

    #[tokio::test(start_paused = true)]
    async fn looks_in_vain_end_with_the_limit() {
        let message = failure(async || None::<()>).await;
        assert_eq!(message, "waited 1s for it: it has not happened");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_asks_gently_hears_that_it_has_not_happened() {
        let (end, pause) = (Instant::now() + Duration::from_secs(1), PAUSE);
        let mut looks = 0;
        let found = until(end, pause, async || {
            looks += 1;
            (looks == 2).then_some(looks)
        });
        assert_eq!(found.await, Some(2));
        assert_eq!(until(end, pause, async || None::<()>).await, None);
        assert!(Instant::now() >= end);
    }

    async fn failure(probe: impl AsyncFnMut() -> Option<()>) -> String {
        let waiting = AssertUnwindSafe(eventually("it", Duration::from_secs(1), probe));
        let panic = waiting.catch_unwind().await.unwrap_err();
        panic.downcast_ref::<String>().unwrap().clone()
    }
}
