//! Condition text to a tree, with names resolved against the sensor's dependencies.
//! It never recurses without counting parentheses.

use super::{ConditionError, Node};

/// The most parentheses inside each other.
const MAX_DEPTH: usize = 100;

/// Characters that end a bare name.
fn ends_name(char: char) -> bool {
    char.is_whitespace() || matches!(char, '(' | ')' | '&' | '|' | '"' | '\'')
}

/// A name as it is written in a condition.
pub(super) fn quoted(name: &str) -> String {
    if !name.is_empty() && !name.contains(ends_name) {
        return name.to_owned();
    }
    let quote = if name.contains('"') { '\'' } else { '"' };
    format!("{quote}{name}{quote}")
}

pub(super) fn parse(text: &str, names: &[&str]) -> Result<(Node, Vec<String>), ConditionError> {
    let mut parser = Parser {
        text,
        names,
        at: 0,
        dependencies: Vec::new(),
    };
    let root = parser.any(0)?;
    match parser.next_char() {
        None => Ok((root, parser.dependencies)),
        Some(')') => Err(parser.syntax("a `)` that nothing opened")),
        Some(_) => Err(parser.no_operator()),
    }
}

struct Parser<'a> {
    text: &'a str,
    names: &'a [&'a str],
    at: usize,
    dependencies: Vec<String>,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Skips space and looks at the next character.
    fn next_char(&mut self) -> Option<char> {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
        self.rest().chars().next()
    }

    fn take(&mut self, token: &str) -> bool {
        self.next_char();
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn syntax(&self, what: impl Into<String>) -> ConditionError {
        ConditionError::Syntax {
            what: what.into(),
            offset: self.at,
        }
    }

    /// The error for what stands where `&&`, `||` or the end should.
    fn no_operator(&mut self) -> ConditionError {
        match self.next_char() {
            Some('&') => self.syntax("a single `&` (write `&&`)"),
            Some('|') => self.syntax("a single `|` (write `||`)"),
            Some(_) => {
                let word = self.word();
                self.syntax(format!("{word:?} where `&&` or `||` should stand"))
            }
            None => self.syntax("unexpected end"),
        }
    }

    /// What stands here, for messages.
    fn word(&self) -> String {
        let rest = self.rest();
        let end = rest.find(ends_name).filter(|end| *end > 0);
        let end = end.unwrap_or_else(|| rest.chars().next().map_or(0, char::len_utf8));
        let whole = if rest.contains(ends_name) {
            rest.get(..end)
        } else {
            Some(rest)
        };
        whole.unwrap_or_default().chars().take(80).collect()
    }

    fn any(&mut self, depth: usize) -> Result<Node, ConditionError> {
        let mut nodes = Vec::new();
        loop {
            match self.all(depth)? {
                Node::Any(inner) => nodes.extend(inner),
                node => nodes.push(node),
            }
            if !self.take("||") {
                return Ok(single(nodes, Node::Any));
            }
        }
    }

    fn all(&mut self, depth: usize) -> Result<Node, ConditionError> {
        let mut nodes = Vec::new();
        loop {
            match self.operand(depth)? {
                Node::All(inner) => nodes.extend(inner),
                node => nodes.push(node),
            }
            if !self.take("&&") {
                return Ok(single(nodes, Node::All));
            }
        }
    }

    fn operand(&mut self, depth: usize) -> Result<Node, ConditionError> {
        let Some(char) = self.next_char() else {
            return Err(self.syntax("the end where a dependency name should stand"));
        };
        match char {
            '(' if depth == MAX_DEPTH => Err(ConditionError::TooDeep {
                limit: MAX_DEPTH,
                offset: self.at,
            }),
            '(' => {
                self.at += 1;
                if self.next_char() == Some(')') {
                    return Err(self.syntax("nothing between parentheses"));
                }
                let inner = self.any(depth + 1)?;
                match self.next_char() {
                    Some(')') => {
                        self.at += 1;
                        Ok(inner)
                    }
                    None => Err(self.syntax("a missing `)`")),
                    Some(_) => Err(self.no_operator()),
                }
            }
            ')' | '&' | '|' => {
                Err(self.syntax(format!("`{char}` where a dependency name should stand")))
            }
            '"' | '\'' => self.quoted_name(char),
            _ => self.bare_name(),
        }
    }

    fn quoted_name(&mut self, quote: char) -> Result<Node, ConditionError> {
        let offset = self.at;
        let inner = self.rest().get(1..).unwrap_or_default();
        let Some(end) = inner.find(quote) else {
            return Err(self.syntax("a quote that is not closed"));
        };
        let name = inner.get(..end).unwrap_or_default().to_owned();
        self.at += end + 2;
        self.resolve(&name, offset)
    }

    fn bare_name(&mut self) -> Result<Node, ConditionError> {
        let offset = self.at;
        let rest = self.rest();
        let name = rest
            .get(..rest.find(ends_name).unwrap_or(rest.len()))
            .unwrap_or_default();
        if self.names.contains(&name) {
            let name = name.to_owned();
            self.at += name.len();
            return self.resolve(&name, offset);
        }
        let operator = |char: char| "!=<>?,;+*%^~{}[]".contains(char);
        if let Some(place) = name.find(operator) {
            let found: String = name
                .chars()
                .skip_while(|char| !operator(*char))
                .take(1)
                .collect();
            self.at += place;
            return Err(self.syntax(format!("`{found}` has no meaning here")));
        }
        let name = name.to_owned();
        let node = self.resolve(&name, offset);
        // `not a`: the word is the mistake, not a dependency that is missing.
        if node.is_err() && name == "not" {
            return Err(self.syntax("`not` has no meaning here"));
        }
        self.at += name.len();
        node
    }

    fn resolve(&mut self, name: &str, offset: usize) -> Result<Node, ConditionError> {
        let fold = |text: &str| text.replace('-', "_");
        let exact = self.names.iter().find(|known| **known == name);
        let known = exact
            .or_else(|| {
                self.names
                    .iter()
                    .rev()
                    .find(|known| fold(known) == fold(name))
            })
            .ok_or_else(|| ConditionError::Unknown {
                name: name.chars().take(80).collect(),
                offset,
                suggestion: closest(name, self.names),
            })?;
        let index = self
            .dependencies
            .iter()
            .position(|dependency| dependency == known);
        Ok(Node::Name(index.unwrap_or_else(|| {
            self.dependencies.push((*known).to_owned());
            self.dependencies.len() - 1
        })))
    }
}

