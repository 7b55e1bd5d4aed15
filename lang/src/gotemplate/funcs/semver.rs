//! Sprig's versions: semantic versions and the constraints that Masterminds' library knows.
//! It never lets a pre-release satisfy a constraint that names none.

use super::{Function, function, utf8};
use crate::gotemplate::call::Param::Str;
use crate::gotemplate::cx::Fault;
use crate::gotemplate::value::Val;
use std::cmp::Ordering;
use std::fmt;
use std::rc::Rc;

pub(super) const TABLE: &[Function] = &[
    function("semver", &[Str], |_, args| {
        Ok(Val::Version(Rc::new(Version::parse(&utf8(args, 0))?)))
    }),
    function("semverCompare", &[Str, Str], |_, args| {
        let constraints = Constraints::parse(&utf8(args, 0))?;
        Ok(Val::Bool(
            constraints.allow(&Version::parse(&utf8(args, 1))?),
        ))
    }),
];

/// A semantic version.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::gotemplate) struct Version {
    pub(in crate::gotemplate) major: u64,
    pub(in crate::gotemplate) minor: u64,
    pub(in crate::gotemplate) patch: u64,
    pub(in crate::gotemplate) pre: String,
    pub(in crate::gotemplate) metadata: String,
    pub(in crate::gotemplate) original: String,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        if !self.pre.is_empty() {
            write!(f, "-{}", self.pre)?;
        }
        if !self.metadata.is_empty() {
            write!(f, "+{}", self.metadata)?;
        }
        Ok(())
    }
}

/// What stands in a version or in a constraint, before numbers are read.
#[derive(Default)]
struct Shape<'t> {
    numbers: Vec<&'t str>,
    pre: &'t str,
    metadata: &'t str,
}

fn identifiers(text: &str) -> bool {
    text.split('.')
        .all(|part| !part.is_empty() && is_identifier(part))
}

fn is_identifier(part: &str) -> bool {
    part.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// A number with a zero before it, which precedence has no place for.
fn zero_led(part: &str) -> bool {
    let number = part.bytes().all(|byte| byte.is_ascii_digit());
    number && part.len() > 1 && part.starts_with('0')
}

/// Reads `v1.2.3-pre+meta` where `digit` says what a number may consist of.
fn shape(text: &str, digit: fn(char) -> bool) -> Option<Shape<'_>> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let (text, metadata) = match text.split_once('+') {
        Some((text, metadata)) => (text, Some(metadata)),
        None => (text, None),
    };
    let end = text
        .find(|char: char| char != '.' && !digit(char))
        .unwrap_or(text.len());
    let (numbers, pre) = text.split_at_checked(end)?;
    let pre = match pre.strip_prefix('-') {
        Some(pre) => Some(pre),
        None if pre.is_empty() => None,
        None => return None,
    };
    let numbers: Vec<_> = numbers.split('.').collect();
    let fits = numbers.len() <= 3
        && numbers.iter().all(|number| !number.is_empty())
        && pre.is_none_or(identifiers)
        && metadata.is_none_or(identifiers);
    let shape = Shape {
        numbers,
        pre: pre.unwrap_or(""),
        metadata: metadata.unwrap_or(""),
    };
    fits.then_some(shape)
}

impl Version {
    fn parse(text: &str) -> Result<Self, Fault> {
        let shape = shape(text, |char| char.is_ascii_digit());
        let shape = shape.ok_or_else(|| Fault::from("Invalid Semantic Version"))?;
        let number = |index: usize| match shape.numbers.get(index) {
            Some(digits) => digits.parse::<u64>().map_err(|_| {
                let why = format!("strconv.ParseUint: parsing {digits:?}: value out of range");
                Fault(format!("Error parsing version segment: {why}"))
            }),
            None => Ok(0),
        };
        if shape.pre.split('.').any(zero_led) {
            return Err(Fault::from("Version segment starts with 0"));
        }
        Ok(Self {
            major: number(0)?,
            minor: number(1)?,
            patch: number(2)?,
            pre: shape.pre.to_owned(),
            metadata: shape.metadata.to_owned(),
            original: text.to_owned(),
        })
    }

