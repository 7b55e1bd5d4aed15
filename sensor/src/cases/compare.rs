//! Whether one value is contained in another, and where not; and values put into a spec by path. Pure.

use serde_json::{Number, Value};

use super::CaseError;

/// Adds each place where `want` is not contained in `have`. Lists must be of one length.
pub(super) fn subset(path: &str, want: &Value, have: &Value, differences: &mut Vec<String>) {
    match (want, have) {
        (Value::Object(want), Value::Object(have)) => {
            for (key, want) in want {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                match have.get(key) {
                    Some(have) => subset(&path, want, have, differences),
                    None => differences.push(format!("- {path}: {want}\n+ {path} is not there")),
                }
            }
        }
        (Value::Array(want), Value::Array(have)) if want.len() == have.len() => {
            for (index, (want, have)) in want.iter().zip(have).enumerate() {
                subset(&format!("{path}[{index}]"), want, have, differences);
            }
        }
        (want, have) if want == have => {}
        (Value::Number(want), Value::Number(have)) if equal(want, have) => {}
        // The body of a request is text, and reads better as what it holds.
        (Value::Object(_) | Value::Array(_), Value::String(text)) => {
            match serde_json::from_str(text) {
                Ok(have @ (Value::Object(_) | Value::Array(_))) => {
                    subset(path, want, &have, differences);
                }
                _ => differences.push(format!("- {path}: {want}\n+ {path}: {have}")),
            }
        }
        (want, have) => differences.push(format!("- {path}: {want}\n+ {path}: {have}")),
    }
}

/// `1` and `1.0` are one number, as YAML writes it; whole numbers are equal by their digits.
fn equal(want: &Number, have: &Number) -> bool {
    let float = |number: &Number| number.to_string().contains(['.', 'e', 'E']);
    (float(want) || float(have)) && want.as_f64() == have.as_f64()
}

/// Puts a value at a path of names and numbers; members on the way are made, items of lists must be there or next.
pub(super) fn set(object: &mut Value, path: &str, value: Value) -> Result<(), CaseError> {
    let (head, rest) = match path.split_once('.') {
        Some((head, rest)) => (head, Some(rest)),
        None => (path, None),
    };
    let place = match object {
        Value::Array(items) => {
            let index: usize = head
                .parse()
                .map_err(|_| CaseError::new(format!("{head:?} is no number")))?;
            if index == items.len() {
                items.push(Value::Null);
            }
            let count = items.len();
            let item = items.get_mut(index);
            item.ok_or_else(|| CaseError::new(format!("the list has only {count} items")))?
        }
        Value::Null => {
            *object = Value::Object(serde_json::Map::new());
            return set(object, path, value);
        }
        Value::Object(members) => members.entry(head).or_insert(Value::Null),
        _ => return Err(CaseError::new(format!("{head:?} is below a plain value"))),
    };
    match rest {
        Some(rest) => set(place, rest, value),
        None => {
            *place = value;
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_not_contained_is_told_with_its_place() {
        let have = json!({"a": {"b": [1, {"c": "x", "d": 2}]}, "e": null, "e2": "text",
            "body": "{\"x\": [1], \"more\": 2}"});
        for (want, differences) in [
            (json!({"a": {"b": [1, {"c": "x"}]}}), vec![]),
            (
                json!({"a": {"b": [1, {"c": "y"}]}}),
                vec!["- a.b[1].c: \"y\"\n+ a.b[1].c: \"x\""],
            ),
            (json!({"f": 1, "e": null}), vec!["- f: 1\n+ f is not there"]),
            (
                json!({"a": {"b": [1]}}),
                vec!["- a.b: [1]\n+ a.b: [1,{\"c\":\"x\",\"d\":2}]"],
            ),
            (json!({"body": {"x": [1]}}), vec![]),
            (json!({"body": {"more": 2.0}}), vec![]),
            (
                json!({"body": {"x": [2]}}),
                vec!["- body.x[0]: 2\n+ body.x[0]: 1"],
            ),
            (
                json!({"e2": {"x": 1}}),
                vec!["- e2: {\"x\":1}\n+ e2: \"text\""],
            ),
        ] {
            let mut found = Vec::new();
            subset("", &want, &have, &mut found);
            assert_eq!(found, differences);
        }
    }

    #[test]
    fn values_are_put_where_the_path_says() {
        let mut spec = json!({"list": [{"a": 1}]});
        set(&mut spec, "list.0.b.c", json!(2)).unwrap();
        set(&mut spec, "list.1", json!("new")).unwrap();
        assert_eq!(spec, json!({"list": [{"a": 1, "b": {"c": 2}}, "new"]}));
        for path in ["list.9", "list.x", "list.0.a.b"] {
            assert!(set(&mut spec, path, json!(0)).is_err(), "{path}");
        }
    }
}
