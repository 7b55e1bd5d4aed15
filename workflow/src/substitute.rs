//! `{{name}}` in the text of templates and arguments (reference `workflow-engine.md`, section 2.12). Pure.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tiphys_core::manifest;

/// The variables that a template or a step may name.
pub(crate) type Variables = BTreeMap<String, String>;

/// Nested tags (`{{a.{{b}}}}`) are replaced from the inside, at most so deep.
const ROUNDS: usize = 8;

/// A tag that stands for nothing known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("failed to resolve {{{{{0}}}}}")]
pub(crate) struct Unresolved(pub(crate) String);

/// Replaces the tags in every text of `value`.
///
/// Tags of the engine's own prefixes must be known; all others are left as they are, for other template languages.
///
/// # Errors
/// The first tag that is the engine's own and not known.
pub(crate) fn apply<T: Serialize + DeserializeOwned>(
    value: &T,
    variables: &Variables,
) -> Result<T, Unresolved> {
    let broken = |error: serde_json::Error| Unresolved(error.to_string());
    let mut json = serde_json::to_value(value).map_err(broken)?;
    walk(&mut json, variables)?;
    manifest::read(&json).map_err(broken)
}

fn walk(value: &mut Value, variables: &Variables) -> Result<(), Unresolved> {
    match value {
        Value::String(text) if text.contains("{{") => *text = replace(text, variables)?,
        Value::Array(items) => {
            for item in items {
                walk(item, variables)?;
            }
        }
        Value::Object(map) => {
            for item in map.values_mut() {
                walk(item, variables)?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn replace(text: &str, variables: &Variables) -> Result<String, Unresolved> {
    let mut text = text.to_owned();
    for _ in 0..ROUNDS {
        let (next, changed) = round(&text, variables)?;
        text = next;
        if !changed {
            break;
        }
    }
    Ok(text)
}

/// Replaces innermost tags once. Values are not looked into again unless a tag enclosed the one replaced.
fn round(text: &str, variables: &Variables) -> Result<(String, bool), Unresolved> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut nested = false;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((tag, behind)) = after.split_once("}}") else {
            break;
        };
        if tag.contains("{{") {
            // The tag that encloses stays for the next round.
            out.push_str(before);
            out.push_str("{{");
            rest = after;
            nested = true;
            continue;
        }
        out.push_str(before);
        let name = tag.trim();
        match variables.get(name) {
            Some(value) => out.push_str(value),
            None if is_ours(name) => return Err(Unresolved(name.to_owned())),
            None => {
                out.push_str("{{");
                out.push_str(tag);
                out.push_str("}}");
            }
        }
        rest = behind;
    }
    out.push_str(rest);
    Ok((out, nested))
}

fn is_ours(name: &str) -> bool {
    const PREFIXES: [&str; 6] = [
        "inputs.",
        "workflow.",
        "steps.",
        "tasks.",
        "outputs.",
        "item",
    ];
    name.starts_with('=') || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether any text of `value` has a tag with this name.
pub(crate) fn mentions<T: Serialize>(value: &T, name: &str) -> bool {
    fn walk(value: &Value, name: &str) -> bool {
        match value {
            Value::String(text) => text.split("{{").skip(1).any(|tag| {
                tag.split_once("}}")
                    .is_some_and(|(tag, _)| tag.trim() == name)
            }),
            Value::Array(items) => items.iter().any(|item| walk(item, name)),
            Value::Object(map) => map.values().any(|item| walk(item, name)),
            _ => false,
        }
    }
    serde_json::to_value(value).is_ok_and(|json| walk(&json, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str) -> Result<String, Unresolved> {
        let variables = [
            ("inputs.parameters.a", "1"),
            ("inputs.parameters.b", "a"),
            ("workflow.name", "{{x}}"),
        ];
        let variables = variables.map(|(key, value)| (key.to_owned(), value.to_owned()));
        apply(&text.to_owned(), &variables.into_iter().collect())
    }

    #[test]
    fn tags_are_replaced_inside_out() {
        for (text, expected) in [
            (
                "x {{inputs.parameters.a}} {{ inputs.parameters.b }}",
                "x 1 a",
            ),
            ("{{inputs.parameters.{{inputs.parameters.b}}}}", "1"),
            ("{{workflow.name}}", "{{x}}"),
            ("{{other}} {{", "{{other}} {{"),
            ("}}{{inputs.parameters.a}}", "}}1"),
        ] {
            assert_eq!(with(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn an_unknown_tag_of_ours_is_an_error() {
        assert_eq!(
            with("{{steps.x.outputs.result}}").unwrap_err().to_string(),
            "failed to resolve {{steps.x.outputs.result}}"
        );
        assert!(with("{{= 1 + 1 }}").is_err());
    }
}
