//! Fuzzes Go templates: compile and render. It never needs more than the bytes it is given.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tiphys_fuzz::{split, value};
use tiphys_lang::gotemplate::{Limits, Template};

fuzz_target!(|data: &[u8]| {
    let (text, document) = split(data);
    if let (Ok(template), Some(input)) = (Template::compile(text), value(document)) {
        let limits = Limits {
            steps: 20_000,
            output: 1 << 20,
            memory: 8 << 20,
            ..Limits::default()
        };
        let _ = template.render_within(&input, &limits);
    }
});
