//! What Argo's sensor calls its consumers on a JetStream bus. Names only: which of them are there, the bus knows.

use tiphys_lang::condition::Condition;

use super::SensorSpec;

/// A consumer that Argo's sensor makes for a dependency of a trigger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgosConsumer {
    /// The trigger.
    pub trigger: String,
    /// The dependency.
    pub dependency: String,
    /// Its durable name.
    pub durable: String,
}

impl SensorSpec {
    /// The consumers that Argo's sensor of this name may have made, in the order of the triggers.
    ///
    /// Dependencies of one trigger that hear the same events share one, under the name of one of them.
    #[must_use]
    pub fn argos_consumers(&self, sensor: &str) -> Vec<ArgosConsumer> {
        let names: Vec<&str> = self
            .dependencies
            .iter()
            .map(|one| one.name.as_str())
            .collect();
        let templates = self
            .triggers
            .iter()
            .filter_map(|trigger| trigger.template.as_ref());
        templates
            .flat_map(|template| {
                let condition = match template.conditions.trim() {
                    "" => Ok(Condition::all(&names)),
                    text => Condition::compile(text, &names),
                };
                // A condition that cannot be read had no consumers.
                let dependencies = condition.map(|one| one.dependencies().to_vec());
                dependencies
                    .into_iter()
                    .flatten()
                    .map(|dependency| ArgosConsumer {
                        trigger: template.name.clone(),
                        durable: argos_durable(sensor, &template.name, &dependency),
                        dependency,
                    })
            })
            .collect()
    }
}

/// `group-` and the decimal FNV-1a of the three names.
pub(crate) fn argos_durable(sensor: &str, trigger: &str, dependency: &str) -> String {
    let hash = format!("{sensor}-{trigger}-{dependency}")
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
    format!("group-{hash}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_names_are_those_that_argo_gives() {
        for (sensor, trigger, dependency, durable) in [
            ("s", "t", "d", "group-2871341474"),
            ("webhook", "http-trigger", "test-dep", "group-3411371631"),
            (
                "e2e-multi-dep",
                "log-trigger-1",
                "test-dep-1",
                "group-3041850486",
            ),
        ] {
            assert_eq!(argos_durable(sensor, trigger, dependency), durable);
        }
    }

    #[test]
    fn a_trigger_has_consumers_for_the_dependencies_of_its_condition() {
        let of = |conditions: &str| {
            let spec = json!({
                "dependencies": [
                    { "name": "a", "eventSourceName": "s", "eventName": "e" },
                    { "name": "b", "eventSourceName": "s", "eventName": "f" },
                ],
                "triggers": [
                    { "template": { "name": "t", "conditions": conditions, "log": {} } },
                    { "template": null },
                ],
            });
            let spec: SensorSpec = serde_json::from_value(spec).unwrap();
            let found = spec.argos_consumers("s");
            assert!(
                found
                    .iter()
                    .all(|one| one.durable == argos_durable("s", "t", &one.dependency))
            );
            found
                .into_iter()
                .map(|one| one.dependency)
                .collect::<Vec<_>>()
                .join(" ")
        };
        for (conditions, dependencies) in [
            ("", "a b"),
            ("b || a", "b a"),
            ("b", "b"),
            ("b &&", ""),
            ("nobody", ""),
        ] {
            assert_eq!(of(conditions), dependencies, "{conditions}");
        }
    }
}
