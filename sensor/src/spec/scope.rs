//! What the parts of a trigger are checked against, and the checks of what stands in many places: parameters, payloads,
//! conditions, templates and paths. Pure.

use tiphys_core::{Path, Problem, Problems, Severity};
use tiphys_lang::condition::Condition;

use super::{ParameterSpec, TemplateEngine};
use crate::dialect::{Flaw, Selector, Template};
use crate::parameters::Dest;

/// What a trigger's fields are checked against.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// The sensor's dependency names.
    pub dependencies: &'a [&'a str],
    /// The engine of templates that do not name one.
    pub engine: TemplateEngine,
    /// The dependencies in the trigger's condition; none where the condition says nothing of its own.
    pub matched: &'a [&'a str],
    /// Whether a parameter of the trigger changes the args of its operation.
    pub args_change: bool,
}

impl Scope<'_> {
    pub(super) fn condition(&self, text: &str, problems: &mut Problems) {
        if text.trim().is_empty() {
            return;
        }
        if let Err(error) = Condition::compile(text, self.dependencies) {
            let flaw = Flaw::at(text, error.offset(), error.to_string());
            problems.at("conditions", |problems| report(&flaw, problems));
        }
    }

    /// Reports everything wrong with parameters that have a destination each.
    pub(crate) fn parameters(&self, key: &str, list: &[ParameterSpec], problems: &mut Problems) {
        problems.each(key, list, |parameter, problems| {
            self.parameter(parameter, Dest::Required, problems);
        });
    }

    /// Reports everything wrong with a payload, which must be there.
    pub(crate) fn payload(
        &self,
        key: &str,
        list: Option<&[ParameterSpec]>,
        dest: Dest,
        problems: &mut Problems,
    ) {
        problems.require_some(key, list.as_ref(), ", as a list of parameters");
        problems.each(key, list.unwrap_or_default(), |parameter, problems| {
            self.parameter(parameter, dest, problems);
            if searches(&parameter.dest) {
                problems.at("dest", |problems| {
                    problems.warning(
                        "sets nothing that is not there before, and a payload begins empty: put a backslash before @, #, *, ? and |",
                    );
                });
            }
        });
    }

    fn parameter(&self, parameter: &ParameterSpec, dest: Dest, problems: &mut Problems) {
        if dest == Dest::Required {
            problems.require("dest", &parameter.dest, " to the place that is set");
        }
        if !["", "append", "overwrite", "prepend"].contains(&parameter.operation.as_str()) {
            problems.at("operation", |problems| {
                problems.error("must be overwrite, append or prepend");
            });
        }
        let Some(src) = &parameter.src else {
            problems.at("src", |problems| {
                problems.error("must be set, with dependencyName and dataKey");
            });
            return;
        };
        problems.at("src", |problems| {
            let name = src.dependency_name.as_str();
            problems.require("dependencyName", name, " to a dependency");
            if !name.is_empty() && !self.dependencies.contains(&name) {
                problems.at("dependencyName", |problems| {
                    problems.error(format!(
                        "must be a dependency of this sensor ({}), not {name:?}",
                        self.dependencies.join(", ")
                    ));
                });
            } else if !self.matched.is_empty() && !self.matched.contains(&name) {
                problems.at("dependencyName", |problems| {
                    problems.warning(format!(
                        "is never there when this trigger fires: its condition speaks of {}",
                        self.matched.join(", ")
                    ));
                });
            }
            let engine = src.template_engine.unwrap_or(self.engine);
            let default = src.value.is_some();
            for (key, text, fallback) in [
                (
                    "dataTemplate",
                    &src.data_template,
                    default || !src.data_key.is_empty(),
                ),
                (
                    "contextTemplate",
                    &src.context_template,
                    default || !src.context_key.is_empty(),
                ),
            ] {
                problems.at(key, |problems| {
                    check_template(text, engine, fallback, problems);
                });
            }
            for (key, text) in [("dataKey", &src.data_key), ("contextKey", &src.context_key)] {
                problems.at(key, |problems| check_path(text, default, problems));
            }
            let data = !src.data_key.is_empty() || !src.data_template.is_empty();
            for (key, text) in [
                ("contextKey", &src.context_key),
                ("contextTemplate", &src.context_template),
            ] {
                if data && !text.is_empty() {
                    problems.at(key, |problems| {
                        problems.warning("has no effect beside dataKey or dataTemplate");
                    });
                }
            }
        });
    }
}

/// Whether a destination is searched for instead of made.
fn searches(dest: &str) -> bool {
    let mut escaped = false;
    dest.chars().any(|c| {
        let special = !escaped && matches!(c, '@' | '#' | '*' | '?' | '|');
        escaped = !escaped && c == '\\';
        special
    })
}

/// Reports a text that does not compile, at its place in the field.
pub(super) fn report(flaw: &Flaw, problems: &mut Problems) {
    problems.error_inside(flaw.line, flaw.column, flaw.message.clone());
}

fn warn_inside(flaw: &Flaw, message: String, problems: &mut Problems) {
    problems.add(Problem {
        severity: Severity::Warning,
        path: Path::default(),
        message,
        inner: Some((flaw.line, flaw.column)),
    });
}

/// Compiles a template; one that is never used because it is broken is a warning where something stands in for it.
pub(super) fn check_template(
    text: &str,
    engine: TemplateEngine,
    fallback: bool,
    problems: &mut Problems,
) {
    let Err(mut flaw) = Template::compile(text, engine) else {
        return;
    };
    if engine == TemplateEngine::Go && Template::compile(text, TemplateEngine::Handlebars).is_ok() {
        flaw.message
            .push_str("; it is a Handlebars template: write templateEngine: handlebars beside it");
    }
    if fallback {
        let message = format!("{}; the key or the value is used instead", flaw.message);
        warn_inside(&flaw, message, problems);
    } else {
        report(&flaw, problems);
    }
}

/// Compiles a path and warns of commas that select nothing.
pub(super) fn check_path(text: &str, fallback: bool, problems: &mut Problems) {
    if text.is_empty() {
        return;
    }
    match Selector::compile(text) {
        Err(flaw) if fallback => {
            let message = format!("{}; the value is used instead", flaw.message);
            warn_inside(&flaw, message, problems);
        }
        Err(flaw) => report(&flaw, problems),
        Ok(_) => {
            let bracketed = text.starts_with(['[', '{', '$']) || text.contains(['(', '[', '{']);
            if text.contains(',') && !bracketed {
                problems.warning(format!(
                    "selects nothing: several paths are written in brackets, as [{text}]"
                ));
            }
        }
    }
}
