//! What behaves differently from Argo Events, and where an object meets it: `tiphys migrate check` and the page
//! `docs/differences.md` are made from the one table here. Pure: it reads no file and asks no server.
//!
//! ```text
//! table ──┬─▶ page     the documentation
//!         └─▶ examine(document) ─▶ findings, each with its path, the reason and what to do
//! ```

mod detect;
mod left;
mod look;
mod page;
mod table;

use tiphys_core::manifest::Document;
use tiphys_core::{Path, Problems, Severity};

use crate::check;
use look::Look;

pub use left::{Left, left};
pub use page::page;

/// What a difference means for an object that meets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The object, or a part of it, does not run until it is changed.
    Stops,
    /// It runs, and something that you can see is different.
    Differs,
    /// It runs as before or safer; there is nothing to do.
    Safer,
}

impl Level {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stops => "stops",
            Self::Differs => "differs",
            Self::Safer => "safer",
        }
    }
}

/// Finds the places where an object meets a difference.
type Detector = fn(&Look<'_>, &mut Vec<Place>);

/// A place in an object, and what is special there.
#[derive(Debug)]
struct Place {
    path: Path,
    detail: String,
}

impl Place {
    fn at(path: Path) -> Self {
        Self {
            path,
            detail: String::new(),
        }
    }

    fn with(path: Path, detail: impl Into<String>) -> Self {
        Self {
            path,
            detail: detail.into(),
        }
    }
}

/// One row: what Argo Events does, what Tiphys does, and why.
pub struct Difference {
    /// Its name, for good.
    pub id: &'static str,
    /// What Argo Events does.
    pub argo: &'static str,
    /// What Tiphys does.
    pub tiphys: &'static str,
    /// The reason; empty where it says itself.
    pub why: &'static str,
    /// What it means where it is met.
    pub level: Level,
    /// What to do where it is met; empty for nothing.
    pub remedy: &'static str,
    detect: Option<Detector>,
}

impl Difference {
    /// Whether [`examine`] can find it in an object.
    #[must_use]
    pub fn is_detectable(&self) -> bool {
        self.detect.is_some()
    }
}

/// The rows of one subject.
pub struct Section {
    /// The subject.
    pub title: &'static str,
    /// The rows.
    pub rows: &'static [Difference],
}

/// A place where an object meets a difference.
pub struct Finding {
    /// Which.
    pub difference: &'static Difference,
    /// Where in the object.
    pub path: Path,
    /// What is special about this place; may be empty.
    pub detail: String,
}

/// The whole table.
#[must_use]
pub const fn sections() -> &'static [Section] {
    table::SECTIONS
}

/// Every difference that an object meets: what stops it first, then in the order of the table.
///
/// Objects of kinds that Tiphys does not run meet none.
#[must_use]
pub fn examine(document: &Document) -> Vec<Finding> {
    if document.api_version() != check::API_VERSION
        || !["EventBus", "EventSource", "Sensor"].contains(&document.kind())
    {
        return Vec::new();
    }
    let mut problems = Problems::default();
    let checked = check::check(document, &mut problems);
    let errors = problems.list().iter();
    let errors: Vec<_> = errors
        .filter(|problem| problem.severity == Severity::Error)
        .collect();
    let look = Look {
        object: &document.object,
        kind: document.kind(),
        checked: checked.as_ref(),
        errors: &errors,
    };
    let mut found: Vec<Finding> = Vec::new();
    for difference in sections().iter().flat_map(|section| section.rows) {
        let Some(detect) = difference.detect else {
            continue;
        };
        let mut places = Vec::new();
        detect(&look, &mut places);
        found.extend(places.into_iter().map(|place| Finding {
            difference,
            path: place.path,
            detail: place.detail,
        }));
    }
    found.sort_by_key(|finding| finding.difference.level);
    found
}

#[cfg(test)]
mod tests;
