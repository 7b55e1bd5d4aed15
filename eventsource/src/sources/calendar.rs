//! `calendar` makes events by the clock.
//!
//! ```yaml
//! calendar:
//!   example:
//!     schedule: "*/5 * * * *"
//!     timezone: Europe/Berlin
//! ```
//!
//! This kind is read and checked; running it is not supported yet.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tiphys_core::Problems;
use tiphys_core::duration;

use crate::source::{Replicas, SourceSpec};
use crate::spec::FilterSpec;

/// Events by the clock.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Calendar {
    /// A cron expression of five fields; wins over `interval`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub schedule: String,
    /// A Go duration, as 10s.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub interval: String,
    /// Days without events, as EXDATE:20240101T000000Z.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclusion_dates: Vec<String>,
    /// The zone of the schedule, as Europe/Berlin. Default: that of the process.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub timezone: String,
    /// Copied into the event data.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// How missed events are made up for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub persistence: Option<CalendarPersistence>,
    /// Drops events that do not meet a condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<FilterSpec>,
}

/// How missed events are made up for.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CalendarPersistence {
    /// Whether they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub catchup: Option<CalendarCatchup>,
    /// Where the time of the last event is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_map: Option<CalendarConfigMap>,
}

/// Whether missed events are made up for.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CalendarCatchup {
    /// They are.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub enabled: bool,
    /// Not those that are older than this Go duration.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub max_duration: String,
}

/// Where the time of the last event is kept.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CalendarConfigMap {
    /// The ConfigMap.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Make it where it is missing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub create_if_not_exist: bool,
}

impl SourceSpec for Calendar {
    const KIND: &'static str = "calendar";
    const REPLICAS: Replicas = Replicas::One;

    fn validate(&self, problems: &mut Problems) {
        if self.schedule.is_empty() && self.interval.is_empty() {
            problems.error("must have schedule, as \"*/5 * * * *\", or interval, as 10s");
        }
        if !self.schedule.is_empty() {
            problems.at("schedule", |problems| {
                check_schedule(&self.schedule, problems);
            });
        }
        if !self.interval.is_empty() {
            problems.at("interval", |problems| match duration::parse(&self.interval) {
                Err(error) => problems.error(error.to_string()),
                Ok(interval) if interval.as_millis() < 1000 && self.schedule.is_empty() => {
                    problems.warning("must be at least 1s for Argo Events, which else makes events without end");
                }
                Ok(_) => {}
            });
        }
        if !self.timezone.is_empty() && jiff::tz::TimeZone::get(&self.timezone).is_err() {
            problems.at("timezone", |problems| {
                problems.error(format!(
                    "must be a time zone, as Europe/Berlin, not {:?}",
                    self.timezone
                ));
            });
        }
        problems.each("exclusionDates", &self.exclusion_dates, |date, problems| {
            if !date.starts_with("EXDATE:") {
                problems.warning("has no effect; write it as EXDATE:20240101T000000Z");
            }
        });
        if let Some(persistence) = &self.persistence {
            problems.at("persistence", |problems| persistence.validate(problems));
        }
        FilterSpec::validate(self.filter.as_ref(), problems);
    }

    fn filter(&self) -> Option<&str> {
        self.filter
            .as_ref()
            .map(|filter| filter.expression.as_str())
    }
}

impl CalendarPersistence {
    fn validate(&self, problems: &mut Problems) {
        if let Some(catchup) = &self.catchup
            && !catchup.max_duration.is_empty()
            && let Err(error) = duration::parse(&catchup.max_duration)
        {
            problems.at("catchup", |problems| {
                problems.at("maxDuration", |problems| problems.error(error.to_string()));
            });
        }
        match &self.config_map {
            None => problems.warning("has no effect without configMap"),
            Some(map) => problems.at("configMap", |problems| {
                problems.require("name", &map.name, " to the name of the ConfigMap");
            }),
        }
    }
}

/// Five fields, perhaps behind a time zone; each made of numbers or names within its range.
fn check_schedule(schedule: &str, problems: &mut Problems) {
    const RANGES: [(&str, u32, u32); 5] = [
        ("minute", 0, 59),
        ("hour", 0, 23),
        ("day of the month", 1, 31),
        ("month", 1, 12),
        ("day of the week", 0, 6),
    ];
    let mut fields: Vec<&str> = schedule.split_whitespace().collect();
    let zone = fields.first().and_then(|first| {
        first
            .strip_prefix("CRON_TZ=")
            .or_else(|| first.strip_prefix("TZ="))
    });
    if let Some(zone) = zone {
        if jiff::tz::TimeZone::get(zone).is_err() {
            problems.error(format!(
                "must name a time zone, as TZ=Europe/Berlin, not {zone:?}"
            ));
        }
        fields.remove(0);
    }
    if fields.len() != RANGES.len() {
        problems.error(format!(
            "must have five fields, minute hour day month weekday, not {}",
            fields.len()
        ));
        return;
    }
    for (field, (what, low, high)) in fields.into_iter().zip(RANGES) {
        if !field.split(',').all(|part| part_fits(part, low, high)) {
            problems.error(format!(
                "must have {low} to {high} as {what}, not {field:?}"
            ));
        }
    }
}

/// One part of a list: a star, a value or a range, perhaps with a step.
fn part_fits(part: &str, low: u32, high: u32) -> bool {
    const NAMES: [&str; 19] = [
        "sun", "mon", "tue", "wed", "thu", "fri", "sat", "jan", "feb", "mar", "apr", "may", "jun",
        "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    let (range, step) = part.split_once('/').unwrap_or((part, "1"));
    if step.parse::<u32>().map_or(true, |step| step == 0) {
        return false;
    }
    if range == "*" || range == "?" {
        return true;
    }
    let value = |text: &str| match text.parse::<u32>() {
        Ok(number) => (low..=high).contains(&number).then_some(number),
        Err(_) => {
            let at = NAMES
                .iter()
                .position(|name| text.eq_ignore_ascii_case(name))?;
            let at = u32::try_from(at).ok()?;
            // Days are counted from 0 in their field, months from 1 in theirs.
            match high {
                6 => (at < 7).then_some(at),
                12 => (at >= 7).then(|| at - 6),
                _ => None,
            }
        }
    };
    match range.split_once('-') {
        Some((from, to)) => match (value(from), value(to)) {
            (Some(from), Some(to)) => from <= to,
            _ => false,
        },
        None => value(range).is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_have_five_fields_within_their_ranges() {
        for (schedule, good) in [
            ("* * * * *", true),
            ("*/15 * * * ?", true),
            ("5/15 0 1 JAN-mar SUN,2", true),
            ("TZ=America/New_York 0 5 * * *", true),
            ("TZ=Nowhere 0 5 * * *", false),
            ("@hourly", false),
            ("* * * *", false),
            ("*/5 * * * * *", false),
            ("60 * * * *", false),
            ("0 0 * * 7", false),
            ("*/0 * * * *", false),
            (", * * * *", false),
            ("5-1 * * * *", false),
            ("TZ=UTC", false),
        ] {
            let mut problems = Problems::default();
            check_schedule(schedule, &mut problems);
            assert_eq!(problems.is_empty(), good, "{schedule}: {problems}");
        }
    }
}
