//! Runs a tree: short circuits, type checks, arithmetic in floats.
//! It never changes a value it was given.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use regex::bytes::Regex;

use super::lexer::{Operator, Prefix};
use super::operand::{Operand, compare};
use super::parser::Node;
use crate::go::re2;
use crate::value::Value;

/// The longest text that `+` makes.
const MAX_JOINED: usize = 16 << 20;

/// How many patterns from variables are kept compiled.
const MAX_PATTERNS: usize = 32;

/// Why an expression has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// A name that the caller does not know.
    #[error("no variable {0:?}")]
    Missing(String),
    /// An operand of the wrong kind.
    #[error("`{operator}` cannot be used with {operands}")]
    Kind {
        /// The operator's symbol.
        operator: &'static str,
        /// What it was given.
        operands: String,
    },
    /// `a.B`, which reaches into Go structs.
    #[error("{0:?}: fields of objects cannot be reached, name the path in `fields`")]
    Accessor(String),
    /// A pattern in a variable that is no regular expression.
    #[error("{pattern:?} is no regular expression: {why}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        why: String,
    },
    /// A joined text beyond 16 MiB.
    #[error("a joined text is longer than {MAX_JOINED} bytes")]
    TooLong,
    /// An infinity or a not-a-number as the result.
    #[error("the result is not a finite number")]
    NotFinite,
}

pub(super) struct Evaluation<'e, 'a> {
    pub(super) variables: &'e dyn Fn(&str) -> Option<&'a Value>,
    pub(super) patterns: &'e Mutex<HashMap<String, Regex>>,
}

impl<'a> Evaluation<'_, 'a> {
    pub(super) fn run<'n>(&self, node: &'n Node) -> Result<Operand<'n>, EvalError>
    where
        'a: 'n,
    {
        match node {
            Node::Nothing => Ok(Operand::null()),
            Node::Literal(value) => Ok(Operand::Json(Cow::Borrowed(value))),
            Node::Pattern(regex) => Ok(Operand::Pattern(regex)),
            Node::Variable(name) => (self.variables)(name)
                .map(|value| Operand::Json(Cow::Borrowed(value)))
                .ok_or_else(|| EvalError::Missing(name.clone())),
            Node::Accessor { path, arguments } => {
                self.run(arguments)?;
                Err(EvalError::Accessor(path.clone()))
            }
            Node::Prefix(prefix, inner) => self.prefix(*prefix, &self.run(inner)?),
            Node::Chain(first, rest) => {
                let mut left = self.run(first)?;
                for (operator, right) in rest {
                    left = self.step(left, *operator, right)?;
                }
                Ok(left)
            }
        }
    }

    fn prefix<'n>(&self, prefix: Prefix, right: &Operand<'_>) -> Result<Operand<'n>, EvalError> {
        let (operator, result) = match prefix {
            Prefix::Not => ("!", right.as_bool().map(|truth| Operand::bool(!truth))),
            Prefix::Negate => ("-", negate(right)),
            Prefix::Invert => (
                "~",
                right
                    .as_float()
                    .map(|float| Operand::Float(from_int(!to_int(float)))),
            ),
        };
        result.ok_or_else(|| EvalError::Kind {
            operator,
            operands: right.kind().to_owned(),
        })
    }

    fn step<'n>(
        &self,
        left: Operand<'n>,
        operator: Operator,
        right: &'n Node,
    ) -> Result<Operand<'n>, EvalError>
    where
        'a: 'n,
    {
        match operator {
            Operator::And if left.as_bool() == Some(false) => return Ok(Operand::bool(false)),
            Operator::Or if left.as_bool() == Some(true) => return Ok(Operand::bool(true)),
            Operator::Coalesce | Operator::Else if !left.is_null() => return Ok(left),
            Operator::Then if left.as_bool() == Some(false) => return Ok(Operand::null()),
            _ => {}
        }
        let right = self.run(right)?;
        let result = match operator {
            Operator::Separate => {
                let mut items = left.into_elements().unwrap_or_else(|single| vec![single]);
                items.push(right);
                return Ok(Operand::List(items));
            }
            Operator::Else | Operator::Coalesce => return Ok(right),
            Operator::Then => left.as_bool().map(|_| right.clone()),
            Operator::And | Operator::Or => match (left.as_bool(), right.as_bool()) {
                (Some(_), Some(truth)) => Some(Operand::bool(truth)),
                _ => None,
            },
            Operator::Equal => Some(Operand::bool(left.equals(&right))),
            Operator::NotEqual => Some(Operand::bool(!left.equals(&right))),
            Operator::Less
            | Operator::LessOrEqual
            | Operator::Greater
            | Operator::GreaterOrEqual => ordered(&left, operator, &right),
            Operator::Matches | Operator::MatchesNot => self
                .matches(&left, &right)?
                .map(|found| Operand::bool(found == (operator == Operator::Matches))),
            Operator::In => is_in(&left, &right),
            Operator::Add if left.as_text().is_some() || right.as_text().is_some() => {
                let mut joined = String::new();
                left.print(&mut joined);
                right.print(&mut joined);
                if joined.len() > MAX_JOINED {
                    return Err(EvalError::TooLong);
                }
                Some(Operand::Json(Cow::Owned(Value::String(joined))))
            }
            _ => match (left.as_float(), right.as_float()) {
                (Some(a), Some(b)) => Some(Operand::Float(arithmetic(a, operator, b))),
                _ => None,
            },
        };
        result.ok_or_else(|| EvalError::Kind {
            operator: operator.symbol(),
            operands: format!("{} and {}", left.kind(), right.kind()),
        })
    }

    fn matches(&self, left: &Operand<'_>, right: &Operand<'_>) -> Result<Option<bool>, EvalError> {
        let Some(text) = left.as_text() else {
            return Ok(None);
        };
        if let Operand::Pattern(regex) = right {
            return Ok(Some(regex.is_match(text.as_bytes())));
        }
        let Some(pattern) = right.as_text() else {
            return Ok(None);
        };
        let mut known = self.patterns.lock().unwrap_or_else(PoisonError::into_inner);
        let regex = match known.get(pattern) {
            Some(regex) => regex.clone(),
            None => {
                let regex = re2::compile(pattern).map_err(|why| EvalError::Pattern {
                    pattern: pattern.chars().take(200).collect(),
                    why,
                })?;
                if known.len() >= MAX_PATTERNS {
                    known.clear();
                }
                known.insert(pattern.to_owned(), regex.clone());
                regex
            }
        };
        drop(known);
        Ok(Some(regex.is_match(text.as_bytes())))
    }
}

