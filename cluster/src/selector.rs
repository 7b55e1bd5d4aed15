//! Label and field selectors: the grammar of `labelSelector` and `fieldSelector`.
//!
//! Pure: text to a predicate over labels or an object.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::store::{Key, Stored};

/// What an object must look like to be listed or watched.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selector {
    pub(crate) labels: Vec<LabelRule>,
    pub(crate) fields: Vec<FieldRule>,
}

impl Selector {
    /// Reads both selectors of a request; the error says what must hold.
    pub(crate) fn parse(labels: Option<&str>, fields: Option<&str>) -> Result<Self, String> {
        Ok(Self {
            labels: parse_labels(labels.unwrap_or_default())?,
            fields: parse_fields(fields.unwrap_or_default())?,
        })
    }

    /// Whether everything is selected.
    pub(crate) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Whether this object is selected.
    pub(crate) fn matches(&self, key: &Key, object: &Stored) -> bool {
        if !self.labels.iter().all(|rule| rule.matches(&object.labels)) {
            return false;
        }
        // Only fields outside of the key need the object taken apart.
        let mut parsed: Option<Value> = None;
        self.fields.iter().all(|rule| {
            let actual = match rule.path.as_slice() {
                [meta, field] if meta == "metadata" && field == "name" => key.name.clone(),
                [meta, field] if meta == "metadata" && field == "namespace" => {
                    key.namespace.clone()
                }
                path => {
                    let value = parsed.get_or_insert_with(|| object.value().unwrap_or_default());
                    scalar(path.iter().try_fold(&*value, |value, part| value.get(part)))
                }
            };
            (actual == rule.value) == rule.equal
        })
    }
}

/// A field as a selector compares it; what is absent is empty.
fn scalar(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Bool(flag)) => flag.to_string(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// One requirement on one label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LabelRule {
    key: String,
    test: LabelTest,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum LabelTest {
    Exists,
    Absent,
    In(Vec<String>),
    NotIn(Vec<String>),
    Above(i64),
    Below(i64),
}

impl LabelRule {
    fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        let number = || value.and_then(|value| value.parse::<i64>().ok());
        match &self.test {
            LabelTest::Exists => value.is_some(),
            LabelTest::Absent => value.is_none(),
            LabelTest::In(set) => value.is_some_and(|value| set.contains(value)),
            LabelTest::NotIn(set) => value.is_none_or(|value| !set.contains(value)),
            LabelTest::Above(bound) => number().is_some_and(|number| number > *bound),
            LabelTest::Below(bound) => number().is_some_and(|number| number < *bound),
        }
    }
}

/// One requirement on one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldRule {
    path: Vec<String>,
    value: String,
    equal: bool,
}

impl FieldRule {
    /// The name that this rule asks for, if it asks for one.
    pub(crate) fn name(&self) -> Option<&str> {
        let is_name = matches!(self.path.as_slice(), [m, f] if m == "metadata" && f == "name");
        (is_name && self.equal).then_some(self.value.as_str())
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Comma,
    Open,
    Close,
    Not,
    Equal,
    NotEqual,
    Above,
    Below,
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let mut follows = |wanted: char| chars.next_if_eq(&wanted).is_some();
        tokens.push(match c {
            c if c.is_whitespace() => continue,
            ',' => Token::Comma,
            '(' => Token::Open,
            ')' => Token::Close,
            '>' => Token::Above,
            '<' => Token::Below,
            '!' if follows('=') => Token::NotEqual,
            '!' => Token::Not,
            '=' => {
                follows('=');
                Token::Equal
            }
            first => {
                let mut word = String::from(first);
                while let Some(next) = chars.next_if(|c| {
                    !c.is_whitespace() && !matches!(c, ',' | '(' | ')' | '=' | '!' | '<' | '>')
                }) {
                    word.push(next);
                }
                Token::Word(word)
            }
        });
    }
    tokens
}

fn parse_labels(text: &str) -> Result<Vec<LabelRule>, String> {
    let mut tokens = tokens(text).into_iter().peekable();
    let mut rules = Vec::new();
    if tokens.peek().is_none() {
        return Ok(rules);
    }
    loop {
        rules.push(label_rule(&mut tokens)?);
        match tokens.next() {
            None => return Ok(rules),
            Some(Token::Comma) => {}
            Some(other) => return Err(format!("expected a comma in {text:?}, found {other:?}")),
        }
    }
}

type Tokens = std::iter::Peekable<std::vec::IntoIter<Token>>;

fn label_rule(tokens: &mut Tokens) -> Result<LabelRule, String> {
    let negated = tokens.next_if_eq(&Token::Not).is_some();
    let Some(Token::Word(key)) = tokens.next() else {
        return Err("a label selector needs the name of a label".into());
    };
    crate::objects::qualified_name(&key).map_err(|why| format!("label {key:?} {why}"))?;
    if negated {
        return Ok(LabelRule {
            key,
            test: LabelTest::Absent,
        });
    }
    let test = match tokens.peek() {
        None | Some(Token::Comma) => LabelTest::Exists,
        Some(_) => match tokens.next() {
            Some(Token::Equal) => LabelTest::In(vec![value(tokens)?]),
            Some(Token::NotEqual) => LabelTest::NotIn(vec![value(tokens)?]),
            Some(Token::Above) => LabelTest::Above(bound(tokens)?),
            Some(Token::Below) => LabelTest::Below(bound(tokens)?),
            Some(Token::Word(word)) if word == "in" => LabelTest::In(set(tokens)?),
            Some(Token::Word(word)) if word == "notin" => LabelTest::NotIn(set(tokens)?),
            other => {
                return Err(format!(
                    "expected =, !=, in or notin after {key:?}, found {other:?}"
                ));
            }
        },
    };
    Ok(LabelRule { key, test })
}

