//! Dependencies: which events are meant, and whether one counts after its transform and filters. Pure.

use std::sync::Arc;

use tiphys_core::Event;

use crate::document::Input;
use crate::filters::{Filters, Leaf, Report, Verdict};
use crate::spec::{DependencySpec, TemplateEngine};
use crate::transform::Transform;

/// A compiled dependency.
#[derive(Debug)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) source: String,
    pub(crate) event: String,
    transform: Option<Transform>,
    filters: Option<Filters>,
}

/// Whether an event counts for a dependency.
#[derive(Debug)]
pub(crate) enum Admission {
    /// It does, perhaps transformed.
    Passed(Input),
    /// It does not.
    Filtered(Verdict),
}

impl Dependency {
    pub(crate) fn new(spec: &DependencySpec, engine: TemplateEngine) -> Self {
        Self {
            name: spec.name.clone(),
            source: spec.event_source_name.clone(),
            event: spec.event_name.clone(),
            transform: spec.transform.as_ref().and_then(Transform::new),
            filters: Filters::new(spec, engine),
        }
    }

    /// Whether the event is of the source and name that are meant.
    pub(crate) fn matches(&self, event: &Event) -> bool {
        let fits = |want: &str, have: &str| want == "*" || want == have;
        fits(&self.source, &event.source) && fits(&self.event, &event.subject)
    }

    /// Whether a script may take its time, so that it is run where it holds nobody up.
    pub(crate) fn is_slow(&self) -> bool {
        self.transform.is_some() || self.filters.as_ref().is_some_and(Filters::is_slow)
    }

    /// Whether an event that matches counts.
    pub(crate) fn admit(&self, event: &Arc<Event>, report: &mut Report) -> Admission {
        let event = match &self.transform {
            None => Arc::clone(event),
            Some(transform) => match transform.apply(event) {
                Ok(event) => event,
                Err(error) => {
                    let verdict = Verdict::Failed(error.to_string());
                    report.leaves.push(Leaf {
                        path: "transform".to_owned(),
                        verdict: verdict.clone(),
                        expected: "a JSON object".to_owned(),
                        actual: "an error".to_owned(),
                    });
                    return Admission::Filtered(verdict);
                }
            },
        };
        let input = Input::new(event);
        let verdict = match &self.filters {
            None => Verdict::Passed,
            Some(filters) => filters.evaluate(&input, report),
        };
        match verdict {
            Verdict::Passed => Admission::Passed(input),
            verdict => Admission::Filtered(verdict),
        }
    }
}
