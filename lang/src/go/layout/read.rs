//! Reads a time by a Go layout.
//! It never accepts a date that does not exist, nor text that the layout does not cover.

use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use super::{Piece, ZoneStyle, next_piece};
use crate::go::quote;
use crate::go::time::{DAYS, MONTHS, Moment, offset_name};

/// What has been read so far.
#[derive(Default)]
struct Fields {
    year: i32,
    month: Option<i32>,
    day: Option<i32>,
    year_day: Option<i32>,
    hour: i32,
    minute: i32,
    second: i32,
    nanosecond: i32,
    utc: bool,
    offset: Option<i32>,
    zone_name: Option<String>,
    pm: bool,
    am: bool,
}

enum Trouble {
    Bad,
    Range(&'static str),
}

type Read<T> = Result<T, Trouble>;

/// Go's `time.ParseInLocation`.
pub(crate) fn parse(layout: &[u8], value: &[u8], local: &TimeZone) -> Result<Moment, String> {
    let failed = |piece: &[u8], rest: &[u8], extra: &str| {
        let quoted = |bytes: &[u8]| {
            let mut out = Vec::new();
            quote::quote(bytes, false, &mut out);
            quote::to_string(out)
        };
        if !extra.is_empty() {
            return format!("parsing time {}{extra}", quoted(value));
        }
        let (value, layout) = (quoted(value), quoted(layout));
        let (rest, piece) = (quoted(rest), quoted(piece));
        format!("parsing time {value} as {layout}: cannot parse {rest} as {piece}")
    };
    let mut fields = Fields::default();
    let mut pieces = layout;
    let mut rest = value;
    loop {
        let (before, piece, after) = next_piece(pieces);
        rest = skip(rest, before).map_err(|rest| failed(before, rest, ""))?;
        let Some(piece) = piece else {
            if !rest.is_empty() {
                let mut shown = Vec::new();
                quote::quote(rest, false, &mut shown);
                let extra = format!(": extra text: {}", quote::to_string(shown));
                return Err(failed(b"", rest, &extra));
            }
            break;
        };
        let shown = pieces
            .get(before.len()..pieces.len() - after.len())
            .unwrap_or_default();
        let mut next = rest;
        match fields.read(piece, after, &mut next) {
            Ok(()) => rest = next,
            Err(Trouble::Bad) => return Err(failed(shown, rest, "")),
            Err(Trouble::Range(what)) => {
                return Err(failed(b"", b"", &format!(": {what} out of range")));
            }
        }
        pieces = after;
    }
    fields
        .resolve(local)
        .map_err(|what| failed(b"", b"", &format!(": {what}")))
}

/// Skips literal text; a space in the layout stands for any number of spaces.
fn skip<'v>(mut value: &'v [u8], mut prefix: &[u8]) -> Result<&'v [u8], &'v [u8]> {
    let cut = |mut text: &'v [u8]| {
        while let Some(rest) = text.strip_prefix(b" ") {
            text = rest;
        }
        text
    };
    while let Some((first, more)) = prefix.split_first() {
        if *first == b' ' {
            if value.first().is_some_and(|byte| *byte != b' ') {
                return Err(value);
            }
            while let Some(rest) = prefix.strip_prefix(b" ") {
                prefix = rest;
            }
            value = cut(value);
            continue;
        }
        match value.split_first() {
            Some((byte, rest)) if byte == first => value = rest,
            _ => return Err(value),
        }
        prefix = more;
    }
    Ok(value)
}

fn digit(value: &[u8], at: usize) -> Option<i32> {
    let byte = *value.get(at)?;
    byte.is_ascii_digit().then(|| i32::from(byte - b'0'))
}

fn take<'v>(value: &mut &'v [u8], count: usize) -> Read<&'v [u8]> {
    let (head, tail) = value.split_at_checked(count).ok_or(Trouble::Bad)?;
    *value = tail;
    Ok(head)
}

/// One or two digits; exactly two where `fixed`.
fn number(value: &mut &[u8], fixed: bool) -> Read<i32> {
    let first = digit(value, 0).ok_or(Trouble::Bad)?;
    match digit(value, 1) {
        Some(second) => {
            take(value, 2)?;
            Ok(first * 10 + second)
        }
        None if fixed => Err(Trouble::Bad),
        None => {
            take(value, 1)?;
            Ok(first)
        }
    }
}

