//! The table of differences, a file for each subject. Data only.

mod bus;
mod cluster;
mod delivery;
mod local;
mod sensors;
mod values;
mod webhooks;

use super::{Detector, Difference, Level, Section};

/// Every section, in the order of the page.
pub(super) const SECTIONS: &[Section] = &[
    Section {
        title: "Delivery",
        rows: delivery::ROWS,
    },
    Section {
        title: "Values",
        rows: values::ROWS,
    },
    Section {
        title: "Sensors",
        rows: sensors::ROWS,
    },
    Section {
        title: "Webhooks",
        rows: webhooks::ROWS,
    },
    Section {
        title: "Bus",
        rows: bus::ROWS,
    },
    Section {
        title: "Cluster",
        rows: cluster::ROWS,
    },
    Section {
        title: "Local runs",
        rows: local::ROWS,
    },
];

/// A row that no object shows.
const fn row(
    id: &'static str,
    argo: &'static str,
    tiphys: &'static str,
    why: &'static str,
) -> Difference {
    Difference {
        id,
        argo,
        tiphys,
        why,
        level: Level::Safer,
        remedy: "",
        detect: None,
    }
}

impl Difference {
    /// Found in objects: what it means there, what to do, and how it is found.
    const fn found(self, level: Level, remedy: &'static str, detect: Detector) -> Self {
        Self {
            level,
            remedy,
            detect: Some(detect),
            ..self
        }
    }
}
