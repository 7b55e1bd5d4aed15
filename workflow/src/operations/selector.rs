//! Node field selectors, as `displayName=approve,phase!=Running`. Pure.

use serde_json::Value;

use super::OperationError;

/// Chooses nodes by their fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSelector {
    text: String,
    terms: Vec<Term>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    field: Field,
    equal: bool,
    value: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Field {
    /// A member of the node, by its path.
    Member(&'static [&'static str]),
    /// The value of an input parameter.
    Input(String),
}

const MEMBERS: [(&str, &[&str]); 7] = [
    ("displayName", &["displayName"]),
    ("name", &["name"]),
    ("id", &["id"]),
    ("phase", &["phase"]),
    ("templateName", &["templateName"]),
    ("templateRef.name", &["templateRef", "name"]),
    ("templateRef.template", &["templateRef", "template"]),
];

impl NodeSelector {
    /// Reads a selector; empty text is no selector.
    ///
    /// # Errors
    /// For a term without `=` and for a field that nodes do not have.
    pub fn parse(text: &str) -> Result<Option<Self>, OperationError> {
        if text.trim().is_empty() {
            return Ok(None);
        }
        let terms = pieces(text).into_iter().map(|piece| term(text, &piece));
        Ok(Some(Self {
            text: text.to_owned(),
            terms: terms.collect::<Result<_, _>>()?,
        }))
    }

    /// The text that was read.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether a node has all that is asked for.
    #[must_use]
    pub fn matches(&self, node: &Value) -> bool {
        self.terms.iter().all(|term| {
            let actual = match &term.field {
                Field::Member(path) => {
                    let found = path.iter().try_fold(node, |node, key| node.get(key));
                    found.and_then(Value::as_str).unwrap_or_default().to_owned()
                }
                Field::Input(name) => input(node, name),
            };
            (actual == term.value) == term.equal
        })
    }
}

fn input(node: &Value, name: &str) -> String {
    let parameters = node
        .pointer("/inputs/parameters")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let found = parameters
        .iter()
        .find(|parameter| parameter.get("name").and_then(Value::as_str) == Some(name));
    match found.and_then(|parameter| parameter.get("value")) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

/// The terms between commas; a backslash takes the next character as it is.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let Some(last) = pieces.last_mut() else { break };
        match c {
            '\\' => last.extend(chars.next()),
            ',' => pieces.push(String::new()),
            c => last.push(c),
        }
    }
    pieces.retain(|piece| !piece.trim().is_empty());
    pieces
}

fn term(text: &str, piece: &str) -> Result<Term, OperationError> {
    let split = |mark| piece.split_once(mark);
    let (field, equal, value) = if let Some((field, value)) = split("!=") {
        (field, false, value)
    } else if let Some((field, value)) = split("==").or_else(|| split("=")) {
        (field, true, value)
    } else {
        return Err(OperationError::refused(format!(
            "invalid node field selector {text:?}: can't understand {piece:?}, which must be like displayName=approve"
        )));
    };
    let field = field.trim();
    let member = MEMBERS.iter().find(|(name, _)| *name == field);
    let input = field
        .strip_prefix("inputs.parameters.")
        .and_then(|rest| rest.strip_suffix(".value"));
    let field = match (member, input) {
        (Some((_, path)), _) => Field::Member(path),
        (None, Some(name)) => Field::Input(name.to_owned()),
        (None, None) => {
            let names: Vec<_> = MEMBERS.iter().map(|(name, _)| *name).collect();
            return Err(OperationError::refused(format!(
                "invalid node field selector {text:?}: nodes have no field {field:?}, but {} and inputs.parameters.<NAME>.value",
                names.join(", ")
            )));
        }
    };
    Ok(Term {
        field,
        equal,
        value: value.trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nodes_are_chosen_by_their_fields() {
        let node = json!({
            "id": "wf-1", "name": "wf[0].approve", "displayName": "approve", "phase": "Running",
            "templateRef": {"name": "t", "template": "gate"},
            "inputs": {"parameters": [{"name": "who", "value": "ann"}, {"name": "n", "value": 3}]}
        });
        for (text, matches) in [
            ("displayName=approve", true),
            ("displayName==approve,phase=Running", true),
            ("displayName = approve , phase != Running", false),
            ("templateRef.name=t,templateRef.template=gate", true),
            ("inputs.parameters.who.value=ann", true),
            ("inputs.parameters.n.value=3", true),
            ("inputs.parameters.none.value=", true),
            ("name=wf[0].approve", true),
            ("id!=wf-1", false),
            ("templateName=", true),
        ] {
            let selector = NodeSelector::parse(text).unwrap().unwrap();
            assert_eq!(selector.matches(&node), matches, "{text}");
        }
        assert_eq!(NodeSelector::parse(" ").unwrap(), None);
    }

    #[test]
    fn what_is_no_selector_is_named() {
        for (text, part) in [
            ("approve", "can't understand \"approve\""),
            ("colour=red", "nodes have no field \"colour\""),
        ] {
            let error = NodeSelector::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
