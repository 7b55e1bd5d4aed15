//! What a version is held against: the constraints that Masterminds' library knows.
//! It never lets a pre-release satisfy a constraint that names none.

use super::{Fault, Ordering, Version, compare_pre, shape};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    TildeOrEqual,
    NotEqual,
    Greater,
    Less,
    GreaterEqual,
    LessEqual,
    Tilde,
    Caret,
}

/// In the order in which they must be tried.
const OPERATORS: [(&str, Operator); 11] = [
    ("!=", Operator::NotEqual),
    (">=", Operator::GreaterEqual),
    ("=>", Operator::GreaterEqual),
    ("<=", Operator::LessEqual),
    ("=<", Operator::LessEqual),
    ("~>", Operator::Tilde),
    ("=", Operator::TildeOrEqual),
    (">", Operator::Greater),
    ("<", Operator::Less),
    ("~", Operator::Tilde),
    ("^", Operator::Caret),
];

/// One comparison.
struct Constraint {
    operator: Operator,
    version: Version,
    /// Something is left open: `1.x`, `1`, `*`.
    open: bool,
    minor_open: bool,
    patch_open: bool,
}

/// Alternatives of comparisons that must all hold.
pub(super) struct Constraints(Vec<Vec<Constraint>>);

fn is_version_digit(char: char) -> bool {
    char.is_ascii_digit() || matches!(char, 'x' | 'X' | '*' | '|')
}

fn is_version_char(char: char) -> bool {
    is_version_digit(char) || char.is_ascii_alphanumeric() || matches!(char, '.' | '-' | '+')
}

impl Constraints {
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        let text = without_ranges(text);
        text.split("||")
            .map(alternative)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    pub(super) fn allow(&self, version: &Version) -> bool {
        self.0
            .iter()
            .any(|all| all.iter().all(|one| one.allows(version)))
    }
}

/// The words of a text with the spaces before each.
fn version_at(text: &str) -> (&str, &str) {
    let end = text
        .find(|char| !is_version_char(char))
        .unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// Rewrites `1.2 - 1.4` to `>= 1.2, <= 1.4`.
fn without_ranges(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(" - ").or_else(|| rest.find("\t- ")) {
        let (before, after) = rest.split_at_checked(at).unwrap_or((rest, ""));
        let left = before.trim_end();
        let start = left.rfind(|char| !is_version_char(char)).map_or(0, |at| {
            at + left
                .get(at..)
                .and_then(|rest| rest.chars().next())
                .map_or(1, char::len_utf8)
        });
        let (head, low) = left.split_at_checked(start).unwrap_or((left, ""));
        let (high, tail) = version_at(after.get(3..).unwrap_or_default().trim_start());
        if low.is_empty() || high.is_empty() {
            break;
        }
        out.push_str(head);
        out.push_str(&format!(">= {low}, <= {high} "));
        rest = tail.trim_start();
    }
    out.push_str(rest);
    out
}

fn alternative(text: &str) -> Result<Vec<Constraint>, Fault> {
    let improper = || Fault(format!("improper constraint: {text}"));
    let mut all = Vec::new();
    let mut rest = text.trim_start();
    loop {
        let found = OPERATORS
            .iter()
            .find_map(|(name, operator)| rest.strip_prefix(name).map(|after| (*operator, after)));
        let (operator, after) = found.unwrap_or((Operator::TildeOrEqual, rest));
        let (version, after) = version_at(after.trim_start());
        if version.is_empty() {
            return Err(improper());
        }
        all.push(constraint(operator, version).ok_or_else(improper)?);
        let trimmed = after.trim_start();
        if trimmed.is_empty() {
            return Ok(all);
        }
        // The next comparison stands behind a space or a comma.
        rest = match trimmed.strip_prefix(',') {
            Some(next) => next.trim_start(),
            None if trimmed.len() < after.len() => trimmed,
            None => return Err(improper()),
        };
    }
}

fn constraint(operator: Operator, text: &str) -> Option<Constraint> {
    let shape = shape(text, is_version_digit)?;
    let open = |index: usize| {
        shape
            .numbers
            .get(index)
            .is_none_or(|number| matches!(*number, "x" | "X" | "*"))
    };
    let (major, minor, patch) = (open(0), open(1), open(2));
    let known = if major {
        0
    } else if minor {
        1
    } else if patch {
        2
    } else {
        3
    };
    let mut plain: Vec<&str> = shape.numbers.iter().take(known).copied().collect();
    plain.resize(3, "0");
    let mut full = plain.join(".");
    if !shape.pre.is_empty() {
        full.push_str(&format!("-{}", shape.pre));
    }
    Some(Constraint {
        operator,
        version: Version::parse(&full).ok()?,
        open: known < 3,
        minor_open: known == 1,
        patch_open: known == 2,
    })
}

impl Constraint {
    fn allows(&self, version: &Version) -> bool {
        let unwanted_pre = !version.pre.is_empty() && self.version.pre.is_empty();
        match self.operator {
            Operator::NotEqual => self.not_equal(version, unwanted_pre),
            _ if unwanted_pre => false,
            Operator::Greater => self.greater(version),
            Operator::Less => version.compare(&self.version).is_lt(),
            Operator::GreaterEqual => version.compare(&self.version).is_ge(),
            Operator::LessEqual => self.less_equal(version),
            Operator::Tilde => self.tilde(version),
            Operator::TildeOrEqual if self.open => self.tilde(version),
            Operator::TildeOrEqual => version.compare(&self.version).is_eq(),
            Operator::Caret => self.caret(version),
        }
    }

    fn not_equal(&self, version: &Version, unwanted_pre: bool) -> bool {
        let own = &self.version;
        if !self.open {
            return version.compare(own).is_ne();
        }
        if unwanted_pre {
            return false;
        }
        if own.major != version.major || own.minor != version.minor && !self.minor_open {
            return true;
        }
        if self.minor_open {
            return false;
        }
        if self.patch_open {
            let with_pre = !version.pre.is_empty() || !own.pre.is_empty();
            return with_pre && compare_pre(&version.pre, &own.pre).is_ne();
        }
        own.patch != version.patch || version.compare(own).is_ne()
    }

    fn greater(&self, version: &Version) -> bool {
        let own = &self.version;
        if !self.open {
            return version.compare(own).is_gt();
        }
        match version.major.cmp(&own.major) {
            Ordering::Greater => true,
            Ordering::Less => false,
            Ordering::Equal if self.minor_open => false,
            Ordering::Equal if self.patch_open => version.minor > own.minor,
            Ordering::Equal => version.compare(own).is_gt(),
        }
    }

    fn less_equal(&self, version: &Version) -> bool {
        let own = &self.version;
        if !self.open {
            return version.compare(own).is_le();
        }
        let minor_above =
            version.major == own.major && version.minor > own.minor && !self.minor_open;
        version.major <= own.major && !minor_above
    }

    fn tilde(&self, version: &Version) -> bool {
        let own = &self.version;
        if version.compare(own).is_lt() {
            return false;
        }
        let zero = own.major == 0 && own.minor == 0 && own.patch == 0;
        if zero && !self.minor_open && !self.patch_open {
            return true;
        }
        version.major == own.major && (version.minor == own.minor || self.minor_open)
    }

    fn caret(&self, version: &Version) -> bool {
        let own = &self.version;
        if version.compare(own).is_lt() {
            return false;
        }
        if own.major > 0 || self.minor_open {
            return version.major == own.major;
        }
        if version.major > 0 {
            return false;
        }
        if own.minor > 0 || self.patch_open {
            return version.minor == own.minor;
        }
        version.minor == 0 && version.patch == own.patch
    }
}
