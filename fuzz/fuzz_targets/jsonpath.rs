//! Fuzzes JSONPath: compile and select. It never needs more than the bytes it is given.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tiphys_fuzz::{split, value};
use tiphys_lang::jsonpath::Path;

fuzz_target!(|data: &[u8]| {
    let (text, document) = split(data);
    if let (Ok(path), Some(input)) = (Path::compile(text), value(document)) {
        let _ = path.get_one(&input);
    }
});
