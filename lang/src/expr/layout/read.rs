//! Text to times.
//! It never guesses: what does not fit the layout to its last character is no time.

use jiff::Zoned;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};

use super::write::zone_name;
use super::{DAYS, MONTHS, Pad, Part, parts};

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
