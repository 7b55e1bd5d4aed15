//! Everything that is wrong with an object, each with its path. It never stops at the first one and never prints.

use std::fmt;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It runs, but probably not as meant.
    Warning,
    /// It cannot run.
    Error,
}

/// Where in an object a problem sits, printed as `spec.triggers[0].template.name`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash, PartialOrd, Ord)]
pub struct Path(Vec<Segment>);

/// One step of a [`Path`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Segment {
    /// A member of an object.
    Key(String),
    /// An element of a list.
    Index(usize),
}

impl Path {
    /// The path one member deeper.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        self.with(Segment::Key(key.to_owned()))
    }

    /// The path one element deeper.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.with(Segment::Index(index))
    }

    fn with(&self, segment: Segment) -> Self {
        let mut segments = self.0.clone();
        segments.push(segment);
        Self(segments)
    }

    /// The steps from the root.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// The path without its last step; `None` at the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let (_, rest) = self.0.split_last()?;
        Some(Self(rest.to_vec()))
    }
}

impl From<Vec<Segment>> for Path {
    fn from(segments: Vec<Segment>) -> Self {
        Self(segments)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Key(key) => {
                    if position > 0 {
                        f.write_str(".")?;
                    }
                    if key.contains(['.', '[', ' ', '"']) || key.is_empty() {
                        write!(f, "{key:?}")?;
                    } else {
                        f.write_str(key)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// One thing that is wrong, in words that complete "`path` …".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Whether it runs all the same.
    pub severity: Severity,
    /// Where it is.
    pub path: Path,
    /// What must hold, then how to mend it. No final period.
    pub message: String,
    /// Line and column inside the text of the field, counted from 1, where a template or expression is wrong.
    pub inner: Option<(usize, usize)>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.segments().is_empty() {
            return f.write_str(&self.message);
        }
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// A list of problems that walks along with a spec.
///
/// ```
/// use tiphys_core::Problems;
/// let mut problems = Problems::default();
/// problems.at("spec", |problems| problems.at("url", |p| p.error("must be set, as nats://host:4222")));
/// assert_eq!(problems.to_string(), "spec.url: must be set, as nats://host:4222");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems {
    at: Path,
    list: Vec<Problem>,
    /// Where a value could not be read at all: what is missed there, or because of it, is the same problem.
    unread: Vec<Path>,
}

impl Problems {
    /// Says some of what was found so far in other words: where `words` gives any.
    pub fn reword(&mut self, words: impl Fn(&Problem) -> Option<String>) {
        for problem in &mut self.list {
            if let Some(message) = words(problem) {
                problem.message = message;
            }
        }
    }

    /// Looks at a member: what `check` reports gets its key added to the path.
    pub fn at<R>(&mut self, key: &str, check: impl FnOnce(&mut Self) -> R) -> R {
        self.step(Segment::Key(key.to_owned()), check)
    }

    /// Looks at an element of a list.
    pub fn at_index<R>(&mut self, index: usize, check: impl FnOnce(&mut Self) -> R) -> R {
        self.step(Segment::Index(index), check)
    }

    /// Looks at each element of the list under `key`.
    pub fn each<T>(&mut self, key: &str, items: &[T], mut check: impl FnMut(&T, &mut Self)) {
        self.at(key, |problems| {
            for (index, item) in items.iter().enumerate() {
                problems.at_index(index, |problems| check(item, problems));
            }
        });
    }

    fn step<R>(&mut self, segment: Segment, check: impl FnOnce(&mut Self) -> R) -> R {
        self.at.0.push(segment);
        let result = check(self);
        self.at.0.pop();
        result
    }

    /// Something that cannot run.
    pub fn error(&mut self, message: impl Into<String>) {
        self.push(Severity::Error, message.into(), None);
    }

    /// Something that runs, but probably not as meant.
    pub fn warning(&mut self, message: impl Into<String>) {
        self.push(Severity::Warning, message.into(), None);
    }

    /// A text inside the field that does not compile, with its line and column there, counted from 1.
    pub fn error_inside(&mut self, line: usize, column: usize, message: impl Into<String>) {
        self.push(Severity::Error, message.into(), Some((line, column)));
    }

    fn push(&mut self, severity: Severity, message: String, inner: Option<(usize, usize)>) {
        self.take(Problem {
            severity,
            path: self.at.clone(),
            message,
            inner,
        });
    }

    /// One problem is told once: what follows from a value that could not be read is passed over.
    fn take(&mut self, problem: Problem) {
        let steps = problem.path.segments();
        let follows = |unread: &Path| {
            let unread = unread.segments();
            // At the value or beneath it; or right above it, where its absence is missed.
            steps.starts_with(unread)
                || unread
                    .split_last()
                    .is_some_and(|(_, parent)| parent == steps && !parent.is_empty())
        };
        if !self.unread.iter().any(follows) {
            self.list.push(problem);
        }
    }

    /// Takes the problem that the value at a path cannot be read. What is reported there later, and what misses the
    /// value, is passed over.
    pub fn unread(&mut self, problem: Problem) {
        let mut path = self.at.clone();
        path.0.extend(problem.path.0.iter().cloned());
        let problem = Problem {
            path: path.clone(),
            ..problem
        };
        self.take(problem);
        self.unread.push(path);
    }

    /// An error unless `text` is there.
    pub fn require(&mut self, key: &str, text: &str, remedy: &str) {
        if text.trim().is_empty() {
            self.at(key, |problems| {
                problems.error(format!("must be set{remedy}"));
            });
        }
    }

    /// An error unless `value` is there.
    pub fn require_some<T>(&mut self, key: &str, value: Option<&T>, remedy: &str) {
        if value.is_none() {
            self.at(key, |problems| {
                problems.error(format!("must be set{remedy}"));
            });
        }
    }

    /// Takes a problem that was found elsewhere, its path taken from here.
    pub fn add(&mut self, problem: Problem) {
        let mut segments = self.at.0.clone();
        segments.extend(problem.path.0.iter().cloned());
        self.take(Problem {
            path: Path(segments),
            ..problem
        });
    }

    /// Takes all of another list.
    pub fn extend(&mut self, other: Self) {
        for problem in other.list {
            self.add(problem);
        }
        for path in other.unread {
            let mut segments = self.at.0.clone();
            segments.extend(path.0);
            self.unread.push(Path(segments));
        }
    }

    /// The problems so far.
    #[must_use]
    pub fn list(&self) -> &[Problem] {
        &self.list
    }

    /// Whether anything cannot run.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.list
            .iter()
            .any(|problem| problem.severity == Severity::Error)
    }

    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The errors alone, one a line.
    #[must_use]
    pub fn errors(&self) -> String {
        let lines = self
            .list
            .iter()
            .filter(|problem| problem.severity == Severity::Error);
        lines
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.list.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            if problem.severity == Severity::Warning {
                f.write_str("warning: ")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_follow_the_walk() {
        let mut problems = Problems::default();
        problems.at("spec", |problems| {
            problems.each("triggers", &["a", ""], |name, problems| {
                problems.require("name", name, ", as a word");
            });
            problems.at("a.b", |problems| problems.warning("looks odd"));
        });
        let text =
            "spec.triggers[1].name: must be set, as a word\nwarning: spec.\"a.b\": looks odd";
        assert_eq!(problems.to_string(), text);
        assert!(problems.has_errors());
    }
}
