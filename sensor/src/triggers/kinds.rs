//! The list of trigger kinds: the order in which the first wins, and who validates and builds which.

use tiphys_core::Problems;

use super::{Action, BuildContext, FireError};
use crate::spec::{Scope, TriggerTemplateSpec};

/// Every kind by its name in a trigger's template, in the order in which the first one wins.
pub const KINDS: [&str; 14] = [
    "k8s",
    "argoWorkflow",
    "http",
    "awsLambda",
    "azureEventHubs",
    "azureServiceBus",
    "kafka",
    "pulsar",
    "nats",
    "slack",
    "openWhisk",
    "custom",
    "log",
    "email",
];

/// The kinds that this build runs; the others are read and checked.
const RUNNING: [&str; 4] = ["k8s", "argoWorkflow", "http", "log"];

/// The kinds that are set, in the order in which the first one wins.
pub(super) fn names(spec: &TriggerTemplateSpec) -> Vec<&'static str> {
    // Taken apart field by field, so that a new kind cannot be forgotten here.
    let TriggerTemplateSpec {
        name: _,
        conditions: _,
        conditions_reset: _,
        join: _,
        k8s,
        argo_workflow,
        http,
        aws_lambda,
        custom,
        kafka,
        nats,
        slack,
        open_whisk,
        log,
        azure_event_hubs,
        pulsar,
        azure_service_bus,
        email,
    } = spec;
    let present = [
        k8s.is_some(),
        argo_workflow.is_some(),
        http.is_some(),
        aws_lambda.is_some(),
        azure_event_hubs.is_some(),
        azure_service_bus.is_some(),
        kafka.is_some(),
        pulsar.is_some(),
        nats.is_some(),
        slack.is_some(),
        open_whisk.is_some(),
        custom.is_some(),
        log.is_some(),
        email.is_some(),
    ];
    let set = KINDS.into_iter().zip(present);
    set.filter_map(|(name, present)| present.then_some(name))
        .collect()
}

pub(super) fn validate(spec: &TriggerTemplateSpec, scope: &Scope<'_>, problems: &mut Problems) {
    match names(spec).as_slice() {
        [] => problems.error("must have one kind of trigger, as argoWorkflow, k8s, http or log"),
        [_] => {}
        [first, rest @ ..] => problems.warning(format!(
            "has several kinds of trigger; only {first} fires, not {}",
            rest.join(", ")
        )),
    }
    if let Some(first) = names(spec).first()
        && !RUNNING.contains(first)
    {
        problems.at(first, |problems| {
            problems.warning(
                "is not supported yet: what it would fire for is kept as dead (`tiphys dead`), the other triggers run; a Sensor of which no trigger can run does not start",
            );
        });
    }
    let problems = &mut *problems;
    macro_rules! check {
        ($key:literal, $field:ident) => {
            if let Some(kind) = &spec.$field {
                problems.at($key, |problems| kind.validate(scope, problems));
            }
        };
    }
    check!("k8s", k8s);
    check!("argoWorkflow", argo_workflow);
    check!("http", http);
    check!("awsLambda", aws_lambda);
    check!("azureEventHubs", azure_event_hubs);
    check!("azureServiceBus", azure_service_bus);
    check!("kafka", kafka);
    check!("pulsar", pulsar);
    check!("nats", nats);
    check!("slack", slack);
    check!("openWhisk", open_whisk);
    check!("custom", custom);
    check!("email", email);
    if let Some(log) = &spec.log {
        problems.at("log", |problems| log.validate(problems));
    }
}

pub(super) fn build(
    spec: &TriggerTemplateSpec,
    cx: &BuildContext<'_>,
) -> Result<Box<dyn Action>, FireError> {
    if let Some(k8s) = &spec.k8s {
        return k8s.build(cx);
    }
    if let Some(workflow) = &spec.argo_workflow {
        return workflow.build(cx);
    }
    if let Some(http) = &spec.http {
        return http.build(cx);
    }
    match names(spec).first() {
        Some(&"log") => Ok(spec.log.clone().unwrap_or_default().build()),
        Some(kind) => Err(FireError::unsupported(format!("trigger kind `{kind}`"))),
        None => Err(FireError::permanent(format!(
            "invalid trigger {}, could not find an implementation",
            spec.name
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::yaml;

    #[test]
    fn lint_warns_of_the_kinds_that_do_not_run_and_of_no_other() {
        for kind in KINDS {
            let spec: TriggerTemplateSpec = yaml(&format!("name: t\n{kind}: {{}}"));
            let scope = Scope {
                dependencies: &[],
                engine: crate::spec::TemplateEngine::Go,
                matched: &[],
                args_change: false,
            };
            let mut problems = Problems::default();
            validate(&spec, &scope, &mut problems);
            let warned = problems.to_string().contains("is not supported yet");
            let cx = BuildContext {
                engine: crate::spec::TemplateEngine::Go,
                policy: None,
                written: None,
                args: &[],
            };
            let refused = matches!(build(&spec, &cx), Err(FireError::Unsupported { .. }));
            assert_eq!(warned, refused, "{kind}");
        }
    }
}
