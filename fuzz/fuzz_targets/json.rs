//! Fuzzes JSON: read, write and read again. It never needs more than the bytes it is given.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tiphys_fuzz::value;

fuzz_target!(|data: &[u8]| {
    if let Some(first) = value(data) {
        let written = first.to_json();
        assert_eq!(
            value(written.as_bytes()).as_ref(),
            Some(&first),
            "{written}"
        );
    }
});
