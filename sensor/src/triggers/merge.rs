//! What an `update` and a JSON patch make of two objects: pure, on values that keep the digits of their numbers.

use tiphys_lang::Value;

/// Puts ours over what is there: objects merge, everything else is replaced, nothing is removed. An object never takes
/// the place of something that is none.
pub(super) fn over(there: &mut Value, ours: &Value) {
    let (Value::Object(there), Value::Object(ours)) = (there, ours) else {
        return;
    };
    for (key, ours) in ours {
        let Some(there) = there.get_mut(key) else {
            there.insert(key.clone(), ours.clone());
            continue;
        };
        match (&*there, ours) {
            (Value::Object(_), Value::Object(_)) => over(there, ours),
            (_, Value::Object(_)) => {}
            _ => *there = ours.clone(),
        }
    }
}

/// The operations of a JSON patch (RFC 6902) that bring ours into what is there; null removes, as in a merge patch.
pub(super) fn operations(there: &Value, ours: &Value) -> Vec<Value> {
    let mut found = Vec::new();
    between(there, ours, &mut String::new(), &mut found);
    found
}

fn between(there: &Value, ours: &Value, path: &mut String, found: &mut Vec<Value>) {
    let (Value::Object(there), Value::Object(ours)) = (there, ours) else {
        return;
    };
    for (key, ours) in ours {
        let length = path.len();
        path.push('/');
        path.push_str(&key.replace('~', "~0").replace('/', "~1"));
        match (there.get(key), ours) {
            (Some(_), Value::Null) => found.push(operation("remove", path, None)),
            (None, Value::Null) => {}
            (Some(there @ Value::Object(_)), Value::Object(_)) => between(there, ours, path, found),
            (Some(there), ours) if there == ours => {}
            (Some(_), ours) => found.push(operation("replace", path, Some(ours))),
            (None, ours) => found.push(operation("add", path, Some(ours))),
        }
        path.truncate(length);
    }
}

fn operation(op: &str, path: &str, value: Option<&Value>) -> Value {
    let members = [
        ("op", Some(Value::from(op))),
        ("path", Some(Value::from(path))),
        ("value", value.cloned()),
    ];
    let members = members.into_iter();
    Value::Object(
        members
            .filter_map(|(key, value)| Some((key.to_owned(), value?)))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Value {
        tiphys_lang::json::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn an_update_merges_objects_and_replaces_the_rest() {
        for (there, ours, expected) in [
            (r#"{"a":1}"#, r#"{"b":2}"#, r#"{"a":1,"b":2}"#),
            (
                r#"{"a":{"b":1,"c":2}}"#,
                r#"{"a":{"c":3}}"#,
                r#"{"a":{"b":1,"c":3}}"#,
            ),
            (r#"{"a":[1,2]}"#, r#"{"a":[3]}"#, r#"{"a":[3]}"#),
            (r#"{"a":[1,2]}"#, r#"{"a":[]}"#, r#"{"a":[]}"#),
            (r#"{"a":"x"}"#, r#"{"a":""}"#, r#"{"a":""}"#),
            (r#"{"a":1}"#, r#"{"a":null}"#, r#"{"a":null}"#),
            (r#"{"a":"x"}"#, r#"{"a":{"b":1}}"#, r#"{"a":"x"}"#),
            (r#"{"a":{"b":1}}"#, r#"{"a":"x"}"#, r#"{"a":"x"}"#),
            (
                r#"{"n":9007199254740993.10}"#,
                r#"{"m":1.50}"#,
                r#"{"m":1.50,"n":9007199254740993.10}"#,
            ),
        ] {
            let mut there = read(there);
            over(&mut there, &read(ours));
            assert_eq!(there.to_json(), expected);
        }
    }

    #[test]
    fn an_object_is_written_as_operations() {
        for (there, ours, expected) in [
            (r#"{"a":1}"#, r#"{"a":1}"#, "[]"),
            (
                r#"{"a":1}"#,
                r#"{"a":2}"#,
                r#"[{"op":"replace","path":"/a","value":2}]"#,
            ),
            (
                r#"{}"#,
                r#"{"a":{"b":2}}"#,
                r#"[{"op":"add","path":"/a","value":{"b":2}}]"#,
            ),
            (
                r#"{"a":{"x/y":1}}"#,
                r#"{"a":{"x/y":2,"p~q":3}}"#,
                r#"[{"op":"add","path":"/a/p~0q","value":3},{"op":"replace","path":"/a/x~1y","value":2}]"#,
            ),
            (
                r#"{"a":1}"#,
                r#"{"a":null,"b":null}"#,
                r#"[{"op":"remove","path":"/a"}]"#,
            ),
        ] {
            let found = Value::Array(operations(&read(there), &read(ours)));
            assert_eq!(found.to_json(), expected);
        }
    }
}
