//! Fuzzes sjson paths: write into any bytes, and leave JSON where JSON was. It never needs more than the bytes it is given.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tiphys_fuzz::{split, value};
use tiphys_lang::sjson;

fuzz_target!(|data: &[u8]| {
    let (path, document) = split(data);
    for set in [
        sjson::set_string(document, path, "x"),
        sjson::set_raw(document, path, b"[1]"),
        sjson::delete(document, path),
    ] {
        if let (Ok(set), true) = (set, value(document).is_some()) {
            assert!(
                value(&set).is_some(),
                "no JSON after setting {path:?}: {}",
                String::from_utf8_lossy(&set)
            );
        }
    }
});
