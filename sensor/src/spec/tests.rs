//! Every rule of a Sensor's validation, and every known example.

use std::path::Path;

use expect_test::expect;
use kube::CustomResourceExt as _;
use tiphys_core::{Problems, manifest};

use super::{Sensor, SensorSpec};
use crate::testing::yaml;

fn problems_of(spec: &str) -> String {
    let spec: SensorSpec = yaml(spec);
    let mut problems = Problems::default();
    spec.validate(&mut problems);
    problems.to_string()
}

/// A spec with one dependency `a` and one trigger, changed in one place.
fn with_dependency(extra: &str) -> String {
    problems_of(&format!(
        "dependencies: [{{name: a, eventSourceName: s, eventName: e, {extra}}}]\n\
         triggers: [{{template: {{name: t, log: {{}}}}}}]"
    ))
}

fn with_trigger(extra: &str) -> String {
    problems_of(&format!(
        "dependencies: [{{name: a, eventSourceName: s, eventName: e}}]\ntriggers: [{{{extra}}}]"
    ))
}

#[test]
fn an_empty_spec_says_what_is_missing() {
    let problems = problems_of("{}");
    expect![[r#"
        dependencies: must name at least one event that is waited for
        triggers: must name at least one thing to do"#]]
    .assert_eq(&problems);
}

#[test]
fn dependencies_are_checked() {
    for (extra, expected) in [
        ("", ""),
        (
            "filters: {data: [{path: a.b, type: string, value: [x]}]}",
            "",
        ),
        (
            "filters: {data: [{path: '', type: integer, value: ['']}]}",
            "dependencies[0].filters.data[0].path: must be set to a place in the payload\n\
             dependencies[0].filters.data[0].type: must be bool, number or string\n\
             dependencies[0].filters.data[0].value[0]: must not be empty; for an empty text write ^$",
        ),
        (
            "filters: {data: [{path: k, type: string, value: ['(?=x)']}]}",
            "dependencies[0].filters.data[0].value[0]: must be a regular expression",
        ),
        (
            "filters: {data: [{path: k, type: number, value: [x]}, {path: k, type: bool, value: [yes!]}]}",
            "dependencies[0].filters.data[0].value[0]: must be a number, not \"x\"\n\
             dependencies[0].filters.data[1].value[0]: must be true or false, not \"yes!\"",
        ),
        (
            "filters: {data: [{path: k, type: string, comparator: fake, value: [x]}]}",
            "dependencies[0].filters.data[0].comparator: must be one of = != < <= > >=",
        ),
        (
            "filters: {data: [{path: k, type: string, comparator: '!=', value: [x, z]}]}",
            "warning: dependencies[0].filters.data[0].comparator: is true if any one value differs",
        ),
        (
            "filters: {data: [{path: 'a.b,c', type: string, value: [x]}]}",
            "warning: dependencies[0].filters.data[0].path: selects nothing: several paths are written in brackets, as [a.b,c]",
        ),
        (
            "filters: {data: [{path: 'a.#(b', type: string, value: [x]}]}",
            "query is not closed",
        ),
        (
            "filters: {exprs: [{expr: 'a ==', fields: [{name: a, path: a}]}]}",
            "filters.exprs[0].expr: ",
        ),
        (
            "filters: {exprs: [{expr: 'a == b', fields: [{name: a, path: a}]}]}",
            "warning: dependencies[0].filters.exprs[0].expr: asks for \"b\", which no field names",
        ),
        (
            "filters: {exprs: [{expr: a}]}",
            "filters.exprs[0].fields: must name the places",
        ),
        (
            "filters: {context: {}}",
            "filters.context: must give at least one of type",
        ),
        ("filters: {time: {start: '00:00:00', stop: '06:00:00'}}", ""),
        (
            "filters: {time: {start: '06:00:00', stop: '00:00:00', timezone: America/New_York}}",
            "",
        ),
        (
            "filters: {time: {start: '06:00:00', stop: '06:00:00'}}",
            "time.stop: must differ from start",
        ),
        (
            "filters: {time: {start: '09:09:0', stop: '10:10', timezone: Invalid/Timezone}}",
            "time.start: must be a time of day as HH:MM:SS",
        ),
        (
            "filtersLogicalOperator: And",
            "filtersLogicalOperator: must be `and` or `or`",
        ),
        ("transform: {}", "transform: must have jq or script"),
        (
            "filters: {context: {type: webhook, id: x}}",
            "filters.context.id: has no effect: type, subject, source and datacontenttype are compared",
        ),
        (
            "filters: {exprs: [{expr: 'd == \"2014-01-02\"', fields: [{name: d, path: d}]}]}",
            "exprs[0].expr: reads \"2014-01-02\" as a date",
        ),
        (
            "filters: {exprs: [{expr: 'd =~ \"^2014-01-02$\"', fields: [{name: d, path: d}]}]}",
            "",
        ),
        (
            "filters: {data: [{path: k, type: string, value: ['\\Qa.b\\E']}]}",
            "",
        ),
    ] {
        let problems = with_dependency(extra);
        assert_eq!(
            problems.is_empty(),
            expected.is_empty(),
            "{extra}\n{problems}"
        );
        assert!(problems.contains(expected), "{extra}\n{problems}");
    }
    let twice = problems_of(
        "dependencies: [{name: a, eventSourceName: s, eventName: e}, {name: a, eventSourceName: s.t, eventName: e}]\n\
         triggers: [{template: {name: t, log: {}}}]",
    );
    assert!(
        twice.contains("dependencies[1].name: must be unique"),
        "{twice}"
    );
    assert!(
        twice.contains("dependencies[1].eventSourceName: must not contain dots"),
        "{twice}"
    );
}

#[test]
fn triggers_are_checked() {
    let parameter = |extra: &str| {
        format!("template: {{name: t, log: {{}}}}, parameters: [{{dest: name, {extra}}}]")
    };
    for (extra, expected) in [
        ("template: {name: t, log: {}}".to_owned(), ""),
        (String::new(), "triggers[0].template: must be set"),
        ("template: {log: {}}".to_owned(), "triggers[0].template.name: must be set"),
        ("template: {name: t}".to_owned(), "triggers[0].template: must have one kind of trigger"),
        ("template: {name: t, log: {}, conditions: a && b}".to_owned(), "triggers[0].template.conditions: \"b\" at byte 5"),
        ("template: {name: t, log: {}}, rateLimit: {unit: Day}".to_owned(), "rateLimit.requestsPerUnit: must be 1 or more"),
        ("template: {name: t, log: {}}, retryStrategy: {duration: '5'}".to_owned(), "retryStrategy.duration: \"5\" is not a duration"),
        ("template: {name: t, log: {}, conditionsReset: [{}]}".to_owned(), "conditionsReset[0].byTime: must be set"),
        ("template: {name: t, log: {}, conditionsReset: [{byTime: {cron: a * * * *}}]}".to_owned(), "byTime.cron: has \"a\" as minute"),
        ("template: {name: t, log: {}, conditionsReset: [{byTime: {cron: '* * * * *', timezone: fake}}]}".to_owned(), "byTime.timezone: must be a time zone"),
        ("template: {name: t, log: {}}, atLeastOnce: true, dlqTrigger: {template: {name: d, log: {}}}".to_owned(), ""),
        ("template: {name: t, log: {}}, atLeastOnce: false, dlqTrigger: {template: {name: d, log: {}}}".to_owned(), "atLeastOnce: must not be false beside a dlqTrigger"),
        ("template: {name: t, k8s: {}}".to_owned(), "template.k8s.source: must be set"),
        ("template: {name: t, k8s: {operation: apply, source: {resource: {kind: X}}}}".to_owned(), "template.k8s.source.resource.apiVersion: must be set"),
        ("template: {name: t, argoWorkflow: {operation: run, source: {inline: 'a: ['}}}".to_owned(), "template.argoWorkflow.source.inline: must be YAML"),
        ("template: {name: t, http: {url: 'http://x', method: HEAD}}".to_owned(), "http.method: must be GET"),
        ("template: {name: t, http: {url: 'http://x', payload: [{src: {dependencyName: a}, dest: ''}]}}".to_owned(), ""),
        ("template: {name: t, nats: {url: x, subject: s, payload: [{src: {dependencyName: a}, dest: ''}]}}".to_owned(), "nats.payload[0].dest: must be set"),
        ("template: {name: t, log: {}}, policy: {k8s: {}}".to_owned(), "policy.k8s.labels: must be set"),
        ("template: {name: t, http: {url: 'ftp://x'}}".to_owned(), "http.url: is no URL"),
        ("template: {name: t, http: {url: 'http://x', timeout: -1}}".to_owned(), "http.timeout: must be 0 or more"),
        ("template: {name: t, http: {url: 'http://x', headers: {a b: c}}}".to_owned(), "http.headers.\"a b\": must be the name of a header"),
        ("template: {name: t, http: {url: 'http://x', headers: {a: \"b\\nc\"}}}".to_owned(), "http.headers.a: must be one line of text"),
        ("template: {name: t, http: {url: 'http://x', headers: {Content-Length: '5'}}}".to_owned(), "http.headers.Content-Length: has no effect"),
        ("template: {name: t, http: {url: 'http://x', payload: [{src: {dependencyName: a}, dest: 'x@y'}]}}".to_owned(), "payload[0].dest: sets nothing"),
        ("template: {name: t, http: {url: 'http://x', payload: [{src: {dependencyName: a}, dest: 'x\\@y'}]}}".to_owned(), ""),
        (parameter("src: {dependencyName: a, dataKey: body}"), ""),
        (parameter(""), "parameters[0].src: must be set"),
        (parameter("src: {dependencyName: z}"), "dependencyName: must be a dependency of this sensor (a), not \"z\""),
        (parameter("src: {dependencyName: a}, operation: merge"), "operation: must be overwrite, append or prepend"),
    ] {
        let problems = with_trigger(&extra);
        assert_eq!(problems.is_empty(), expected.is_empty(), "{extra}\n{problems}");
        assert!(problems.contains(expected), "{extra}\n{problems}");
    }
}

#[test]
fn a_pattern_that_cannot_be_read_is_told_in_one_line() {
    let problems =
        with_dependency("filters: {data: [{path: k, type: string, value: ['(?=x)', 'a(b']}]}");
    assert_eq!(problems.lines().count(), 2, "{problems}");
}

#[test]
fn a_parameter_of_an_event_that_takes_no_part_is_told() {
    let spec = |condition: &str| {
        problems_of(&format!(
            "dependencies: [{{name: a-b, eventSourceName: s, eventName: e}}, {{name: c, eventSourceName: s, eventName: f}}]\n\
             triggers: [{{template: {{name: t, conditions: '{condition}', log: {{}}}}, \
             parameters: [{{src: {{dependencyName: a-b}}, dest: name}}], \
             dlqTrigger: {{template: {{name: d, log: {{}}}}, parameters: [{{src: {{dependencyName: a-b}}, dest: name}}]}}}}]"
        ))
    };
    for condition in ["", "a-b", "a_b || c", "a-b && c"] {
        assert_eq!(spec(condition), "", "{condition}");
    }
    let expect =
        "src.dependencyName: is never there when this trigger fires: its condition speaks of c";
    let problems = spec("c");
    assert_eq!(problems.matches(expect).count(), 2, "{problems}");
}

#[test]
fn every_sensor_of_the_examples_is_read_has_no_errors_and_is_written_as_it_was_read() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut read = 0;
    for folder in ["sensors", "tutorial"] {
        for file in std::fs::read_dir(examples.join(folder)).unwrap() {
            let path = file.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            for document in manifest::parse(&text).unwrap() {
                if document.kind() != "Sensor" {
                    continue;
                }
                let mut problems = Problems::default();
                let sensor = Sensor::read(&document, &mut problems);
                assert!(!problems.has_errors(), "{}\n{problems}", path.display());
                let sensor = sensor.unwrap();
                let again: SensorSpec =
                    serde_json::from_value(serde_json::to_value(&sensor.spec).unwrap()).unwrap();
                assert_eq!(again, sensor.spec, "{}", path.display());
                read += 1;
            }
        }
    }
    assert!(read >= 6, "{read}");
}

#[test]
fn the_resource_has_argos_names() {
    let names = Sensor::crd().spec.names;
    assert_eq!(
        (names.kind.as_str(), names.plural.as_str()),
        ("Sensor", "sensors")
    );
    assert_eq!(names.short_names, Some(vec!["sn".to_owned()]));
}

#[test]
fn joins_orders_and_start_positions_are_checked_and_argos_older_fields_are_known() {
    let join =
        |join: &str| with_trigger(&format!("template: {{name: t, log: {{}}, join: {join}}}"));
    for (said, expected) in [
        (join("{key: body.sha, within: 30m}"), ""),
        (join("{keys: {a: body.sha}, within: 30m}"), ""),
        (
            join("{within: 0s}"),
            "triggers[0].template.join.key: must be set, as body.sha\n\
             triggers[0].template.join.within: must be more than 0, as 30m",
        ),
        (
            join("{key: a, within: soon}"),
            "triggers[0].template.join.within: must be set to a duration, as 30m",
        ),
        (
            with_trigger("template: {name: t, log: {}}, orderBy: body.repo"),
            "",
        ),
    ] {
        assert_eq!(said, expected);
    }
    for replicas in [1, 2] {
        let spec: SensorSpec = yaml(&format!(
            "replicas: {replicas}\ndependencies: [{{name: a, eventSourceName: s, eventName: e}}]\n\
             triggers: [{{template: {{name: t, log: {{}}}}, orderBy: x}}]"
        ));
        let mut problems = Problems::default();
        spec.validate(&mut problems);
        assert_eq!(problems.to_string(), "");
        assert!(spec.has_singletons());
    }
    let sensor = |annotation: &str| {
        let text = format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: Sensor\n\
             metadata: {{name: s, annotations: {{tiphys.dev/start-from: '{annotation}'}}}}\n\
             spec:\n  dependencies: [{{name: a, eventSourceName: s, eventName: e}}]\n\
             \x20 triggers: [{{template: {{name: t, argoWorkflow: {{group: argoproj.io, version: v1alpha1, resource: workflows, \
             operation: submit, source: {{resource: {{apiVersion: argoproj.io/v1alpha1, kind: Workflow, metadata: {{generateName: w-}}}}}}}}}}}}]\n"
        );
        let mut problems = Problems::default();
        let documents = manifest::parse(&text).unwrap();
        assert!(Sensor::read(&documents[0], &mut problems).is_some());
        problems.to_string()
    };
    for annotation in ["new", "oldest", "2026-07-18T10:00:00Z"] {
        assert_eq!(sensor(annotation), "");
    }
    assert!(
        sensor("yesterday").contains("start-from"),
        "{}",
        sensor("yesterday")
    );
}
