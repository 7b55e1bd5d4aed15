//! YAML text to documents with positions, and documents to typed specs with every problem.
//! It reads text only: finding and opening files is the caller's work.

mod list;

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeOwned, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::problems::{Path, Problem, Problems, Segment, Severity};

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

    /// Reads the object as `T`. Every wrong type and every unknown field is reported, not only the first.
    ///
    /// A member of the wrong type is left out and reading goes on, so `None` means that the object is beyond that.
    pub fn typed<T: DeserializeOwned>(&self, problems: &mut Problems) -> Option<T> {
        // Each round takes one wrong member out; real objects have a handful.
        const ROUNDS: usize = 50;
        let mut object = self.object.clone();
        for _ in 0..ROUNDS {
            let mut unknown = Vec::new();
            let mut track = serde_path_to_error::Track::new();
            let reader = serde_path_to_error::Deserializer::new(&object, &mut track);
            let result: Result<T, serde_json::Error> =
                serde_ignored::deserialize(reader, |path| unknown.push(ignored_path(&path)));
            match result {
                Ok(typed) => {
                    for path in unknown.into_iter().filter(|path| !is_common(path)) {
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
                Err(error) => {
                    let path = error_path(&track.path());
                    let null = lookup(&object, &path).is_some_and(Value::is_null);
                    let removed = remove(&mut object, &path);
                    // `field: null` means that the field is not set, as for the API server.
                    if null && removed {
                        continue;
                    }
                    problems.add(Problem {
                        severity: Severity::Error,
                        path,
                        message: type_message(&error.to_string()),
                        inner: None,
                    });
                    if !removed {
                        return None;
                    }
                }
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

/// serde speaks of "invalid type: string \"x\", expected i32"; users are told what must hold.
fn type_message(error: &str) -> String {
    let error = error.split(" at line ").next().unwrap_or(error);
    match error
        .strip_prefix("invalid type: ")
        .and_then(|rest| rest.split_once(", expected "))
    {
        Some((found, wanted)) => {
            let wanted = match wanted {
                "i32" | "i64" | "u32" | "u64" | "usize" | "u16" => "a whole number",
                "f64" => "a number",
                "a boolean" => "true or false",
                "a sequence" => "a list",
                "a map" => "a map of fields",
                "a string" => "text",
                other if other.starts_with("struct ") => "a map of fields",
                other => other,
            };
            format!("must be {wanted}, not {found}")
        }
        None => error.to_owned(),
    }
}

fn ignored_path(path: &serde_ignored::Path<'_>) -> Path {
    use serde_ignored::Path as P;
    match path {
        P::Root => Path::default(),
        P::Seq { parent, index } => ignored_path(parent).index(*index),
        P::Map { parent, key } => ignored_path(parent).key(key),
        P::Some { parent } | P::NewtypeStruct { parent } | P::NewtypeVariant { parent } => {
            ignored_path(parent)
        }
    }
}

fn error_path(path: &serde_path_to_error::Path) -> Path {
    use serde_path_to_error::Segment as S;
    let segments = path.iter().filter_map(|segment| match segment {
        S::Seq { index } => Some(Segment::Index(*index)),
        S::Map { key } => Some(Segment::Key(key.clone())),
        S::Enum { .. } | S::Unknown => None,
    });
    segments.collect::<Vec<_>>().into()
}

fn lookup<'a>(object: &'a Value, path: &Path) -> Option<&'a Value> {
    let mut steps = path.segments().iter();
    steps.try_fold(object, |value, step| match step {
        Segment::Key(key) => value.get(key),
        Segment::Index(index) => value.get(index),
    })
}

fn remove(object: &mut Value, path: &Path) -> bool {
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
        // A hole keeps the indexes of the elements behind it true; where null does not fit either, the list goes.
        (Segment::Index(index), Value::Array(items)) => match items.get_mut(*index) {
            Some(item) if !item.is_object() && !item.is_null() => {
                *item = Value::Null;
                true
            }
            Some(_) => {
                items.clear();
                true
            }
            None => false,
        },
        _ => false,
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
    serde_saphyr::options! { budget: Some(budget) }
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
        while let Some(key) = map.next_key::<Node>()? {
            let key = match key {
                Node::Scalar(Value::String(key)) => key,
                Node::Scalar(other) => other.to_string(),
                Node::List(_) | Node::Map(_) => {
                    return Err(A::Error::custom("a key must be a word"));
                }
            };
            members.push((key, map.next_value()?));
        }
        Ok(Node::Map(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let expected = "name: must be text, not sequence\n\
             count: must be a whole number, not string \"many\"\n\
             items[1].port: must be a whole number, not string \"x\"\n\
             warning: extra: is not a known field; it is kept and has no effect\n\
             warning: items[0].prot: is not a known field; it is kept and has no effect";
        assert_eq!(text, expected);
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
    fn null_means_not_set() {
        let document = parse("name: null\ncount: ~\nitems: null\n")
            .unwrap()
            .remove(0);
        let mut problems = Problems::default();
        assert_eq!(document.typed(&mut problems), Some(Spec::default()));
        assert_eq!(problems.to_string(), "");
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
