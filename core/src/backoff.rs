//! Waiting between attempts, as Argo's `Backoff` says it. It computes waits and never sleeps.

use std::time::Duration;

use rand::Rng as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration;
use crate::problems::Problems;

/// A number that may be written as text (`2` or `"2"`), because Argo's users write both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Amount {
    /// Written as a number.
    Number(f64),
    /// Written as text.
    Text(String),
}

impl Amount {
    /// The number, where the text is one.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.trim().parse().ok(),
        }
        .filter(|number: &f64| number.is_finite() && *number >= 0.0)
    }
}

/// A duration: a Go duration as text, or a whole number of nanoseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Wait {
    /// Nanoseconds.
    Nanos(u64),
    /// Text with units, as `1s`.
    Text(String),
}

impl Wait {
    /// The duration, where the text is one.
    ///
    /// # Errors
    /// As [`duration::parse`].
    pub fn duration(&self) -> Result<Duration, duration::DurationError> {
        match self {
            Self::Nanos(nanos) => Ok(Duration::from_nanos(*nanos)),
            Self::Text(text) => duration::parse(text),
        }
    }
}

/// How often and how far apart something is tried.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct BackoffSpec {
    /// The first wait: a Go duration such as `1s`, or nanoseconds. Default `1s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<Wait>,
    /// What each wait is multiplied by for the next. Default 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub factor: Option<Amount>,
    /// How much of a wait is added at random: 0.5 adds up to half. Default 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Amount>,
    /// How many attempts in all, the first one included. Default 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<i32>,
}

impl BackoffSpec {
    /// Reports what cannot be read.
    pub fn validate(&self, problems: &mut Problems) {
        if let Some(Err(error)) = self.duration.as_ref().map(Wait::duration) {
            problems.at("duration", |problems| problems.error(error.to_string()));
        }
        for (key, amount) in [("factor", &self.factor), ("jitter", &self.jitter)] {
            if amount
                .as_ref()
                .is_some_and(|amount| amount.as_f64().is_none())
            {
                problems.at(key, |problems| {
                    problems.error("must be a number of 0 or more, as 1.5");
                });
            }
        }
    }

    /// The schedule, with Argo's defaults for what is absent or cannot be read.
    #[must_use]
    pub fn backoff(&self) -> Backoff {
        let amount = |amount: &Option<Amount>| amount.as_ref().and_then(Amount::as_f64);
        let steps = self
            .steps
            .and_then(|steps| u32::try_from(steps).ok())
            .filter(|steps| *steps > 0);
        Backoff {
            first: self
                .duration
                .as_ref()
                .and_then(|wait| wait.duration().ok())
                .unwrap_or(Duration::from_secs(1)),
            factor: amount(&self.factor).unwrap_or(1.0),
            jitter: amount(&self.jitter).unwrap_or(1.0),
            steps: steps.unwrap_or(5),
            longest: Duration::from_secs(3600),
        }
    }
}

/// A schedule of waits between attempts.
#[derive(Debug, Clone, PartialEq)]
pub struct Backoff {
    /// The wait after the first attempt.
    pub first: Duration,
    /// The growth of the wait from one attempt to the next.
    pub factor: f64,
    /// The part of a wait that is added at random.
    pub jitter: f64,
    /// Attempts in all; `u32::MAX` for no end.
    pub steps: u32,
    /// No wait is longer, before jitter.
    pub longest: Duration,
}

impl Backoff {
    /// Never gives up: 100 ms, doubling up to 10 s, with jitter, for connections.
    #[must_use]
    pub const fn reconnect() -> Self {
        Self {
            first: Duration::from_millis(100),
            factor: 2.0,
            jitter: 0.5,
            steps: u32::MAX,
            longest: Duration::from_secs(10),
        }
    }

    /// One attempt and no wait.
    #[must_use]
    pub const fn once() -> Self {
        Self {
            first: Duration::ZERO,
            factor: 1.0,
            jitter: 0.0,
            steps: 1,
            longest: Duration::ZERO,
        }
    }

    /// The wait after attempt number `attempt`, counted from 1, or `None` where it was the last.
    #[must_use]
    pub fn wait_after(&self, attempt: u32) -> Option<Duration> {
        if attempt >= self.steps {
            return None;
        }
        let power = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let base = self.first.as_secs_f64() * self.factor.powi(power);
        let base = base.min(self.longest.as_secs_f64());
        let spread = if self.jitter > 0.0 {
            rand::rng().random_range(0.0..1.0) * self.jitter
        } else {
            0.0
        };
        Duration::try_from_secs_f64(base * (1.0 + spread))
            .ok()
            .or(Some(self.longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn argo_defaults_are_five_attempts_a_second_apart() {
        let backoff = BackoffSpec::default().backoff();
        assert_eq!((backoff.steps, backoff.first), (5, Duration::from_secs(1)));
        let wait = backoff.wait_after(1).unwrap();
        assert!(wait >= Duration::from_secs(1) && wait < Duration::from_secs(2));
        assert_eq!(backoff.wait_after(5), None);
    }

    #[test]
    fn waits_grow_by_the_factor_and_accept_text() {
        let spec: BackoffSpec =
            serde_json::from_str(r#"{"duration":"2s","factor":"3","jitter":0,"steps":4}"#).unwrap();
        let waits: Vec<_> = (1..=4).map(|n| spec.backoff().wait_after(n)).collect();
        let secs = |n| Some(Duration::from_secs(n));
        assert_eq!(waits, [secs(2), secs(6), secs(18), None]);
    }

    #[test]
    fn what_cannot_be_read_is_reported() {
        let spec: BackoffSpec = serde_json::from_str(r#"{"duration":"5","factor":"x"}"#).unwrap();
        let mut problems = Problems::default();
        spec.validate(&mut problems);
        assert_eq!(problems.list().len(), 2);
    }
}
