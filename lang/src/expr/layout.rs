//! Times in Go's layouts (`2006-01-02 15:04:05`), read and written as Go's `time` package does.
//! It never asks for the time or for the machine's zone: both are arguments.

mod read;
mod write;

pub(crate) use read::parse;
pub(crate) use write::format;

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

const fn offset(z: bool, colon: bool, seconds: bool, short: bool) -> Part<'static> {
    Part::Offset {
        z,
        colon,
        seconds,
        short,
    }
}

/// The words of a layout; of two that fit, the first one counts.
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
    ("-070000", offset(false, false, true, false)),
    ("-07:00:00", offset(false, true, true, false)),
    ("-0700", offset(false, false, false, false)),
    ("-07:00", offset(false, true, false, false)),
    ("-07", offset(false, false, false, true)),
    ("Z070000", offset(true, false, true, false)),
    ("Z07:00:00", offset(true, true, true, false)),
    ("Z0700", offset(true, false, false, false)),
    ("Z07:00", offset(true, true, false, false)),
    ("Z07", offset(true, false, false, true)),
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
