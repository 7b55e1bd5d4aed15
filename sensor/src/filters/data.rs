//! `filters.data`: what one place of the payload must hold.

use std::borrow::Cow;
use std::cmp::Ordering;

use regex::bytes::Regex;
use tiphys_lang::gjson::{Found, Kind};
use tiphys_lang::{Value, re2};

use super::{Detail, Logic, Report, Verdict};
use crate::dialect::{Flaw, Selector, Template, missing, text_form};
use crate::document::Input;
use crate::spec::{DataFilterSpec, TemplateEngine};

/// A compiled data filter.
#[derive(Debug)]
pub(super) struct Data {
    path: String,
    selector: Option<Selector>,
    template: Option<Result<Template, Flaw>>,
    comparator: Comparator,
    want: Want,
    values: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// The values by type; one that cannot be read is an error only when it is reached.
#[derive(Debug)]
enum Want {
    Bool(Vec<Result<bool, String>>),
    Number(Vec<Result<Amount, String>>),
    Text(Vec<Result<Pattern, String>>),
    Unknown(String),
}

/// What the event has at the place, as the types look at it.
enum Have<'a> {
    Found(Found<'a>),
    Text(String),
}

impl Have<'_> {
    fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Found(found) => text_form(found),
            Self::Text(text) => text.as_str().into(),
        }
    }

    fn as_bool(&self) -> bool {
        match self {
            Self::Found(found) => found.as_bool(),
            Self::Text(text) => matches!(text.to_ascii_lowercase().as_str(), "1" | "t" | "true"),
        }
    }

    fn amount(&self) -> Amount {
        let text = match self {
            Self::Found(found) if matches!(found.kind, Kind::Number | Kind::String) => found.text(),
            Self::Found(found) => return Amount::float(found.as_f64()),
            Self::Text(text) => Cow::Borrowed(text.as_str()),
        };
        number(&text).unwrap_or(Amount::float(0.0))
    }
}

/// Reads a value as its type does, and says what must hold where it cannot.
pub(crate) fn check_value(kind: &str, value: &str) -> Result<(), String> {
    match kind {
        "bool" => boolean(value).map(drop),
        "number" => number(value).map(drop),
        "string" => pattern(value).map(drop),
        _ => Ok(()),
    }
}

fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err(format!("must be true or false, not {text:?}")),
    }
}

/// Go's `ParseFloat` without its underscores and hexadecimals, which nobody writes in a filter.
fn number(text: &str) -> Result<Amount, String> {
    let float = text
        .parse::<f64>()
        .map_err(|_| format!("must be a number, not {text:?}"))?;
    Ok(Amount {
        float,
        whole: text.parse().ok(),
    })
}

/// A number that is compared: whole ones by their digits, others as floats.
#[derive(Debug, Clone, Copy)]
struct Amount {
    float: f64,
    whole: Option<i128>,
}

impl Amount {
    const fn float(float: f64) -> Self {
        Self { float, whole: None }
    }

    fn order(self, other: Self) -> Option<Ordering> {
        match (self.whole, other.whole) {
            (Some(own), Some(other)) => Some(own.cmp(&other)),
            _ => self.float.partial_cmp(&other.float),
        }
    }
}

/// A value of a text filter: a regular expression that is searched for anywhere.
#[derive(Debug)]
enum Pattern {
    /// No character of it means more than itself. Most filters are so, and a compiled expression takes kilobytes.
    Plain(String),
    Regex(Box<Regex>),
}

impl Pattern {
    fn is_match(&self, text: &str) -> bool {
        match self {
            Self::Plain(plain) => text.contains(plain.as_str()),
            Self::Regex(regex) => regex.is_match(text.as_bytes()),
        }
    }
}

/// A pattern as RE2 reads it.
fn pattern(text: &str) -> Result<Pattern, String> {
    if !text.contains([
        '\\', '.', '+', '*', '?', '(', ')', '|', '[', ']', '{', '}', '^', '$',
    ]) {
        return Ok(Pattern::Plain(text.to_owned()));
    }
    re2::compile(text)
        .map(|regex| Pattern::Regex(Box::new(regex)))
        .map_err(|why| format!("must be a regular expression: {why}"))
}

