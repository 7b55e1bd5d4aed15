//! Times, durations and their methods, as Go's `time` package has them.
//! It never reads the clock but in `now`.

use std::rc::Rc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp, Zoned};

use super::value::V;
use crate::go::quote;
use crate::go::time::{self, Moment};

const SECOND: i64 = 1_000_000_000;

/// As `time.Time.String`.
pub(super) fn print(time: &Zoned) -> String {
    Moment::from(time).to_string()
}

/// As a time is written in JSON.
pub(super) fn rfc3339(time: &Zoned) -> String {
    format(time, "2006-01-02T15:04:05.999999999Z07:00")
}

fn format(time: &Zoned, layout: &str) -> String {
    quote::to_string(Moment::from(time).format(layout.as_bytes()))
}

pub(super) fn zone_label(zone: &TimeZone) -> String {
    match zone.iana_name() {
        Some(name) => name.to_owned(),
        None => "UTC".to_owned(),
    }
}

/// A time plus nanoseconds, where it stays in range.
pub(super) fn add(time: &Zoned, nanos: i64) -> Option<Zoned> {
    time.checked_add(SignedDuration::from_nanos(nanos)).ok()
}

/// The nanoseconds between two times; what does not fit is cut to the largest duration.
pub(super) fn between(later: &Zoned, earlier: &Zoned) -> i64 {
    let nanos = later.timestamp().as_nanosecond() - earlier.timestamp().as_nanosecond();
    i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
}

/// Whole seconds since 1970, counted downwards before.
fn unix(time: &Zoned) -> i64 {
    i64::try_from(
        time.timestamp()
            .as_nanosecond()
            .div_euclid(i128::from(SECOND)),
    )
    .unwrap_or_default()
}

/// Calls a method; `None` where there is none such or the arguments do not fit.
pub(super) fn time_method<'a>(time: &Zoned, name: &str, arguments: &[V<'a>]) -> Option<V<'a>> {
    let nanos = time.timestamp().as_nanosecond();
    let int = |value: i64| Some(V::Int(value));
    let made = |time: Zoned| V::Time(Rc::new(time));
    match (name, arguments) {
        ("Year", []) => int(time.year().into()),
        ("Month", []) => Some(V::Month(time.month())),
        ("Day", []) => int(time.day().into()),
        ("Hour", []) => int(time.hour().into()),
        ("Minute", []) => int(time.minute().into()),
        ("Second", []) => int(time.second().into()),
        ("Nanosecond", []) => int(time.subsec_nanosecond().into()),
        ("YearDay", []) => int(time.day_of_year().into()),
        ("Weekday", []) => Some(V::Weekday(time.weekday().to_sunday_zero_offset())),
        ("Unix", []) => int(unix(time)),
        ("UnixMilli", []) => int(i64::try_from(nanos.div_euclid(1_000_000)).ok()?),
        ("UnixMicro", []) => int(i64::try_from(nanos.div_euclid(1_000)).ok()?),
        ("UnixNano", []) => int(i64::try_from(nanos).ok()?),
        ("String", []) => Some(V::text(print(time))),
        ("Format", [layout]) => Some(V::text(format(time, layout.as_text()?))),
        ("UTC" | "Local", []) => Some(made(time.with_time_zone(TimeZone::UTC))),
        ("In", [V::Zone(zone)]) => Some(made(time.with_time_zone((**zone).clone()))),
        ("Location", []) => Some(V::Zone(Rc::new(time.time_zone().clone()))),
        ("Add", [V::Duration(nanos)]) => add(time, *nanos).map(made),
        ("Sub", [V::Time(other)]) => Some(V::Duration(between(time, other))),
        ("AddDate", [years, months, days]) => {
            let whole = |value: &V<'a>| value.as_whole().filter(|value| value.abs() < 20_000_000);
            let (years, months, days) = (whole(years)?, whole(months)?, whole(days)?);
            // Months are counted first and an overflowing day runs into the next one, as in Go.
            let months =
                i64::from(time.year()) * 12 + i64::from(time.month()) - 1 + years * 12 + months;
            let year = i16::try_from(months.div_euclid(12)).ok()?;
            let month = i8::try_from(months.rem_euclid(12) + 1).ok()?;
            let first = jiff::civil::date(year, month, 1);
            let date = first
                .checked_add(Span::new().days(i64::from(time.day()) - 1 + days))
                .ok()?;
            date.to_datetime(time.time())
                .to_zoned(time.time_zone().clone())
                .ok()
                .map(made)
        }
        ("Before", [V::Time(other)]) => Some(V::Bool(time.timestamp() < other.timestamp())),
        ("After", [V::Time(other)]) => Some(V::Bool(time.timestamp() > other.timestamp())),
        ("Equal", [V::Time(other)]) => Some(V::Bool(time.timestamp() == other.timestamp())),
        ("Compare", [V::Time(other)]) => int(time.timestamp().cmp(&other.timestamp()) as i64),
        ("IsZero", []) => Some(V::Bool(
            unix(time) == -62_135_596_800 && time.subsec_nanosecond() == 0,
        )),
        ("Truncate" | "Round", [V::Duration(unit)]) if *unit > 0 => {
            // Counted from the year 1, as Go does.
            let since = nanos + 62_135_596_800 * i128::from(SECOND);
            let rest = since.rem_euclid(i128::from(*unit));
            let up = name == "Round" && rest * 2 >= i128::from(*unit);
            let rounded = nanos - rest + if up { i128::from(*unit) } else { 0 };
            let stamp = Timestamp::from_nanosecond(rounded).ok()?;
            Some(made(stamp.to_zoned(time.time_zone().clone())))
        }
        ("Truncate" | "Round", [V::Duration(_)]) => Some(made(time.clone())),
        _ => None,
    }
}

pub(super) fn duration_method<'a>(nanos: i64, name: &str, arguments: &[V<'a>]) -> Option<V<'a>> {
    #[expect(clippy::cast_precision_loss, reason = "durations are given as floats")]
    let float = |unit: i64| {
        Some(V::Float(
            (nanos / unit) as f64 + (nanos % unit) as f64 / unit as f64,
        ))
    };
    match (name, arguments) {
        ("Hours", []) => float(3600 * SECOND),
        ("Minutes", []) => float(60 * SECOND),
        ("Seconds", []) => float(SECOND),
        ("Milliseconds", []) => Some(V::Int(nanos / 1_000_000)),
        ("Microseconds", []) => Some(V::Int(nanos / 1_000)),
        ("Nanoseconds", []) => Some(V::Int(nanos)),
        ("String", []) => Some(V::text(time::duration_text(nanos))),
        ("Abs", []) => Some(V::Duration(nanos.checked_abs().unwrap_or(i64::MAX))),
        ("Truncate", [V::Duration(unit)]) if *unit > 0 => Some(V::Duration(nanos - nanos % unit)),
        ("Round", [V::Duration(unit)]) if *unit > 0 => {
            let rest = (nanos % unit).abs();
            let toward = nanos - nanos % unit;
            let away = toward.checked_add(unit * nanos.signum()).unwrap_or(toward);
            Some(V::Duration(
                if rest.checked_mul(2).is_none_or(|twice| twice >= *unit) {
                    away
                } else {
                    toward
                },
            ))
        }
        ("Truncate" | "Round", [V::Duration(_)]) => Some(V::Duration(nanos)),
        _ => None,
    }
}
