//! Fuzzes gjson paths: read from any bytes. It never needs more than the bytes it is given.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tiphys_fuzz::split;
use tiphys_lang::gjson;

fuzz_target!(|data: &[u8]| {
    let (path, document) = split(data);
    let found = gjson::get(document, path);
    if let Ok(compiled) = gjson::Path::compile(path) {
        assert_eq!(
            compiled.get(document).map(|found| found.raw),
            found.map(|found| found.raw)
        );
    }
});
