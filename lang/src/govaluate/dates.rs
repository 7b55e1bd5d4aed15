//! Quoted text that govaluate takes for a moment in time.
//! It never depends on the machine's zone: text without one is UTC, as in a container.

use jiff::tz::TimeZone;

use crate::go::layout;

const LAYOUTS: [&str; 13] = [
    layout::ANSIC,
    layout::UNIX_DATE,
    layout::RUBY_DATE,
    layout::KITCHEN,
    layout::RFC3339,
    "2006-01-02",
    "2006-01-02 15:04",
    "2006-01-02 15:04:05",
    "2006-01-02 15:04:05-07:00",
    "2006-01-02T15Z0700",
    "2006-01-02T15:04Z0700",
    "2006-01-02T15:04:05Z0700",
    "2006-01-02T15:04:05.999999999Z0700",
];

/// Unix seconds, if the text is a date or time in one of the known layouts.
pub(super) fn unix_seconds(text: &str) -> Option<i64> {
    // Every layout starts with a digit or a weekday's letter and is short.
    if text.len() > 64 || !text.starts_with(|char: char| char.is_ascii_alphanumeric()) {
        return None;
    }
    let time = LAYOUTS.iter().find_map(|layout| {
        layout::parse(layout.as_bytes(), text.as_bytes(), &TimeZone::UTC).ok()
    })?;
    let seconds = time.at.as_second();
    // Whole seconds are counted downwards, also before 1970.
    Some(if time.at.subsec_nanosecond() < 0 {
        seconds - 1
    } else {
        seconds
    })
}
