//! A document as a type: every member of a wrong type and every unknown field is reported, and the rest is read all the same.
//! It knows no kind of object.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Document;
use super::reader::{Notes, read_noting};
use crate::problems::{Path, Problem, Problems, Segment, Severity};

/// Each round takes one wrong member out; real objects have a handful.
const ROUNDS: usize = 200;

impl Document {
    /// Reads the object as `T`. Every wrong type and every unknown field is reported, not only the first.
    ///
    /// A member of the wrong type is left out and reading goes on, so `None` means that the object is beyond that.
    /// What is left out is told once: `problems` takes nothing more that only follows from its absence.
    pub fn typed<T: DeserializeOwned>(&self, problems: &mut Problems) -> Option<T> {
        let mut object = self.object.clone();
        let mut tries: BTreeMap<Path, usize> = BTreeMap::new();
        for _ in 0..ROUNDS {
            let notes = Notes::default();
            let error = match read_noting::<T>(&object, &notes) {
                Ok(typed) => {
                    let unknown = notes.unread().into_iter();
                    for path in unknown.filter(|path| !is_common(path)) {
                        problems.add(Problem {
                            severity: Severity::Warning,
                            path,
                            message: "is not a known field; it is kept and has no effect"
                                .to_owned(),
                            inner: None,
                        });
                    }
                    return Some(typed);
                }
                Err(error) => error,
            };
            let path = notes.failed();
            let null = lookup(&object, &path).is_some_and(Value::is_null);
            let tried = tries.entry(path.clone()).or_default();
            let first = *tried == 0;
            let removed = remove(&mut object, &path, *tried);
            *tried += 1;
            // `field: null` means that the field is not set, as for the API server; so does a hole in a list.
            if first && !(null && removed) {
                problems.unread(Problem {
                    severity: Severity::Error,
                    path,
                    message: type_message(&error.to_string()),
                    inner: None,
                });
            }
            if !removed {
                return None;
            }
        }
        None
    }
}

/// What every object has, whether or not the type that it is read as cares.
fn is_common(path: &Path) -> bool {
    let common = |key: &str| matches!(key, "apiVersion" | "kind" | "metadata" | "status");
    matches!(path.segments(), [Segment::Key(key)] if common(key))
}

/// serde speaks of "invalid type: string \"x\", expected i32"; users are told what must hold, and how to write it.
fn type_message(error: &str) -> String {
    let error = error.split(" at line ").next().unwrap_or(error);
    let told = ["invalid type: ", "invalid value: "]
        .iter()
        .find_map(|prefix| error.strip_prefix(prefix)?.split_once(", expected "));
    let Some((found, wanted)) = told else {
        return error.to_owned();
    };
    let wanted = match wanted {
        "i32" | "i64" | "usize" | "isize" if error.starts_with("invalid type") => "a whole number",
        "u16" | "u32" | "u64" if error.starts_with("invalid type") => "a whole number",
        "i32" => "a whole number from -2147483648 to 2147483647",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number, 0 or more",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "a map of fields",
        "a string" => "text",
        other if other.starts_with("struct ") => "a map of fields",
        other => other,
    };
    let shown = match found {
        "sequence" => "a list",
        "map" => "a map",
        other => other,
    };
    let remedy = remedy(found, wanted);
    format!("must be {wanted}, not {shown}{remedy}")
}

/// How to write what was probably meant.
fn remedy(found: &str, wanted: &str) -> String {
    let quoted = found
        .strip_prefix("string \"")
        .and_then(|text| text.strip_suffix('"'));
    let scalar = found
        .split_once('`')
        .and_then(|(_, text)| text.strip_suffix('`'));
    match (wanted, quoted, scalar) {
        ("text", _, Some(_)) if found.starts_with("boolean") => {
            "; put it in quotes, as YAML takes y, n, yes, no, on and off for true and false"
                .to_owned()
        }
        ("text", _, Some(_)) => "; put it in quotes".to_owned(),
        ("a number" | "a whole number", Some(text), _) if text.parse::<f64>().is_ok() => {
            "; leave the quotes out".to_owned()
        }
        ("true or false", Some("true" | "false"), _) => "; leave the quotes out".to_owned(),
        ("a list", Some(text), _) => format!("; write it as [{text:?}]"),
        ("a list", _, Some(text)) => format!("; write it as [{text}]"),
        ("a list", ..) if found == "map" => "; begin each of its items with -".to_owned(),
        _ => String::new(),
    }
}

fn lookup<'a>(object: &'a Value, path: &Path) -> Option<&'a Value> {
    let mut steps = path.segments().iter();
    steps.try_fold(object, |value, step| match step {
        Segment::Key(key) => value.get(key),
        Segment::Index(index) => value.get(index),
    })
}