fn value(tokens: &mut Tokens) -> Result<String, String> {
    // `a=` selects the empty value.
    let Some(Token::Word(word)) = tokens.next_if(|token| matches!(token, Token::Word(_))) else {
        return Ok(String::new());
    };
    crate::objects::label_value(&word).map_err(|why| format!("label value {word:?} {why}"))?;
    Ok(word)
}

fn bound(tokens: &mut Tokens) -> Result<i64, String> {
    let text = value(tokens)?;
    text.parse()
        .map_err(|_| format!("expected a whole number, found {text:?}"))
}

fn set(tokens: &mut Tokens) -> Result<Vec<String>, String> {
    if tokens.next() != Some(Token::Open) {
        return Err("expected a list of values in parentheses after in or notin".into());
    }
    let mut set = Vec::new();
    loop {
        set.push(value(tokens)?);
        match tokens.next() {
            Some(Token::Close) => return Ok(set),
            Some(Token::Comma) => {}
            _ => return Err("a list of values must end with a parenthesis".into()),
        }
    }
}

fn parse_fields(text: &str) -> Result<Vec<FieldRule>, String> {
    let mut rules = Vec::new();
    for term in split_unescaped(text) {
        if term.is_empty() {
            continue;
        }
        let (path, equal, value) = if let Some((path, value)) = term.split_once("!=") {
            (path, false, value)
        } else if let Some((path, value)) = term.split_once("==") {
            (path, true, value)
        } else if let Some((path, value)) = term.split_once('=') {
            (path, true, value)
        } else {
            return Err(format!(
                "expected field=value or field!=value, found {term:?}"
            ));
        };
        let path: Vec<String> = path.trim().split('.').map(Into::into).collect();
        let known = match path.as_slice() {
            [meta, field] if meta == "metadata" => field == "name" || field == "namespace",
            [meta, ..] if meta == "metadata" => false,
            path => path.iter().all(|part| !part.is_empty()),
        };
        if !known {
            return Err(format!("field label not supported: {}", path.join(".")));
        }
        rules.push(FieldRule {
            path,
            value: unescape(value),
            equal,
        });
    }
    Ok(rules)
}

/// Splits at commas that no backslash precedes.
fn split_unescaped(text: &str) -> Vec<String> {
    let mut terms = vec![String::new()];
    let mut escaped = false;
    for c in text.chars() {
        if c == ',' && !escaped {
            terms.push(String::new());
            continue;
        }
        escaped = c == '\\' && !escaped;
        if let Some(term) = terms.last_mut() {
            term.push(c);
        }
    }
    terms
}

fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        plain.push(if c == '\\' {
            chars.next().unwrap_or(c)
        } else {
            c
        });
    }
    plain
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::Selector;
    use crate::store::{Key, Stored};

    fn selects(labels: Option<&str>, fields: Option<&str>) -> Result<bool, String> {
        let object = br#"{"metadata":{"name":"n","labels":{"app":"web","tier":"1","e":""}},
            "spec":{"node":"a,b","on":true,"n":3},"status":{"phase":"Running"}}"#;
        let object = Stored::from_bytes(Bytes::from_static(object)).unwrap();
        let selector = Selector::parse(labels, fields)?;
        Ok(selector.matches(&Key::new("ns", "n"), &object))
    }

    #[test]
    fn label_selectors_follow_the_whole_grammar() {
        let table = [
            ("", true),
            ("app=web", true),
            ("app==web", true),
            ("app = web , tier", true),
            ("app!=web", false),
            ("other!=web", true),
            ("app in (web, db)", true),
            ("app in (db)", false),
            ("app notin (db,x)", true),
            ("other notin (db)", true),
            ("app notin (web)", false),
            ("!other", true),
            ("!app", false),
            ("app,other", false),
            ("tier>0", true),
            ("tier<1", false),
            ("app>0", false),
            ("e=", true),
            ("e in ()", true),
            ("app in (,web)", true),
        ];
        for (text, expected) in table {
            assert_eq!(selects(Some(text), None), Ok(expected), "{text}");
        }
    }

    #[test]
    fn broken_label_selectors_are_refused() {
        for text in [
            "=",
            ",",
            "app in",
            "app in (",
            "app in (a",
            "app web",
            "a=b,",
            "!",
            "a>x",
            "/x",
            "a=b=c",
            "a b(c)",
            "a=?",
        ] {
            assert!(selects(Some(text), None).is_err(), "{text}");
        }
    }

    #[test]
    fn field_selectors_compare_names_and_scalars() {
        let table = [
            ("metadata.name=n", true),
            ("metadata.name!=n", false),
            ("metadata.namespace==ns", true),
            ("status.phase=Running,spec.on=true,spec.n=3", true),
            ("status.phase!=Running", false),
            (r"spec.node=a\,b", true),
            ("spec.missing=", true),
        ];
        for (text, expected) in table {
            assert_eq!(selects(None, Some(text)), Ok(expected), "{text}");
        }
        for text in [
            "metadata.labels.app=web",
            "metadata.uid=x",
            "phase",
            "a..b=c",
        ] {
            assert!(selects(None, Some(text)).is_err(), "{text}");
        }
    }
}
