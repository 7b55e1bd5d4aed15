//! YAML text to documents with positions, and (in `typed`) documents to typed specs with every problem.
//! It reads text only: finding and opening files is the caller's work.

mod list;
mod reader;

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::problems::Path;

mod typed;

pub use self::reader::read;

/// A line and a column, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// One object of a YAML file.
#[derive(Debug, Clone)]
pub struct Document {
    /// The object as it was written: unknown fields and member order are kept.
    pub object: Value,
    positions: BTreeMap<Path, Position>,
}

/// A text that is not YAML.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct YamlError {
    /// Where, if the parser knows.
    pub position: Option<Position>,
    /// What is wrong there.
    pub message: String,
}

impl Document {
    /// A document that comes from the API and has no text.
    #[must_use]
    pub fn from_object(object: Value) -> Self {
        Self {
            object,
            positions: BTreeMap::new(),
        }
    }

    fn text(&self, path: &[&str]) -> &str {
        let mut value = &self.object;
        for key in path {
            value = value.get(key).unwrap_or(&Value::Null);
        }
        value.as_str().unwrap_or_default()
    }

    /// `kind`, or nothing.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.text(&["kind"])
    }

    /// `apiVersion`, or nothing.
    #[must_use]
    pub fn api_version(&self) -> &str {
        self.text(&["apiVersion"])
    }

    /// `metadata.name`, or nothing.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text(&["metadata", "name"])
    }

    /// `metadata.namespace`, or nothing.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.text(&["metadata", "namespace"])
    }

    /// Where the value at `path` stands in the text, or its nearest ancestor that stands somewhere.
    #[must_use]
    pub fn position(&self, path: &Path) -> Option<Position> {
        let mut path = path.clone();
        loop {
            if let Some(position) = self.positions.get(&path) {
                return Some(*position);
            }
            path = path.parent()?;
        }
    }
}

/// Reads all documents of a YAML (or JSON) text; empty ones are left out.
///
/// # Errors
/// The first place where the text is not YAML, with a hint where a template is the likely cause.
pub fn parse(text: &str) -> Result<Vec<Document>, YamlError> {
    let nodes: Vec<serde_saphyr::Spanned<Node>> =
        serde_saphyr::from_multiple_with_options(text, options(text))
            .map_err(|error| yaml_error(text, &error))?;
    let mut documents = Vec::new();
    for node in nodes {
        let mut positions = BTreeMap::new();
        let object = place(node, Path::default(), &mut positions);
        if !object.is_null() {
            documents.push(Document { object, positions });
        }
    }
    Ok(documents)
}

/// As many documents and nodes as the text has room for: its length is the caller's limit. Aliases stay bounded, since
/// they are what makes little text much.
fn options(text: &str) -> serde_saphyr::Options {
    let mut budget = serde_saphyr::budget::Budget::default();
    budget.max_documents = budget.max_documents.max(text.len() / 4);
    budget.max_nodes = budget.max_nodes.max(text.len());
    budget.max_events = budget.max_events.max(text.len().saturating_mul(2));
    serde_saphyr::options! {
        budget: Some(budget),
        // `defaultMode: 0644` means for kubectl what it means for chmod.
        legacy_octal_numbers: true,
    }
}

fn yaml_error(text: &str, error: &serde_saphyr::Error) -> YamlError {
    let error = error.without_snippet();
    let position = error.location().map(|at| Position {
        line: usize::try_from(at.line()).unwrap_or(1),
        column: usize::try_from(at.column()).unwrap_or(1),
    });
    let mut message = error.to_string();
    // The position is printed beside the file's name.
    if let Some(cut) = message.find(" at line ") {
        message.truncate(cut);
    }
    if message.starts_with("budget breached") {
        message = "is too large once its aliases are filled in: at most 250,000 values".to_owned();
    }
    let line = position.and_then(|at| text.lines().nth(at.line.saturating_sub(1)));
    if line.is_some_and(|line| line.contains("{{") && !line.contains(['"', '\''])) {
        message.push_str("; a value that starts with {{ must be in quotes");
    }
    YamlError { position, message }
}

fn place(
    node: serde_saphyr::Spanned<Node>,
    path: Path,
    positions: &mut BTreeMap<Path, Position>,
) -> Value {
    let at = node.referenced;
    let (line, column) = (usize::try_from(at.line()), usize::try_from(at.column()));
    if let (Ok(line), Ok(column)) = (line, column)
        && line > 0
    {
        positions.insert(path.clone(), Position { line, column });
    }
    match node.value {
        Node::Scalar(value) => value,
        Node::List(items) => {
            let items = items.into_iter().enumerate();
            Value::Array(
                items
                    .map(|(index, item)| place(item, path.index(index), positions))
                    .collect(),
            )
        }
        Node::Map(members) => {
            let members = members.into_iter().map(|(key, value)| {
                let value = place(value, path.key(&key), positions);
                (key, value)
            });
            Value::Object(members.collect())
        }
    }
}

