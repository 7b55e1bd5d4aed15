//! The conformance tables of the reference, section 15.3: context, time, script and their combination.

use tiphys_core::Event;

use super::tests::{letter, verdict_of};
use crate::testing::event;

#[test]
fn contexts_times_and_scripts_answer_as_the_reference_says() {
    let at = |time: &str| Event {
        time: time.parse().ok(),
        ..event("e", r#"{"a":"hello","b":"hello"}"#)
    };
    let day = "2024-07-15";
    let span = |start: &str, stop: &str, zone: &str| {
        format!("filters: {{time: {{start: '{start}', stop: '{stop}', timezone: '{zone}'}}}}")
    };
    let (ny, tokyo) = ("America/New_York", "Asia/Tokyo");
    for (case, filter, time, expected) in [
        (
            "C1",
            "filters: {context: {type: calendar}}".into(),
            format!("{day}T00:00:00Z"),
            'N',
        ),
        (
            "C2",
            "filters: {context: {type: webhook, source: webhook}}".into(),
            format!("{day}T00:00:00Z"),
            'P',
        ),
        (
            "T1",
            span("08:09:10", "16:17:18", ""),
            format!("{day}T04:05:06Z"),
            'N',
        ),
        (
            "T1",
            span("08:09:10", "16:17:18", ""),
            format!("{day}T08:09:10Z"),
            'P',
        ),
        (
            "T1",
            span("08:09:10", "16:17:18", ""),
            format!("{day}T16:17:18Z"),
            'N',
        ),
        (
            "T2",
            span("16:17:18", "08:09:10", ""),
            format!("{day}T00:00:00Z"),
            'P',
        ),
        (
            "T2",
            span("16:17:18", "08:09:10", ""),
            format!("{day}T12:13:14Z"),
            'N',
        ),
        (
            "T3",
            span("09:00:00", "17:00:00", ny),
            format!("{day}T14:00:00Z"),
            'P',
        ),
        (
            "T3",
            span("09:00:00", "17:00:00", ny),
            format!("{day}T12:00:00Z"),
            'N',
        ),
        (
            "T3",
            span("09:00:00", "17:00:00", ny),
            "2024-01-15T15:00:00Z".into(),
            'P',
        ),
        (
            "T4",
            span("09:00:00", "17:00:00", tokyo),
            format!("{day}T01:00:00Z"),
            'P',
        ),
        (
            "T5",
            span("09:00:00", "17:00:00", "Invalid/Timezone"),
            format!("{day}T01:00:00Z"),
            'E',
        ),
        (
            "T6",
            span("22:00:00", "06:00:00", ny),
            format!("{day}T09:59:59Z"),
            'P',
        ),
        (
            "T6",
            span("22:00:00", "06:00:00", ny),
            format!("{day}T10:00:00Z"),
            'N',
        ),
        (
            "T7",
            span("09:00:00", "17:00:00", ny),
            format!("{day}T20:59:59.999Z"),
            'P',
        ),
        (
            "T8",
            span("09:09:0", "10:10", ""),
            format!("{day}T01:00:00Z"),
            'E',
        ),
        (
            "S1",
            "filters: {script: 'if event.a == \"hello\" then return true end return false'}".into(),
            format!("{day}T00:00:00Z"),
            'P',
        ),
        (
            "S2",
            "filters: {script: 'if event.a == event.b then return false end return true'}".into(),
            format!("{day}T00:00:00Z"),
            'N',
        ),
        (
            "S3",
            "filters: {script: 'return undefined.x'}".into(),
            format!("{day}T00:00:00Z"),
            'E',
        ),
        (
            "S4",
            "filters: {script: 'return 1'}".into(),
            format!("{day}T00:00:00Z"),
            'N',
        ),
        (
            "S5",
            "filters: {script: 'return event, true'}".into(),
            format!("{day}T00:00:00Z"),
            'P',
        ),
    ] {
        let (verdict, _) = verdict_of(&filter, at(&time));
        assert_eq!(
            letter(&verdict),
            expected,
            "{case} {filter} {time} {verdict:?}"
        );
    }
}

#[test]
fn parts_are_combined_as_the_reference_says() {
    let context = |kind: &str| format!("context: {{type: {kind}}}");
    let (yes, no) = (context("webhook"), context("other"));
    let data = |path: &str, value: &str| {
        format!("data: [{{path: {path}, type: string, value: [{value}]}}]")
    };
    let exprs = |value: &str| {
        format!("exprs: [{{expr: 'k == \"{value}\"', fields: [{{name: k, path: k}}]}}]")
    };
    for (case, parts, operator, expected) in [
        ("F1", String::new(), "and", 'P'),
        ("F2", data("k", "v"), "or", 'P'),
        ("F3", format!("{yes}, {}", data("k", "x")), "", 'N'),
        ("F4", format!("{no}, {}", data("k", "v")), "and", 'N'),
        ("F5", format!("{yes}, {}", data("z", "v")), "and", 'E'),
        ("F6", format!("{yes}, {}", data("z", "v")), "or", 'P'),
        (
            "F8",
            format!("{}, {}", data("k", "v"), exprs("x")),
            "or",
            'P',
        ),
        (
            "F10",
            format!("{}, {}", data("k", "x"), exprs("x")),
            "or",
            'N',
        ),
        ("F14", String::new(), "or", 'N'),
        (
            "F16",
            format!("{yes}, {}, {}", data("k", "v"), exprs("v")),
            "and",
            'P',
        ),
    ] {
        let filter = format!("filters: {{{parts}}}\nfiltersLogicalOperator: '{operator}'");
        let (verdict, _) = verdict_of(&filter, event("e", r#"{"k":"v"}"#));
        assert_eq!(letter(&verdict), expected, "{case} {verdict:?}");
    }
}
