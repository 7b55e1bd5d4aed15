//! A part of the spec that parameters have changed, read again. What no longer fits is told with its path and the remedy.
//! It applies no parameter.

use serde::de::DeserializeOwned;
use serde_json::Value;
use tiphys_core::Problems;
use tiphys_core::manifest::Document;

/// Reads a changed document.
pub(crate) fn read<T: DeserializeOwned>(document: &[u8]) -> Result<T, String> {
    serde_json::from_slice(document).map_err(|error| {
        let said = error.to_string();
        let Ok(object) = serde_json::from_slice::<Value>(document) else {
            return said;
        };
        let mut problems = Problems::default();
        let left: Option<T> = Document::from_object(object).typed(&mut problems);
        drop(left);
        let found = problems.errors();
        if found.is_empty() {
            return said;
        }
        // Without useRawData a parameter's value is text.
        found.replace('\n', "; ").replace(
            "leave the quotes out",
            "write useRawData: true at its parameter",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::TriggerTemplateSpec;

    #[test]
    fn what_does_not_fit_has_a_path_and_a_remedy() {
        let read = |text: &str| read::<TriggerTemplateSpec>(text.as_bytes());
        assert!(read(r#"{"name": "t", "http": {"url": "u", "timeout": 7}}"#).is_ok());
        assert_eq!(
            read(r#"{"name": "t", "http": {"url": [], "timeout": "7"}}"#).unwrap_err(),
            "http.url: must be text, not a list; \
             http.timeout: must be a whole number, not string \"7\"; write useRawData: true at its parameter"
        );
        assert!(read("{").unwrap_err().contains("EOF"));
    }
}
