//! The pages of the template dialects.
//! It never says what the code does not do: the examples are run.

use super::{Example, Page, example, example_on};
use crate::gotemplate;

pub(super) const GO: Page = Page {
    name: "gotemplate",
    title: "Go templates with Sprig",
    place: "`dataTemplate` and `contextTemplate` of parameters, `template` of data filters",
    reference: "Go's `text/template` with Sprig 3.3",
    offers: "All actions, built-ins, `printf` verbs and trim markers of Go, and all functions of Sprig but the three that are withheld. \
The data is `.Input`: the payload, or the context of the event.",
    examples: GO_EXAMPLES,
    differs: gotemplate::DIFFERENCES,
};

const GO_EXAMPLES: &[Example] = &[
    example("a field", "{{ .Input.body.user }}"),
    example(
        "a field with a dash in its name",
        r#"{{ index .Input "a-b" | default "nothing" }}"#,
    ),
    example(
        "a number keeps its digits",
        "{{ .Input.body.id }} {{ .Input.body.price }}",
    ),
    example("a missing field", "{{ .Input.body.nope }}"),
    example("a default", r#"{{ .Input.body.nope | default "none" }}"#),
    example(
        "a condition",
        "{{ if gt .Input.body.n 2 }}many{{ else if .Input.body.on }}on{{ else }}few{{ end }}",
    ),
    example(
        "a loop",
        "{{ range $i, $t := .Input.body.tags }}{{ $i }}={{ $t }};{{ else }}none{{ end }}",
    ),
    example(
        "leaving a loop",
        r#"{{ range .Input.body.items }}{{ if eq .sku "y2" }}{{ break }}{{ end }}{{ .sku }}{{ end }}"#,
    ),
    example(
        "another dot",
        "{{ with index .Input.body.items 0 }}{{ .sku }}{{ end }}",
    ),
    example("a variable", "{{ $n := 1 }}{{ $n = add $n 2 }}{{ $n }}"),
    example(
        "a named template",
        r#"{{ define "tag" }}<{{ . }}>{{ end }}{{ template "tag" .Input.body.user }}"#,
    ),
    example("trim markers and comments", "a {{- /* nothing */ -}} b"),
    example(
        "printf",
        r#"{{ printf "%05d|%-6s|%q|%.2f" .Input.body.n .Input.body.user "x" .Input.body.price }}"#,
    ),
    example(
        "texts",
        r#"{{ .Input.body.user | upper | repeat 2 | trunc 4 }} {{ "some words" | camelcase }}"#,
    ),
    example(
        "lists",
        r#"{{ .Input.body.tags | sortAlpha | join "," }} {{ list 1 2 3 | reverse }}"#,
    ),
    example(
        "objects",
        r#"{{ dict "a" 1 "b" 2 | toJson }} {{ dig "user" "?" .Input.body }}"#,
    ),
    example(
        "arithmetic",
        "{{ add 1 2 }} {{ mulf 1.5 2 }} {{ mod 7 3 }} {{ max 1 5 3 }}",
    ),
    example(
        "dates",
        r#"{{ toDate "2006-01-02" "2024-03-05" | date "Mon, 2 Jan 2006" }}"#,
    ),
    example(
        "regular expressions",
        r#"{{ regexReplaceAll "(a+)b" "aab" "<$1>" }}"#,
    ),
    example(
        "encodings",
        r#"{{ b64enc "hi" }} {{ toJson .Input.body.tags }} {{ (fromJson "{\"a\":1}").a }}"#,
    ),
    example("hashes", r#"{{ sha256sum "hi" | trunc 8 }}"#),
    example("versions", r#"{{ semverCompare "^1.2" "1.4.0" }}"#),
    example(
        "choices",
        r#"{{ ternary "yes" "no" .Input.body.on }} {{ coalesce "" .Input.body.none "last" }}"#,
    ),
];

pub(super) const HANDLEBARS: Page = Page {
    name: "handlebars",
    title: "Handlebars",
    place: "the same places, with `templateEngine: handlebars` beside the template or the annotation `tiphys.dev/template-engine: handlebars` on the Sensor",
    reference: "the `handlebars` crate, in strict mode",
    offers: "`if`, `unless`, `each`, `with`, `lookup`, the comparisons `eq ne gt gte lt lte and or not`, `len`, and `json`, which writes JSON.",
    examples: &[
        example("a field", "{{Input.body.user}}"),
        example(
            "digits as they came",
            "{{Input.body.price}} {{Input.body.id}}",
        ),
        example(
            "a condition",
            "{{#if (gt Input.body.n 2)}}many{{else}}few{{/if}}",
        ),
        example(
            "a loop",
            "{{#each Input.body.items}}{{@index}}:{{sku}} {{/each}}",
        ),
        example("a scope", "{{#with Input.body}}{{user}}{{/with}}"),
        example(
            "an element",
            "{{lookup Input.body.tags 1}} {{Input.body.tags.[0]}}",
        ),
        example("JSON", "{{json Input.body.tags}}"),
        example_on(
            "nothing is escaped for HTML",
            "{{Input.a}}",
            r#"{"a":"<b>&"}"#,
        ),
    ],
    differs: &[
        (
            "a path that leads nowhere is an error, in conditions too",
            "an empty text in the middle of an object's name is found weeks later",
        ),
        (
            "no escaping for HTML",
            "what is rendered is YAML, JSON or text",
        ),
        (
            "no partials, decorators or `log`",
            "a template is one text and prints into its result only",
        ),
        (
            "a number that a 64-bit number does not hold with its digits is given as text; `json` writes it as a number",
            "values are lossless",
        ),
        (
            "nesting, rounds and output are bounded",
            "one template must not stop the process",
        ),
    ],
};
