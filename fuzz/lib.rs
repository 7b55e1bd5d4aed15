//! What the fuzz targets share: how bytes become a program and its input.
//! It never decides what is right: each target does.

use tiphys_lang::{Value, json};

/// The document where the bytes bring none.
const DOCUMENT: &[u8] = br#"{"body":{"a":1,"b":"x","l":[1,2.5,"y",null,{"k":true}],"big":12345678901234567890},"a":[1,2,3],"b":"text","n":null}"#;

/// The text up to the first zero byte, and the document after it.
#[must_use]
pub fn split(data: &[u8]) -> (&str, &[u8]) {
    let (text, document) = match data.iter().position(|byte| *byte == 0) {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, DOCUMENT),
    };
    (std::str::from_utf8(text).unwrap_or_default(), document)
}

/// The bytes as JSON.
#[must_use]
pub fn value(document: &[u8]) -> Option<Value> {
    json::parse(document).ok()
}
