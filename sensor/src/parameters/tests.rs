//! The conformance tables of the reference, sections 15.7 and 15.8.

use super::{Notes, Parameter, ParameterError, apply};
use crate::spec::TemplateEngine;
use crate::testing::{events, parameters};

const PAYLOAD: &str = r#"{"name":{"first": "fake","last":"user"},"reviews":8,"rating":4.50,"isActive":true,"countries":["ca", "us"],"none":null,"big":9007199254740993,"a-b":"dash"}"#;

fn resolve(src: &str) -> Result<Option<String>, ParameterError> {
    let list = parameters(&format!("[{{src: {{dependencyName: d, {src}}}, dest: x}}]"));
    let parameter = Parameter::new(&list[0], TemplateEngine::Go);
    let value = parameter.resolve(&events(&[("d", PAYLOAD)]), &Notes::OFF)?;
    Ok(value.map(|value| value.text))
}

#[test]
fn values_are_resolved_as_the_reference_says() {
    for (case, src, expected) in [
        ("R1", "dataKey: name.first", "fake"),
        ("R2", "contextKey: subject", "example-1"),
        ("R4", "value: hello", "hello"),
        ("R5", "contextKey: subject, dataKey: name.first", "fake"),
        (
            "R9",
            "dataTemplate: '{{ .Input.nope }}', dataKey: name.first",
            "fake",
        ),
        (
            "R11",
            "dataKey: name, useRawData: true",
            r#"{"first": "fake","last":"user"}"#,
        ),
        (
            "R11",
            "dataKey: countries, useRawData: true",
            r#"["ca", "us"]"#,
        ),
        ("R12", "dataKey: none", "null"),
        ("number", "dataKey: rating", "4.5"),
        ("digits", "dataKey: big", "9007199254740993"),
        ("default", "dataKey: nope, value: default", "default"),
        (
            "template",
            "dataTemplate: '{{ .Input.name.first }}!'",
            "fake!",
        ),
        (
            "template digits",
            "dataTemplate: '{{ .Input.big }}'",
            "9007199254740993",
        ),
        (
            "R19",
            "dataTemplate: 'pre-{{ .Input.nope }}'",
            "pre-<no value>",
        ),
    ] {
        assert_eq!(resolve(src).unwrap().as_deref(), Some(expected), "{case}");
    }
    let whole = resolve("").unwrap().unwrap();
    assert!(
        whole.starts_with(r#"{"context":{"id":"d1","source":"webhook""#),
        "R3 {whole}"
    );
    let error = resolve("dataKey: nope").unwrap_err().to_string();
    assert!(
        error.starts_with("unable to resolve 'd' parameter value"),
        "R14 {error}"
    );
}

#[test]
fn an_absent_dependency_has_its_default_or_nothing() {
    let list = parameters(
        "[{src: {dependencyName: z, value: v}, dest: x}, {src: {dependencyName: z}, dest: x}]",
    );
    let events = events(&[("d", PAYLOAD)]);
    let value = |index: usize| {
        Parameter::new(&list[index], TemplateEngine::Go).resolve(&events, &Notes::OFF)
    };
    assert_eq!(
        value(0).unwrap().map(|value| value.text).as_deref(),
        Some("v"),
        "R13"
    );
    assert_eq!(value(1).unwrap(), None, "R13");
}

#[test]
fn parameters_are_applied_as_the_reference_says() {
    let fake = "src: {dependencyName: d, dataKey: name.first}";
    let number = "src: {dependencyName: d, dataKey: reviews, useRawData: true}";
    for (case, document, list, expected) in [
        (
            "A1",
            r#"{"name": "faker"}"#,
            format!("[{{{fake}, dest: name}}]"),
            r#"{"name": "fake"}"#,
        ),
        (
            "A1",
            r#"{"name":"faker"}"#,
            format!("[{{{fake}, dest: name, operation: overwrite}}]"),
            r#"{"name":"fake"}"#,
        ),
        (
            "A2",
            r#"{"name":"faker"}"#,
            format!("[{{{fake}, dest: name, operation: prepend}}]"),
            r#"{"name":"fakefaker"}"#,
        ),
        (
            "A2",
            r#"{"name":"faker"}"#,
            format!("[{{{fake}, dest: name, operation: append}}]"),
            r#"{"name":"fakerfake"}"#,
        ),
        (
            "A3",
            "{}",
            "[{src: {dependencyName: d, dataKey: name}, dest: o}]".into(),
            r#"{"o":"{\"first\": \"fake\",\"last\":\"user\"}"}"#,
        ),
        (
            "A3",
            "{}",
            "[{src: {dependencyName: d, dataKey: name, useRawData: true}, dest: o}]".into(),
            r#"{"o":{"first": "fake","last":"user"}}"#,
        ),
        (
            "A4",
            r#"{"age":"x","w":"Years: "}"#,
            format!(
                "[{{{number}, dest: age}}, {{{number}, dest: w, operation: append}}, {{{number}, dest: z, operation: append}}]"
            ),
            r#"{"age":8,"w":"Years: 8","z":8}"#,
        ),
        (
            "A6",
            r#"{"a":[1]}"#,
            format!("[{{{number}, dest: a, operation: append}}]"),
            r#"{"a":"[1]8"}"#,
        ),
        (
            "A6",
            r#"{"a":[1]}"#,
            format!("[{{{number}, dest: a.-1}}]"),
            r#"{"a":[1,8]}"#,
        ),
        (
            "A7",
            r#"{"a":5}"#,
            format!("[{{{number}, dest: a, operation: append}}]"),
            r#"{"a":"58"}"#,
        ),
        (
            "A15",
            "{}",
            format!("[{{{fake}, dest: 'labels.app\\.kubernetes\\.io/name'}}]"),
            r#"{"labels":{"app.kubernetes.io/name":"fake"}}"#,
        ),
        (
            "A16",
            r#"{"spec":{}}"#,
            format!("[{{{fake}, dest: spec.arguments.parameters.0.value}}]"),
            r#"{"spec":{"arguments":{"parameters":[{"value":"fake"}]}}}"#,
        ),
        (
            "skipped",
            r#"{"a":1}"#,
            "[{src: {dependencyName: z}, dest: a}]".into(),
            r#"{"a":1}"#,
        ),
    ] {
        let list = Parameter::list(&parameters(&list), TemplateEngine::Go);
        let applied = apply(
            &list,
            document.as_bytes(),
            &events(&[("d", PAYLOAD)]),
            &Notes::OFF,
        )
        .unwrap();
        assert_eq!(
            String::from_utf8(applied.document).unwrap(),
            expected,
            "{case}"
        );
    }
}

#[test]
fn a_destination_that_matches_nothing_is_told() {
    let list = parameters("[{src: {dependencyName: d, dataKey: reviews}, dest: 'a.*'}]");
    let list = Parameter::list(&list, TemplateEngine::Go);
    let applied = apply(&list, b"{}", &events(&[("d", PAYLOAD)]), &Notes::OFF).unwrap();
    assert_eq!(
        (applied.document.as_slice(), applied.without_effect),
        (&b"{}"[..], vec!["a.*".to_owned()])
    );
}

#[test]
fn what_cannot_be_applied_is_an_error() {
    for (list, expected) in [
        (
            "[{src: {dependencyName: d, dataKey: reviews}, dest: a, operation: merge}]",
            "unsupported trigger parameter operation",
        ),
        (
            "[{src: {dependencyName: d, dataKey: reviews}, dest: a.b}]",
            "cannot set \"a.b\"",
        ),
    ] {
        let list = Parameter::list(&parameters(list), TemplateEngine::Go);
        let error = apply(
            &list,
            br#"{"a":["p"]}"#,
            &events(&[("d", PAYLOAD)]),
            &Notes::OFF,
        )
        .unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}
