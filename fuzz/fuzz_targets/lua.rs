//! Fuzzes Lua scripts: compile and run. It never needs more than the bytes it is given.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tiphys_fuzz::{split, value};
use tiphys_lang::lua::Script;

fuzz_target!(|data: &[u8]| {
    let (text, document) = split(data);
    if let (Ok(script), Some(event)) = (Script::compile(text), value(document)) {
        let _ = script.transform(&event);
    }
});