fn negate<'n>(right: &Operand<'_>) -> Option<Operand<'n>> {
    // A whole number stays exact under a minus, so that `-9007199254740993` can be written.
    if let Some(int) = right.as_number().filter(|number| number.is_integer_text())
        && let Some(negated) = int
            .as_i64()
            .filter(|int| *int != 0)
            .and_then(i64::checked_neg)
    {
        return Some(Operand::Json(Cow::Owned(Value::from(negated))));
    }
    right.as_float().map(|float| Operand::Float(-float))
}

fn ordered<'n>(left: &Operand<'_>, operator: Operator, right: &Operand<'_>) -> Option<Operand<'n>> {
    let order = match (left.as_text(), right.as_text()) {
        (Some(a), Some(b)) => Some(a.cmp(b)),
        _ => match (left.as_number(), right.as_number()) {
            (Some(a), Some(b)) => compare(a, b),
            _ => left.as_float()?.partial_cmp(&right.as_float()?),
        },
    };
    Some(Operand::bool(match operator {
        Operator::Less => order == Some(Ordering::Less),
        Operator::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        Operator::Greater => order == Some(Ordering::Greater),
        _ => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
    }))
}

/// Membership. Arrays and objects on the left are never found; against one of their kind the library
/// panics, so that is an error.
fn is_in<'n>(left: &Operand<'_>, right: &Operand<'_>) -> Option<Operand<'n>> {
    let elements = right.elements()?;
    let compound = matches!(left.kind(), "array" | "object");
    for element in &elements {
        if compound && element.kind() == left.kind() {
            return None;
        }
        if !compound && element.equals(left) {
            return Some(Operand::bool(true));
        }
    }
    Some(Operand::bool(false))
}

fn arithmetic(a: f64, operator: Operator, b: f64) -> f64 {
    match operator {
        Operator::Add => a + b,
        Operator::Subtract => a - b,
        Operator::Multiply => a * b,
        Operator::Divide => a / b,
        Operator::Modulo => a % b,
        Operator::Power => a.powf(b),
        Operator::BitAnd => from_int(to_int(a) & to_int(b)),
        Operator::BitOr => from_int(to_int(a) | to_int(b)),
        Operator::BitXor => from_int(to_int(a) ^ to_int(b)),
        Operator::ShiftLeft => shift(a, b, u64::checked_shl),
        Operator::ShiftRight => shift(a, b, u64::checked_shr),
        _ => f64::NAN,
    }
}

fn shift(a: f64, b: f64, by: fn(u64, u32) -> Option<u64>) -> f64 {
    let places = u32::try_from(to_uint(b)).unwrap_or(u32::MAX);
    let shifted = by(to_uint(a), places).unwrap_or_default();
    #[expect(
        clippy::cast_precision_loss,
        reason = "the language computes in floats"
    )]
    let float = shifted as f64;
    float
}

/// A float to an integer as the reference's processors do it: what does not fit is the smallest integer.
fn to_int(float: f64) -> i64 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "cutting the fraction is the rule"
    )]
    let int = float as i64;
    if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&float) {
        int
    } else {
        i64::MIN
    }
}

fn to_uint(float: f64) -> u64 {
    if (9_223_372_036_854_775_808.0..18_446_744_073_709_551_616.0).contains(&float) {
        #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
        #[expect(clippy::cast_sign_loss, reason = "the range is checked")]
        let int = float as u64;
        return int;
    }
    to_int(float).cast_unsigned()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "the language computes in floats"
)]
fn from_int(int: i64) -> f64 {
    int as f64
}
