//! What templates print, and what they are refused for.

use proptest::prelude::*;

use super::*;
use crate::json::parse;

const INPUT: &str = r#"{"msg":"a <b> & \"c\"","n":1000000,"f":1.5,"d":1.50,"big":12345678901234567890123,"u":18446744073709551615,
    "e":1e3,"zero":0.00,"no":false,"nil":null,"list":["x","y"],"objs":[{"k":1},{"k":2.50}],"o":{"b":1,"a":2},"x-y":3,"empty":[]}"#;

fn render(template: &str) -> String {
    let input = parse(INPUT.as_bytes()).unwrap();
    match Template::compile(template) {
        Ok(template) => template
            .render(&input)
            .unwrap_or_else(|error| format!("render: {error}")),
        Err(error) => format!("compile: {error}"),
    }
}

#[test]
fn templates_print_what_handlebars_prints() {
    for (template, want) in [
        ("", ""),
        ("plain", "plain"),
        ("{{Input.msg}}", "a <b> & \"c\""),
        ("{{{Input.msg}}}", "a <b> & \"c\""),
        (
            "{{Input.n}} {{Input.f}} {{Input.d}} {{Input.big}} {{Input.u}} {{Input.e}}",
            "1000000 1.5 1.50 12345678901234567890123 18446744073709551615 1e3",
        ),
        (
            "{{#if Input.zero}}a{{else}}b{{/if}}{{#if Input.no}}a{{else}}b{{/if}}{{#if Input.n}}a{{/if}}",
            "bba",
        ),
        ("{{#unless Input.no}}a{{/unless}}", "a"),
        ("{{#if Input.no}}a{{else if Input.n}}b{{else}}c{{/if}}", "b"),
        ("{{Input.nil}}|", "|"),
        ("{{Input.list.1}}{{Input.list.[0]}}", "yx"),
        ("{{Input.x-y}}{{Input.[x-y]}}", "33"),
        (
            "{{#each Input.list}}{{@index}}{{this}}{{#unless @last}},{{/unless}}{{/each}}",
            "0x,1y",
        ),
        ("{{#each Input.o}}{{@key}}={{this}};{{/each}}", "a=2;b=1;"),
        (
            "{{#each Input.objs}}{{k}}/{{../Input.n}} {{/each}}",
            "1/1000000 2.50/1000000 ",
        ),
        (
            "{{#each Input.objs as |o i|}}{{i}}:{{o.k}} {{/each}}",
            "0:1 1:2.50 ",
        ),
        ("{{#each Input.list as |v|}}{{v}}{{/each}}", "xy"),
        (
            "{{#each Input.objs}}{{#each ../Input.list}}{{this}}{{../k}}{{/each}}{{/each}}",
            "x1y1x2.50y2.50",
        ),
        ("{{#each Input.empty}}a{{else}}none{{/each}}", "none"),
        ("{{#with Input.o}}{{a}}{{b}}{{/with}}", "21"),
        ("{{lookup Input.list 1}}", "y"),
        ("{{len Input.list}}", "2"),
        (
            "{{#if (eq Input.f 1.5)}}yes{{/if}}{{#if (gt Input.n 5)}}yes{{/if}}",
            "yesyes",
        ),
        (
            "{{json Input.objs}} {{json Input.d}} {{json Input.msg}} {{json Input.nil}}",
            r#"[{"k":1},{"k":2.50}] 1.50 "a <b> & \"c\"" null"#,
        ),
        (
            "{{#each Input.objs}}{{json this}}{{/each}}",
            r#"{"k":1}{"k":2.50}"#,
        ),
        ("{{json \"a\"}}{{json (len Input.list)}}", "\"a\"2"),
        ("{{! c #if }}{{!-- {{#if}} --}}x", "x"),
        ("a\n{{~#if Input.n~}}\n b \n{{~/if}}", "ab"),
        ("\\{{Input.n}}", "{{Input.n}}"),
    ] {
        assert_eq!(render(template), want, "{template}");
    }
}

