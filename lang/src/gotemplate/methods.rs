//! The methods that templates can call on times, durations and versions.
//! It never offers one that Go's types do not have.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::call::Param::{Duration, Int, Str, Time, Value, Version};
use super::cx::{Answer, Fault};
use super::funcs::{Function, bytes, function, int, utf8};
use super::value::{self, IntType, UintType, Val};
use crate::go::time::{self, Moment};
use std::rc::Rc;

/// The method of a value by its name.
pub(super) fn find(value: &Val<'_>, name: &str) -> Option<&'static Function> {
    let table: &'static [Function] = match value {
        Val::Time(_) => TIME,
        Val::Version(_) => VERSION,
        Val::Int(_, IntType::Duration) => DURATION,
        Val::Int(_, IntType::Month | IntType::Weekday) => NAMED,
        _ => return None,
    };
    table.iter().find(|method| method.name == name)
}

const TIME: &[Function] = &[
    function("Add", &[Time, Duration], |_, args| {
        wrap(moment(args, 0)?.add(int(args, 1))?)
    }),
    function("AddDate", &[Time, Int, Int, Int], |_, args| add_date(args)),
    function("After", &[Time, Time], |_, args| {
        Ok(Val::Bool(moment(args, 0)?.at > moment(args, 1)?.at))
    }),
    function("Before", &[Time, Time], |_, args| {
        Ok(Val::Bool(moment(args, 0)?.at < moment(args, 1)?.at))
    }),
    function("Equal", &[Time, Time], |_, args| {
        Ok(Val::Bool(moment(args, 0)?.at == moment(args, 1)?.at))
    }),
    function("Compare", &[Time, Time], |_, args| {
        Ok(Val::int(
            moment(args, 0)?.at.cmp(&moment(args, 1)?.at) as i64
        ))
    }),
    function("Day", &[Time], |_, args| small(civil(args)?.day())),
    function("Format", &[Time, Str], |cx, args| {
        cx.text(moment(args, 0)?.format(bytes(args, 1)))
    }),
    function("Hour", &[Time], |_, args| small(civil(args)?.hour())),
    function("IsZero", &[Time], |_, args| {
        Ok(Val::Bool(moment(args, 0)?.at == Moment::zero().at))
    }),
    function("Local", &[Time], |cx, args| {
        wrap(moment(args, 0)?.in_zone(cx.limits.zone.clone()))
    }),
    function("Minute", &[Time], |_, args| small(civil(args)?.minute())),
    function("Month", &[Time], |_, args| {
        Ok(Val::Int(i64::from(civil(args)?.month()), IntType::Month))
    }),
    function("Nanosecond", &[Time], |_, args| {
        Ok(Val::int(i64::from(civil(args)?.subsec_nanosecond())))
    }),
    function("Round", &[Time, Duration], |_, args| rounded(args, true)),
    function("Second", &[Time], |_, args| small(civil(args)?.second())),
    function("String", &[Time], |cx, args| {
        cx.text(moment(args, 0)?.to_string())
    }),
    function("Sub", &[Time, Time], |_, args| {
        Ok(Val::Int(
            moment(args, 0)?.since(moment(args, 1)?),
            IntType::Duration,
        ))
    }),
    function("Truncate", &[Time, Duration], |_, args| {
        rounded(args, false)
    }),
    function("UTC", &[Time], |_, args| {
        wrap(moment(args, 0)?.in_zone(TimeZone::UTC))
    }),
    function("Unix", &[Time], |_, args| unix(args, 1_000_000_000)),
    function("UnixMicro", &[Time], |_, args| unix(args, 1_000)),
    function("UnixMilli", &[Time], |_, args| unix(args, 1_000_000)),
    function("UnixNano", &[Time], |_, args| unix(args, 1)),
    function("Weekday", &[Time], |_, args| {
        let day = civil(args)?.weekday().to_sunday_zero_offset();
        Ok(Val::Int(i64::from(day), IntType::Weekday))
    }),
    function("Year", &[Time], |_, args| {
        Ok(Val::int(i64::from(civil(args)?.year())))
    }),
    function("YearDay", &[Time], |_, args| {
        Ok(Val::int(i64::from(civil(args)?.date().day_of_year())))
    }),
];