/// Takes the member at `path` out. `tried` says how often that was done before, without success.
fn remove(object: &mut Value, path: &Path, tried: usize) -> bool {
    let Some((last, parents)) = path.segments().split_last() else {
        return false;
    };
    let mut value = object;
    for segment in parents {
        let next = match segment {
            Segment::Key(key) => value.get_mut(key),
            Segment::Index(index) => value.get_mut(index),
        };
        let Some(next) = next else { return false };
        value = next;
    }
    match (last, value) {
        (Segment::Key(key), Value::Object(map)) => map.shift_remove(key).is_some(),
        // Something empty in its place keeps the indexes of the elements behind it true; where nothing empty fits,
        // the list goes.
        (Segment::Index(index), Value::Array(items)) => {
            let Some(item) = items.get_mut(*index) else {
                return false;
            };
            match tried {
                0 => *item = Value::Null,
                1 => *item = Value::Object(serde_json::Map::new()),
                2 => *item = Value::String(String::new()),
                3 => *item = Value::from(0),
                4 => *item = Value::Bool(false),
                _ => items.clear(),
            }
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default)]
    struct Spec {
        name: String,
        count: i32,
        items: Vec<Item>,
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default)]
    struct Item {
        port: i32,
    }

    #[test]
    fn every_wrong_type_and_unknown_field_is_reported() {
        let text = "name: [1]\ncount: many\nextra: 1\nitems:\n- port: 1\n  prot: 2\n- port: x\n";
        let document = parse(text).unwrap().remove(0);
        let mut problems = Problems::default();
        let spec: Spec = document.typed(&mut problems).unwrap();
        assert_eq!(
            spec,
            Spec {
                items: vec![Item { port: 1 }, Item { port: 0 }],
                ..Spec::default()
            }
        );
        let text = problems.to_string();
        let expected = "name: must be text, not a list\n\
             count: must be a whole number, not string \"many\"\n\
             items[1].port: must be a whole number, not string \"x\"\n\
             warning: extra: is not a known field; it is kept and has no effect\n\
             warning: items[0].prot: is not a known field; it is kept and has no effect";
        assert_eq!(text, expected);
    }

    #[test]
    fn null_means_not_set() {
        let document = parse("name: null\ncount: ~\nitems: null\n")
            .unwrap()
            .remove(0);
        let mut problems = Problems::default();
        assert_eq!(document.typed(&mut problems), Some(Spec::default()));
        assert_eq!(problems.to_string(), "");
    }

    #[test]
    fn a_wrong_type_is_told_once_with_the_way_to_write_it() {
        #[derive(Debug, Default, Deserialize)]
        #[serde(default)]
        struct Wide {
            name: String,
            words: Vec<String>,
            count: i32,
            port: u16,
            on: bool,
            items: Vec<Item>,
        }
        let cases = [
            (
                "name: n",
                "name: must be text, not boolean `false`; put it in quotes, as YAML takes y, n, yes, no, on and off for true and false",
            ),
            (
                "name: 5",
                "name: must be text, not integer `5`; put it in quotes",
            ),
            (
                "words: a",
                "words: must be a list, not string \"a\"; write it as [\"a\"]",
            ),
            (
                "words: 5",
                "words: must be a list, not integer `5`; write it as [5]",
            ),
            (
                "words: {a: b}",
                "words: must be a list, not a map; begin each of its items with -",
            ),
            (
                "words: [a, 5, b, 6]",
                "words[1]: must be text, not integer `5`; put it in quotes\nwords[3]: must be text, not integer `6`; put it in quotes",
            ),
            ("words: [a, [b]]", "words[1]: must be text, not a list"),
            (
                "count: '5'",
                "count: must be a whole number, not string \"5\"; leave the quotes out",
            ),
            (
                "count: 1.5",
                "count: must be a whole number, not floating point `1.5`",
            ),
            (
                "count: 3000000000",
                "count: must be a whole number from -2147483648 to 2147483647, not integer `3000000000`",
            ),
            (
                "port: -1",
                "port: must be a whole number from 0 to 65535, not integer `-1`",
            ),
            (
                "\"on\": 'true'",
                "on: must be true or false, not string \"true\"; leave the quotes out",
            ),
            (
                "items: [x, {port: 1}]",
                "items[0]: must be a map of fields, not string \"x\"",
            ),
        ];
        for (text, expected) in cases {
            let document = parse(text).unwrap().remove(0);
            let mut problems = Problems::default();
            let typed: Option<Wide> = document.typed(&mut problems);
            assert_eq!(problems.to_string(), expected, "{text}");
            let typed = typed.unwrap();
            if text.starts_with("words: [a, 5") {
                assert_eq!(typed.words, ["a", "", "b", ""]);
            }
            if text.starts_with("items") {
                assert_eq!(typed.items, [Item { port: 0 }, Item { port: 1 }]);
            }
        }
    }

    #[test]
    fn what_only_follows_from_a_wrong_type_is_passed_over() {
        let document = parse("name: 5\nitems:\n- port: x\n").unwrap().remove(0);
        let mut problems = Problems::default();
        let spec: Spec = document.typed(&mut problems).unwrap();
        problems.require("name", &spec.name, ", as a word");
        problems.require("other", "", "");
        problems.at("items", |problems| {
            problems.at_index(0, |problems| {
                problems.error("must have a port");
                problems.at("port", |problems| problems.error("must be set"));
            });
            problems.error("must be two");
        });
        let mut outer = Problems::default();
        outer.at("spec", |outer| {
            outer.extend(problems);
            outer.require("name", "", "");
        });
        let expected = "spec.name: must be text, not integer `5`; put it in quotes\n\
             spec.items[0].port: must be a whole number, not string \"x\"\n\
             spec.other: must be set\n\
             spec.items: must be two";
        assert_eq!(outer.to_string(), expected);
    }
}