/// A chain of one is its only member.
fn single(mut nodes: Vec<Node>, chain: fn(Vec<Node>) -> Node) -> Node {
    match nodes.pop() {
        Some(only) if nodes.is_empty() => only,
        Some(last) => {
            nodes.push(last);
            chain(nodes)
        }
        None => chain(nodes),
    }
}

/// The known name that takes the fewest edits, if these are few.
fn closest(name: &str, names: &[&str]) -> Option<String> {
    let short: Vec<char> = name.to_lowercase().chars().take(64).collect();
    names
        .iter()
        .map(|known| {
            let other: Vec<char> = known.to_lowercase().chars().take(64).collect();
            (edits(&short, &other), known)
        })
        .filter(|(edits, known)| *edits <= 1 + known.len().min(name.len()) / 3)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, known)| (*known).to_owned())
}

/// Edits that turn one text into the other.
fn edits(from: &[char], to: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, left) in from.iter().enumerate() {
        let mut corner = line;
        let mut before = line + 1;
        for (cell, right) in row.iter_mut().skip(1).zip(to) {
            let changed = corner + usize::from(left != right);
            corner = *cell;
            *cell = changed.min(*cell + 1).min(before + 1);
            before = *cell;
        }
        if let Some(first) = row.first_mut() {
            *first = line + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}
