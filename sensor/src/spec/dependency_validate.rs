//! Everything that is wrong with a dependency: its transform and every filter are compiled. Pure.

use tiphys_core::Problems;

use super::scope::{check_path, check_template, report};
use super::validate::bus_word;
use super::{
    ContextFilterSpec, DataFilterSpec, DependencySpec, ExprFilterSpec, FiltersSpec, TemplateEngine,
    TimeFilterSpec, TransformSpec,
};
use crate::dialect::Flaw;
use crate::filters::{Time, data};
use crate::transform::{compile_jq, compile_script};

impl DependencySpec {
    pub(super) fn validate(&self, engine: TemplateEngine, problems: &mut Problems) {
        problems.require(
            "name",
            &self.name,
            " to a name for conditions and parameters",
        );
        problems.require(
            "eventSourceName",
            &self.event_source_name,
            " to an EventSource",
        );
        problems.require(
            "eventName",
            &self.event_name,
            " to an event of that EventSource",
        );
        bus_word("eventSourceName", &self.event_source_name, problems);
        bus_word("eventName", &self.event_name, problems);
        operator(
            "filtersLogicalOperator",
            &self.filters_logical_operator,
            problems,
        );
        if let Some(transform) = &self.transform {
            problems.at("transform", |problems| transform.validate(problems));
        }
        if let Some(filters) = &self.filters {
            problems.at("filters", |problems| {
                filters.validate(engine, problems);
                if self.filters_logical_operator == "or" && *filters == FiltersSpec::default() {
                    problems.warning("is empty, and under `or` nothing passes an empty filter");
                }
            });
        }
    }
}

fn operator(key: &str, text: &str, problems: &mut Problems) {
    if !["", "and", "or"].contains(&text) {
        problems.at(key, |problems| problems.error("must be `and` or `or`"));
    }
}

impl TransformSpec {
    fn validate(&self, problems: &mut Problems) {
        if self.jq.is_empty() && self.script.is_empty() {
            problems.error("must have jq or script");
        }
        if !self.jq.is_empty()
            && let Err(flaw) = compile_jq(&self.jq)
        {
            problems.at("jq", |problems| report(&flaw, problems));
        }
        if !self.script.is_empty() {
            problems.at("script", |problems| {
                if let Err(flaw) = compile_script(&self.script) {
                    report(&flaw, problems);
                }
                if !self.jq.is_empty() {
                    problems.warning("has no effect beside jq");
                }
            });
        }
    }
}

impl FiltersSpec {
    fn validate(&self, engine: TemplateEngine, problems: &mut Problems) {
        operator("dataLogicalOperator", &self.data_logical_operator, problems);
        operator("exprLogicalOperator", &self.expr_logical_operator, problems);
        problems.each("exprs", &self.exprs, ExprFilterSpec::validate);
        problems.each("data", &self.data, |data, problems| {
            data.validate(engine, problems);
        });
        if let Some(context) = &self.context {
            problems.at("context", |problems| context.validate(problems));
        }
        if let Some(time) = &self.time {
            problems.at("time", |problems| time.validate(problems));
        }
        if !self.script.is_empty()
            && let Err(flaw) = compile_script(&self.script)
        {
            problems.at("script", |problems| report(&flaw, problems));
        }
    }
}

impl ExprFilterSpec {
    fn validate(&self, problems: &mut Problems) {
        problems.require("expr", &self.expr, " to an expression, as a == \"b\"");
        if self.fields.is_empty() {
            problems.at("fields", |problems| {
                problems
                    .error("must name the places that the expression speaks of, as {name, path}");
            });
        }
        problems.each("fields", &self.fields, |field, problems| {
            problems.require("name", &field.name, " to a name in the expression");
            problems.require("path", &field.path, " to a place in the payload");
            problems.at("path", |problems| check_path(&field.path, false, problems));
        });
        if self.expr.trim().is_empty() {
            return;
        }
        match tiphys_lang::govaluate::Expression::compile(&self.expr) {
            Err(error) => problems.at("expr", |problems| {
                report(&Flaw::at(&self.expr, error.offset, error.what), problems);
            }),
            Ok(expression) => {
                for text in expression.dates() {
                    problems.at("expr", |problems| {
                        problems.warning(format!(
                            "reads {text:?} as a date, which is a number of seconds and never equal to text; compare \
                             text by =~ \"^{text}$\""
                        ));
                    });
                }
                let named = |name: &&String| !self.fields.iter().any(|field| field.name == **name);
                for name in expression.variables().iter().filter(named) {
                    problems.at("expr", |problems| {
                        problems.warning(format!("asks for {name:?}, which no field names"));
                    });
                }
            }
        }
    }
}

impl DataFilterSpec {
    fn validate(&self, engine: TemplateEngine, problems: &mut Problems) {
        problems.require("path", &self.path, " to a place in the payload");
        problems.at("path", |problems| check_path(&self.path, false, problems));
        let kinds = ["bool", "number", "string"];
        if !kinds.contains(&self.kind.as_str()) {
            problems.at("type", |problems| {
                problems.error("must be bool, number or string");
            });
        }
        let comparators = ["", "=", "!=", "<", "<=", ">", ">="];
        if !comparators.contains(&self.comparator.as_str()) {
            problems.at("comparator", |problems| {
                problems.error("must be one of = != < <= > >=");
            });
        } else if self.kind == "string" && !["", "=", "!="].contains(&self.comparator.as_str()) {
            problems.at("comparator", |problems| {
                problems.warning("is never true for text; write = or !=, or type: number");
            });
        } else if self.kind == "bool" && !["", "="].contains(&self.comparator.as_str()) {
            problems.at("comparator", |problems| {
                problems.warning("has no effect for type: bool, which tests equality");
            });
        } else if self.comparator == "!=" && self.value.len() > 1 {
            problems.at("comparator", |problems| {
                problems.warning(
                    "is true if any one value differs; write one data filter per value instead",
                );
            });
        }
        if self.value.is_empty() {
            problems.at("value", |problems| {
                problems.error("must be a list with at least one value");
            });
        }
        problems.each("value", &self.value, |value, problems| {
            if value.is_empty() {
                problems.error("must not be empty; for an empty text write ^$");
            } else if let Err(message) = data::check_value(&self.kind, value) {
                problems.error(message);
            }
        });
        if !self.template.is_empty() {
            let engine = self.template_engine.unwrap_or(engine);
            problems.at("template", |problems| {
                check_template(&self.template, engine, false, problems);
            });
        }
    }
}

impl ContextFilterSpec {
    fn validate(&self, problems: &mut Problems) {
        let compared = [&self.kind, &self.subject, &self.source, &self.content_type];
        if compared.iter().all(|text| text.is_empty()) {
            problems.error("must give at least one of type, subject, source and datacontenttype");
        }
        for (key, text) in [
            ("id", &self.id),
            ("specversion", &self.spec_version),
            ("time", self.time.as_ref().unwrap_or(&String::new())),
        ] {
            if !text.is_empty() {
                problems.at(key, |problems| {
                    problems.warning(
                        "has no effect: type, subject, source and datacontenttype are compared",
                    );
                });
            }
        }
    }
}

impl TimeFilterSpec {
    fn validate(&self, problems: &mut Problems) {
        Time::check(self, problems);
    }
}
