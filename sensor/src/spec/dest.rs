//! Whether a parameter of a trigger lands in its template: what no field takes is dropped in silence. It changes nothing.

use tiphys_core::Problems;
use tiphys_lang::sjson;

use super::{ParameterSpec, TriggerTemplateSpec};

/// One of these is what the field takes, if there is one.
const TRIED: [&str; 5] = ["\"\"", "{}", "[]", "0", "true"];

/// Warns of destinations that nothing reads.
pub(super) fn check(
    template: &TriggerTemplateSpec,
    parameters: &[ParameterSpec],
    problems: &mut Problems,
) {
    problems.each("parameters", parameters, |parameter, problems| {
        let Some(why) = without_effect(template, &parameter.dest) else {
            return;
        };
        problems.at("dest", |problems| problems.warning(why));
    });
}

fn without_effect(template: &TriggerTemplateSpec, dest: &str) -> Option<String> {
    // A path with a query sets what is there, or nothing, by each event.
    if dest.is_empty() || dest.contains(['@', '#', '*', '?', '|']) {
        return None;
    }
    let document = serde_json::to_vec(template).ok()?;
    let mut taken = false;
    let mut ignored = false;
    for value in TRIED {
        let Ok(set) = sjson::set_raw(&document, dest, value.as_bytes()) else {
            continue;
        };
        let mut reader = serde_json::Deserializer::from_slice(&set);
        let mut unread = false;
        let read: Result<TriggerTemplateSpec, _> =
            serde_ignored::deserialize(&mut reader, |_| unread = true);
        if let Ok(read) = read {
            taken |= !unread;
            ignored |= unread;
            if let ([first, ..], [was, ..]) = (read.kinds().as_slice(), template.kinds().as_slice())
                && taken
                && first == was
                && dest
                    .split('.')
                    .next()
                    .is_some_and(|key| key != *first && read.kinds().contains(&key))
            {
                return Some(format!("sets nothing: only {first} fires"));
            }
        }
    }
    (ignored && !taken).then(|| {
        let first = template.kinds().first().copied().unwrap_or("k8s");
        let field = match first {
            "k8s" | "argoWorkflow" => "source.resource",
            "awsLambda" => "functionName",
            "azureEventHubs" => "hubName",
            "azureServiceBus" => "queueName",
            "custom" => "serverURL",
            "email" | "openWhisk" => "host",
            "log" => "intervalSeconds",
            "slack" => "message",
            _ => "url",
        };
        let path =
            format!("sets nothing: it is a path in this trigger's template, as {first}.{field}");
        match first {
            "log" => path,
            _ => format!("{path}; the object or message itself is changed by {first}.parameters"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::yaml;

    #[test]
    fn what_no_field_takes_is_told() {
        let template: TriggerTemplateSpec = yaml(
            "name: t\nargoWorkflow: {operation: submit, source: {resource: {kind: Workflow, spec: {}}}}",
        );
        for (dest, said) in [
            ("name", None),
            ("conditions", None),
            (
                "argoWorkflow.source.resource.spec.arguments.parameters.0.value",
                None,
            ),
            ("argoWorkflow.source.inline", None),
            ("argoWorkflow.source.s3.bucket.key", None),
            ("argoWorkflow.source.s3.insecure", None),
            ("argoWorkflow.args.-1", None),
            ("argoWorkflow.parameters.0.src.value", None),
            ("argoWorkflow.source.#.x", None),
            (
                "spec.arguments.parameters.0.value",
                Some("argoWorkflow.parameters"),
            ),
            ("metadata.name", Some("sets nothing")),
            ("template.argoWorkflow.operation", Some("sets nothing")),
            ("argoWorkflow.resource.spec", None),
            ("argoWorkflow.sources.inline", Some("sets nothing")),
            ("retryStrategy.steps", Some("sets nothing")),
            ("http.url", Some("only argoWorkflow fires")),
        ] {
            let found = without_effect(&template, dest);
            match said {
                None => assert_eq!(found, None, "{dest}"),
                Some(said) => assert!(
                    found.clone().unwrap_or_default().contains(said),
                    "{dest}: {found:?}"
                ),
            }
        }
    }
}
