//! Case tables of Lua scripts: what survives a round trip, and that no script outlives its budget.

use super::*;
use crate::json;

fn value(text: &str) -> Value {
    json::parse(text.as_bytes()).unwrap()
}

fn transform(script: &str, event: &str) -> Result<String, ScriptError> {
    Script::compile(script)?
        .transform(&value(event))
        .map(|value| value.to_json())
}

#[test]
fn arrays_and_digits_survive() {
    for (script, event, want) in [
        ("return event", r#"{"a":[]}"#, r#"{"a":[]}"#),
        (
            "return event",
            r#"{"a":[[1,2],[3],[]]}"#,
            r#"{"a":[[1,2],[3],[]]}"#,
        ),
        (
            "return event",
            r#"{"n":9007199254740993,"f":1.50}"#,
            r#"{"f":1.50,"n":9007199254740993}"#,
        ),
        (
            "return event",
            r#"{"l":[12345678901234567890,null,1]}"#,
            r#"{"l":[12345678901234567890,1]}"#,
        ),
        (
            "event.n = event.n + 2 return event",
            r#"{"n":9007199254740993}"#,
            r#"{"n":9007199254740994}"#,
        ),
        ("event.a = {} return event", r#"{"a":[]}"#, r#"{"a":{}}"#),
        (
            "table.insert(event.a, 1) return event",
            r#"{"a":[]}"#,
            r#"{"a":[1]}"#,
        ),
        ("return {b = event.a}", r#"{"a":[]}"#, r#"{"b":[]}"#),
        (
            "return event",
            r#"{"a":[null],"o":{"x":null}}"#,
            r#"{"a":[],"o":{}}"#,
        ),
        ("return event", "null", "{}"),
    ] {
        assert_eq!(
            transform(script, event).as_deref(),
            Ok(want),
            "{script} on {event}"
        );
    }
}

#[test]
fn nothing_dangerous_is_there() {
    for name in WITHHELD_NAMES {
        let script = format!("return {{there = {name} ~= nil}}");
        assert_eq!(
            transform(&script, "{}").as_deref(),
            Ok(r#"{"there":false}"#),
            "{name}"
        );
    }
    for script in [
        "string.upper = nil",
        "getmetatable('').__index = nil",
        "_G.string.format = 1",
        "return loadstring('return 1')",
    ] {
        assert!(transform(script, "{}").is_err(), "{script}");
    }
}

const WITHHELD_NAMES: [&str; 9] = [
    "os",
    "io",
    "debug",
    "load",
    "loadstring",
    "dofile",
    "require",
    "collectgarbage",
    "newproxy",
];

#[test]
fn hostile_scripts_end() {
    let deep_call = "local function f(n) return 1 + f(n) end return {x = f(1)}";
    for (script, what) in [
        ("while true do end", "too much"),
        (
            "while true do pcall(function() while true do end end) end",
            "too much",
        ),
        ("while true do pcall(error) end", "too much"),
        ("local f f = function() return f() end f()", "overflow"),
        (
            "repeat local c = coroutine.wrap(function() while true do end end) pcall(c) until false",
            "too much",
        ),
        ("for i = 1, 1e12 do end return {}", "too much"),
        ("string.rep('x', 1e9) return {}", "too much memory"),
        ("local t = {} for i = 1, 1e9 do t[i] = i end", "too much"),
        (
            "local s = 'x' while true do s = s .. s end",
            "too much memory",
        ),
        (
            "local s = string.rep('a', 5000) return {string.find(s, string.rep('a-', 40) .. 'b')}",
            "too",
        ),
        (deep_call, "stack overflow"),
        (
            "setmetatable(event, {__index = function(t, k) return t[k] end}) return {event.x}",
            "overflow",
        ),
        ("event.e = event return event", "contains itself"),
        (
            "local t = {} for i = 1, 40 do t = {t, t} end return t",
            "too large",
        ),
        ("return {[50000000] = 1}", "too large"),
        ("return {[{}] = 1}", "table is a key"),
        ("error('no')", "no in line 1"),
        ("error({})", ""),
        ("return {f = print}", "function"),
        ("return {n = 0/0}", "NaN"),
        ("return {n = 1/0}", "+Inf"),
        ("return 1", "number, not a table"),
        ("event.a = 5", "nil, not a table"),
    ] {
        let mut compiled = Script::compile(script).unwrap();
        // What has to end by another limit has the time to reach it, on a busy machine too.
        compiled.time = match what {
            "too much" | "too" => Duration::from_millis(20),
            _ => Duration::from_secs(600),
        };
        compiled.values = 10_000;
        let error = compiled.transform(&value("{}")).unwrap_err();
        assert!(error.to_string().contains(what), "{script}: {error}");
    }
}

#[test]
fn hostile_texts_do_not_compile() {
    for text in [
        format!("return {}1{}", "(".repeat(100_000), ")".repeat(100_000)),
        format!("return {}", "(".repeat(100_000)),
        format!("return {}", "{".repeat(100_000)),
        format!("return {}1", "- ".repeat(100_000)),
        format!("return {}1", "not ".repeat(50_000)),
        format!("return {}x", "#".repeat(100_000)),
        "do ".repeat(80_000),
        "if true then ".repeat(20_000),
        "function f() ".repeat(20_000),
        format!("return {}1", "1 .. ".repeat(50_000)),
        format!("return {}1", "2 ^ ".repeat(60_000)),
        "x".repeat(300_000),
        "return [[".to_owned(),
    ] {
        assert!(Script::compile(&text).is_err(), "{text:.30}");
    }
    let error = Script::compile("local a = 1\nif a == 1 return true end").unwrap_err();
    assert!(
        matches!(error, ScriptError::Syntax { line: 2, .. }),
        "{error}"
    );
}

#[test]
fn a_caught_limit_is_still_an_error() {
    let script = "pcall(function() while true do end end) return {}";
    let mut script = Script::compile(script).unwrap();
    script.time = Duration::from_millis(20);
    assert_eq!(
        script.transform(&value("{}")),
        Err(ScriptError::Budget("time"))
    );
}

#[test]
fn a_script_can_run_on_many_threads() {
    let script = Script::compile("event.n = event.n * 2 return event").unwrap();
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|number| {
                let script = &script;
                scope.spawn(move || script.transform(&value(&format!("{{\"n\":{number}}}"))))
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap().unwrap().to_json())
            .collect()
    });
    assert_eq!(
        results,
        [r#"{"n":0}"#, r#"{"n":2}"#, r#"{"n":4}"#, r#"{"n":6}"#]
    );
}
