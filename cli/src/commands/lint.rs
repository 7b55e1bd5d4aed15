//! `tiphys lint`: every problem of every object, with file, line and column.

use std::process::ExitCode;

use tiphys_controller::check::{self, Checked, Placed};
use tiphys_core::manifest::{Document, Position};
use tiphys_core::{Problem, Problems, Severity};

use crate::args::{Lint, LintOutput};
use crate::files::{self, Loaded};
use crate::output;

/// One problem and its place.
pub(crate) struct Finding {
    pub file: String,
    pub position: Option<Position>,
    pub object: String,
    pub problem: Problem,
}

/// Reports what is wrong; exit code 1 where anything is an error.
pub(crate) fn run(args: &Lint) -> anyhow::Result<ExitCode> {
    let loaded = files::load(&args.paths)?;
    let (findings, objects) = examine(&loaded, &args.namespace);
    let errors = findings
        .iter()
        .filter(|finding| finding.problem.severity == Severity::Error)
        .count();
    let warnings = findings.len() - errors;
    match args.output {
        Some(LintOutput::Json) => {
            for finding in &findings {
                output::line(&json(finding).to_string())?;
            }
        }
        None => {
            for finding in &findings {
                output::line(&text(finding))?;
            }
        }
    }
    let files = loaded.len();
    output::note(&format!(
        "{} in {} of {}: {}, {}",
        if errors == 0 { "no errors" } else { "problems" },
        count(objects, "object"),
        count(files, "file"),
        count(errors, "error"),
        count(warnings, "warning")
    ));
    let failed = errors > 0 || (args.strict && warnings > 0);
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn count(number: usize, name: &str) -> String {
    if number == 1 {
        format!("1 {name}")
    } else {
        format!("{number} {name}s")
    }
}

/// What runs here and could not be made on a cluster.
fn elsewhere(document: &Document, checked: Option<&Checked>, problems: &mut Problems) {
    let mut names = Problems::default();
    check::names(document, checked, &mut names);
    for problem in names.list() {
        problems.add(Problem {
            severity: Severity::Warning,
            message: format!("on a cluster it {}", problem.message),
            ..problem.clone()
        });
    }
}

/// Everything that is wrong in the files, in the order of files and lines, and how many objects there are.
pub(crate) fn examine(loaded: &[Loaded], default_namespace: &str) -> (Vec<Finding>, usize) {
    let mut findings = Vec::new();
    let mut objects: Vec<(&Loaded, &Document, Checked)> = Vec::new();
    let mut number = 0;
    for file in loaded {
        match &file.documents {
            Err(error) => findings.push(Finding {
                file: file.path.display().to_string(),
                position: error.position,
                object: String::new(),
                problem: Problem {
                    severity: Severity::Error,
                    path: tiphys_core::Path::default(),
                    message: format!("not YAML: {}", error.message),
                    inner: None,
                },
            }),
            Ok(documents) => {
                for document in documents {
                    number += 1;
                    let mut problems = Problems::default();
                    let checked = check::check(document, &mut problems);
                    elsewhere(document, checked.as_ref(), &mut problems);
                    let found = problems
                        .list()
                        .iter()
                        .map(|problem| finding(file, document, problem.clone()));
                    findings.extend(found);
                    if let Some(checked) = checked {
                        objects.push((file, document, checked));
                    }
                }
            }
        }
    }
    let placed: Vec<_> = objects
        .iter()
        .map(|(_, document, checked)| {
            let namespace = if document.namespace().is_empty() {
                default_namespace
            } else {
                document.namespace()
            };
            Placed {
                namespace: namespace.to_owned(),
                document,
                checked,
            }
        })
        .collect();
    for (index, problem) in check::across(&placed) {
        if let Some((file, document, _)) = objects.get(index) {
            findings.push(finding(file, document, problem));
        }
    }
    let order: std::collections::HashMap<String, usize> = loaded
        .iter()
        .enumerate()
        .map(|(index, file)| (file.path.display().to_string(), index))
        .collect();
    findings.sort_by_key(|finding| (order.get(&finding.file).copied(), finding.position));
    (findings, number)
}

pub(crate) fn finding(file: &Loaded, document: &Document, problem: Problem) -> Finding {
    Finding {
        file: file.path.display().to_string(),
        position: document.position(&problem.path),
        object: format!("{} {}", document.kind(), document.name())
            .trim()
            .to_owned(),
        problem,
    }
}

/// One line: `file:line:column: error: path: what must hold`.
pub(crate) fn text(finding: &Finding) -> String {
    let place = match finding.position {
        Some(Position { line, column }) => format!("{}:{line}:{column}", finding.file),
        None => finding.file.clone(),
    };
    let severity = severity(finding.problem.severity);
    let inside = match finding.problem.inner {
        Some((line, column)) => format!(" (line {line}, column {column} of the text)"),
        None => String::new(),
    };
    format!("{place}: {severity}: {}{inside}", finding.problem)
}

const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

fn json(finding: &Finding) -> serde_json::Value {
    serde_json::json!({
        "file": finding.file,
        "line": finding.position.map(|at| at.line),
        "column": finding.position.map(|at| at.column),
        "object": finding.object,
        "severity": severity(finding.problem.severity),
        "path": finding.problem.path.to_string(),
        "message": finding.problem.message,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tiphys_core::manifest;

    #[test]
    fn a_name_that_a_cluster_cannot_take_is_a_warning() {
        let text = "apiVersion: argoproj.io/v1alpha1\nkind: EventBus\nmetadata: {name: a.b}\nspec: {jetstream: {version: latest}}\n";
        let loaded = Loaded {
            path: "bus.yaml".into(),
            documents: manifest::parse(text),
            empty: false,
        };
        let (findings, _) = examine(&[loaded], "default");
        let [only] = findings.as_slice() else {
            panic!("{} findings", findings.len());
        };
        assert_eq!(only.problem.severity, Severity::Warning);
        assert_eq!(only.problem.path.to_string(), "metadata.name");
        assert!(
            only.problem
                .message
                .starts_with("on a cluster it must have at most 40"),
            "{}",
            only.problem.message
        );
    }
}