    /// The same under another text: a leading `v` stays.
    fn renamed(mut self) -> Self {
        let prefix = if self.original.starts_with('v') {
            "v"
        } else {
            ""
        };
        self.original = format!("{prefix}{self}");
        self
    }

    pub(in crate::gotemplate) fn next_major(&self) -> Self {
        let (major, original) = (self.major.wrapping_add(1), self.original.clone());
        Self {
            major,
            original,
            ..Self::default()
        }
        .renamed()
    }

    pub(in crate::gotemplate) fn next_minor(&self) -> Self {
        let (minor, original) = (self.minor.wrapping_add(1), self.original.clone());
        Self {
            major: self.major,
            minor,
            original,
            ..Self::default()
        }
        .renamed()
    }

    /// A pre-release is followed by its release.
    pub(in crate::gotemplate) fn next_patch(&self) -> Self {
        let patch = self.patch.wrapping_add(u64::from(self.pre.is_empty()));
        let (major, minor, original) = (self.major, self.minor, self.original.clone());
        Self {
            major,
            minor,
            patch,
            original,
            ..Self::default()
        }
        .renamed()
    }

    pub(in crate::gotemplate) fn with_prerelease(&self, pre: &str) -> Result<Self, Fault> {
        if pre.split('.').any(zero_led) {
            return Err(Fault::from("Version segment starts with 0"));
        }
        if !pre.split('.').all(is_identifier) {
            return Err(Fault::from("Invalid Prerelease string"));
        }
        Ok(Self {
            pre: pre.to_owned(),
            ..self.clone()
        }
        .renamed())
    }

    pub(in crate::gotemplate) fn with_metadata(&self, metadata: &str) -> Result<Self, Fault> {
        if !metadata.split('.').all(is_identifier) {
            return Err(Fault::from("Invalid Metadata string"));
        }
        Ok(Self {
            metadata: metadata.to_owned(),
            ..self.clone()
        }
        .renamed())
    }

    /// Precedence; metadata does not count.
    pub(in crate::gotemplate) fn compare(&self, other: &Self) -> Ordering {
        let numbers = |version: &Self| (version.major, version.minor, version.patch);
        numbers(self).cmp(&numbers(other)).then_with(|| {
            match (self.pre.is_empty(), other.pre.is_empty()) {
                (true, true) => Ordering::Equal,
                (true, false) => Ordering::Greater,
                (false, true) => Ordering::Less,
                (false, false) => compare_pre(&self.pre, &other.pre),
            }
        })
    }
}

fn compare_pre(one: &str, other: &str) -> Ordering {
    let (mut ones, mut others) = (one.split('.'), other.split('.'));
    loop {
        let ordering = match (ones.next(), others.next()) {
            (None, None) => return Ordering::Equal,
            (Some(_), None) => Ordering::Greater,
            (None, Some(_)) => Ordering::Less,
            (Some(one), Some(other)) => match (one.parse::<u64>(), other.parse::<u64>()) {
                (Ok(one), Ok(other)) => one.cmp(&other),
                (Ok(_), Err(_)) => Ordering::Less,
                (Err(_), Ok(_)) => Ordering::Greater,
                (Err(_), Err(_)) => one.cmp(other),
            },
        };
        if ordering.is_ne() {
            return ordering;
        }
    }
}

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
struct Constraints(Vec<Vec<Constraint>>);

fn is_version_digit(char: char) -> bool {
    char.is_ascii_digit() || matches!(char, 'x' | 'X' | '*' | '|')
}

fn is_version_char(char: char) -> bool {
    is_version_digit(char) || char.is_ascii_alphanumeric() || matches!(char, '.' | '-' | '+')
}

impl Constraints {
    fn parse(text: &str) -> Result<Self, Fault> {
        let text = without_ranges(text);
        text.split("||")
            .map(alternative)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    fn allow(&self, version: &Version) -> bool {
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
