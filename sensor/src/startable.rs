//! Says which triggers of a Sensor this build cannot run, by building them as the runtime does. It starts nothing.

use std::collections::BTreeMap;

use tiphys_core::Path;
use tiphys_core::tasks::chain;

use crate::prepared::{Owner, Prepared};
use crate::spec::{Sensor, TemplateEngine, template_engine};
use crate::triggers::FireError;

/// What of a Sensor cannot run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CannotRun {
    /// The triggers and dlqTriggers, with the reason.
    pub triggers: Vec<(Path, String)>,
    /// Whether the Sensor does not start at all: none of its triggers can run, or one cannot even be read.
    pub whole: bool,
}

/// What of a Sensor this build cannot run. The other triggers run, and what these would fire for is dead, with the reason.
///
/// What [`Sensor::validate`] reports is not said again: a Sensor with problems should not be asked.
#[must_use]
pub fn cannot_run(sensor: &Sensor) -> CannotRun {
    let none = BTreeMap::new();
    let annotations = sensor.metadata.annotations.as_ref().unwrap_or(&none);
    let engine = template_engine(annotations).unwrap_or(TemplateEngine::Go);
    let owner = Owner {
        namespace: sensor.metadata.namespace.clone().unwrap_or_default(),
        sensor: sensor.metadata.name.clone().unwrap_or_default(),
    };
    let triggers = Path::default().key("spec").key("triggers");
    let mut found = CannotRun::default();
    let mut some = sensor.spec.triggers.is_empty();
    for (index, trigger) in sensor.spec.triggers.iter().enumerate() {
        let path = triggers.index(index);
        let made = match Prepared::new(&sensor.spec, trigger, &owner, engine) {
            Ok(made) => made,
            Err(error) => {
                found.whole = true;
                found.triggers.push((path, chain(&error)));
                continue;
            }
        };
        some |= made.launcher.unsupported.is_none();
        let told = |what| FireError::unsupported(what).to_string();
        let dlq = made.dlq.and_then(|dlq| dlq.unsupported);
        let dlq = dlq.map(|what| (path.key("dlqTrigger"), told(what)));
        let own = made.launcher.unsupported.map(|what| (path, told(what)));
        found.triggers.extend(own.into_iter().chain(dlq));
    }
    found.whole |= !some;
    found
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn of(triggers: &Value) -> (Vec<String>, bool) {
        let sensor: Sensor = serde_json::from_value(json!({
            "metadata": { "name": "s", "namespace": "ns" },
            "spec": {
                "dependencies": [{ "name": "d", "eventSourceName": "s", "eventName": "e" }],
                "triggers": triggers,
            },
        }))
        .unwrap();
        let found = cannot_run(&sensor);
        let places = found.triggers.iter().map(|(path, _)| path.to_string());
        (places.collect(), found.whole)
    }

    #[test]
    fn what_cannot_run_is_named_and_the_rest_of_a_sensor_runs() {
        let log = json!({ "template": { "name": "a", "log": {} } });
        let kafka = json!({ "template": { "name": "b", "kafka": { "url": "k", "topic": "t" } } });
        let mut dlq = log.clone();
        dlq["dlqTrigger"] = kafka.clone();
        let nothing = json!({ "template": { "name": "c" } });
        for (triggers, places, whole) in [
            (json!([log]), vec![], false),
            (json!([log, kafka]), vec!["spec.triggers[1]"], false),
            (json!([kafka]), vec!["spec.triggers[0]"], true),
            (json!([dlq]), vec!["spec.triggers[0].dlqTrigger"], false),
            (json!([log, nothing]), vec!["spec.triggers[1]"], true),
            (json!([]), vec![], false),
        ] {
            let places: Vec<String> = places.into_iter().map(str::to_owned).collect();
            assert_eq!(of(&triggers), (places, whole), "{triggers}");
        }
    }
}
