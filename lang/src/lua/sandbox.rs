//! A fresh state for every run: few libraries, no way out, and limits that a script cannot catch.
//! It never lets an error of the limits count as the script's answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mlua::chunk::{ChunkMode, Compiler};
use mlua::{Lua, LuaOptions, MultiValue, StdLib, VmState};

use super::convert::{self, Origins};
use super::{MAX_TEXT, ScriptError};
use crate::value::Value;

/// The longest run.
pub(super) const MAX_TIME: Duration = Duration::from_secs(1);

/// The most loop turns and calls.
const MAX_STEPS: u64 = 20_000_000;

/// The most memory, the event included.
const MAX_MEMORY: usize = 64 << 20;

/// What stands in Lua 5.1 and not in Luau, or is harmless only when it does nothing.
const PRELUDE: &str = "
string.gfind = string.gmatch
math.mod = math.fmod
print = function() end
_VERSION = 'Lua 5.1'
local format, gmatch, select, tostring, type = string.format, string.gmatch, select, tostring, type
-- Argo's Lua prints any value with %s.
string.format = function(text, ...)
    local values, place = { ... }, 0
    if type(text) == 'string' then
        for verb in gmatch(text, '%%[^%a%%]*([%a%%])') do
            if verb ~= '%' then
                place = place + 1
                local kind = type(values[place])
                if verb == 's' and kind ~= 'string' and kind ~= 'number' and place <= select('#', ...) then
                    values[place] = tostring(values[place])
                end
            end
        end
    end
    return format(text, unpack(values, 1, select('#', ...)))
end
";

/// Names that would let a script load code or look at the process.
const WITHHELD: [&str; 10] = [
    "os",
    "io",
    "debug",
    "load",
    "loadstring",
    "dofile",
    "loadfile",
    "require",
    "collectgarbage",
    "newproxy",
];

pub(super) fn compile(text: &str) -> Result<Vec<u8>, ScriptError> {
    if text.len() > MAX_TEXT {
        let what = format!("the script is longer than {MAX_TEXT} bytes");
        return Err(ScriptError::Syntax { what, line: 1 });
    }
    // Nesting is bounded by Luau's own parser and compiler, far below what a stack of 2 MiB holds.
    // Optimized code would read members of globals, the event among them, only once.
    let compiler = Compiler::new().set_optimization_level(0).set_debug_level(1);
    compiler.compile(text).map_err(|error| {
        let (mut what, line) = message(&error);
        let word = |c: char| c.is_alphanumeric() || c == '_';
        if text.split(|c| !word(c)).any(|word| word == "goto") {
            what.push_str("; there is no `goto`: write a loop, `break` or `if` instead");
        }
        ScriptError::Syntax {
            what,
            line: line.unwrap_or(1),
        }
    })
}

/// Why a run was ended from outside.
#[derive(Debug, Default)]
struct Limits {
    steps: AtomicU64,
    exceeded: AtomicU8,
}

impl Limits {
    fn exceeded(&self) -> Option<&'static str> {
        match self.exceeded.load(Ordering::Relaxed) {
            0 => None,
            1 => Some("time"),
            _ => Some("computing"),
        }
    }
}

/// Runs a script and hands its last value to `finish`, with what is known of the event's tables.
pub(super) fn run<T>(
    bytecode: &[u8],
    event: &Value,
    time: Duration,
    finish: impl FnOnce(mlua::Value, &Origins, &Value) -> Result<T, ScriptError>,
) -> Result<T, ScriptError> {
    if !matches!(event, Value::Object(_) | Value::Null) {
        return Err(ScriptError::Event(event.kind()));
    }
    let limits = Arc::new(Limits::default());
    let outcome = attempt(bytecode, event, time, &limits);
    // A script may have caught the error of a limit and returned as if nothing was.
    if let Some(what) = limits.exceeded() {
        return Err(ScriptError::Budget(what));
    }
    let (_lua, last, origins) = outcome.map_err(|error| failure(&error))?;
    finish(last, &origins, event)
}

fn attempt(
    bytecode: &[u8],
    event: &Value,
    time: Duration,
    limits: &Arc<Limits>,
) -> mlua::Result<(Lua, mlua::Value, Origins)> {
    let libraries = StdLib::COROUTINE | StdLib::TABLE | StdLib::STRING | StdLib::MATH;
    let lua = Lua::new_with(libraries, LuaOptions::new().catch_rust_panics(true))?;
    lua.set_memory_limit(MAX_MEMORY)?;
    lua.load(PRELUDE).exec()?;
    let globals = lua.globals();
    for name in WITHHELD {
        globals.raw_set(name, mlua::Value::Nil)?;
    }
    lua.sandbox(true)?;
    let (table, origins) = convert::to_lua(&lua, event)?;
    let globals = lua.globals();
    globals.raw_set("event", table)?;
    globals.raw_set("_G", &globals)?;
    watch(&lua, time, Arc::clone(limits));
    let chunk = lua
        .load(bytecode)
        .set_mode(ChunkMode::Binary)
        .set_name("=script");
    let mut values: MultiValue = chunk.eval()?;
    lua.remove_interrupt();
    let last = values.pop_back().unwrap_or(mlua::Value::Nil);
    Ok((lua, last, origins))
}

/// Ends the run at the next loop turn or call once a limit is passed, and again whenever that is caught.
fn watch(lua: &Lua, time: Duration, limits: Arc<Limits>) {
    let start = Instant::now();
    lua.set_interrupt(move |_| {
        let steps = limits.steps.fetch_add(1, Ordering::Relaxed);
        if steps > MAX_STEPS {
            limits.exceeded.store(2, Ordering::Relaxed);
        } else if steps.is_multiple_of(64) && start.elapsed() > time {
            limits.exceeded.store(1, Ordering::Relaxed);
        }
        match limits.exceeded() {
            Some(what) => Err(mlua::Error::runtime(format!("too much {what}"))),
            None => Ok(VmState::Continue),
        }
    });
}

fn failure(error: &mlua::Error) -> ScriptError {
    if is_memory(error) {
        return ScriptError::Budget("memory");
    }
    let (what, line) = message(error);
    ScriptError::Failed { what, line }
}

fn is_memory(error: &mlua::Error) -> bool {
    match error {
        mlua::Error::MemoryError(_) => true,
        mlua::Error::CallbackError { cause, .. } => is_memory(cause),
        mlua::Error::RuntimeError(text) => text.starts_with("not enough memory"),
        _ => false,
    }
}

/// The sentence and the line of an error such as `[string "script"]:3: attempt to index nil`.
fn message(error: &mlua::Error) -> (String, Option<usize>) {
    let text = match error {
        mlua::Error::SyntaxError { message, .. } => message.clone(),
        mlua::Error::RuntimeError(text) => text.clone(),
        mlua::Error::CallbackError { cause, .. } => return message(cause),
        other => other.to_string(),
    };
    let first = text.lines().next().unwrap_or_default();
    // The name of the chunk has no colon, so the first number between two of them is the line.
    let short = |text: &str| text.trim().chars().take(400).collect::<String>();
    let (name, rest) = first.split_once(':').unwrap_or(("", first));
    if let Ok(line) = name.trim().parse() {
        return (short(rest), Some(line));
    }
    match rest
        .split_once(':')
        .map(|(line, rest)| (line.trim().parse(), rest))
    {
        Some((Ok(line), rest)) => (short(rest), Some(line)),
        _ => (short(first), None),
    }
}
