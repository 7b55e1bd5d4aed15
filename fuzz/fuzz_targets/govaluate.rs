//! Fuzzes govaluate: compile and evaluate. It never needs more than the bytes it is given.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tiphys_fuzz::{split, value};
use tiphys_lang::govaluate::Expression;

fuzz_target!(|data: &[u8]| {
    let (text, document) = split(data);
    if let (Ok(expression), Some(input)) = (Expression::compile(text), value(document)) {
        let _ = expression.eval(|name| input.get(name));
    }
});
