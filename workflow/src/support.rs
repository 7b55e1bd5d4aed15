//! What the engine can run, checked before anything runs. Whatever it cannot run is named with its path. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tiphys_core::Problems;

use crate::resource::{Arguments, Container, Parameter, Step, Template, WorkflowSpec};

/// Fields that shape pods only and mean nothing to a process on a laptop.
const POD_ONLY: [&str; 29] = [
    "affinity",
    "annotations",
    "archiveLogs",
    "artifactGC",
    "automountServiceAccountToken",
    "dnsConfig",
    "dnsPolicy",
    "executor",
    "hostAliases",
    "hostNetwork",
    "imagePullPolicy",
    "imagePullSecrets",
    "labels",
    "metadata",
    "nodeSelector",
    "podDisruptionBudget",
    "podGC",
    "podMetadata",
    "podPriorityClassName",
    "podSpecPatch",
    "ports",
    "priorityClassName",
    "resources",
    "schedulerName",
    "securityContext",
    "serviceAccountName",
    "terminationGracePeriodSeconds",
    "tolerations",
    "workflowMetadata",
];

/// Kinds of templates that are Argo's and not run here yet.
const OTHER_KINDS: [&str; 6] = ["containerSet", "dag", "data", "http", "plugin", "resource"];

/// Reports everything that is wrong with the spec, and everything that is right but not run yet.
pub(crate) fn check(spec: &WorkflowSpec, problems: &mut Problems) {
    if spec.entrypoint.is_empty() {
        problems.at("entrypoint", |problems| {
            problems.error("must be set to the name of a template");
        });
    } else if !spec
        .templates
        .iter()
        .any(|template| template.name == spec.entrypoint)
    {
        problems.at("entrypoint", |problems| {
            problems.error(format!(
                "names the template {:?}, which is not in spec.templates",
                spec.entrypoint
            ));
        });
    }
    unsupported(&spec.other, problems);
    let mut names = BTreeSet::new();
    problems.each("templates", &spec.templates, |template, problems| {
        if !names.insert(template.name.clone()) {
            problems.at("name", |problems| {
                problems.error(format!("{:?} is not unique", template.name));
            });
        }
        check_template(template, &spec.templates, problems);
    });
    check_arguments("arguments", &spec.arguments, problems);
}

fn check_template(template: &Template, all: &[Template], problems: &mut Problems) {
    problems.require("name", &template.name, " to a word");
    let other = OTHER_KINDS
        .iter()
        .filter(|kind| template.other.contains_key(**kind))
        .count();
    let kinds = usize::from(template.container.is_some())
        + usize::from(template.script.is_some())
        + usize::from(template.steps.is_some())
        + usize::from(template.suspend.is_some())
        + other;
    match kinds {
        0 => problems.error("must have one of container, script, steps or suspend"),
        1 => {}
        _ => problems.error("must have only one of container, script, steps and the other kinds"),
    }
    unsupported(&template.other, problems);
    check_arguments("inputs", &template.inputs, problems);
    problems.at("outputs", |problems| check_outputs(template, problems));
    if let Some(suspend) = &template.suspend {
        problems.at("suspend", |problems| unsupported(&suspend.other, problems));
    }
    for (key, container) in [
        ("container", &template.container),
        ("script", &template.script),
    ] {
        if let Some(container) = container {
            problems.at(key, |problems| check_container(container, problems));
        }
    }
    let mut names = BTreeSet::new();
    problems.each(
        "steps",
        template.steps.as_deref().unwrap_or_default(),
        |group, problems| {
            for (index, step) in group.iter().enumerate() {
                problems.at_index(index, |problems| {
                    if !names.insert(step.name.clone()) {
                        problems.at("name", |problems| {
                            problems.error(format!("{:?} is not unique", step.name));
                        });
                    }
                    check_step(step, all, problems);
                });
            }
        },
    );
}

/// Outputs of a step that waits are supplied when it is resumed; others are not run here yet.
fn check_outputs(template: &Template, problems: &mut Problems) {
    let outputs = &template.outputs;
    let supplied = |parameter: &Parameter| {
        let from = parameter.value_from.as_ref();
        from.is_some_and(|from| from.get("supplied").is_some())
    };
    let known = template.suspend.is_some()
        && outputs.artifacts.is_empty()
        && outputs.parameters.iter().all(supplied);
    if !outputs.is_empty() && !known {
        problems.error(NOT_YET);
    }
}