const VERSION: &[Function] = &[
    function("Compare", &[Version, Version], |_, args| {
        Ok(Val::int(version(args, 0)?.compare(version(args, 1)?) as i64))
    }),
    function("Equal", &[Version, Version], |_, args| {
        Ok(Val::Bool(
            version(args, 0)?.compare(version(args, 1)?).is_eq(),
        ))
    }),
    function("GreaterThan", &[Version, Version], |_, args| {
        Ok(Val::Bool(
            version(args, 0)?.compare(version(args, 1)?).is_gt(),
        ))
    }),
    function("GreaterThanEqual", &[Version, Version], |_, args| {
        Ok(Val::Bool(
            version(args, 0)?.compare(version(args, 1)?).is_ge(),
        ))
    }),
    function("IncMajor", &[Version], |_, args| {
        bumped(version(args, 0)?.next_major())
    }),
    function("IncMinor", &[Version], |_, args| {
        bumped(version(args, 0)?.next_minor())
    }),
    function("IncPatch", &[Version], |_, args| {
        bumped(version(args, 0)?.next_patch())
    }),
    function("LessThan", &[Version, Version], |_, args| {
        Ok(Val::Bool(
            version(args, 0)?.compare(version(args, 1)?).is_lt(),
        ))
    }),
    function("LessThanEqual", &[Version, Version], |_, args| {
        Ok(Val::Bool(
            version(args, 0)?.compare(version(args, 1)?).is_le(),
        ))
    }),
    function("Major", &[Version], |_, args| {
        Ok(uint(version(args, 0)?.major))
    }),
    function("Metadata", &[Version], |cx, args| {
        cx.text(version(args, 0)?.metadata.as_bytes())
    }),
    function("Minor", &[Version], |_, args| {
        Ok(uint(version(args, 0)?.minor))
    }),
    function("Original", &[Version], |cx, args| {
        cx.text(version(args, 0)?.original.as_bytes())
    }),
    function("Patch", &[Version], |_, args| {
        Ok(uint(version(args, 0)?.patch))
    }),
    function("Prerelease", &[Version], |cx, args| {
        cx.text(version(args, 0)?.pre.as_bytes())
    }),
    function("SetMetadata", &[Version, Str], |_, args| {
        bumped(version(args, 0)?.with_metadata(&utf8(args, 1))?)
    }),
    function("SetPrerelease", &[Version, Str], |_, args| {
        bumped(version(args, 0)?.with_prerelease(&utf8(args, 1))?)
    }),
    function("String", &[Version], |cx, args| {
        cx.text(version(args, 0)?.to_string())
    }),
];

const DURATION: &[Function] = &[
    function("Abs", &[Value], |_, args| {
        Ok(Val::Int(number(args).saturating_abs(), IntType::Duration))
    }),
    function("Hours", &[Value], |_, args| {
        in_units(args, 3_600_000_000_000)
    }),
    function("Microseconds", &[Value], |_, args| {
        Ok(Val::int64(number(args) / 1_000))
    }),
    function("Milliseconds", &[Value], |_, args| {
        Ok(Val::int64(number(args) / 1_000_000))
    }),
    function("Minutes", &[Value], |_, args| {
        in_units(args, 60_000_000_000)
    }),
    function("Nanoseconds", &[Value], |_, args| {
        Ok(Val::int64(number(args)))
    }),
    function("Seconds", &[Value], |_, args| in_units(args, 1_000_000_000)),
    function("String", &[Value], |cx, args| {
        cx.text(time::duration_text(number(args)))
    }),
];

const NAMED: &[Function] = &[function("String", &[Value], |cx, args| {
    match args.first() {
        Some(Val::Int(int, kind)) => cx.text(value::int_name(*int, *kind)),
        _ => Err(Fault::from("no receiver")),
    }
})];

fn moment<'v, 'a>(args: &'v [Val<'a>], index: usize) -> Result<&'v Moment, Fault> {
    match args.get(index) {
        Some(Val::Time(moment)) => Ok(moment),
        _ => Err(Fault::from("the argument is not a time")),
    }
}