/// A YAML value whose children know where they stand.
enum Node {
    Scalar(Value),
    List(Vec<serde_saphyr::Spanned<Node>>),
    Map(Vec<(String, serde_saphyr::Spanned<Node>)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

/// A member's name as it is written: `n`, `on` and `01` are words there, whatever they are as values.
struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_option(KeyVisitor)
    }
}

struct KeyVisitor;

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a word as key")
    }

    fn visit_str<E>(self, text: &str) -> Result<Key, E> {
        Ok(Key(text.to_owned()))
    }

    fn visit_none<E>(self) -> Result<Key, E> {
        Ok(Key("null".to_owned()))
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Key, E> {
        self.visit_none()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key, D::Error> {
        deserializer.deserialize_str(self)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Node, E> {
        // As kubectl sends it: 1.0 and 1e3 are whole numbers.
        if let Ok(whole) = value.to_string().parse::<i64>() {
            return Ok(Node::Scalar(whole.into()));
        }
        let number = serde_json::Number::from_f64(value);
        number
            .map(|number| Node::Scalar(number.into()))
            .ok_or_else(|| E::custom("JSON has no such number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut members: Vec<(String, serde_saphyr::Spanned<Node>)> = Vec::new();
        while let Some(Key(key)) = map.next_key::<Key>()? {
            members.push((key, map.next_value()?));
        }
        Ok(Node::Map(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_keep_their_order_and_know_where_things_stand() {
        let documents =
            parse("---\nkind: A\nmetadata:\n  name: x\n---\n\n---\nkind: B\nlist: [1, {b: 2}]\n")
                .unwrap();
        assert_eq!(documents.len(), 2);
        assert_eq!((documents[0].kind(), documents[0].name()), ("A", "x"));
        let path = Path::default().key("list").index(1).key("b");
        assert_eq!(
            documents[1].position(&path),
            Some(Position {
                line: 9,
                column: 15
            })
        );
        let missing = Path::default().key("list").index(7);
        assert_eq!(documents[1].position(&missing).map(|at| at.line), Some(9));
    }

    #[test]
    fn a_file_may_hold_thousands_of_documents_but_no_alias_bomb() {
        let text = "---\nkind: A\nlist: [1, 2]\n".repeat(5000);
        assert_eq!(parse(&text).unwrap().len(), 5000);
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let below = format!("*a{}, ", level - 1).repeat(9);
            bomb.push_str(&format!(
                "a{level}: &a{level} [{}]\n",
                below.trim_end_matches(", ")
            ));
        }
        assert!(parse(&bomb).is_err());
    }

    #[test]
    fn numbers_are_what_kubectl_makes_of_them() {
        let cases = [
            ("0644", "420"),
            ("-017", "-15"),
            ("0o17", "15"),
            ("0x1F", "31"),
            ("08", "8"),
            ("0", "0"),
            ("1.0", "1"),
            ("1e3", "1000"),
            ("1.50", "1.5"),
            ("-2.0", "-2"),
            ("9007199254740993", "9007199254740993"),
            ("18446744073709551615", "18446744073709551615"),
            ("'0644'", "\"0644\""),
            ("1.2.3", "\"1.2.3\""),
            ("2024-01-02", "\"2024-01-02\""),
        ];
        for (text, expected) in cases {
            let document = parse(&format!("a: {text}\n")).unwrap().remove(0);
            assert_eq!(document.object["a"].to_string(), expected, "{text}");
        }
    }

    #[test]
    fn keys_are_words_as_they_are_written() {
        let text = "n: 1\ny: 2\non: 3\n01: 4\n1.0: 5\n~: 6\n'q r': 7\n{n: 8}: 9\n";
        assert!(parse(text).is_err());
        let text = text.replace("{n: 8}: 9\n", "");
        let document = parse(&text).unwrap().remove(0);
        assert_eq!(
            document.object.to_string(),
            r#"{"n":1,"y":2,"on":3,"01":4,"1.0":5,"null":6,"q r":7}"#
        );
        let merged = parse("a: &a {n: 1}\nb: {<<: *a, m: 2}\n")
            .unwrap()
            .remove(0);
        assert_eq!(merged.object["b"].to_string(), r#"{"m":2,"n":1}"#);
    }

    #[test]
    fn a_broken_text_names_its_place() {
        let error = parse("a: 1\nb: {{ .x }}\n").unwrap_err();
        assert_eq!(error.position.map(|at| at.line), Some(2));
        assert!(error.message.contains("in quotes"), "{}", error.message);
        assert!(
            parse("a: 1\na: 2\n")
                .unwrap_err()
                .message
                .contains("duplicate")
        );
    }
}
