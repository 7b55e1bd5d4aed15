//! Fuzzes event envelopes: decode, encode and decode again. It never needs more than the bytes it is given.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tiphys_core::envelope;

fuzz_target!(|data: &[u8]| {
    if let Ok(event) = envelope::decode(data) {
        let bytes = envelope::encode(&event);
        let again = envelope::decode(&bytes).expect("decodes what it encodes");
        assert_eq!(envelope::encode(&again), bytes);
    }
});
