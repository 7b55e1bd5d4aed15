//! Go's `time.Time` and `Duration` on jiff, and the names of months and weekdays.
//! It never reads the clock: the moment comes from elsewhere.

use std::fmt;

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp, Zoned};

use super::{layout, quote};

/// A point in time with the zone it is shown in.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    pub(crate) at: Timestamp,
    pub(crate) zone: TimeZone,
    /// The abbreviation that was read, where it is of no known zone.
    pub(crate) name: Option<String>,
}

pub(crate) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub(crate) const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

impl Moment {
    pub(crate) fn new(at: Timestamp, zone: TimeZone) -> Self {
        Self {
            at,
            zone,
            name: None,
        }
    }

    /// Go's zero time, 1 January of year 1.
    pub(crate) fn zero() -> Self {
        Self::new(
            Timestamp::from_second(-62_135_596_800).unwrap_or_default(),
            TimeZone::UTC,
        )
    }

    pub(crate) fn from_seconds(seconds: i64) -> Result<Self, String> {
        match Timestamp::from_second(seconds) {
            Ok(at) => Ok(Self::new(at, TimeZone::UTC)),
            Err(_) => Err(format!("the time {seconds} is outside the supported years")),
        }
    }

    /// The same with jiff's own type, which forgets an abbreviation that was read.
    pub(crate) fn to_zoned(&self) -> Zoned {
        self.at.to_zoned(self.zone.clone())
    }

    pub(crate) fn offset(&self) -> Offset {
        self.zone.to_offset(self.at)
    }

    pub(crate) fn abbreviation(&self) -> String {
        match &self.name {
            Some(name) => name.clone(),
            None => self.zone.to_offset_info(self.at).abbreviation().to_owned(),
        }
    }

    pub(crate) fn civil(&self) -> DateTime {
        self.offset().to_datetime(self.at)
    }

    pub(crate) fn in_zone(&self, zone: TimeZone) -> Self {
        Self::new(self.at, zone)
    }

    pub(crate) fn add(&self, nanoseconds: i64) -> Result<Self, String> {
        match self.at.checked_add(SignedDuration::from_nanos(nanoseconds)) {
            Ok(at) => Ok(Self { at, ..self.clone() }),
            Err(_) => Err("the time is outside the supported years".to_owned()),
        }
    }

    pub(crate) fn format(&self, layout: &[u8]) -> Vec<u8> {
        layout::format(self, layout)
    }

    /// Go's `Sub`: saturates.
    pub(crate) fn since(&self, earlier: &Self) -> i64 {
        let nanos = self.at.as_nanosecond() - earlier.at.as_nanosecond();
        let limited = nanos.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
        i64::try_from(limited).unwrap_or(0)
    }

    pub(crate) fn go_string(&self) -> String {
        let civil = self.civil();
        let month = month_name(civil.month());
        let zone = if self.zone == TimeZone::UTC {
            "time.UTC"
        } else {
            "time.Local"
        };
        format!(
            "time.Date({}, time.{month}, {}, {}, {}, {}, {}, {zone})",
            civil.year(),
            civil.day(),
            civil.hour(),
            civil.minute(),
            civil.second(),
            civil.subsec_nanosecond()
        )
    }
}

impl From<&Zoned> for Moment {
    fn from(time: &Zoned) -> Self {
        let zone = time.time_zone().clone();
        let nameless = zone.iana_name().is_none() && zone != TimeZone::UTC;
        let name = nameless.then(|| offset_name(time.offset().seconds()));
        Self {
            at: time.timestamp(),
            zone,
            name,
        }
    }
}

/// What stands for the abbreviation of a zone that has none, as `+0530`.
pub(crate) fn offset_name(offset: i32) -> String {
    let size = offset.unsigned_abs() / 60;
    let sign = if offset < 0 { '-' } else { '+' };
    format!("{sign}{:02}{:02}", size / 60, size % 60)
}

/// The English name of a month, from 1.
pub(crate) fn month_name(month: i8) -> &'static str {
    let index = usize::try_from(month).unwrap_or_default().saturating_sub(1);
    MONTHS.get(index).copied().unwrap_or_default()
}

/// The English name of a weekday, Sunday is 0.
pub(crate) fn day_name(day: i8) -> &'static str {
    let index = usize::try_from(day).unwrap_or_default();
    DAYS.get(index).copied().unwrap_or_default()
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.format(b"2006-01-02 15:04:05.999999999 -0700 MST");
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

