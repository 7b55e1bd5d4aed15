//! Filters: whether an event counts, and if not, why (reference `bus-and-sensor.md`, section 8). Pure: no bus, no clock.
//!
//! ```text
//! exprs ─▶ data ─▶ context ─▶ time ─▶ script ──and / or──▶ Verdict, with a Leaf for each filter that was looked at
//! ```

mod context;
pub(crate) mod data;
mod exprs;
mod script;
mod time;

use serde::{Deserialize, Serialize};

use crate::document::Input;
use crate::spec::{DependencySpec, TemplateEngine};

pub(crate) use time::{Time, zone};

/// Whether an event passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// It counts.
    Passed,
    /// It does not.
    Filtered,
    /// It does not, because a filter could not be evaluated.
    Failed(String),
}

impl Verdict {
    /// Whether the event counts.
    #[must_use]
    pub const fn passed(&self) -> bool {
        matches!(self, Self::Passed)
    }

    const fn from_bool(passed: bool) -> Self {
        if passed { Self::Passed } else { Self::Filtered }
    }
}

/// What one filter said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaf {
    /// Where it is in the dependency, as `filters.data[0]`.
    pub path: String,
    /// What it said.
    pub verdict: Verdict,
    /// What it wants.
    pub expected: String,
    /// What was there.
    pub actual: String,
}

/// How much is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Filters that did not pass.
    Failures,
    /// Every filter that was looked at.
    All,
}

/// What is written down while an event is filtered.
#[derive(Debug)]
pub struct Report {
    detail: Detail,
    /// In the order in which they were looked at.
    pub leaves: Vec<Leaf>,
}

impl Leaf {
    /// What it wants and what it met, for people.
    #[must_use]
    pub fn said(&self) -> String {
        let Self {
            expected, actual, ..
        } = self;
        match &self.verdict {
            Verdict::Failed(why) if actual.is_empty() => format!("wants {expected}: {why}"),
            Verdict::Failed(why) => format!("wants {expected}, has {actual}: {why}"),
            _ if actual.is_empty() => format!("wants {expected}, has \"\""),
            _ => format!("wants {expected}, has {actual}"),
        }
    }
}

impl Report {
    /// An empty report.
    #[must_use]
    pub const fn new(detail: Detail) -> Self {
        Self {
            detail,
            leaves: Vec::new(),
        }
    }

    fn add(&mut self, verdict: &Verdict, leaf: impl FnOnce() -> (String, String, String)) {
        if self.detail == Detail::All || !verdict.passed() {
            let (path, expected, actual) = leaf();
            self.leaves.push(Leaf {
                path,
                verdict: verdict.clone(),
                expected,
                actual,
            });
        }
    }
}

/// How several answers become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Logic {
    And,
    Or,
}

impl Logic {
    fn new(text: &str) -> Self {
        if text == "or" { Self::Or } else { Self::And }
    }

    /// Combines the filters of one kind: the first that decides ends it.
    ///
    /// `or` forgets errors once one is true; `and` stops at the first that is false or an error.
    fn combine(self, kind: &str, verdicts: impl Iterator<Item = Verdict>) -> Verdict {
        let mut errors: Vec<String> = Vec::new();
        for verdict in verdicts {
            match (self, verdict) {
                (Self::And, Verdict::Passed) | (Self::Or, Verdict::Filtered) => {}
                (Self::And, Verdict::Filtered) => return Verdict::Filtered,
                (Self::Or, Verdict::Passed) => return Verdict::Passed,
                (Self::And, Verdict::Failed(error)) => {
                    return Verdict::Failed(format!("{kind} filter error ({error})"));
                }
                (Self::Or, Verdict::Failed(error)) => errors.push(error),
            }
        }
        match self {
            Self::And => Verdict::Passed,
            Self::Or if errors.is_empty() => Verdict::Filtered,
            Self::Or => Verdict::Failed(format!("{kind} filter errors [{}]", errors.join(" / "))),
        }
    }
}

/// The compiled filters of a dependency.
#[derive(Debug)]
pub(crate) struct Filters {
    logic: Logic,
    expr_logic: Logic,
    exprs: Vec<exprs::Expr>,
    data_logic: Logic,
    data: Vec<data::Data>,
    context: Option<crate::spec::ContextFilterSpec>,
    time: Option<Time>,
    script: Option<script::Filter>,
}

impl Filters {
    /// Compiles what the spec says; a part that does not compile fails when it is reached.
    pub(crate) fn new(spec: &DependencySpec, engine: TemplateEngine) -> Option<Self> {
        let filters = spec.filters.as_ref()?;
        Some(Self {
            logic: Logic::new(&spec.filters_logical_operator),
            expr_logic: Logic::new(&filters.expr_logical_operator),
            exprs: filters.exprs.iter().map(exprs::Expr::new).collect(),
            data_logic: Logic::new(&filters.data_logical_operator),
            data: filters
                .data
                .iter()
                .map(|data| data::Data::new(data, engine))
                .collect(),
            context: filters.context.clone(),
            time: filters.time.as_ref().map(Time::new),
            script: (!filters.script.is_empty()).then(|| script::Filter::new(&filters.script)),
        })
    }

    /// Whether a script may take its time.
    pub(crate) const fn is_slow(&self) -> bool {
        self.script.is_some()
    }

    /// Whether the event counts.
    pub(crate) fn evaluate(&self, input: &Input, report: &mut Report) -> Verdict {
        let mut errors: Vec<String> = Vec::new();
        let mut passed = false;
        for part in [
            Part::Exprs,
            Part::Data,
            Part::Context,
            Part::Time,
            Part::Script,
        ] {
            let Some(verdict) = self.part(part, input, report) else {
                continue;
            };
            match (self.logic, verdict) {
                (Logic::And, Verdict::Passed) | (Logic::Or, Verdict::Filtered) => {}
                (Logic::Or, Verdict::Passed) => passed = true,
                (Logic::And, verdict) => return verdict,
                (Logic::Or, Verdict::Failed(error)) => errors.push(error),
            }
        }
        match self.logic {
            Logic::And => Verdict::Passed,
            // An error beside a filter that passed does not take its answer away.
            Logic::Or if passed => Verdict::Passed,
            Logic::Or if errors.is_empty() => Verdict::Filtered,
            Logic::Or => Verdict::Failed(errors.join(" / ")),
        }
    }

    fn part(&self, part: Part, input: &Input, report: &mut Report) -> Option<Verdict> {
        match part {
            Part::Exprs if self.exprs.is_empty() => None,
            Part::Exprs => Some(exprs::evaluate(&self.exprs, self.expr_logic, input, report)),
            Part::Data if self.data.is_empty() => None,
            Part::Data => Some(data::evaluate(&self.data, self.data_logic, input, report)),
            Part::Context => {
                let context = self.context.as_ref()?;
                Some(context::evaluate(context, input.event(), report))
            }
            Part::Time => Some(self.time.as_ref()?.evaluate(input.event(), report)),
            Part::Script => Some(self.script.as_ref()?.evaluate(input, report)),
        }
    }
}

#[derive(Clone, Copy)]
enum Part {
    Exprs,
    Data,
    Context,
    Time,
    Script,
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_combined;
