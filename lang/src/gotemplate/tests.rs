//! What the table of cases cannot show: random results, limits, hostile templates.

use super::*;
use crate::json;

#[track_caller]
fn render(text: &str) -> Result<String, String> {
    render_with(text, &json::parse(br#"{"a":1,"l":[1,2,3]}"#).unwrap())
}

#[track_caller]
fn render_with(text: &str, input: &Value) -> Result<String, String> {
    let template = Template::compile(text).map_err(|error| error.to_string())?;
    template.render(input).map_err(|error| error.to_string())
}

#[track_caller]
fn matches(text: &str, pattern: &str) {
    let got = render(text).unwrap();
    let whole = regex::Regex::new(&format!("(?s)^(?:{pattern})$")).unwrap();
    assert!(whole.is_match(&got), "{text} gave {got:?}");
}

#[test]
fn random_functions_give_what_their_names_say() {
    for (text, pattern) in [
        ("{{ randAlphaNum 12 }}", "[0-9A-Za-z]{12}"),
        ("{{ randAlpha 12 }}", "[A-Za-z]{12}"),
        ("{{ randNumeric 12 }}", "[0-9]{12}"),
        ("{{ randAscii 12 }}", "[ -~]{12}"),
        ("{{ randBytes 16 }}", "[0-9A-Za-z+/]{22}=="),
        ("{{ randInt 3 6 }}", "[345]"),
        (
            "{{ uuidv4 }}",
            "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
        ),
        (r#"{{ shuffle "abc" }}"#, "[abc]{3}"),
        (r#"{{ bcrypt "secret" }}"#, r"\$2a\$10\$[./0-9A-Za-z]{53}"),
        (
            r#"{{ htpasswd "ada" "secret" }}"#,
            r"ada:\$2a\$10\$[./0-9A-Za-z]{53}",
        ),
        (r#"{{ encryptAES "key" "text" }}"#, "[0-9A-Za-z+/]{43}="),
        (
            r#"{{ genPrivateKey "ed25519" }}"#,
            "-----BEGIN PRIVATE KEY-----\n.*\n-----END PRIVATE KEY-----\n",
        ),
        (
            r#"{{ genPrivateKey "ecdsa" }}"#,
            "-----BEGIN EC PRIVATE KEY-----\n.*-----END EC PRIVATE KEY-----\n",
        ),
        (
            r#"{{ (genCA "ca" 10).Cert }}"#,
            "-----BEGIN CERTIFICATE-----\n.*-----END CERTIFICATE-----\n",
        ),
    ] {
        matches(text, pattern);
    }
}

#[test]
fn certificates_sign_and_keys_are_read_again() {
    for text in [
        r#"{{ $ca := genCA "ca" 10 }}{{ $c := genSignedCert "c" (list "10.0.0.1") (list "a.b") 5 $ca }}{{ contains "CERT" $c.Cert }}"#,
        r#"{{ $k := genPrivateKey "ecdsa" }}{{ $ca := genCAWithKey "ca" 10 $k }}{{ eq $ca.Key $k }}"#,
        r#"{{ $k := genPrivateKey "ed25519" }}{{ $c := genSelfSignedCertWithKey "c" nil nil 1 $k }}{{ eq $c.Key $k }}"#,
        r#"{{ $ca := genCA "ca" 10 }}{{ $c := buildCustomCert (b64enc $ca.Cert) (b64enc $ca.Key) }}{{ eq $c.Cert $ca.Cert }}"#,
        r#"{{ $ca := genCA "ca" 1 }}{{ $k := genPrivateKey "ecdsa" }}{{ (genSignedCertWithKey "c" nil nil 1 $ca $k).Key | eq $k }}"#,
    ] {
        assert_eq!(render(text).as_deref(), Ok("true"), "{text}");
    }
}

#[test]
fn what_could_leak_is_withheld_with_a_reason() {
    for (text, reason) in [
        (r#"{{ env "HOME" }}"#, "the environment"),
        (r#"{{ expandenv "$HOME" }}"#, "the environment"),
        (r#"{{ getHostByName "localhost" }}"#, "the network"),
        (r#"{{ genPrivateKey "rsa" }}"#, "RSA"),
        (r#"{{ genPrivateKey "dsa" }}"#, "DSA"),
        (r#"{{ printf "%p" .Input.l }}"#, "%p is not supported"),
    ] {
        let error = render(text).unwrap_err();
        assert!(error.contains(reason), "{text}: {error}");
    }
}

#[test]
fn errors_name_their_place_and_what_was_being_done() {
    for (text, error) in [
        ("a\n  {{ nope 1 }}", r#"2:6: function "nope" not defined"#),
        ("{{ if true }}", "1:14: unexpected EOF"),
        ("{{ .Input.a }", "1:13: unexpected \"}\" in operand"),
        ("x\n{{ $y }}", "2:4: undefined variable \"$y\""),
        (
            "é{{ upper .Input.a }}",
            "1:12: executing at <.Input.a>: wrong type for value; expected string; got float64",
        ),
        (
            "\n{{ .Input.a | printf }}",
            "2:15: executing at <printf>: wrong type for value; expected string; got float64",
        ),
        (
            r#"{{ fail "no" }}"#,
            r#"1:4: executing at <fail "no">: error calling fail: no"#,
        ),
        (
            "{{ upper }}",
            "1:4: executing at <upper>: wrong number of args for upper: want 1 got 0",
        ),
        (
            "{{ .Input.l.x }}",
            "1:4: executing at <.Input.l.x>: can't evaluate field x in type []interface {}",
        ),
    ] {
        assert_eq!(render(text).unwrap_err(), error, "{text}");
    }
}

#[test]
fn deep_nesting_is_refused_and_not_followed() {
    let deep = 100_000;
    for text in [
        format!("{{{{ {}1{} }}}}", "(".repeat(deep), ")".repeat(deep)),
        format!("{{{{ {}", "(".repeat(deep)),
        format!("{}x{}", "{{if true}}".repeat(deep), "{{end}}".repeat(deep)),
        "{{if true}}".repeat(deep),
        "{{range .Input.l}}".repeat(deep),
        "{{with 1}}".repeat(deep),
        r#"{{block "a" .}}"#.repeat(deep),
        format!("{{{{ {} }}}}", "not (".repeat(deep)),
    ] {
        let error = render(&text).unwrap_err();
        assert!(
            error.contains("depth") || error.contains("paren"),
            "{error}"
        );
    }
    // What is long but not deep is fine.
    let chain = format!(
        "{{{{if false}}}}a{}{{{{end}}}}",
        "{{else if false}}b".repeat(2_000)
    );
    assert_eq!(render(&chain).as_deref(), Ok(""));
    let fields = format!("{{{{ .Input.none{} }}}}", ".x".repeat(5_000));
    assert_eq!(render(&fields).as_deref(), Ok("<no value>"));
    assert_eq!(render(&"{{ 1 }}".repeat(5_000)).unwrap().len(), 5_000);
}

#[test]
fn the_deepest_template_that_is_allowed_fits_the_stack() {
    let depth = parser::MAX_DEPTH;
    let parens = format!("{{{{ {}1{} }}}}", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(render(&parens).as_deref(), Ok("1"));
    let calls = format!("{{{{ {}1{} }}}}", "not (".repeat(depth), ")".repeat(depth));
    assert_eq!(render(&calls).as_deref(), Ok("true"));
    let ifs = format!(
        "{}x{}",
        "{{if true}}".repeat(depth),
        "{{end}}".repeat(depth)
    );
    assert_eq!(render(&ifs).as_deref(), Ok("x"));
    let loops = format!(
        "{}x{}",
        "{{range 1}}".repeat(depth),
        "{{end}}".repeat(depth)
    );
    assert_eq!(render(&loops).as_deref(), Ok("x"));
    let chains = format!("{{{{ {}dict{} }}}}", "(".repeat(depth), ").a".repeat(depth));
    assert_eq!(render(&chains).as_deref(), Ok("<no value>"));
    let recursion = r#"{{define "t"}}{{if (true)}}{{range 1}}{{template "t" (list $ 1)}}{{end}}{{end}}{{end}}{{template "t" 1}}"#;
    assert!(render(recursion).unwrap_err().contains("depth"));
}

#[test]
fn hostile_templates_end_with_an_error() {
    for text in [
        "{{range 1000000000}}{{end}}",
        "{{range 9223372036854775807}}{{range 9223372036854775807}}{{end}}{{end}}",
        r#"{{ repeat 1000000000 "xxxxxxxxxx" }}"#,
        r#"{{ repeat 9223372036854775807 "xx" }}"#,
        r#"{{ indent 9223372036854775807 "x" }}"#,
        "{{ until 2000000000 }}",
        "{{ untilStep -9223372036854775808 9223372036854775807 1 }}",
        "{{ randAlpha 9000000000 }}",
        "{{ randBytes 9000000000 }}",
        r#"{{ $s := "x" }}{{range 100}}{{ $s = print $s $s }}{{end}}{{ $s }}"#,
        r#"{{ $s := "aaaaaaaa" }}{{range 100}}{{ $s = replace "a" $s $s }}{{end}}{{ $s }}"#,
        r#"{{ $s := "aa" }}{{range 100}}{{ $s = regexReplaceAll "a" $s $s }}{{end}}"#,
        "{{ $l := list 1 }}{{range 100}}{{ $l = concat $l $l }}{{end}}{{ len $l }}",
        "{{ $l := list 1 }}{{range 100}}{{ $l = list $l $l }}{{end}}{{ $l }}",
        "{{ $l := list 1 }}{{range 100}}{{ $l = list $l $l }}{{end}}{{ toJson $l }}",
        "{{ $l := list 1 }}{{range 100}}{{ $l = list $l $l }}{{end}}{{ deepEqual $l (deepCopy $l) }}",
        "{{ $l := list 1 }}{{range 100000}}{{ $l = list $l }}{{end}}",
        r#"{{ $d := dict }}{{ $_ := set $d "d" $d }}{{ $d }}"#,
        r#"{{ $d := dict }}{{ $_ := set $d "d" $d }}{{ mustToJson $d }}"#,
        r#"{{ $d := dict }}{{ $_ := set $d "d" (list $d) }}{{ deepCopy $d }}"#,
        r#"{{ $_ := set .Input "me" .Input }}{{ .Input }}"#,
        r#"{{ printf "%1000000d%1000000d%1000000d%1000000d%1000000d%1000000d%1000000d%1000000d%1000000d" 1 1 1 1 1 1 1 1 1 }}"#,
        r#"{{ regexMatch "((((a{100}){100}){100}){100}){100}" "a" | ternary 1 2 }}{{ fail "x" }}"#,
        r#"{{define "t"}}{{template "t"}}{{end}}{{template "t"}}"#,
        r#"{{ $x := "9" }}{{range 100}}{{ $x = mulf 1e300 1e300 1e300 1e300 }}{{end}}{{ derivePassword 1 "x" "a" "b" "c" }}{{ fail "x" }}"#,
        r#"{{ range 100 }}{{ bcrypt "x" | len | eq 0 }}{{ end }}"#,
    ] {
        assert!(render(text).is_err(), "{text}");
    }
}

#[test]
fn long_values_are_freed_without_recursion() {
    let text = r#"{{ $d := dict }}{{range 20000}}{{ $e := dict "d" $d }}{{ $d = $e }}{{end}}ok"#;
    assert_eq!(render(text).as_deref(), Ok("ok"));
}

#[test]
fn the_input_is_not_changed_by_set() {
    let input = json::parse(br#"{"m":{"a":1}}"#).unwrap();
    let text = r#"{{ $_ := set .Input.m "a" 2 }}{{ .Input.m.a }}"#;
    assert_eq!(render_with(text, &input).as_deref(), Ok("2"));
    assert_eq!(render_with("{{ .Input.m.a }}", &input).as_deref(), Ok("1"));
}

#[test]
fn a_template_is_shared_between_threads() {
    fn shared<T: Send + Sync + Clone>(value: T) -> T {
        value
    }
    let template = shared(Template::compile("{{ .Input }}").unwrap());
    let threads: Vec<_> = (0..4_i64)
        .map(|number| {
            let template = template.clone();
            std::thread::spawn(move || template.render(&Value::from(number)).unwrap())
        })
        .collect();
    let texts: Vec<_> = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect();
    assert_eq!(texts, ["0", "1", "2", "3"]);
}

#[test]
fn limits_bound_steps_output_and_choose_zone_and_time() {
    let input = Value::Null;
    let run = |text: &str, limits: &Limits| {
        Template::compile(text)
            .unwrap()
            .render_within(&input, limits)
            .map_err(|error| error.to_string())
    };
    let few = Limits {
        steps: 10,
        ..Limits::default()
    };
    assert!(
        run("{{range 100}}x{{end}}", &few)
            .unwrap_err()
            .contains("too many steps")
    );
    let short = Limits {
        output: 5,
        ..Limits::default()
    };
    assert!(
        run("abcdef", &short)
            .unwrap_err()
            .contains("the output exceeds 5 bytes")
    );
    assert_eq!(run("abcde", &short).as_deref(), Ok("abcde"));
    let there = Limits {
        zone: jiff::tz::TimeZone::get("Europe/Berlin").unwrap(),
        now: Some(jiff::Timestamp::from_second(1_700_000_000).unwrap()),
        ..Limits::default()
    };
    assert_eq!(
        run("{{ now }}", &there).as_deref(),
        Ok("2023-11-14 23:13:20 +0100 CET")
    );
    assert_eq!(run("{{ ago 1699999990 }}", &there).as_deref(), Ok("10s"));
    assert_eq!(
        run(r#"{{ date "15:04 MST" 0 }}"#, &there).as_deref(),
        Ok("01:00 CET")
    );
}

#[test]
fn the_root_can_be_any_value() {
    let root = json::parse(b"[1,2]").unwrap();
    let template = Template::compile("{{ range . }}{{ . }};{{ end }}{{ $ }}").unwrap();
    assert_eq!(
        template.render_root(&root, &Limits::default()).as_deref(),
        Ok("1;2;[1 2]")
    );
    let nothing = Template::compile("{{ . }}").unwrap();
    assert_eq!(
        nothing
            .render_root(&Value::Null, &Limits::default())
            .as_deref(),
        Ok("<no value>")
    );
}

#[test]
fn every_function_survives_every_kind_of_argument() {
    let values = [
        "1",
        "-1",
        "1.5",
        "9223372036854775807",
        "-9223372036854775808",
        "1e308",
        r#""""#,
        r#""a b""#,
        r#""\xff\xc3""#,
        r#""(""#,
        "nil",
        "true",
        ".Input.nope",
        ".Input.n",
        ".Input.a",
        ".Input.l",
        ".Input",
        "(list)",
        "(list nil 1)",
        "(rest (list))",
        "(until 3)",
        "(dict)",
        r#"(dict "a" nil)"#,
        r#"(split "," "a")"#,
        "(now)",
        r#"(semver "1.2.3")"#,
        r#"(int64 3)"#,
        r#"(index "a" 0)"#,
        "('a')",
    ];
    let slow = [
        "bcrypt",
        "htpasswd",
        "derivePassword",
        "genPrivateKey",
        "genCA",
        "genCAWithKey",
    ];
    let input = json::parse(br#"{"a":1e400,"n":null,"l":[1,"x",null,{"a":[]}]}"#).unwrap();
    for name in funcs::names().filter(|name| !slow.contains(name)) {
        let mut texts = vec![format!("{{{{ {name} }}}}")];
        for one in values {
            texts.push(format!("{{{{ {name} {one} }}}}"));
            for two in values {
                texts.push(format!("{{{{ {name} {one} {two} }}}}"));
            }
            texts.push(format!("{{{{ {name} 3 {one} \"x\" }}}}"));
            texts.push(format!("{{{{ {name} \"x\" \"y\" {one} }}}}"));
            texts.push(format!("{{{{ {one} | {name} 2 2 }}}}"));
        }
        for text in texts {
            // Success or error, but never a panic.
            drop(render_with(&text, &input));
        }
    }
}

#[test]
fn every_function_of_go_and_sprig_is_there() {
    let names = function_names();
    for name in include_str!("../../tests/cases/gotemplate-functions.txt").lines() {
        assert!(names.contains(&name), "{name} is missing");
    }
}

#[test]
fn the_deepest_input_is_printed_copied_and_compared() {
    let depth = json::MAX_DEPTH - 1;
    let input =
        json::parse(format!("{}1{}", "[".repeat(depth), "]".repeat(depth)).as_bytes()).unwrap();
    for text in [
        "{{ .Input }}",
        "{{ toJson .Input }}",
        "{{ toPrettyJson .Input }}",
        "{{ deepEqual .Input .Input }}",
        "{{ toJson .Input | fromJson | toJson }}",
        r#"{{ printf "%#v" (deepCopy .Input) }}"#,
    ] {
        assert!(render_with(text, &input).is_ok(), "{text}");
    }
}

mod random {
    use super::render;
    use proptest::prelude::{Strategy, any, prop_oneof, proptest};

    fn piece() -> impl Strategy<Value = String> {
        let words = [
            "{{", "}}", "{{-", "-}}", " ", "if", "else", "end", "range", "with", "define",
            "template", "block", "break", "continue", "\"a\"", "`b`", "'c'", "1", "-1.5e3", "0x1F",
            ".", ".Input", ".Input.l", "$", "$x", ":=", "=", ",", "|", "(", ")", "printf", "index",
            "list", "dict", "set", "nil", "true", "/*", "*/", "\"", "\n", "%", "\\", "é", "upper",
            "until 3",
        ];
        prop_oneof![
            8 => (0..words.len()).prop_map(move |at| words[at].to_owned()),
            1 => any::<char>().prop_map(String::from),
        ]
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_or_the_rendering_panic(
            pieces in proptest::collection::vec(piece(), 0..40)
        ) {
            drop(render(&pieces.concat()));
            drop(render(&format!("{{{{ {} }}}}", pieces.join(" "))));
        }

        #[test]
        fn no_format_makes_printf_panic(format in "%[-+# 0]{0,3}[0-9*]{0,3}(\\.[0-9*]{0,3})?(\\[[0-9]{1,2}\\])?[a-zA-Z%]?", number in any::<i64>(), float in any::<f64>()) {
            drop(render(&format!("{{{{ printf {format:?} {number} {float:?} \"x\" nil }}}}")));
        }

        #[test]
        fn no_layout_makes_dates_panic(layout in "[ -~é]{0,30}", value in "[ -~]{0,30}") {
            drop(render(&format!("{{{{ toDate {layout:?} {value:?} }}}}{{{{ date {layout:?} 0 }}}}")));
        }

        #[test]
        fn no_expression_makes_regexes_panic(pattern in "[a-c\\[\\](){}*+?|^$.\\\\0-9,:<>=!PdwsQEpx-]{0,20}", text in "[a-c \\n]{0,20}") {
            drop(render(&format!("{{{{ regexReplaceAll {pattern:?} {text:?} \"$1x\" }}}}")));
        }

        #[test]
        fn no_version_address_or_encoding_panics(text in "[ -~é]{0,30}") {
            drop(render(&format!("{{{{ semverCompare {text:?} \"1.2.3\" }}}}")));
            drop(render(&format!("{{{{ urlParse {text:?} | urlJoin }}}}")));
            drop(render(&format!("{{{{ b64dec {text:?} }}}}{{{{ b32dec {text:?} }}}}{{{{ snakecase {text:?} }}}}{{{{ camelcase {text:?} }}}}{{{{ wrap 3 {text:?} }}}}{{{{ wrapWith 3 \"\" {text:?} }}}}{{{{ abbrevboth 5 8 {text:?} }}}}")));
        }
    }
}
