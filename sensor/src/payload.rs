//! Payloads: a document made of an event's values alone (reference `bus-and-sensor.md`, section 11). Pure.

use crate::document::Events;
use crate::parameters::{Notes, Parameter, ParameterError};

/// Builds a payload from nothing; no items give no bytes.
///
/// An item without a value is left out. An item without a destination is the whole payload.
pub(crate) fn build(
    items: &[Parameter],
    events: &Events,
    notes: &Notes,
) -> Result<Vec<u8>, ParameterError> {
    let mut document = Vec::new();
    for item in items {
        let Some(value) = item.resolve(events, notes)? else {
            continue;
        };
        if item.dest.is_empty() {
            return Ok(value.text.into_bytes());
        }
        document = item.set(&document, &value)?;
    }
    Ok(document)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::TemplateEngine;
    use crate::testing::{events, parameters};

    const PAYLOAD: &str = r#"{"name":{"first":"fake"},"age":100,"isActive":false,"none":null,"big":9007199254740993}"#;

    fn build_from(items: &str) -> String {
        let items = Parameter::list(&parameters(items), TemplateEngine::Go);
        String::from_utf8(build(&items, &events(&[("d", PAYLOAD)]), &Notes::OFF).unwrap()).unwrap()
    }

    #[test]
    fn payloads_are_built_as_the_reference_says() {
        for (case, items, expected) in [
            (
                "P1",
                "[{src: {dependencyName: d, dataKey: name.first}, dest: firstName}, {src: {dependencyName: d, dataKey: age, useRawData: true}, dest: age}, {src: {dependencyName: d, dataKey: isActive, useRawData: true}, dest: ok}, {src: {dependencyName: d, dataKey: age}, dest: typeless}]",
                r#"{"firstName":"fake","age":100,"ok":false,"typeless":"100"}"#,
            ),
            (
                "P2",
                "[{src: {dependencyName: d, dataKey: nope, value: x}, dest: name}]",
                r#"{"name":"x"}"#,
            ),
            (
                "P3",
                "[{src: {dependencyName: d, dataKey: none, useRawData: true}, dest: nullable_key}]",
                r#"{"nullable_key":null}"#,
            ),
            (
                "P5",
                "[{src: {dependencyName: d, dataKey: name}, dest: ''}]",
                r#"{"first":"fake"}"#,
            ),
            (
                "P6",
                "[{src: {dependencyName: d, dataKey: age}, dest: a}, {src: {dependencyName: d, dataKey: big}, dest: ''}]",
                "9007199254740993",
            ),
            (
                "P7",
                "[{src: {dependencyName: absent, dataKey: age}, dest: a}]",
                "",
            ),
            ("P8", "[]", ""),
            (
                "P9",
                "[{src: {dependencyName: d, dataKey: age, useRawData: true}, dest: '0'}]",
                "[100]",
            ),
        ] {
            assert_eq!(build_from(items), expected, "{case}");
        }
    }

    #[test]
    fn an_item_without_key_and_destination_is_the_whole_event() {
        let text = build_from("[{src: {dependencyName: d}, dest: ''}]");
        assert!(
            text.starts_with(r#"{"context":{"id":"#) && text.contains(r#""data":""#),
            "{text}"
        );
    }
}
