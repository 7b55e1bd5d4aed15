//! Fuzzes jq filters: compile and run. It never needs more than the bytes it is given.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tiphys_fuzz::{split, value};
use tiphys_lang::jq::Filter;

fuzz_target!(|data: &[u8]| {
    let (text, document) = split(data);
    if let (Ok(filter), Some(input)) = (Filter::compile(text), value(document)) {
        let _ = filter.all(&input, 100);
    }
});
