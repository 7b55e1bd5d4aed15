//! Sprig's versions: semantic versions as Masterminds' library reads, prints and orders them.
//! It never lets build metadata count in an order.

mod constraint;

use super::{Function, function, utf8};
use crate::gotemplate::call::Param::Str;
use crate::gotemplate::cx::Fault;
use crate::gotemplate::value::Val;
use constraint::Constraints;
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