fn version<'v, 'a>(
    args: &'v [Val<'a>],
    index: usize,
) -> Result<&'v super::funcs::semver::Version, Fault> {
    match args.get(index) {
        Some(Val::Version(version)) => Ok(version),
        _ => Err(Fault::from(
            "invalid memory address or nil pointer dereference",
        )),
    }
}

fn bumped<'a>(version: super::funcs::semver::Version) -> Answer<'a> {
    Ok(Val::Version(Rc::new(version)))
}

fn wrap<'a>(moment: Moment) -> Answer<'a> {
    Ok(Val::Time(Rc::new(moment)))
}

fn uint<'a>(number: u64) -> Val<'a> {
    Val::Uint(number, UintType::Uint64)
}

fn civil(args: &[Val<'_>]) -> Result<DateTime, Fault> {
    Ok(moment(args, 0)?.civil())
}

fn small<'a>(number: i8) -> Answer<'a> {
    Ok(Val::int(i64::from(number)))
}

fn number(args: &[Val<'_>]) -> i64 {
    int(args, 0)
}

/// Whole units and the rest apart, which is how Go keeps precision.
#[expect(clippy::cast_precision_loss, reason = "as Go's float64 conversion")]
fn in_units<'a>(args: &[Val<'_>], unit: i64) -> Answer<'a> {
    let nanoseconds = number(args);
    let (whole, rest) = (nanoseconds / unit, nanoseconds % unit);
    Ok(Val::Float(whole as f64 + rest as f64 / unit as f64))
}

fn unix<'a>(args: &[Val<'_>], scale: i128) -> Answer<'a> {
    let units = moment(args, 0)?.at.as_nanosecond().div_euclid(scale);
    let units = i64::try_from(units).map_err(|_| Fault::from("the time does not fit"))?;
    Ok(Val::int64(units))
}

fn rounded<'a>(args: &[Val<'_>], half_up: bool) -> Answer<'a> {
    let (moment, unit) = (moment(args, 0)?, i128::from(int(args, 1)));
    if unit <= 0 {
        return wrap(moment.clone());
    }
    // Go counts from its zero time.
    let since = moment.at.as_nanosecond() - Moment::zero().at.as_nanosecond();
    let rest = since.rem_euclid(unit);
    let shift = if half_up && rest * 2 >= unit {
        unit - rest
    } else {
        -rest
    };
    let shift = i64::try_from(shift).map_err(|_| Fault::from("the duration does not fit"))?;
    wrap(moment.add(shift)?)
}

fn add_date<'a>(args: &[Val<'a>]) -> Answer<'a> {
    let moment = moment(args, 0)?;
    let outside = || Fault::from("the time is outside the supported years");
    let civil = moment.civil();
    let months = i64::from(civil.year()) * 12 + i64::from(civil.month()) - 1;
    let months = int(args, 1)
        .checked_mul(12)
        .and_then(|years| years.checked_add(int(args, 2)))
        .and_then(|more| more.checked_add(months))
        .ok_or_else(outside)?;
    let year = i16::try_from(months.div_euclid(12)).map_err(|_| outside())?;
    let month = i8::try_from(months.rem_euclid(12) + 1).map_err(|_| outside())?;
    // Days beyond the end of the month run into the next, as in Go.
    let first = jiff::civil::Date::new(year, month, 1).map_err(|_| outside())?;
    let days = int(args, 3)
        .checked_add(i64::from(civil.day()) - 1)
        .ok_or_else(outside)?;
    let hours = days
        .checked_mul(24)
        .filter(|hours| hours.abs() < 200_000_000)
        .ok_or_else(outside)?;
    let date = first
        .checked_add(jiff::SignedDuration::from_hours(hours))
        .map_err(|_| outside())?;
    let zoned = date
        .to_datetime(civil.time())
        .to_zoned(moment.zone.clone())
        .map_err(|_| outside())?;
    wrap(Moment {
        at: zoned.timestamp(),
        ..moment.clone()
    })
}
