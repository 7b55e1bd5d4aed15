//! Fuzzes expr-lang: compile and evaluate. It never needs more than the bytes it is given.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tiphys_fuzz::{split, value};
use tiphys_lang::Value;
use tiphys_lang::expr::{Program, environment};

fuzz_target!(|data: &[u8]| {
    let (text, document) = split(data);
    if let (Ok(program), Some(Value::Object(event))) = (Program::compile(text), value(document)) {
        let _ = program.eval(&environment(&event));
    }
});
