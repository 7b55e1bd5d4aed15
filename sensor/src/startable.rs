//! Says which triggers of a Sensor this build cannot start, by building them as the runtime does. It starts nothing.

use std::collections::BTreeMap;

use tiphys_core::Path;
use tiphys_core::tasks::chain;

use crate::prepared::{Owner, Prepared};
use crate::spec::{Sensor, TemplateEngine, template_engine};

/// The triggers that cannot be built, with the reason. A Sensor with one of them does not start.
///
/// What [`Sensor::validate`] reports is not said again: a Sensor with problems should not be asked.
#[must_use]
pub fn cannot_start(sensor: &Sensor) -> Vec<(Path, String)> {
    let none = BTreeMap::new();
    let annotations = sensor.metadata.annotations.as_ref().unwrap_or(&none);
    let engine = template_engine(annotations).unwrap_or(TemplateEngine::Go);
    let owner = Owner {
        namespace: sensor.metadata.namespace.clone().unwrap_or_default(),
        sensor: sensor.metadata.name.clone().unwrap_or_default(),
    };
    let triggers = Path::default().key("spec").key("triggers");
    let mut found = Vec::new();
    for (index, trigger) in sensor.spec.triggers.iter().enumerate() {
        if let Err(error) = Prepared::new(&sensor.spec, trigger, &owner, engine) {
            found.push((triggers.index(index), chain(&error)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_trigger_that_no_build_knows_is_named_and_the_others_are_not() {
        let sensor: Sensor = serde_json::from_value(json!({
            "metadata": { "name": "s", "namespace": "ns" },
            "spec": {
                "dependencies": [{ "name": "d", "eventSourceName": "s", "eventName": "e" }],
                "triggers": [
                    { "template": { "name": "a", "log": {} } },
                    { "template": { "name": "b" } },
                ],
            },
        }))
        .unwrap();
        let found = cannot_start(&sensor);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].0.to_string(), "spec.triggers[1]");
    }
}
