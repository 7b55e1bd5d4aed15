//! Fuzzes conditions: compile, ask and print, and read what is printed. It never needs more than the bytes it is given.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tiphys_fuzz::split;
use tiphys_lang::condition::Condition;

fuzz_target!(|data: &[u8]| {
    let (text, _) = split(data);
    let names = ["a", "b", "dep-1", "1dep", "len"];
    if let Ok(condition) = Condition::compile(text, &names) {
        let _ = (
            condition.holds(|name| name == "a"),
            condition.missing(|name| name == "b"),
        );
        let again =
            Condition::compile(&condition.to_string(), &names).expect("prints what it reads");
        for mask in 0..32_u32 {
            let present = |name: &str| {
                names
                    .iter()
                    .position(|each| *each == name)
                    .is_some_and(|bit| mask & (1 << bit) != 0)
            };
            assert_eq!(condition.holds(present), again.holds(present));
        }
    }
});