fn all_digits(text: &[u8]) -> Read<i32> {
    let text = str::from_utf8(text).map_err(|_| Trouble::Bad)?;
    text.parse().map_err(|_| Trouble::Bad)
}

fn lookup(names: &[&str], length: Option<usize>, value: &mut &[u8]) -> Read<i32> {
    for (index, name) in names.iter().enumerate() {
        let name = name.get(..length.unwrap_or(name.len())).unwrap_or(name);
        let head = value.get(..name.len());
        if head.is_some_and(|head| head.eq_ignore_ascii_case(name.as_bytes())) {
            take(value, name.len())?;
            return i32::try_from(index).map_err(|_| Trouble::Bad);
        }
    }
    Err(Trouble::Bad)
}

fn within(number: i32, range: std::ops::Range<i32>, what: &'static str) -> Read<i32> {
    if range.contains(&number) {
        Ok(number)
    } else {
        Err(Trouble::Range(what))
    }
}

/// The digits after a point or comma, as nanoseconds.
fn nanoseconds(text: &[u8]) -> Read<i32> {
    let Some((b'.' | b',', digits)) = text.split_first() else {
        return Err(Trouble::Bad);
    };
    let kept = digits.get(..9).unwrap_or(digits);
    let scale = 10_i32.pow(9 - u32::try_from(kept.len()).unwrap_or(9));
    // Go reads a sign here, and refuses what is below zero.
    match all_digits(kept)? {
        fraction @ 0.. => Ok(fraction * scale),
        _ => Err(Trouble::Range("fractional second")),
    }
}

impl Fields {
    fn read(&mut self, piece: Piece, after: &[u8], value: &mut &[u8]) -> Read<()> {
        match piece {
            Piece::Year => {
                let year = all_digits(take(value, 2)?)?;
                self.year = if year >= 69 { year + 1900 } else { year + 2000 };
            }
            Piece::LongYear => {
                digit(value, 0).ok_or(Trouble::Bad)?;
                self.year = all_digits(take(value, 4)?)?;
            }
            Piece::Month => self.month = Some(lookup(&MONTHS, Some(3), value)? + 1),
            Piece::LongMonth => self.month = Some(lookup(&MONTHS, None, value)? + 1),
            Piece::NumMonth | Piece::ZeroMonth => {
                let month = number(value, piece == Piece::ZeroMonth)?;
                self.month = Some(within(month, 1..13, "month")?);
            }
            Piece::Weekday => drop(lookup(&DAYS, Some(3), value)?),
            Piece::LongWeekday => drop(lookup(&DAYS, None, value)?),
            Piece::Day | Piece::UnderDay | Piece::ZeroDay => {
                if piece == Piece::UnderDay {
                    *value = value.strip_prefix(b" ").unwrap_or(value);
                }
                self.day = Some(number(value, piece == Piece::ZeroDay)?);
            }
            Piece::UnderYearDay | Piece::ZeroYearDay => {
                let fixed = piece == Piece::ZeroYearDay;
                if !fixed {
                    for _ in 0..2 {
                        *value = value.strip_prefix(b" ").unwrap_or(value);
                    }
                }
                let count = (0..3).take_while(|at| digit(value, *at).is_some()).count();
                if count == 0 || fixed && count != 3 {
                    return Err(Trouble::Bad);
                }
                self.year_day = Some(all_digits(take(value, count)?)?);
            }
            Piece::Hour => self.hour = within(number(value, false)?, 0..24, "hour")?,
            Piece::Hour12 | Piece::ZeroHour12 => {
                let hour = number(value, piece == Piece::ZeroHour12)?;
                self.hour = within(hour, 0..13, "hour")?;
            }
            Piece::Minute | Piece::ZeroMinute => {
                let minute = number(value, piece == Piece::ZeroMinute)?;
                self.minute = within(minute, 0..60, "minute")?;
            }
            Piece::Second | Piece::ZeroSecond => self.read_second(piece, after, value)?,
            Piece::UpperHalf | Piece::LowerHalf => {
                let upper = piece == Piece::UpperHalf;
                match take(value, 2)? {
                    b"PM" if upper => self.pm = true,
                    b"AM" if upper => self.am = true,
                    b"pm" if !upper => self.pm = true,
                    b"am" if !upper => self.am = true,
                    _ => return Err(Trouble::Bad),
                }
            }
            Piece::Zone { utc_as_z, style } => self.read_zone(utc_as_z, style, value)?,
            Piece::ZoneName => {
                if value.starts_with(b"UTC") {
                    take(value, 3)?;
                    self.utc = true;
                } else {
                    let length = zone_name_length(value).ok_or(Trouble::Bad)?;
                    let name = take(value, length)?;
                    self.zone_name = Some(String::from_utf8_lossy(name).into_owned());
                }
            }
            Piece::Fraction {
                digits,
                trimmed: false,
            } => {
                self.nanosecond = nanoseconds(take(value, digits + 1)?)?;
            }
            Piece::Fraction { trimmed: true, .. } => {
                if matches!(value.first(), Some(b'.' | b',')) && digit(value, 1).is_some() {
                    let count = (1..).take_while(|at| digit(value, *at).is_some()).count();
                    self.nanosecond = nanoseconds(take(value, count + 1)?)?;
                }
            }
        }
        Ok(())
    }

