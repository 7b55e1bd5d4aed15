//! Times in Go's layouts (`2006-01-02 15:04:05`), read and written as Go's `time` package does.
//! It never asks for the time or for the machine's zone: both are arguments.

use jiff::Zoned;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};

pub(crate) const ANSIC: &str = "Mon Jan _2 15:04:05 2006";
pub(crate) const UNIX_DATE: &str = "Mon Jan _2 15:04:05 MST 2006";
pub(crate) const RUBY_DATE: &str = "Mon Jan 02 15:04:05 -0700 2006";
pub(crate) const KITCHEN: &str = "3:04PM";
pub(crate) const RFC3339: &str = "2006-01-02T15:04:05Z07:00";
pub(crate) const RFC822: &str = "02 Jan 06 15:04 MST";
pub(crate) const RFC850: &str = "Monday, 02-Jan-06 15:04:05 MST";
pub(crate) const RFC1123: &str = "Mon, 02 Jan 2006 15:04:05 MST";

const MONTHS: [&str; 12] = [
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
const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

/// The English name of a month, from 1.
pub(crate) fn month_name(month: i8) -> &'static str {
    let index = usize::try_from(month).unwrap_or_default().saturating_sub(1);
    MONTHS.get(index).copied().unwrap_or_default()
}

/// The English name of a weekday, Sunday is 0.
pub(crate) fn day_name(day: i8) -> &'static str {
    DAYS.get(usize::try_from(day).unwrap_or_default())
        .copied()
        .unwrap_or_default()
}

