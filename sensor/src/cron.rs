//! Five-field cron schedules for `conditionsReset.byTime`, as Argo reads them. It never looks at a clock.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// Why a schedule cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CronError {
    /// Not five fields.
    #[error("must have five fields: minute hour day-of-month month day-of-week, as 0 5 * * MON")]
    Fields,
    /// One field that says nothing.
    #[error("has {text:?} as {field}, which must be within {low}-{high}")]
    Field {
        /// The field's name.
        field: &'static str,
        /// Its text.
        text: String,
        /// The lowest value.
        low: u8,
        /// The highest value.
        high: u8,
    },
    /// No such time zone.
    #[error("must be a time zone, as Europe/Berlin, not {0:?}")]
    Zone(String),
}

/// A schedule in a time zone.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether day and weekday must both fit, because one of them is `*`.
    both: bool,
    zone: TimeZone,
}

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl Schedule {
    /// Reads a schedule; an empty zone is UTC, and a `TZ=` prefix wins over the zone.
    pub(crate) fn parse(text: &str, zone: &str) -> Result<Self, CronError> {
        let mut text = text.trim();
        let mut zone = zone;
        for prefix in ["CRON_TZ=", "TZ="] {
            if let Some(rest) = text.strip_prefix(prefix) {
                (zone, text) = rest.split_once(' ').ok_or(CronError::Fields)?;
                break;
            }
        }
        let zone = crate::filters::zone(zone).map_err(|_| CronError::Zone(zone.to_owned()))?;
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields.as_slice() else {
            return Err(CronError::Fields);
        };
        let any = |text: &str| text.split(',').any(|part| part.starts_with(['*', '?']));
        Ok(Self {
            minutes: field("minute", minute, 0, 59, &[])?,
            hours: field("hour", hour, 0, 23, &[])?,
            days: field("day of month", day, 1, 31, &[])?,
            months: field("month", month, 1, 12, &MONTHS)?,
            weekdays: field("day of week", weekday, 0, 6, &WEEKDAYS)?,
            both: any(day) || any(weekday),
            zone,
        })
    }

    /// The last tick at or before `now`, within five years.
    pub(crate) fn last_before(&self, now: Timestamp) -> Option<Timestamp> {
        let local = now.to_zoned(self.zone.clone());
        let mut date = local.date();
        for _ in 0..=(5 * 366) {
            if self.fits(date) {
                for hour in (0..24_i8).rev().filter(|hour| bit(self.hours, *hour)) {
                    for minute in (0..60_i8).rev().filter(|minute| bit(self.minutes, *minute)) {
                        let tick = date.at(hour, minute, 0, 0).to_zoned(self.zone.clone());
                        if let Ok(tick) = tick
                            && tick.timestamp() <= now
                        {
                            return Some(tick.timestamp());
                        }
                    }
                }
            }
            date = date.checked_sub(1.day()).ok()?;
        }
        None
    }

    fn fits(&self, date: Date) -> bool {
        if !bit(self.months, date.month()) {
            return false;
        }
        let day = bit(self.days, date.day());
        let weekday = bit(self.weekdays, date.weekday().to_sunday_zero_offset());
        if self.both {
            day && weekday
        } else {
            day || weekday
        }
    }
}

fn bit(set: u64, position: i8) -> bool {
    u32::try_from(position).is_ok_and(|position| set >> position & 1 == 1)
}

/// A field as a set of bits.
fn field(
    name: &'static str,
    text: &str,
    low: u8,
    high: u8,
    words: &[&str],
) -> Result<u64, CronError> {
    let error = || CronError::Field {
        field: name,
        text: text.to_owned(),
        low,
        high,
    };
    let value = |text: &str| -> Option<u8> {
        let lower = text.to_ascii_lowercase();
        if let Some(position) = words.iter().position(|word| *word == lower) {
            return u8::try_from(position).ok()?.checked_add(low.min(1));
        }
        let plain = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| plain)
    };
    let mut set = 0_u64;
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (
                range,
                value(step).filter(|step| *step > 0).ok_or_else(error)?,
            ),
            None => (part, 1),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" || range == "?" => (low, high),
            Some((from, to)) => (value(from).ok_or_else(error)?, value(to).ok_or_else(error)?),
            None => {
                let from = value(range).ok_or_else(error)?;
                (from, if part.contains('/') { high } else { from })
            }
        };
        if from < low || to > high || from > to {
            return Err(error());
        }
        for position in (from..=to).step_by(usize::from(step)) {
            set |= 1 << position;
        }
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_tick_is_found() {
        for (cron, zone, now, tick) in [
            (
                "0/15 * * * *",
                "",
                "2012-07-09T15:00:00Z",
                Some("2012-07-09T15:00:00Z"),
            ),
            (
                "*/15 * * * *",
                "",
                "2012-07-09T14:59:59Z",
                Some("2012-07-09T14:45:00Z"),
            ),
            (
                "0 0 29 FEB ?",
                "",
                "2018-07-01T00:00:00Z",
                Some("2016-02-29T00:00:00Z"),
            ),
            ("0 0 30 2 *", "", "2018-07-01T00:00:00Z", None),
            (
                "30 5 * * MON",
                "",
                "2026-07-18T10:00:00Z",
                Some("2026-07-13T05:30:00Z"),
            ),
            (
                "0 9 * * *",
                "America/New_York",
                "2026-07-18T14:00:00Z",
                Some("2026-07-18T13:00:00Z"),
            ),
            (
                "TZ=Asia/Tokyo 0 9 * * *",
                "",
                "2026-07-18T01:00:00Z",
                Some("2026-07-18T00:00:00Z"),
            ),
            // Neither is `*`: either fits.
            (
                "0 0 13 * FRI",
                "",
                "2026-07-14T00:00:00Z",
                Some("2026-07-13T00:00:00Z"),
            ),
        ] {
            let schedule = Schedule::parse(cron, zone).unwrap();
            let expected = tick.map(|tick| tick.parse().unwrap());
            assert_eq!(
                schedule.last_before(now.parse().unwrap()),
                expected,
                "{cron}"
            );
        }
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for (cron, zone) in [
            ("a * * * *", ""),
            ("* * * *", ""),
            ("@daily", ""),
            ("0 0 * * * *", ""),
            ("* * * * 7", ""),
            ("60 * * * *", ""),
            ("5-1 * * * *", ""),
            ("*/0 * * * *", ""),
            ("+5 * * * *", ""),
            ("* * * * *", "fake"),
        ] {
            assert!(Schedule::parse(cron, zone).is_err(), "{cron} {zone}");
        }
    }
}