/// Go's `Duration.String`.
pub(crate) fn duration_text(nanoseconds: i64) -> String {
    let size = nanoseconds.unsigned_abs();
    let sign = if nanoseconds < 0 { "-" } else { "" };
    if size == 0 {
        return "0s".to_owned();
    }
    if size < 1_000_000_000 {
        let (unit, scale) = match size {
            0..1_000 => ("ns", 1),
            1_000..1_000_000 => ("µs", 1_000),
            _ => ("ms", 1_000_000),
        };
        return format!("{sign}{}{unit}", fraction(size, scale));
    }
    let seconds = size / 1_000_000_000;
    let rest = fraction(size % 60_000_000_000, 1_000_000_000);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    if hours > 0 {
        format!("{sign}{hours}h{minutes}m{rest}s")
    } else if minutes > 0 {
        format!("{sign}{minutes}m{rest}s")
    } else {
        format!("{sign}{rest}s")
    }
}

fn fraction(size: u64, scale: u64) -> String {
    let (whole, part) = (size / scale, size % scale);
    if part == 0 {
        return whole.to_string();
    }
    let width = scale.ilog10() as usize;
    let digits = format!("{part:0width$}");
    format!("{whole}.{}", digits.trim_end_matches('0'))
}

/// Go's `time.ParseDuration`, in nanoseconds.
pub(crate) fn parse_duration(text: &str) -> Result<i64, String> {
    let invalid = || format!("time: invalid duration {}", go_quote(text));
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let number = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (whole, after) = rest.split_at_checked(number).ok_or_else(invalid)?;
        let (part, after) = match after.strip_prefix('.') {
            Some(after) => {
                let end =
                    after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
                after.split_at_checked(end).ok_or_else(invalid)?
            }
            None => ("", after),
        };
        if whole.is_empty() && part.is_empty() {
            return Err(invalid());
        }
        let unit_length = after
            .find(|c: char| c == '.' || c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, next) = after.split_at_checked(unit_length).ok_or_else(invalid)?;
        let scale: i128 = match unit {
            "" => {
                return Err(format!("time: missing unit in duration {}", go_quote(text)));
            }
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => {
                let (unit, text) = (go_quote(unit), go_quote(text));
                return Err(format!("time: unknown unit {unit} in duration {text}"));
            }
        };
        let whole: i128 = if whole.is_empty() {
            0
        } else {
            whole.parse().map_err(|_| invalid())?
        };
        let mut value = whole.checked_mul(scale).ok_or_else(invalid)?;
        if !part.is_empty() {
            let kept = part.get(..18).unwrap_or(part);
            let digits: i128 = kept.parse().map_err(|_| invalid())?;
            let power = 10_i128.pow(u32::try_from(kept.len()).unwrap_or(18));
            value += digits * scale / power;
        }
        total = total.checked_add(value).ok_or_else(invalid)?;
        if total > 1 << 63 {
            return Err(invalid());
        }
        rest = next;
    }
    i64::try_from(if negative { -total } else { total }).map_err(|_| invalid())
}

fn go_quote(text: &str) -> String {
    let mut out = Vec::new();
    quote::quote(text.as_bytes(), false, &mut out);
    quote::to_string(out)
}

/// Go's `Duration.Round`: half away from zero.
pub(crate) fn round(nanoseconds: i64, unit: i64) -> i64 {
    if unit <= 0 {
        return nanoseconds;
    }
    let (value, unit) = (i128::from(nanoseconds), i128::from(unit));
    let rest = value % unit;
    let toward_zero = value - rest;
    let rounded = if rest.abs() * 2 < unit {
        toward_zero
    } else {
        toward_zero + unit * rest.signum()
    };
    i64::try_from(rounded).unwrap_or(if nanoseconds < 0 { i64::MIN } else { i64::MAX })
}

/// Go's `time.LoadLocation`.
pub(crate) fn load_zone(name: &[u8], local: &TimeZone) -> Option<TimeZone> {
    match name {
        b"" | b"UTC" => Some(TimeZone::UTC),
        b"Local" => Some(local.clone()),
        _ => {
            let name = str::from_utf8(name).ok()?;
            // The bundled zones, so that the result does not depend on the machine.
            let zone = TimeZoneDatabase::bundled().get(name).ok()?;
            // Go finds zones as files: case counts.
            (zone.iana_name() == Some(name)).then_some(zone)
        }
    }
}
