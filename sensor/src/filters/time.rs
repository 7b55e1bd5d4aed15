//! `filters.time`: a span of the day in a time zone.

use jiff::civil;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};
use tiphys_core::{Event, Problems};

use super::{Report, Verdict};
use crate::spec::TimeFilterSpec;

/// A compiled time filter.
#[derive(Debug)]
pub(crate) struct Time {
    text: String,
    span: Result<Span, String>,
}

#[derive(Debug)]
struct Span {
    start: civil::Time,
    stop: civil::Time,
    zone: TimeZone,
}

/// A zone by its IANA name; nothing is UTC.
pub(crate) fn zone(name: &str) -> Result<TimeZone, jiff::Error> {
    if name.is_empty() {
        return Ok(TimeZone::UTC);
    }
    TimeZone::get(name)
}

/// `H:MM:SS` or `HH:MM:SS`, perhaps with a fraction.
fn parse(text: &str) -> Result<civil::Time, String> {
    let error = || format!("must be a time of day as HH:MM:SS, not {text:?}");
    let (clock, fraction) = match text.split_once('.') {
        Some((clock, fraction)) => (clock, Some(fraction)),
        None => (text, None),
    };
    let parts: Vec<&str> = clock.split(':').collect();
    let [hour, minute, second] = parts.as_slice() else {
        return Err(error());
    };
    let number = |text: &str, digits: std::ops::RangeInclusive<usize>| {
        let plain = digits.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<i8>().ok().filter(|_| plain).ok_or_else(error)
    };
    let nanos = match fraction {
        None => 0,
        Some(digits) if (1..=9).contains(&digits.len()) => {
            let padded = format!("{digits:0<9}");
            let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
            padded.parse().ok().filter(|_| plain).ok_or_else(error)?
        }
        Some(_) => return Err(error()),
    };
    let (hour, minute, second) = (
        number(hour, 1..=2)?,
        number(minute, 2..=2)?,
        number(second, 2..=2)?,
    );
    civil::Time::new(hour, minute, second, nanos).map_err(|_| error())
}

impl Span {
    fn new(spec: &TimeFilterSpec) -> Result<Self, String> {
        Ok(Self {
            start: parse(&spec.start)?,
            stop: parse(&spec.stop)?,
            zone: zone(&spec.timezone)
                .map_err(|error| format!("invalid timezone '{}': {error}", spec.timezone))?,
        })
    }

    fn holds(&self, time: Timestamp) -> Result<bool, String> {
        let date = time.to_zoned(self.zone.clone()).date();
        let on_date = |clock: civil::Time| -> Result<Timestamp, String> {
            let zoned: Zoned = date
                .to_datetime(clock)
                .to_zoned(self.zone.clone())
                .map_err(|error| error.to_string())?;
            Ok(zoned.timestamp())
        };
        let (start, stop) = (on_date(self.start)?, on_date(self.stop)?);
        Ok(if start < stop {
            start <= time && time < stop
        } else {
            time >= start || time < stop
        })
    }
}

impl Time {
    pub(super) fn new(spec: &TimeFilterSpec) -> Self {
        let zone = if spec.timezone.is_empty() {
            "UTC"
        } else {
            &spec.timezone
        };
        Self {
            text: format!("{} to {} {zone}", spec.start, spec.stop),
            span: Span::new(spec),
        }
    }

    /// Reports everything wrong with a time filter.
    pub(crate) fn check(spec: &TimeFilterSpec, problems: &mut Problems) {
        let mut both = Vec::new();
        for (key, text) in [("start", &spec.start), ("stop", &spec.stop)] {
            match parse(text) {
                Ok(time) => both.push(time),
                Err(error) => problems.at(key, |problems| problems.error(error)),
            }
        }
        if let [start, stop] = both.as_slice()
            && start == stop
        {
            problems.at("stop", |problems| problems.error("must differ from start"));
        }
        if zone(&spec.timezone).is_err() {
            problems.at("timezone", |problems| {
                problems.error(format!(
                    "must be a time zone, as Europe/Berlin, not {:?}",
                    spec.timezone
                ));
            });
        }
    }

    /// Whether the event happened in the span.
    pub(super) fn evaluate(&self, event: &Event, report: &mut Report) -> Verdict {
        // An event without a time has Go's zero time, the first of January of the year 1.
        let time = event.time.unwrap_or_else(|| {
            let zero = SignedDuration::from_secs(-62_135_596_800);
            Timestamp::UNIX_EPOCH
                .checked_add(zero)
                .unwrap_or(Timestamp::UNIX_EPOCH)
        });
        let holds = match &self.span {
            Ok(span) => span.holds(time),
            Err(error) => Err(error.clone()),
        };
        let verdict = match holds {
            Ok(holds) => Verdict::from_bool(holds),
            Err(error) => Verdict::Failed(format!("time filter error ({error})")),
        };
        report.add(&verdict, || {
            ("filters.time".into(), self.text.clone(), time.to_string())
        });
        verdict
    }
}
