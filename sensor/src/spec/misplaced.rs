//! Fields that are known, but not where they were written: says where they belong. Argo's own examples have some, and
//! there they do nothing without a word.

use tiphys_core::{Problem, Segment};

use crate::triggers::KINDS;

/// Where a field has no effect, which fields, and where they belong.
const PLACES: [(&[&str], &[&str], &str); 4] = [
    (
        &["spec", "triggers", "template"],
        &[
            "parameters",
            "policy",
            "retryStrategy",
            "rateLimit",
            "atLeastOnce",
            "dlqTrigger",
            "orderBy",
        ],
        "belongs beside `template`, not into it; here it has no effect",
    ),
    (
        &["spec", "triggers"],
        &["name", "conditions", "conditionsReset", "join"],
        "belongs into `template`; here it has no effect",
    ),
    (
        &["spec", "dependencies", "filters"],
        &["filtersLogicalOperator", "transform"],
        "belongs beside `filters`, not into it; here it has no effect",
    ),
    (
        &["spec", "dependencies"],
        &[
            "data",
            "exprs",
            "context",
            "time",
            "script",
            "dataLogicalOperator",
            "exprLogicalOperator",
        ],
        "belongs into `filters`; here it has no effect",
    ),
];

/// What to say instead of a field that nobody knows.
pub(super) fn misplaced(problem: &Problem) -> Option<String> {
    if !problem.message.starts_with("is not a known field") {
        return None;
    }
    let keys = problem.path.segments().iter();
    let keys: Vec<&str> = keys
        .filter_map(|segment| match segment {
            Segment::Key(key) => Some(key.as_str()),
            Segment::Index(_) => None,
        })
        .collect();
    let (last, above) = keys.split_last()?;
    let found = PLACES.iter().find(|(place, fields, _)| {
        let kind = *place == ["spec", "triggers"] && KINDS.contains(last);
        *place == above && (kind || fields.contains(last))
    });
    found.map(|(_, _, said)| (*said).to_owned())
}

#[cfg(test)]
mod tests {
    use tiphys_core::{Problems, manifest};

    use crate::spec::Sensor;

    #[test]
    fn a_field_in_the_wrong_place_is_told_where_it_belongs() {
        let text = "\
apiVersion: argoproj.io/v1alpha1
kind: Sensor
metadata: {name: s}
spec:
  dependencies:
    - {name: a, eventSourceName: s, eventName: e, data: [], filters: {filtersLogicalOperator: or}}
  triggers:
    - template: {name: t, log: {}, policy: {}, polici: {}}
      http: {}
      conditions: a
";
        let document = manifest::parse(text).unwrap().remove(0);
        let mut problems = Problems::default();
        assert!(Sensor::read(&document, &mut problems).is_some());
        let said = problems.to_string();
        for line in [
            "spec.dependencies[0].data: belongs into `filters`",
            "spec.dependencies[0].filters.filtersLogicalOperator: belongs beside `filters`",
            "spec.triggers[0].template.policy: belongs beside `template`",
            "spec.triggers[0].template.polici: is not a known field",
            "spec.triggers[0].http: belongs into `template`",
            "spec.triggers[0].conditions: belongs into `template`",
        ] {
            assert!(said.contains(line), "{line} in\n{said}");
        }
    }
}