fn check_step(step: &Step, all: &[Template], problems: &mut Problems) {
    problems.require("name", &step.name, " to a word");
    unsupported(&step.other, problems);
    check_arguments("arguments", &step.arguments, problems);
    match (&step.template_ref, step.template.as_str()) {
        (None, "") => problems.error("must have template or templateRef"),
        (Some(_), name) if !name.is_empty() => {
            problems.error("must have template or templateRef, not both");
        }
        (None, name)
            if !name.contains("{{") && !all.iter().any(|template| template.name == name) =>
        {
            problems.at("template", |problems| {
                problems.error(format!("names {name:?}, which is not in spec.templates"));
            });
        }
        _ => {}
    }
}

fn check_container(container: &Container, problems: &mut Problems) {
    unsupported(&container.other, problems);
    for (index, var) in container.env.iter().enumerate() {
        let from_field = var
            .value_from
            .as_ref()
            .is_some_and(|from| from.field_ref.is_some());
        if from_field {
            problems.at("env", |problems| {
                problems.at_index(index, |problems| {
                    problems.error(
                        "takes its value from a field of the pod, and a local process has no pod",
                    );
                });
            });
        }
    }
}

fn check_arguments(key: &str, arguments: &Arguments, problems: &mut Problems) {
    problems.at(key, |problems| {
        if !arguments.artifacts.is_empty() {
            problems.at("artifacts", |problems| problems.error(NOT_YET));
        }
        problems.each(
            "parameters",
            &arguments.parameters,
            |parameter, problems| {
                problems.require("name", &parameter.name, " to a word");
                if parameter.value_from.is_some() {
                    problems.at("valueFrom", |problems| problems.error(NOT_YET));
                }
                if let Some(value) = &parameter.value
                    && !parameter.allowed.is_empty()
                    && !value.0.contains("{{")
                    && !parameter.allowed.contains(value)
                {
                    problems.at("value", |problems| {
                        problems.error(format!("{:?} is not in its enum list", value.0));
                    });
                }
            },
        );
    });
}

const NOT_YET: &str = "is not supported by the local engine yet; run this Workflow on a cluster";

fn unsupported(other: &BTreeMap<String, Value>, problems: &mut Problems) {
    for (key, value) in other {
        let empty = match value {
            Value::Null | Value::Bool(false) => true,
            Value::Array(items) => items.is_empty(),
            Value::Object(map) => map.is_empty(),
            Value::String(text) => text.is_empty(),
            _ => false,
        };
        let matters = OTHER_KINDS.contains(&key.as_str()) || !empty;
        if matters && !POD_ONLY.contains(&key.as_str()) {
            problems.at(key, |problems| problems.error(NOT_YET));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check_text(spec: &str, expected: &Expect) {
        let spec: WorkflowSpec = serde_json::from_str(spec).unwrap();
        let mut problems = Problems::default();
        problems.at("spec", |problems| check(&spec, problems));
        expected.assert_eq(&problems.to_string());
    }

    #[test]
    fn what_runs_passes() {
        check_text(
            r#"{"entrypoint":"a","serviceAccountName":"x","podGC":{"strategy":"x"},"templates":[
                {"name":"a","steps":[[{"name":"s","template":"b"}],[]]},
                {"name":"b","container":{"image":"x","command":["c"],"resources":{"limits":{}}}},
                {"name":"w","suspend":{"duration":"10s"},"outputs":{"parameters":[{"name":"x","valueFrom":{"supplied":{}}}]}},
                {"name":"v","suspend":{}}]}"#,
            &expect![""],
        );
    }

    #[test]
    fn what_does_not_run_is_named_with_its_path() {
        check_text(
            r#"{"entrypoint":"z","onExit":"b","templates":[
                {"name":"a","dag":{"tasks":[]}},
                {"name":"a","container":{"image":"x","volumeMounts":[{}]},"script":{}},
                {"name":"c","steps":[[{"name":"s","template":"nope","when":"1 == 1"}]],"outputs":{"parameters":[{"name":"x"}]}},
                {"name":"d"}]}"#,
            &expect![[r#"
                spec.entrypoint: names the template "z", which is not in spec.templates
                spec.onExit: is not supported by the local engine yet; run this Workflow on a cluster
                spec.templates[0].dag: is not supported by the local engine yet; run this Workflow on a cluster
                spec.templates[1].name: "a" is not unique
                spec.templates[1]: must have only one of container, script, steps and the other kinds
                spec.templates[1].container.volumeMounts: is not supported by the local engine yet; run this Workflow on a cluster
                spec.templates[2].outputs: is not supported by the local engine yet; run this Workflow on a cluster
                spec.templates[2].steps[0][0].when: is not supported by the local engine yet; run this Workflow on a cluster
                spec.templates[2].steps[0][0].template: names "nope", which is not in spec.templates
                spec.templates[3]: must have one of container, script, steps or suspend"#]],
        );
    }
}
