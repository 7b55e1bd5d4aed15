//! `tiphys migrate leftovers`: the commands that remove what Argo's sensors have left on their buses. It runs none.

use std::process::ExitCode;

use serde_json::Value;
use tiphys_controller::migrate::{self, Left};

use super::{Found, Subject, Where, find, plural};
use crate::output;

const HEAD: &str = "\
# What Argo Events may have left on the buses of these Sensors. Run it when they are not to go back to Argo Events, with
# the nats command connected to the bus of each: docs/migrate.md says how. What is not there is answered with an error.";

/// Prints the commands.
pub(super) async fn run(place: &Where) -> anyhow::Result<ExitCode> {
    let Found {
        subjects,
        unreadable,
        ..
    } = find(place).await?;
    let found = of(&subjects);
    if found.is_empty() {
        output::note("note: there is no Sensor that Argo Events ran on JetStream");
    } else {
        output::line(HEAD)?;
        for left in &found {
            output::line(&commands(left))?;
        }
        let consumers: usize = found.iter().map(|left| left.consumers.len()).sum();
        output::note(&format!(
            "{} looked at: up to {} and {} are left; nothing was removed",
            plural(found.len(), "Sensor"),
            plural(consumers, "consumer"),
            plural(found.len(), "bucket")
        ));
    }
    Ok(if unreadable > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// What the Sensors among these objects have left.
pub(super) fn of(subjects: &[Subject]) -> Vec<Left> {
    let left = subjects
        .iter()
        .filter_map(|subject| migrate::left(&subject.document));
    left.filter(|left| !is_elsewhere(left, subjects)).collect()
}

/// Whether the bus of a Sensor is known, and was none of JetStream under Argo Events.
fn is_elsewhere(left: &Left, subjects: &[Subject]) -> bool {
    let bus = subjects.iter().find(|subject| {
        let document = &subject.document;
        document.kind() == "EventBus"
            && document.name() == left.bus
            && document.namespace() == left.namespace
    });
    let spec = bus.and_then(|bus| bus.document.object.get("spec"));
    let has = |key: &str| {
        spec.and_then(|spec| spec.get(key))
            .is_some_and(|one| !one.is_null())
    };
    has("nats") || has("kafka")
}

fn commands(left: &Left) -> String {
    let mut text = format!(
        "\n# Sensor {}, EventBus {}",
        name(left, &left.sensor),
        name(left, &left.bus)
    );
    for one in &left.consumers {
        // Names from a file may hold anything, and what follows stands in a comment of a script.
        let (trigger, dependency) = (
            Value::from(one.trigger.as_str()),
            Value::from(one.dependency.as_str()),
        );
        text.push_str(&format!(
            "\nnats consumer rm {} {} --force # trigger {trigger}, dependency {dependency}",
            left.stream, one.durable
        ));
    }
    text.push_str(&format!(
        "\nnats kv del {} --force # what its conditions held",
        left.bucket
    ));
    text
}

fn name(left: &Left, name: &str) -> String {
    let name = Value::from(name);
    if left.namespace.is_empty() {
        return name.to_string();
    }
    format!(
        "{name} in namespace {}",
        Value::from(left.namespace.as_str())
    )
}
