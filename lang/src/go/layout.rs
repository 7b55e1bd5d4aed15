//! Go's time layouts: the pieces of `2006-01-02`, and how a time is written by them.
//! Writing never fails: what is no piece is copied.

mod read;

use super::time::{DAYS, MONTHS, Moment};

pub(crate) use read::parse;

pub(crate) const ANSIC: &str = "Mon Jan _2 15:04:05 2006";
pub(crate) const UNIX_DATE: &str = "Mon Jan _2 15:04:05 MST 2006";
pub(crate) const RUBY_DATE: &str = "Mon Jan 02 15:04:05 -0700 2006";
pub(crate) const KITCHEN: &str = "3:04PM";
pub(crate) const RFC3339: &str = "2006-01-02T15:04:05Z07:00";
pub(crate) const RFC822: &str = "02 Jan 06 15:04 MST";
pub(crate) const RFC850: &str = "Monday, 02-Jan-06 15:04:05 MST";
pub(crate) const RFC1123: &str = "Mon, 02 Jan 2006 15:04:05 MST";

/// A piece of a layout.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Piece {
    LongMonth,
    Month,
    NumMonth,
    ZeroMonth,
    LongWeekday,
    Weekday,
    Day,
    UnderDay,
    ZeroDay,
    UnderYearDay,
    ZeroYearDay,
    Hour,
    Hour12,
    ZeroHour12,
    Minute,
    ZeroMinute,
    Second,
    ZeroSecond,
    LongYear,
    Year,
    UpperHalf,
    LowerHalf,
    ZoneName,
    Zone {
        utc_as_z: bool,
        style: ZoneStyle,
    },
    /// Digits, and whether trailing zeros go.
    Fraction {
        digits: usize,
        trimmed: bool,
    },
}

/// How a zone offset is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ZoneStyle {
    Hours,
    Minutes,
    ColonMinutes,
    Seconds,
    ColonSeconds,
}

const ZONES: [(&[u8], ZoneStyle); 5] = [
    (b"070000", ZoneStyle::Seconds),
    (b"07:00:00", ZoneStyle::ColonSeconds),
    (b"0700", ZoneStyle::Minutes),
    (b"07:00", ZoneStyle::ColonMinutes),
    (b"07", ZoneStyle::Hours),
];

/// The text before the first piece, the piece, and what follows.
pub(crate) fn next_piece(layout: &[u8]) -> (&[u8], Option<Piece>, &[u8]) {
    for at in 0..layout.len() {
        let (before, rest) = layout.split_at_checked(at).unwrap_or((layout, b""));
        if let Some((piece, skip, length)) = piece_at(rest) {
            let end = at + skip;
            let before = layout.get(..end).unwrap_or(before);
            return (
                before,
                Some(piece),
                layout.get(end + length..).unwrap_or_default(),
            );
        }
    }
    (layout, None, b"")
}

/// A piece at the start: what it is, the bytes before it that are literal, and its length.
fn piece_at(rest: &[u8]) -> Option<(Piece, usize, usize)> {
    let is = |text: &[u8]| rest.starts_with(text);
    let lower_after = |at: usize| rest.get(at).is_some_and(u8::is_ascii_lowercase);
    let found = |piece, length| Some((piece, 0, length));
    match rest.first()? {
        b'J' if is(b"January") => found(Piece::LongMonth, 7),
        b'J' if is(b"Jan") && !lower_after(3) => found(Piece::Month, 3),
        b'M' if is(b"Monday") => found(Piece::LongWeekday, 6),
        b'M' if is(b"Mon") && !lower_after(3) => found(Piece::Weekday, 3),
        b'M' if is(b"MST") => found(Piece::ZoneName, 3),
        b'0' => match rest.get(1)? {
            b'1' => found(Piece::ZeroMonth, 2),
            b'2' => found(Piece::ZeroDay, 2),
            b'3' => found(Piece::ZeroHour12, 2),
            b'4' => found(Piece::ZeroMinute, 2),
            b'5' => found(Piece::ZeroSecond, 2),
            b'6' => found(Piece::Year, 2),
            b'0' if is(b"002") => found(Piece::ZeroYearDay, 3),
            _ => None,
        },
        b'1' if is(b"15") => found(Piece::Hour, 2),
        b'1' => found(Piece::NumMonth, 1),
        b'2' if is(b"2006") => found(Piece::LongYear, 4),
        b'2' => found(Piece::Day, 1),
        b'_' if is(b"_2006") => Some((Piece::LongYear, 1, 4)),
        b'_' if is(b"_2") => found(Piece::UnderDay, 2),
        b'_' if is(b"__2") => found(Piece::UnderYearDay, 3),
        b'3' => found(Piece::Hour12, 1),
        b'4' => found(Piece::Minute, 1),
        b'5' => found(Piece::Second, 1),
        b'P' if is(b"PM") => found(Piece::UpperHalf, 2),
        b'p' if is(b"pm") => found(Piece::LowerHalf, 2),
        first @ (b'-' | b'Z') => {
            let after = rest.get(1..)?;
            let (text, style) = ZONES
                .into_iter()
                .find(|(text, _)| after.starts_with(text))?;
            found(
                Piece::Zone {
                    utc_as_z: *first == b'Z',
                    style,
                },
                text.len() + 1,
            )
        }
        b'.' | b',' => {
            let digit = *rest.get(1)?;
            if digit != b'0' && digit != b'9' {
                return None;
            }
            let digits = rest
                .iter()
                .skip(1)
                .take_while(|byte| **byte == digit)
                .count();
            if rest.get(digits + 1).is_some_and(u8::is_ascii_digit) {
                return None;
            }
            found(
                Piece::Fraction {
                    digits,
                    trimmed: digit == b'9',
                },
                digits + 1,
            )
        }
        _ => None,
    }
}