    fn read_second(&mut self, piece: Piece, after: &[u8], value: &mut &[u8]) -> Read<()> {
        let second = number(value, piece == Piece::ZeroSecond)?;
        self.second = within(second, 0..60, "second")?;
        if matches!(value.first(), Some(b'.' | b',')) && digit(value, 1).is_some() {
            // A fraction may follow the seconds although the layout has none.
            if matches!(next_piece(after).1, Some(Piece::Fraction { .. })) {
                return Ok(());
            }
            let count = (1..).take_while(|at| digit(value, *at).is_some()).count();
            self.nanosecond = nanoseconds(take(value, count + 1)?)?;
        }
        Ok(())
    }

    fn read_zone(&mut self, utc_as_z: bool, style: ZoneStyle, value: &mut &[u8]) -> Read<()> {
        if utc_as_z && value.first() == Some(&b'Z') {
            take(value, 1)?;
            self.utc = true;
            return Ok(());
        }
        let colons = matches!(style, ZoneStyle::ColonMinutes | ZoneStyle::ColonSeconds);
        let numbers = match style {
            ZoneStyle::Hours => 1,
            ZoneStyle::Minutes | ZoneStyle::ColonMinutes => 2,
            ZoneStyle::Seconds | ZoneStyle::ColonSeconds => 3,
        };
        let length = 1 + numbers * 2 + if colons { numbers - 1 } else { 0 };
        let mut text = take(value, length)?;
        let sign = take(&mut text, 1)?;
        let mut offset = 0;
        let limits = [
            (24, "time zone offset hour"),
            (60, "time zone offset minute"),
            (60, "time zone offset second"),
        ];
        for (index, (limit, what)) in limits.into_iter().enumerate() {
            offset *= 60;
            if index >= numbers {
                continue;
            }
            if index > 0 && colons && take(&mut text, 1)? != b":" {
                return Err(Trouble::Bad);
            }
            let mut two = take(&mut text, 2)?;
            offset += within(number(&mut two, true)?, 0..limit + 1, what)?;
        }
        self.offset = Some(match sign {
            b"+" => offset,
            b"-" => -offset,
            _ => return Err(Trouble::Bad),
        });
        Ok(())
    }

