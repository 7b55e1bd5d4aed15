//! Trigger conditions: `&&`, `||` and parentheses over dependency names of any kind.
//! It never knows events: who holds which one is the caller's answer to `holds` and `missing`.
//!
//! ```text
//!  "(a || b) && c" ──compile(names)──▶ Condition ──holds(|name| …)──▶ bool
//!                                          └──────missing(|name| …)──▶ [["a"], ["b"]]
//! ```

mod error;
mod parse;

use std::fmt;

pub use error::ConditionError;

/// The most alternatives that [`Condition::missing`] lists.
pub const MAX_ALTERNATIVES: usize = 64;

/// A compiled condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    root: Node,
    dependencies: Vec<String>,
}

/// A condition as a tree; chains are flat, so its depth is that of the parentheses.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Name(usize),
    All(Vec<Node>),
    Any(Vec<Node>),
}

impl Condition {
    /// Reads a condition over the given dependency names.
    ///
    /// A name that is written exactly as a dependency means that one; otherwise `-` and `_` are taken as
    /// the same character, as Argo does (the last dependency that fits wins).
    /// Names that hold spaces, parentheses, `&`, `|` or quotes are written in quotes.
    ///
    /// # Errors
    /// For unknown names, other operators, and nesting beyond 100 parentheses.
    pub fn compile(text: &str, names: &[&str]) -> Result<Self, ConditionError> {
        let (root, dependencies) = parse::parse(text, names)?;
        Ok(Self { root, dependencies })
    }

    /// The condition of a trigger that names none: every dependency is needed.
    #[must_use]
    pub fn all(names: &[&str]) -> Self {
        let mut dependencies: Vec<String> = Vec::new();
        for name in names {
            if !dependencies.iter().any(|known| known == name) {
                dependencies.push((*name).to_owned());
            }
        }
        let mut leaves: Vec<Node> = (0..dependencies.len()).map(Node::Name).collect();
        let root = match leaves.pop() {
            Some(only) if leaves.is_empty() => only,
            Some(last) => {
                leaves.push(last);
                Node::All(leaves)
            }
            None => Node::All(leaves),
        };
        Self { root, dependencies }
    }

    /// The distinct dependencies, in order of first appearance.
    #[must_use]
    pub fn dependencies(&self) -> &[String] {
        &self.dependencies
    }

    /// Whether any `&&` is present, so that events must be held until others arrive.
    #[must_use]
    pub fn needs_all(&self) -> bool {
        fn has_and(node: &Node) -> bool {
            match node {
                Node::Name(_) => false,
                Node::All(_) => true,
                Node::Any(nodes) => nodes.iter().any(has_and),
            }
        }
        has_and(&self.root)
    }

    /// Whether the condition is true, given which dependencies have an event.
    #[must_use]
    pub fn holds(&self, present: impl Fn(&str) -> bool) -> bool {
        self.node_holds(&self.root, &present)
    }

    fn node_holds(&self, node: &Node, present: &dyn Fn(&str) -> bool) -> bool {
        match node {
            Node::Name(index) => self
                .dependencies
                .get(*index)
                .is_some_and(|name| present(name)),
            Node::All(nodes) => nodes.iter().all(|node| self.node_holds(node, present)),
            Node::Any(nodes) => nodes.iter().any(|node| self.node_holds(node, present)),
        }
    }

    /// The smallest sets of dependencies that would still make it true; empty when it is true.
    ///
    /// At most [`MAX_ALTERNATIVES`] sets are looked at, the smallest first.
    #[must_use]
    pub fn missing(&self, present: impl Fn(&str) -> bool) -> Vec<Vec<String>> {
        if self.holds(&present) {
            return Vec::new();
        }
        let name = |index: usize| self.dependencies.get(index).cloned();
        self.gaps(&self.root, &present)
            .into_iter()
            .map(|set| set.into_iter().filter_map(name).collect())
            .collect()
    }

    /// Sets of indices, each sorted; the empty set means that the node holds.
    fn gaps(&self, node: &Node, present: &dyn Fn(&str) -> bool) -> Vec<Vec<usize>> {
        match node {
            _ if self.node_holds(node, present) => vec![Vec::new()],
            Node::Name(index) => vec![vec![*index]],
            Node::Any(nodes) => {
                let sets = nodes
                    .iter()
                    .flat_map(|node| self.gaps(node, present))
                    .collect();
                smallest(sets)
            }
            Node::All(nodes) => {
                let mut product: Vec<Vec<usize>> = vec![Vec::new()];
                for node in nodes {
                    let gaps = self.gaps(node, present);
                    let joined = product
                        .iter()
                        .flat_map(|left| gaps.iter().map(|right| join(left, right)));
                    product = smallest(joined.collect());
                }
                product
            }
        }
    }
}

fn join(left: &[usize], right: &[usize]) -> Vec<usize> {
    let mut both = [left, right].concat();
    both.sort_unstable();
    both.dedup();
    both
}

/// Drops every set that contains another one.
fn smallest(mut sets: Vec<Vec<usize>>) -> Vec<Vec<usize>> {
    sets.sort_by(|a, b| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
    sets.dedup();
    let mut kept: Vec<Vec<usize>> = Vec::new();
    for set in sets {
        if kept.len() == MAX_ALTERNATIVES {
            break;
        }
        if !kept
            .iter()
            .any(|small| small.iter().all(|index| set.binary_search(index).is_ok()))
        {
            kept.push(set);
        }
    }
    kept
}

/// The canonical text, `(a||b)&&c`, which compiles to an equal condition.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(&self.root, f)
    }
}

impl Condition {
    fn write(&self, node: &Node, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (nodes, operator) = match node {
            Node::Name(index) => {
                let name = self.dependencies.get(*index).map_or("", String::as_str);
                return f.write_str(&parse::quoted(name));
            }
            Node::All(nodes) => (nodes, "&&"),
            Node::Any(nodes) => (nodes, "||"),
        };
        for (position, inner) in nodes.iter().enumerate() {
            if position > 0 {
                f.write_str(operator)?;
            }
            if matches!((node, inner), (Node::All(_), Node::Any(_))) {
                f.write_str("(")?;
                self.write(inner, f)?;
                f.write_str(")")?;
            } else {
                self.write(inner, f)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
