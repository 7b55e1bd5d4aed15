//! Times to text.
//! It never fails: a layout without known words is written as it is.

use jiff::Zoned;
use jiff::tz::TimeZone;

use super::{Pad, Part, day_name, month_name, parts};

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