    fn resolve(mut self, local: &TimeZone) -> Result<Moment, &'static str> {
        if self.pm && self.hour < 12 {
            self.hour += 12;
        } else if self.am && self.hour == 12 {
            self.hour = 0;
        }
        let year = i16::try_from(self.year).map_err(|_| "year out of range")?;
        let (month, day) = match self.year_day {
            Some(year_day) => self.by_year_day(year, year_day)?,
            None => (self.month.unwrap_or(1), self.day.unwrap_or(1)),
        };
        let small = |number: i32| i8::try_from(number).map_err(|_| "day out of range");
        let date = Date::new(year, small(month)?, small(day)?).map_err(|_| "day out of range")?;
        let (hour, minute, second) = (self.hour, self.minute, self.second);
        let civil = date.at(
            small(hour)?,
            small(minute)?,
            small(second)?,
            self.nanosecond,
        );
        let outside = |_| "time outside the supported years";
        let as_utc: Timestamp = civil.to_zoned(TimeZone::UTC).map_err(outside)?.timestamp();
        if self.utc {
            return Ok(Moment::new(as_utc, TimeZone::UTC));
        }
        let shifted = |offset: i32| {
            as_utc
                .checked_sub(SignedDuration::from_secs(i64::from(offset)))
                .map_err(outside)
        };
        let fixed = |offset: i32| {
            Offset::from_seconds(offset)
                .map(TimeZone::fixed)
                .map_err(outside)
        };
        if let Some(offset) = self.offset {
            let at = shifted(offset)?;
            let info = local.to_offset_info(at);
            let named = self
                .zone_name
                .as_deref()
                .is_none_or(|name| name == info.abbreviation());
            if info.offset().seconds() == offset && named {
                return Ok(Moment::new(at, local.clone()));
            }
            let name = self.zone_name.unwrap_or_else(|| offset_name(offset));
            return Ok(Moment {
                at,
                zone: fixed(offset)?,
                name: Some(name),
            });
        }
        if let Some(name) = self.zone_name {
            let here = civil.to_zoned(local.clone()).map_err(outside)?.timestamp();
            if local.to_offset_info(here).abbreviation() == name {
                return Ok(Moment::new(here, local.clone()));
            }
            let hours = name
                .strip_prefix("GMT")
                .and_then(|hours| hours.parse::<i32>().ok());
            let offset = hours.unwrap_or(0) * 3600;
            return Ok(Moment {
                at: as_utc,
                zone: fixed(offset)?,
                name: Some(name),
            });
        }
        let at = civil.to_zoned(local.clone()).map_err(outside)?.timestamp();
        Ok(Moment::new(at, local.clone()))
    }

    fn by_year_day(&self, year: i16, year_day: i32) -> Result<(i32, i32), &'static str> {
        const OUTSIDE: &str = "day-of-year out of range";
        let first = Date::new(year, 1, 1).map_err(|_| OUTSIDE)?;
        if year_day < 1 || year_day > i32::from(first.days_in_year()) {
            return Err(OUTSIDE);
        }
        let span = SignedDuration::from_hours(i64::from(year_day - 1) * 24);
        let date = first.checked_add(span).map_err(|_| OUTSIDE)?;
        let (month, day) = (i32::from(date.month()), i32::from(date.day()));
        if self.month.is_some_and(|given| given != month) {
            return Err("day-of-year does not match month");
        }
        if self.day.is_some_and(|given| given != day) {
            return Err("day-of-year does not match day");
        }
        Ok((month, day))
    }
}

/// How long a zone abbreviation at the start is.
fn zone_name_length(value: &[u8]) -> Option<usize> {
    let signed = |value: &[u8]| {
        let digits = value
            .iter()
            .skip(1)
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let text = str::from_utf8(value.get(1..=digits)?).ok()?;
        (text.parse::<u64>().ok()? <= 23).then_some(digits + 1)
    };
    if value.len() < 3 {
        return None;
    }
    if value.starts_with(b"ChST") || value.starts_with(b"MeST") {
        return Some(4);
    }
    if let Some(rest) = value.strip_prefix(b"GMT") {
        let sign = matches!(rest.first(), Some(b'+' | b'-'));
        let extra = if sign { signed(rest) } else { None };
        return Some(3 + extra.unwrap_or(0));
    }
    if matches!(value.first(), Some(b'+' | b'-')) {
        return signed(value);
    }
    let upper = value
        .iter()
        .take(6)
        .take_while(|byte| byte.is_ascii_uppercase())
        .count();
    match upper {
        3 => Some(3),
        4 if value.get(3) == Some(&b'T') || value.starts_with(b"WITA") => Some(4),
        5 if value.get(4) == Some(&b'T') => Some(5),
        _ => None,
    }
}
