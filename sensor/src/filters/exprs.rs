//! `filters.exprs`: govaluate expressions over named places of the payload.

use std::collections::HashMap;

use tiphys_lang::Value;
use tiphys_lang::govaluate::Expression;

use super::{Logic, Report, Verdict};
use crate::dialect::{Selector, missing};
use crate::document::Input;
use crate::spec::ExprFilterSpec;

/// A compiled expression filter.
#[derive(Debug)]
pub(super) struct Expr {
    text: String,
    expression: Result<Expression, String>,
    fields: Vec<(String, String, Option<Selector>)>,
}

impl Expr {
    pub(super) fn new(spec: &ExprFilterSpec) -> Self {
        let field = |field: &crate::spec::ExprFieldSpec| {
            let selector = Selector::compile(&field.path).ok();
            (field.name.clone(), field.path.clone(), selector)
        };
        Self {
            text: spec.expr.clone(),
            expression: Expression::compile(&spec.expr).map_err(|error| error.to_string()),
            fields: spec.fields.iter().map(field).collect(),
        }
    }

    fn holds(&self, json: &[u8], fields: &mut HashMap<String, Value>) -> Result<bool, String> {
        for (name, path, selector) in &self.fields {
            let found = selector.as_ref().and_then(|path| path.get(json));
            let found = found.ok_or_else(|| missing(path, json))?;
            fields.insert(name.clone(), found.to_value());
        }
        let expression = self.expression.as_ref().map_err(Clone::clone)?;
        expression
            .holds(|name| fields.get(name))
            .map_err(|error| error.to_string())
    }
}

/// Whether the expressions are true.
pub(super) fn evaluate(
    exprs: &[Expr],
    logic: Logic,
    input: &Input,
    report: &mut Report,
) -> Verdict {
    let json = match input.json() {
        Ok(Some(json)) => json,
        Ok(None) => return Verdict::Passed,
        Err(error) => {
            let verdict = Verdict::Failed(format!("expr filter error ({error})"));
            report.add(&verdict, || {
                (
                    "filters.exprs".into(),
                    "JSON".into(),
                    "something else".into(),
                )
            });
            return verdict;
        }
    };
    let verdicts = exprs
        .iter()
        .enumerate()
        .filter(|(_, expr)| !expr.fields.is_empty());
    logic.combine(
        "expr",
        verdicts.map(|(index, expr)| {
            let mut fields = HashMap::new();
            let verdict = match expr.holds(json, &mut fields) {
                Ok(holds) => Verdict::from_bool(holds),
                Err(error) => Verdict::Failed(error),
            };
            report.add(&verdict, || {
                let mut actual: Vec<String> = fields
                    .iter()
                    .map(|(name, value)| format!("{name}={}", value.to_json()))
                    .collect();
                actual.sort();
                (
                    format!("filters.exprs[{index}]"),
                    expr.text.clone(),
                    actual.join(", "),
                )
            });
            verdict
        }),
    )
}
