//! Fuzzes YAML manifests: parse. It never needs more than the bytes it is given.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tiphys_core::manifest;

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        for document in manifest::parse(text).into_iter().flatten() {
            let _ = (document.kind(), document.name(), document.namespace());
        }
    }
});
