//! Fuzzes durations: parse. It never needs more than the bytes it is given.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tiphys_core::duration;

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = duration::parse(text);
    }
});
