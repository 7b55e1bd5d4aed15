//! Fuzzes Handlebars: compile and render. It never needs more than the bytes it is given.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tiphys_fuzz::{split, value};
use tiphys_lang::handlebars::Template;

fuzz_target!(|data: &[u8]| {
    let (text, document) = split(data);
    if let (Ok(template), Some(input)) = (Template::compile(text), value(document)) {
        let _ = template.render(&input);
    }
});
