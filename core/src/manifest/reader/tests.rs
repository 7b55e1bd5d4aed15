//! The reader beside the one of `serde_json`: the same values, the same words.

use std::collections::BTreeMap;
use std::fmt::Debug;

use proptest::prelude::*;
use serde::Deserialize;
use serde_json::json;

use super::*;

#[derive(Debug, PartialEq, Deserialize)]
struct Named {
    text: String,
    number: Option<i32>,
    #[serde(default)]
    list: Vec<u8>,
    pair: Option<(bool, f64)>,
    map: Option<BTreeMap<Wrapped, Unit>>,
    variant: Option<Choice>,
    either: Option<Either>,
    nested: Option<Box<Named>>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Wrapped(String);

#[derive(Debug, PartialEq, Deserialize)]
struct Unit;

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Choice {
    Text,
    Number(i64),
    List(Vec<u8>),
    Pair(u8, bool),
    Map { text: String },
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(untagged)]
enum Either {
    Number(u16),
    Choice(Choice),
    Rest(Value),
}

#[derive(Debug, PartialEq, Deserialize)]
struct Flat {
    text: Option<String>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

/// Values that look like the types, and now and then something else.
fn values() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-300i64..70_000).prop_map(Value::from),
        (-9.0f64..9.0).prop_map(Value::from),
        prop::sample::select(vec!["text", "number", "other"]).prop_map(Value::from),
    ];
    scalar.prop_recursive(4, 40, 5, |value| {
        let keys = vec![
            "text", "number", "list", "pair", "map", "variant", "either", "nested",
        ];
        prop_oneof![
            prop::collection::vec(value.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(keys), value), 0..6).prop_map(|members| {
                members
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect()
            }),
        ]
    })
}

fn compare<T: DeserializeOwned + Debug + PartialEq>(value: &Value) -> Result<(), TestCaseError> {
    // serde_json does not say which variant it wanted.
    let words = |error: Error| error.to_string();
    let plain = T::deserialize(value).map_err(words);
    let ours = read::<T>(value).map_err(words);
    prop_assert_eq!(ours, plain);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn it_reads_what_serde_json_reads(mut value in values(), named in any::<bool>()) {
        if let (true, Some(members)) = (named, value.as_object_mut()) {
            members.insert("text".to_owned(), Value::from("t"));
        }
        compare::<Named>(&value)?;
        compare::<Option<Choice>>(&value)?;
        compare::<Either>(&value)?;
        compare::<Flat>(&value)?;
        compare::<Wrapped>(&value)?;
        compare::<Value>(&value)?;
    }
}

#[test]
fn the_innermost_place_that_failed_is_known() {
    for (value, path) in [
        (json!({"text": 1}), "text"),
        (json!({"text": "", "list": [1, 2, 300]}), "list[2]"),
        (
            json!({"text": "", "nested": {"text": "", "map": {"a": 1}}}),
            "nested.map.a",
        ),
        (json!({"text": "", "nested": {"number": 1}}), "nested"),
        (
            json!({"text": "", "variant": {"number": "x"}}),
            "variant.number",
        ),
        (json!({"text": "", "variant": "none"}), "variant"),
        (json!([]), ""),
    ] {
        let notes = Notes::default();
        read_noting::<Named>(&value, &notes).unwrap_err();
        assert_eq!(notes.failed().to_string(), path, "{value}");
    }
}

#[test]
fn every_field_that_nobody_reads_is_known() {
    let value = json!({"text": "", "more": 1, "nested": {"text": "", "own": {"a": 1}}});
    let notes = Notes::default();
    read_noting::<Named>(&value, &notes).unwrap();
    let unread: Vec<String> = notes.unread().iter().map(Path::to_string).collect();
    assert_eq!(unread, ["more", "nested.own"]);
}