impl Data {
    pub(super) fn new(spec: &DataFilterSpec, engine: TemplateEngine) -> Self {
        let values = spec.value.iter();
        let want = match spec.kind.as_str() {
            "bool" => Want::Bool(values.map(|value| boolean(value)).collect()),
            "number" => Want::Number(values.map(|value| number(value)).collect()),
            "string" => Want::Text(values.map(|value| pattern(value)).collect()),
            other => Want::Unknown(other.to_owned()),
        };
        let engine = spec.template_engine.unwrap_or(engine);
        Self {
            path: spec.path.clone(),
            selector: Selector::compile(&spec.path).ok(),
            template: (!spec.template.is_empty())
                .then(|| Template::compile(&spec.template, engine)),
            comparator: match spec.comparator.as_str() {
                "!=" => Comparator::NotEqual,
                "<" => Comparator::Less,
                "<=" => Comparator::LessOrEqual,
                ">" => Comparator::Greater,
                ">=" => Comparator::GreaterOrEqual,
                _ => Comparator::Equal,
            },
            want,
            values: spec.value.clone(),
        }
    }

    /// `actual` is told what is there, where somebody wants to know.
    fn verdict(
        &self,
        json: &[u8],
        detail: Detail,
        actual: &mut Option<String>,
    ) -> Result<bool, String> {
        let found = self.selector.as_ref().and_then(|path| path.get(json));
        let found = found.ok_or_else(|| missing(&self.path, json))?;
        if self.values.is_empty() {
            return Err("no values specified".to_owned());
        }
        let have = match &self.template {
            None => Have::Found(found),
            Some(template) => {
                let input = match found.kind {
                    Kind::Null => Value::String(String::new()),
                    _ => Value::String(text_form(&found).into_owned()),
                };
                let template = template.as_ref().map_err(ToString::to_string)?;
                Have::Text(template.render(&input)?)
            }
        };
        let fits = self.fits(&have);
        if detail == Detail::All || !matches!(fits, Ok(true)) {
            *actual = Some(have.text().into_owned());
        }
        fits
    }

    fn fits(&self, have: &Have<'_>) -> Result<bool, String> {
        match &self.want {
            Want::Bool(values) => any(values, |value| *value == have.as_bool()),
            Want::Number(values) => {
                let amount = have.amount();
                any(values, |value| {
                    let order = amount.order(*value);
                    match self.comparator {
                        Comparator::Equal => order == Some(Ordering::Equal),
                        Comparator::NotEqual => order != Some(Ordering::Equal),
                        Comparator::Less => order == Some(Ordering::Less),
                        Comparator::LessOrEqual => order.is_some_and(Ordering::is_le),
                        Comparator::Greater => order == Some(Ordering::Greater),
                        Comparator::GreaterOrEqual => order.is_some_and(Ordering::is_ge),
                    }
                })
            }
            Want::Text(values) => {
                let text = have.text();
                any(values, |pattern| match self.comparator {
                    Comparator::Equal => pattern.is_match(&text),
                    Comparator::NotEqual => !pattern.is_match(&text),
                    _ => false,
                })
            }
            Want::Unknown(kind) => Err(format!("unsupported JSON type '{kind}'")),
        }
    }

    fn expected(&self) -> String {
        let comparator = match self.comparator {
            Comparator::Equal => "=",
            Comparator::NotEqual => "!=",
            Comparator::Less => "<",
            Comparator::LessOrEqual => "<=",
            Comparator::Greater => ">",
            Comparator::GreaterOrEqual => ">=",
        };
        format!("{} {comparator} {}", self.path, self.values.join(" or "))
    }
}

fn any<T>(values: &[Result<T, String>], fits: impl Fn(&T) -> bool) -> Result<bool, String> {
    for value in values {
        if fits(value.as_ref().map_err(Clone::clone)?) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the payload holds what is wanted.
pub(super) fn evaluate(
    filters: &[Data],
    logic: Logic,
    input: &Input,
    report: &mut Report,
) -> Verdict {
    let json = match input.json() {
        Ok(Some(json)) => json,
        Ok(None) => return Verdict::Passed,
        Err(error) => {
            let verdict = Verdict::Failed(format!("data filter error ({error})"));
            report.add(&verdict, || {
                (
                    "filters.data".into(),
                    "JSON".into(),
                    "something else".into(),
                )
            });
            return verdict;
        }
    };
    logic.combine(
        "data",
        filters.iter().enumerate().map(|(index, filter)| {
            let mut actual = None;
            let verdict = match filter.verdict(json, report.detail, &mut actual) {
                Ok(fits) => Verdict::from_bool(fits),
                Err(error) => Verdict::Failed(error),
            };
            report.add(&verdict, || {
                let path = format!("filters.data[{index}]");
                (path, filter.expected(), actual.unwrap_or_default())
            });
            verdict
        }),
    )
}
