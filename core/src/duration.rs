//! Durations as Go writes them (`1h30m`, `250ms`). It never guesses a unit.

use std::time::Duration;

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a duration: write it with units, as 10s, 1m30s or 250ms")]
pub struct DurationError(String);

/// Reads a Go duration; a sign is allowed only for zero, because no wait is negative.
///
/// # Errors
/// For a missing or unknown unit, a negative value, and more than 292 years.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let error = || DurationError(text.to_owned());
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(error());
    }
    let mut total = 0.0_f64;
    let mut exact = 0_u128;
    let mut fractional = false;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(error)?;
        let (number, tail) = rest.split_at(digits);
        let unit_end = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let nanos: u64 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return Err(error()),
        };
        match number.parse::<u64>() {
            Ok(whole) => exact += u128::from(whole) * u128::from(nanos),
            Err(_) => {
                fractional = true;
                let part: f64 = number.parse().map_err(|_| error())?;
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "fractions of a unit are inexact"
                )]
                let nanos = nanos as f64;
                total += part * nanos;
            }
        }
        rest = tail;
    }
    let mut whole = Duration::from_nanos(u64::try_from(exact).map_err(|_| error())?);
    if fractional {
        let part = Duration::try_from_secs_f64(total / 1e9).map_err(|_| error())?;
        whole = whole.checked_add(part).ok_or_else(error)?;
    }
    if (negative && !whole.is_zero()) || whole > Duration::from_nanos(i64::MAX.unsigned_abs()) {
        return Err(error());
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations_are_read() {
        for (text, millis) in [
            ("0", 0),
            ("10s", 10_000),
            ("1h2m3s4ms", 3_723_004),
            ("1.5h", 5_400_000),
            (".5s", 500),
            ("168h", 604_800_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "5", "-1s", "1d", "s", "1..2s", "9999999999h", "1 s"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