/// One part of a layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part<'a> {
    Text(&'a str),
    Year,
    ShortYear,
    LongMonth,
    Month,
    NumMonth {
        padded: bool,
    },
    LongWeekday,
    Weekday,
    Day(Pad),
    YearDay(Pad),
    Hour,
    Hour12 {
        padded: bool,
    },
    Minute {
        padded: bool,
    },
    Second {
        padded: bool,
    },
    Noon {
        upper: bool,
    },
    ZoneName,
    Offset {
        z: bool,
        colon: bool,
        seconds: bool,
        short: bool,
    },
    /// `.000` (exact) or `.999` (as needed) with that many digits.
    Fraction {
        digits: usize,
        exact: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pad {
    None,
    Space,
    Zero,
}

const WORDS: [(&str, Part<'static>); 33] = [
    ("January", Part::LongMonth),
    ("Monday", Part::LongWeekday),
    ("MST", Part::ZoneName),
    ("002", Part::YearDay(Pad::Zero)),
    ("01", Part::NumMonth { padded: true }),
    ("02", Part::Day(Pad::Zero)),
    ("03", Part::Hour12 { padded: true }),
    ("04", Part::Minute { padded: true }),
    ("05", Part::Second { padded: true }),
    ("06", Part::ShortYear),
    ("15", Part::Hour),
    ("1", Part::NumMonth { padded: false }),
    ("2006", Part::Year),
    ("2", Part::Day(Pad::None)),
    ("__2", Part::YearDay(Pad::Space)),
    ("_2", Part::Day(Pad::Space)),
    ("3", Part::Hour12 { padded: false }),
    ("4", Part::Minute { padded: false }),
    ("5", Part::Second { padded: false }),
    ("PM", Part::Noon { upper: true }),
    ("pm", Part::Noon { upper: false }),
    (
        "-070000",
        Part::Offset {
            z: false,
            colon: false,
            seconds: true,
            short: false,
        },
    ),
    (
        "-07:00:00",
        Part::Offset {
            z: false,
            colon: true,
            seconds: true,
            short: false,
        },
    ),
    (
        "-0700",
        Part::Offset {
            z: false,
            colon: false,
            seconds: false,
            short: false,
        },
    ),
    (
        "-07:00",
        Part::Offset {
            z: false,
            colon: true,
            seconds: false,
            short: false,
        },
    ),
    (
        "-07",
        Part::Offset {
            z: false,
            colon: false,
            seconds: false,
            short: true,
        },
    ),
    (
        "Z070000",
        Part::Offset {
            z: true,
            colon: false,
            seconds: true,
            short: false,
        },
    ),
    (
        "Z07:00:00",
        Part::Offset {
            z: true,
            colon: true,
            seconds: true,
            short: false,
        },
    ),
    (
        "Z0700",
        Part::Offset {
            z: true,
            colon: false,
            seconds: false,
            short: false,
        },
    ),
    (
        "Z07:00",
        Part::Offset {
            z: true,
            colon: true,
            seconds: false,
            short: false,
        },
    ),
    (
        "Z07",
        Part::Offset {
            z: true,
            colon: false,
            seconds: false,
            short: true,
        },
    ),
    ("Jan", Part::Month),
    ("Mon", Part::Weekday),
];

/// The part that starts a layout here, with its length; `None` where plain text stands.
fn part_at(layout: &str) -> Option<(Part<'static>, usize)> {
    if layout.starts_with("_2006") {
        return None;
    }
    if let Some(rest) = layout.strip_prefix(['.', ',']) {
        let digit = rest
            .chars()
            .next()
            .filter(|char| matches!(char, '0' | '9'))?;
        let digits = rest.chars().take_while(|char| *char == digit).count();
        if rest
            .chars()
            .nth(digits)
            .is_some_and(|char| char.is_ascii_digit())
        {
            return None;
        }
        return Some((
            Part::Fraction {
                digits,
                exact: digit == '0',
            },
            digits + 1,
        ));
    }
    let (word, part) = WORDS.iter().find(|(word, _)| layout.starts_with(word))?;
    let short = matches!(part, Part::Month | Part::Weekday);
    let next = layout
        .get(word.len()..)
        .and_then(|rest| rest.chars().next());
    if short && next.is_some_and(|char| char.is_ascii_lowercase()) {
        return None;
    }
    Some((*part, word.len()))
}

fn parts(layout: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut plain = 0;
    let mut at = 0;
    while let Some(rest) = layout.get(at..).filter(|rest| !rest.is_empty()) {
        match part_at(rest) {
            Some((part, length)) => {
                if let Some(text) = layout.get(plain..at).filter(|text| !text.is_empty()) {
                    parts.push(Part::Text(text));
                }
                parts.push(part);
                at += length;
                plain = at;
            }
            None => at += rest.chars().next().map_or(1, char::len_utf8),
        }
    }
    if let Some(text) = layout.get(plain..).filter(|text| !text.is_empty()) {
        parts.push(Part::Text(text));
    }
    parts
}

/// Writes a time in a layout.
pub(crate) fn format(time: &Zoned, layout: &str) -> String {
    let mut out = String::new();
    for part in parts(layout) {
        match part {
            Part::Text(text) => out.push_str(text),
            Part::Year => out.push_str(&format!("{:04}", time.year())),
            Part::ShortYear => out.push_str(&format!("{:02}", time.year().rem_euclid(100))),
            Part::LongMonth => out.push_str(month_name(time.month())),
            Part::Month => out.extend(month_name(time.month()).chars().take(3)),
            Part::NumMonth { padded } => number(&mut out, i64::from(time.month()), zero(padded)),
            Part::LongWeekday => out.push_str(weekday(time)),
            Part::Weekday => out.extend(weekday(time).chars().take(3)),
            Part::Day(pad) => number(&mut out, i64::from(time.day()), pad),
            Part::YearDay(pad) => {
                let day = time.day_of_year();
                out.push_str(&if pad == Pad::Zero {
                    format!("{day:03}")
                } else {
                    format!("{day:3}")
                });
            }
            Part::Hour => number(&mut out, i64::from(time.hour()), Pad::Zero),
            Part::Hour12 { padded } => {
                let hour = i64::from(time.hour()) % 12;
                number(&mut out, if hour == 0 { 12 } else { hour }, zero(padded));
            }
            Part::Minute { padded } => number(&mut out, i64::from(time.minute()), zero(padded)),
            Part::Second { padded } => number(&mut out, i64::from(time.second()), zero(padded)),
            Part::Noon { upper } => out.push_str(match (time.hour() >= 12, upper) {
                (true, true) => "PM",
                (false, true) => "AM",
                (true, false) => "pm",
                (false, false) => "am",
            }),
            Part::ZoneName => out.push_str(&zone_name(time)),
            Part::Offset {
                z,
                colon,
                seconds,
                short,
            } => {
                let offset = time.offset().seconds();
                if z && offset == 0 {
                    out.push('Z');
                    continue;
                }
                let sign = if offset < 0 { '-' } else { '+' };
                let size = offset.unsigned_abs();
                let colon = if colon { ":" } else { "" };
                out.push_str(&format!("{sign}{:02}", size / 3600));
                if !short {
                    out.push_str(&format!("{colon}{:02}", size / 60 % 60));
                }
                if seconds {
                    out.push_str(&format!("{colon}{:02}", size % 60));
                }
            }
            Part::Fraction { digits, exact } => {
                let nanos = format!("{:09}", time.subsec_nanosecond());
                let text: String = nanos
                    .chars()
                    .chain("0".chars().cycle())
                    .take(digits.min(9))
                    .collect();
                let text = if exact {
                    text.as_str()
                } else {
                    text.trim_end_matches('0')
                };
                if !text.is_empty() {
                    out.push('.');
                    out.push_str(text);
                }
            }
        }
    }
    out
}

fn zero(padded: bool) -> Pad {
    if padded { Pad::Zero } else { Pad::None }
}

fn number(out: &mut String, value: i64, pad: Pad) {
    out.push_str(&match pad {
        Pad::None => format!("{value}"),
        Pad::Space => format!("{value:2}"),
        Pad::Zero => format!("{value:02}"),
    });
}

fn weekday(time: &Zoned) -> &'static str {
    day_name(time.weekday().to_sunday_zero_offset())
}

/// The zone's abbreviation, or the offset where it has none.
pub(crate) fn zone_name(time: &Zoned) -> String {
    if time.time_zone() == &TimeZone::UTC {
        return "UTC".to_owned();
    }
    let info = time.time_zone().to_offset_info(time.timestamp());
    let name = info.abbreviation().to_owned();
    drop(info);
    if name.chars().all(char::is_alphabetic) {
        return name;
    }
    let offset = time.offset().seconds();
    let sign = if offset < 0 { '-' } else { '+' };
    let size = offset.unsigned_abs();
    let minutes = size / 60 % 60;
    if minutes == 0 {
        format!("{sign}{:02}", size / 3600)
    } else {
        format!("{sign}{:02}{minutes:02}", size / 3600)
    }
}

/// Reads a time; text without a zone is taken in the given one.
pub(crate) fn parse(layout: &str, text: &str, zone: &TimeZone) -> Option<Zoned> {
    let parts = parts(layout);
    let mut reader = Reader {
        text,
        fields: Fields::default(),
    };
    for (index, part) in parts.iter().enumerate() {
        let fraction_follows = matches!(parts.get(index + 1), Some(Part::Fraction { .. }));
        reader.part(*part, fraction_follows)?;
    }
    if reader.text.is_empty() {
        reader.fields.finish(zone)
    } else {
        None
    }
}

#[derive(Default)]
struct Fields {
    year: i16,
    month: Option<i8>,
    day: Option<i8>,
    year_day: Option<i16>,
    hour: i8,
    minute: i8,
    second: i8,
    nanos: i32,
    noon: Option<bool>,
    zone: Option<Zone>,
}

enum Zone {
    Utc,
    Offset(i32),
    Name(String),
}

impl Fields {
    fn finish(self, zone: &TimeZone) -> Option<Zoned> {
        let hour = match self.noon {
            Some(true) if self.hour < 12 => self.hour + 12,
            Some(false) if self.hour == 12 => 0,
            _ => self.hour,
        };
        let date = match (self.year_day, self.month, self.day) {
            (Some(day), month, of_month) => {
                let date = Date::new(self.year, 1, 1).ok()?;
                let date = date
                    .checked_add(jiff::Span::new().days(i64::from(day) - 1))
                    .ok()?;
                let fits = date.year() == self.year
                    && month.is_none_or(|month| month == date.month())
                    && of_month.is_none_or(|day| day == date.day());
                fits.then_some(date)?
            }
            (None, month, day) => {
                Date::new(self.year, month.unwrap_or(1), day.unwrap_or(1)).ok()?
            }
        };
        let time = Time::new(hour, self.minute, self.second, self.nanos).ok()?;
        let civil = DateTime::from_parts(date, time);
        let fixed = |seconds: i32| Some(TimeZone::fixed(Offset::from_seconds(seconds).ok()?));
        match self.zone {
            None => civil.to_zoned(zone.clone()).ok(),
            Some(Zone::Utc) => civil.to_zoned(TimeZone::UTC).ok(),
            Some(Zone::Offset(seconds)) => {
                let time = civil.to_zoned(fixed(seconds)?).ok()?;
                let local = time.with_time_zone(zone.clone());
                Some(if local.offset() == time.offset() {
                    local
                } else {
                    time
                })
            }
            Some(Zone::Name(name)) => {
                let local = civil.to_zoned(zone.clone()).ok()?;
                if zone_name(&local) == name {
                    return Some(local);
                }
                // An unknown abbreviation counts as UTC but for `GMT+3`.
                let hours = name
                    .strip_prefix("GMT")
                    .and_then(|hours| hours.parse::<i32>().ok());
                civil
                    .to_zoned(fixed(hours.unwrap_or_default() * 3600)?)
                    .ok()
            }
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    fields: Fields,
}

impl Reader<'_> {
    fn skip(&mut self, bytes: usize) -> Option<()> {
        self.text = self.text.get(bytes..)?;
        Some(())
    }

    /// Exactly that many digits.
    fn fixed<T: std::str::FromStr>(&mut self, count: usize) -> Option<T> {
        let digits = self.text.get(..count)?;
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        self.skip(count)?;
        digits.parse().ok()
    }

    /// Two digits, or one where padding is not asked for.
    fn small(&mut self, padded: bool) -> Option<i8> {
        let digits = self
            .text
            .bytes()
            .take(2)
            .take_while(u8::is_ascii_digit)
            .count();
        match digits {
            2 => self.fixed(2),
            1 if !padded => self.fixed(1),
            _ => None,
        }
    }

    fn ranged(&mut self, padded: bool, most: i8) -> Option<i8> {
        self.small(padded).filter(|value| *value <= most)
    }

    /// A name of a list, whole or its first three letters, in any case.
    fn name(&mut self, names: &[&str], short: bool) -> Option<i8> {
        let found = names.iter().position(|name| {
            let length = if short { 3 } else { name.len() };
            let wanted = name.get(..length).unwrap_or_default();
            self.text
                .get(..length)
                .is_some_and(|text| text.eq_ignore_ascii_case(wanted))
        })?;
        let length = if short { 3 } else { names.get(found)?.len() };
        self.skip(length)?;
        i8::try_from(found).ok()
    }

    fn part(&mut self, part: Part<'_>, fraction_follows: bool) -> Option<()> {
        match part {
            Part::Text(text) => self.literal(text)?,
            Part::Year => self.fields.year = self.fixed(4)?,
            Part::ShortYear => {
                let year: i16 = self.fixed(2)?;
                self.fields.year = if year >= 69 { 1900 + year } else { 2000 + year };
            }
            Part::LongMonth => self.fields.month = Some(self.name(&MONTHS, false)? + 1),
            Part::Month => self.fields.month = Some(self.name(&MONTHS, true)? + 1),
            Part::NumMonth { padded } => {
                self.fields.month = Some(self.ranged(padded, 12).filter(|month| *month > 0)?);
            }
            Part::LongWeekday => drop(self.name(&DAYS, false)?),
            Part::Weekday => drop(self.name(&DAYS, true)?),
            Part::Day(pad) => {
                if pad == Pad::Space && self.text.starts_with(' ') {
                    self.skip(1)?;
                }
                self.fields.day = Some(self.small(pad == Pad::Zero)?);
            }
            Part::YearDay(pad) => {
                while pad == Pad::Space && self.text.starts_with(' ') {
                    self.skip(1)?;
                }
                let count = if pad == Pad::Zero {
                    3
                } else {
                    self.text
                        .bytes()
                        .take(3)
                        .take_while(u8::is_ascii_digit)
                        .count()
                        .max(1)
                };
                self.fields.year_day = Some(self.fixed(count)?);
            }
            Part::Hour => self.fields.hour = self.ranged(false, 23)?,
            Part::Hour12 { padded } => self.fields.hour = self.ranged(padded, 12)?,
            Part::Minute { padded } => self.fields.minute = self.ranged(padded, 59)?,
            Part::Second { padded } => {
                self.fields.second = self.ranged(padded, 59)?;
                if !fraction_follows {
                    self.fraction()?;
                }
            }
            Part::Noon { upper } => {
                let (am, pm) = if upper { ("AM", "PM") } else { ("am", "pm") };
                let is_pm = self.text.starts_with(pm);
                if !is_pm && !self.text.starts_with(am) {
                    return None;
                }
                self.fields.noon = Some(is_pm);
                self.skip(2)?;
            }
            Part::ZoneName => self.zone_name()?,
            Part::Offset {
                z,
                colon,
                seconds,
                short,
            } => self.offset(z, colon, seconds, short)?,
            Part::Fraction {
                digits,
                exact: true,
            } => {
                if !self.text.starts_with(['.', ',']) {
                    return None;
                }
                self.skip(1)?;
                let text = self.text.get(..digits)?;
                self.nanos(text)?;
                self.skip(digits)?;
            }
            Part::Fraction { exact: false, .. } => self.fraction()?,
        }
        Some(())
    }

    /// Text of the layout; a run of spaces stands for any number of them.
    fn literal(&mut self, mut wanted: &str) -> Option<()> {
        while let Some(char) = wanted.chars().next() {
            if char == ' ' {
                if !self.text.is_empty() && !self.text.starts_with(' ') {
                    return None;
                }
                wanted = wanted.trim_start_matches(' ');
                self.text = self.text.trim_start_matches(' ');
            } else {
                self.text = self.text.strip_prefix(char)?;
                wanted = wanted.get(char.len_utf8()..)?;
            }
        }
        Some(())
    }

    /// A fraction of a second, if one stands here.
    fn fraction(&mut self) -> Option<()> {
        let Some(rest) = self.text.strip_prefix(['.', ',']) else {
            return Some(());
        };
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return Some(());
        }
        self.nanos(rest.get(..digits)?)?;
        self.skip(digits + 1)
    }

    fn nanos(&mut self, digits: &str) -> Option<()> {
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let nine: String = digits.chars().chain("000000000".chars()).take(9).collect();
        self.fields.nanos = nine.parse().ok()?;
        Some(())
    }

    fn offset(&mut self, z: bool, colon: bool, seconds: bool, short: bool) -> Option<()> {
        if z && self.text.starts_with('Z') {
            self.fields.zone = Some(Zone::Utc);
            return self.skip(1);
        }
        let negative = self.text.starts_with('-');
        if !negative && !self.text.starts_with('+') {
            return None;
        }
        self.skip(1)?;
        let mut total: i32 = self.fixed::<i32>(2).filter(|hours| *hours <= 24)? * 3600;
        let units = if short { 0 } else { 1 + usize::from(seconds) };
        for unit in [60, 1].into_iter().take(units) {
            if colon {
                self.text = self.text.strip_prefix(':')?;
            }
            total += self.fixed::<i32>(2).filter(|value| *value <= 60)? * unit;
        }
        self.fields.zone = Some(Zone::Offset(if negative { -total } else { total }));
        Some(())
    }

    fn zone_name(&mut self) -> Option<()> {
        if self.text.starts_with("UTC") {
            self.fields.zone = Some(Zone::Utc);
            return self.skip(3);
        }
        let signed = |text: &str| {
            let digits = text
                .bytes()
                .skip(1)
                .take(2)
                .take_while(u8::is_ascii_digit)
                .count();
            if text.starts_with(['+', '-']) && digits > 0 {
                1 + digits
            } else {
                0
            }
        };
        let upper = self
            .text
            .bytes()
            .take(6)
            .take_while(u8::is_ascii_uppercase)
            .count();
        let length = match upper {
            _ if self.text.starts_with("GMT") => 3 + signed(self.text.get(3..)?),
            _ if self.text.starts_with("ChST") || self.text.starts_with("MeST") => 4,
            0 if self.text.starts_with(['+', '-']) => signed(self.text),
            5 if self.text.as_bytes().get(4) == Some(&b'T') => 5,
            4 if self.text.as_bytes().get(3) == Some(&b'T') || self.text.starts_with("WITA") => 4,
            3 => 3,
            _ => 0,
        };
        if length == 0 {
            return None;
        }
        self.fields.zone = Some(Zone::Name(self.text.get(..length)?.to_owned()));
        self.skip(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written_as_go_does() {
        for (layout, text, unix) in [
            (ANSIC, "Mon Jan  2 15:04:05 2006", Some(1_136_214_245)),
            (
                UNIX_DATE,
                "Mon Jan  2 15:04:05 MST 2006",
                Some(1_136_214_245),
            ),
            (
                RUBY_DATE,
                "Mon Jan 02 15:04:05 -0700 2006",
                Some(1_136_239_445),
            ),
            (KITCHEN, "3:04PM", Some(-62_167_164_960)),
            (RFC3339, "2006-01-02T15:04:05Z", Some(1_136_214_245)),
            (RFC3339, "2006-01-02T15:04:05.25+01:00", Some(1_136_210_645)),
            (
                RFC850,
                "Monday, 02-Jan-06 15:04:05 UTC",
                Some(1_136_214_245),
            ),
            ("2006-01-02", "2014-02-29", None),
            ("2006-01-02", "2014-1-2", None),
            ("2006-01-02 15:04", "2014-01-02 3:04", Some(1_388_631_840)),
        ] {
            let time = parse(layout, text, &TimeZone::UTC);
            assert_eq!(
                time.map(|time| time.timestamp().as_second()),
                unix,
                "{text}"
            );
        }
        let time = parse(RFC3339, "2006-01-02T03:04:05.120Z", &TimeZone::UTC).unwrap();
        for (layout, text) in [
            (RFC1123, "Mon, 02 Jan 2006 03:04:05 UTC"),
            (
                "Monday January _2 3:04:05.000 pm 06 002 -07:00 Z0700",
                "Monday January  2 3:04:05.120 am 06 002 +00:00 Z",
            ),
            ("15h .999 Month", "03h .12 Month"),
        ] {
            assert_eq!(format(&time, layout), text);
        }
    }
}