/// Writes a time by a layout.
pub(crate) fn format(moment: &Moment, layout: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = layout;
    while !rest.is_empty() {
        let (before, piece, after) = next_piece(rest);
        out.extend_from_slice(before);
        if let Some(piece) = piece {
            let separator = rest.get(before.len()).copied().unwrap_or(b'.');
            out.extend_from_slice(write(moment, piece, separator).as_bytes());
        }
        rest = after;
    }
    out
}

fn write(moment: &Moment, piece: Piece, separator: u8) -> String {
    let civil = moment.civil();
    let month = usize::from(civil.month().unsigned_abs());
    let hour12 = match civil.hour() % 12 {
        0 => 12,
        hour => hour,
    };
    let name = |names: &[&str], index: usize| (*names.get(index).unwrap_or(&"")).to_owned();
    let short = |text: String| text.chars().take(3).collect::<String>();
    let weekday = usize::from(civil.weekday().to_sunday_zero_offset().unsigned_abs());
    let year_day = civil.date().day_of_year();
    match piece {
        Piece::LongMonth => name(&MONTHS, month - 1),
        Piece::Month => short(name(&MONTHS, month - 1)),
        Piece::NumMonth => month.to_string(),
        Piece::ZeroMonth => format!("{month:02}"),
        Piece::LongWeekday => name(&DAYS, weekday),
        Piece::Weekday => short(name(&DAYS, weekday)),
        Piece::Day => civil.day().to_string(),
        Piece::UnderDay => format!("{:2}", civil.day()),
        Piece::ZeroDay => format!("{:02}", civil.day()),
        Piece::UnderYearDay => format!("{year_day:3}"),
        Piece::ZeroYearDay => format!("{year_day:03}"),
        Piece::Hour => format!("{:02}", civil.hour()),
        Piece::Hour12 => hour12.to_string(),
        Piece::ZeroHour12 => format!("{hour12:02}"),
        Piece::Minute => civil.minute().to_string(),
        Piece::ZeroMinute => format!("{:02}", civil.minute()),
        Piece::Second => civil.second().to_string(),
        Piece::ZeroSecond => format!("{:02}", civil.second()),
        Piece::LongYear if civil.year() < 0 => format!("-{:04}", civil.year().unsigned_abs()),
        Piece::LongYear => format!("{:04}", civil.year()),
        Piece::Year => format!("{:02}", civil.year().rem_euclid(100)),
        Piece::UpperHalf => if civil.hour() >= 12 { "PM" } else { "AM" }.to_owned(),
        Piece::LowerHalf => if civil.hour() >= 12 { "pm" } else { "am" }.to_owned(),
        Piece::ZoneName => moment.abbreviation(),
        Piece::Zone { utc_as_z, style } => zone(moment.offset().seconds(), utc_as_z, style),
        Piece::Fraction { digits, trimmed } => {
            let all = format!("{:09}", civil.subsec_nanosecond());
            let mut kept = all.get(..digits.min(9)).unwrap_or(&all).to_owned();
            kept.push_str(&"0".repeat(digits.saturating_sub(9)));
            if trimmed {
                kept.truncate(kept.trim_end_matches('0').len());
                if kept.is_empty() {
                    return kept;
                }
            }
            format!("{}{kept}", char::from(separator))
        }
    }
}

fn zone(offset: i32, utc_as_z: bool, style: ZoneStyle) -> String {
    if utc_as_z && offset == 0 {
        return "Z".to_owned();
    }
    let size = offset.unsigned_abs();
    let sign = if offset < 0 { '-' } else { '+' };
    let (hours, minutes, seconds) = (size / 3600, size / 60 % 60, size % 60);
    match style {
        ZoneStyle::Hours => format!("{sign}{hours:02}"),
        ZoneStyle::Minutes => format!("{sign}{hours:02}{minutes:02}"),
        ZoneStyle::ColonMinutes => format!("{sign}{hours:02}:{minutes:02}"),
        ZoneStyle::Seconds => format!("{sign}{hours:02}{minutes:02}{seconds:02}"),
        ZoneStyle::ColonSeconds => format!("{sign}{hours:02}:{minutes:02}:{seconds:02}"),
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

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
            let time = parse(layout.as_bytes(), text.as_bytes(), &TimeZone::UTC);
            assert_eq!(time.ok().map(|time| time.at.as_second()), unix, "{text}");
        }
        let time = parse(
            RFC3339.as_bytes(),
            b"2006-01-02T03:04:05.120Z",
            &TimeZone::UTC,
        )
        .unwrap();
        for (layout, text) in [
            (RFC1123, "Mon, 02 Jan 2006 03:04:05 UTC"),
            (
                "Monday January _2 3:04:05.000 pm 06 002 -07:00 Z0700",
                "Monday January  2 3:04:05.120 am 06 002 +00:00 Z",
            ),
            ("15h .999 Month", "03h .12 Month"),
        ] {
            assert_eq!(format(&time, layout.as_bytes()), text.as_bytes());
        }
    }
}