#[test]
fn what_leads_nowhere_is_an_error_with_its_place() {
    for (template, want) in [
        (
            "a\n {{Input.nope}}",
            "render: line 2, column 2: there is no \"Input.nope\" in the input",
        ),
        (
            "{{nope}}",
            "render: line 1, column 1: there is no \"nope\" in the input",
        ),
        (
            "{{json Input.nope}}",
            "render: line 1, column 1: there is no \"Input.nope\" in the input",
        ),
        (
            "{{#each Input.nope}}{{/each}}",
            "render: line 1, column 1: there is no \"Input.nope\" in the input",
        ),
        (
            "{{nope 1}}",
            "render: line 1, column 1: there is no helper \"nope\"",
        ),
        (
            "{{log 1}}",
            "render: line 1, column 1: there is no helper \"log\"",
        ),
        (
            "{{json}}",
            "render: line 1, column 1: helper \"json\" needs a value",
        ),
        (
            "x {{> other}}",
            "compile: line 1, column 3: partials and decorators are not supported",
        ),
        (
            "{{#*inline \"a\"}}{{/inline}}",
            "compile: line 1, column 1: partials and decorators are not supported",
        ),
    ] {
        assert_eq!(render(template), want, "{template}");
    }
    for template in [
        "{{.Input.x}}",
        "{{ Input.x | upper }}",
        "{{#if a}}",
        "{{",
        "{{#if a}}{{/each}}",
    ] {
        let error = Template::compile(template).unwrap_err();
        assert!(
            matches!(
                error,
                CompileError::Syntax {
                    place: Place { line: 1, .. },
                    ..
                }
            ),
            "{template}: {error}"
        );
    }
}

#[test]
fn deep_templates_are_refused_before_they_are_parsed() {
    for template in [
        "{{#if Input.n}}".repeat(3000),
        "{{~ # if Input.n}}".repeat(3000),
        "{{^if Input.n}}".repeat(3000),
        format!(
            "{{{{#if Input.n}}}}{}{{{{/if}}}}",
            "{{else if Input.n}}".repeat(3000)
        ),
        format!("{{{{len {}1{}}}}}", "(len ".repeat(3000), ")".repeat(3000)),
        format!("{{{{len {}{}}}}}", "[".repeat(3000), "]".repeat(3000)),
        "{{{{a}}}}".repeat(3000),
    ] {
        let error = Template::compile(&template).unwrap_err();
        assert!(
            matches!(
                error,
                CompileError::TooDeep { .. } | CompileError::Syntax { .. }
            ),
            "{error}"
        );
    }
    let deep = format!("{}x{}", "{{#if Input.n}}".repeat(60), "{{/if}}".repeat(60));
    assert_eq!(render(&deep), "x");
    let many = "{{#if Input.n}}{{else if Input.f}}{{/if}}".repeat(500);
    assert_eq!(render(&many), "");
    assert_eq!(
        Template::compile(&"x".repeat(MAX_LENGTH + 1)).unwrap_err(),
        CompileError::TooLong
    );
}

#[test]
fn inputs_as_deep_as_json_is_read_are_rendered() {
    let deep = format!("{}1.50{}", "[".repeat(499), "]".repeat(499));
    let input = parse(deep.as_bytes()).unwrap();
    let template = Template::compile("{{json Input}}{{Input}}").unwrap();
    assert_eq!(template.render(&input).unwrap(), format!("{deep}{deep}"));
}

#[test]
fn loops_and_output_are_bounded() {
    let input = parse(format!("[{}1]", "1,".repeat(99)).as_bytes()).unwrap();
    let nested = |body: &str| {
        format!(
            "{}{body}{}",
            "{{#each @root.Input}}".repeat(8),
            "{{/each}}".repeat(8)
        )
    };
    for (body, want) in [
        ("", RenderError::TooManySteps),
        ("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", RenderError::TooLarge),
    ] {
        let template = Template::compile(&nested(body)).unwrap();
        assert_eq!(template.render(&input), Err(want));
    }
}

proptest! {
    #[test]
    fn no_text_panics(template in "(\\{\\{[#/^!~>*&{]?|\\}\\}|if|each|else|Input| |\\.|\\[|\\(|\\)|\\||as|[a-zé\\\\\"])*") {
        std::hint::black_box(render(&template));
    }
}
