//! The rate limit of a trigger: evenly spaced and exact, without slots saved for bursts. It keeps no event.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::spec::RateLimitSpec;

/// Spaces firings.
pub(super) struct Limit {
    spacing: Duration,
    next: Mutex<Option<Instant>>,
}

impl Limit {
    pub(super) fn new(spec: &RateLimitSpec) -> Self {
        let unit = match spec.unit.as_str() {
            "Minute" => 60,
            "Hour" => 3600,
            _ => 1,
        };
        // Validation refuses anything below 1.
        let times = u32::try_from(spec.requests_per_unit).unwrap_or(1).max(1);
        Self {
            spacing: Duration::from_secs(unit) / times,
            next: Mutex::default(),
        }
    }

    /// When the next firing may begin; it is taken.
    fn reserve(&self) -> Instant {
        let now = Instant::now();
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let at = next.map_or(now, |next| next.max(now));
        *next = Some(at + self.spacing);
        at
    }

    /// Waits for its turn.
    pub(super) async fn wait(&self) {
        tokio::time::sleep_until(self.reserve()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn three_a_minute_are_never_more() {
        let limit = Limit::new(&RateLimitSpec {
            unit: "Minute".to_owned(),
            requests_per_unit: 3,
        });
        let start = Instant::now();
        for firing in 0..7_u64 {
            limit.wait().await;
            // The timer of a paused clock rounds up to a millisecond.
            assert_eq!(start.elapsed().as_secs(), firing * 20);
        }
    }
}
