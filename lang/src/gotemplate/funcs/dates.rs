//! Sprig's dates.
//! It never reads the machine's zone: `Local` is what the limits say.

use super::{Function, any, bytes, function, utf8};
use crate::go::layout;
use crate::go::time::{self, Moment};
use crate::gotemplate::call::Param::{Any, Str, Time};
use crate::gotemplate::cx::{Answer, Cx, Fault};
use crate::gotemplate::value::{IntType, Val};
use jiff::tz::TimeZone;
use std::rc::Rc;

pub(super) const TABLE: &[Function] = &[
    function("now", &[], |cx, _| {
        wrap(Moment::new(cx.now(), cx.limits.zone.clone()))
    }),
    function("ago", &[Any], ago),
    function("date", &[Str, Any], |cx, args| {
        in_zone(cx, any(args, 1), bytes(args, 0), b"Local")
    }),
    function("dateInZone", &[Str, Any, Str], |cx, args| {
        in_zone(cx, any(args, 1), bytes(args, 0), bytes(args, 2))
    }),
    function("date_in_zone", &[Str, Any, Str], |cx, args| {
        in_zone(cx, any(args, 1), bytes(args, 0), bytes(args, 2))
    }),
    function("htmlDate", &[Any], |cx, args| {
        in_zone(cx, any(args, 0), b"2006-01-02", b"Local")
    }),
    function("htmlDateInZone", &[Any, Str], |cx, args| {
        in_zone(cx, any(args, 0), b"2006-01-02", bytes(args, 1))
    }),
    function("dateModify", &[Str, Time], |_, args| modify(args, false)),
    function("date_modify", &[Str, Time], |_, args| modify(args, false)),
    function("mustDateModify", &[Str, Time], |_, args| modify(args, true)),
    function("must_date_modify", &[Str, Time], |_, args| {
        modify(args, true)
    }),
    function("toDate", &[Str, Str], |cx, args| {
        let parsed = layout::parse(bytes(args, 0), bytes(args, 1), &cx.limits.zone);
        wrap(parsed.unwrap_or_else(|_| Moment::zero()))
    }),
    function("mustToDate", &[Str, Str], |cx, args| {
        wrap(layout::parse(
            bytes(args, 0),
            bytes(args, 1),
            &cx.limits.zone,
        )?)
    }),
    function("unixEpoch", &[Time], |cx, args| match any(args, 0) {
        Val::Time(moment) => cx.text(
            moment
                .at
                .as_nanosecond()
                .div_euclid(1_000_000_000)
                .to_string(),
        ),
        _ => Err(Fault::from("the argument is not a time")),
    }),
    function("duration", &[Any], |cx, args| {
        let seconds = match any(args, 0) {
            Val::Str(text) => parse_seconds(text),
            Val::Int(seconds, IntType::Int64) => *seconds,
            Val::Num(number) => number.as_i64().unwrap_or(0),
            _ => 0,
        };
        cx.text(time::duration_text(seconds.wrapping_mul(1_000_000_000)))
    }),
    function("durationRound", &[Any], duration_round),
];

fn wrap<'a>(moment: Moment) -> Answer<'a> {
    Ok(Val::Time(Rc::new(moment)))
}

/// Go's `ParseInt` without its error: the nearest end on overflow.
fn parse_seconds(text: &[u8]) -> i64 {
    let text = String::from_utf8_lossy(text);
    match text.parse::<i64>() {
        Ok(seconds) => seconds,
        Err(error) => match error.kind() {
            std::num::IntErrorKind::PosOverflow => i64::MAX,
            std::num::IntErrorKind::NegOverflow => i64::MIN,
            _ => 0,
        },
    }
}

/// What Sprig takes as a date: a time, or seconds since 1970; anything else is now.
fn date<'a>(cx: &Cx<'a>, value: &Val<'a>) -> Result<Moment, Fault> {
    match value {
        Val::Time(moment) => Ok((**moment).clone()),
        Val::Int(seconds, IntType::Int | IntType::Int64) => Ok(Moment::from_seconds(*seconds)?),
        Val::Num(number) if number.as_i64().is_some() => {
            Ok(Moment::from_seconds(number.as_i64().unwrap_or(0))?)
        }
        _ => Ok(Moment::new(cx.now(), cx.limits.zone.clone())),
    }
}

fn in_zone<'a>(cx: &Cx<'a>, value: &Val<'a>, layout: &[u8], zone: &[u8]) -> Answer<'a> {
    let zone = time::load_zone(zone, &cx.limits.zone).unwrap_or(TimeZone::UTC);
    cx.charge(layout.len() * 4)?;
    cx.text(date(cx, value)?.in_zone(zone).format(layout))
}

fn modify<'a>(args: &[Val<'a>], must: bool) -> Answer<'a> {
    let Val::Time(moment) = any(args, 1) else {
        return Err(Fault::from("the argument is not a time"));
    };
    match time::parse_duration(&utf8(args, 0)) {
        Ok(nanoseconds) => wrap(moment.add(nanoseconds)?),
        Err(what) if must => Err(Fault(what)),
        Err(_) => Ok(any(args, 1).clone()),
    }
}

fn ago<'a>(cx: &Cx<'a>, args: &[Val<'a>]) -> Answer<'a> {
    let moment = date(cx, any(args, 0))?;
    let now = Moment::new(cx.now(), TimeZone::UTC);
    cx.text(time::duration_text(time::round(
        now.since(&moment),
        1_000_000_000,
    )))
}

fn duration_round<'a>(cx: &Cx<'a>, args: &[Val<'a>]) -> Answer<'a> {
    let nanoseconds = match any(args, 0) {
        Val::Str(text) => time::parse_duration(&text.lossy()).unwrap_or(0),
        Val::Int(nanoseconds, IntType::Int64) => *nanoseconds,
        Val::Num(number) => number.as_i64().unwrap_or(0),
        Val::Time(moment) => Moment::new(cx.now(), TimeZone::UTC).since(moment),
        _ => 0,
    };
    let size = nanoseconds.unsigned_abs();
    const HOUR: u64 = 3_600_000_000_000;
    for (unit, name) in [
        (HOUR * 24 * 365, "y"),
        (HOUR * 24 * 30, "mo"),
        (HOUR * 24, "d"),
        (HOUR, "h"),
        (HOUR / 60, "m"),
        (HOUR / 3600, "s"),
    ] {
        if size > unit {
            return cx.text(format!("{}{name}", size / unit));
        }
    }
    Ok(Val::constant("0s"))
}
