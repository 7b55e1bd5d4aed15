//! What Argo's sensors leave on a JetStream bus when a Sensor has moved: names that its objects tell. It asks no server,
//! so what is named may not be there.

use tiphys_core::Problems;
use tiphys_core::manifest::Document;
use tiphys_eventbus::STREAM;
use tiphys_sensor::spec::ArgosConsumer;

use crate::check::{self, Checked};

/// What one Sensor has left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// The Sensor's namespace.
    pub namespace: String,
    /// The Sensor.
    pub sensor: String,
    /// The EventBus in that namespace.
    pub bus: String,
    /// The stream of its consumers.
    pub stream: &'static str,
    /// One for each dependency of each trigger.
    pub consumers: Vec<ArgosConsumer>,
    /// The key-value bucket with the events that conditions held.
    pub bucket: String,
}

/// What a Sensor has left; nothing for other objects, and for those that Argo could not have run on JetStream.
#[must_use]
pub fn left(document: &Document) -> Option<Left> {
    let checked = check::check(document, &mut Problems::default());
    let Some(Checked::Sensor(sensor)) = checked else {
        return None;
    };
    let name = document.name();
    // A bucket cannot be called otherwise, and without one Argo's sensor does not start.
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || !name.chars().all(plain) {
        return None;
    }
    Some(Left {
        namespace: document.namespace().to_owned(),
        sensor: name.to_owned(),
        bus: sensor.spec.bus_name().to_owned(),
        stream: STREAM,
        consumers: sensor.spec.argos_consumers(name),
        bucket: name.to_owned(),
    })
}
