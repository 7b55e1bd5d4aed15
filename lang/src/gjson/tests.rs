//! What holds for every path and document: no panic, no runaway, and what is refused when compiling.

use std::hint::black_box;

use proptest::prelude::*;

use super::*;

#[test]
fn results_say_what_they_are() {
    let json = br#"{"a":{"b":[1,2.0,"x\n",true,null,{"c":1e3}]},"big":12345678901234567890}"#;
    for (path, kind, text) in [
        ("a.b.0", Kind::Number, "1"),
        ("a.b.1", Kind::Number, "2"),
        ("a.b.2", Kind::String, "x\n"),
        ("a.b.3", Kind::True, "true"),
        ("a.b.4", Kind::Null, ""),
        ("a.b.5", Kind::Json, r#"{"c":1e3}"#),
        ("a.b.5.c", Kind::Number, "1000"),
        ("big", Kind::Number, "12345678901234567890"),
    ] {
        let found = get(json, path).unwrap();
        assert_eq!((found.kind, found.text().as_ref()), (kind, text), "{path}");
        assert_eq!(
            Path::compile(path).unwrap().get(json),
            Some(found),
            "{path}"
        );
    }
    assert!(get(json, "a.b.6").is_none() && !exists(json, "nope") && exists(json, "a.b.4"));
    assert_eq!(get(json, "a.b.1").unwrap().to_value().to_json(), "2.0");
    assert_eq!(
        get(json, "big").unwrap().to_value().to_json(),
        "12345678901234567890"
    );
    assert!(get(json, "a.b.0").unwrap().as_bool() && !get(json, "a.b.2").unwrap().as_bool());
}

#[test]
fn what_can_never_match_is_refused() {
    use PathError::{Empty, Open, TooDeep, UnknownModifier};
    for (path, error) in [
        ("", Empty),
        (
            "a.#(b==1",
            Open {
                what: "query",
                offset: 2,
            },
        ),
        (
            "a.#(b==\"x)",
            Open {
                what: "query",
                offset: 2,
            },
        ),
        (
            "[a,b",
            Open {
                what: "multipath",
                offset: 0,
            },
        ),
        (
            "x|{a,[b,c}",
            Open {
                what: "multipath",
                offset: 2,
            },
        ),
        (
            "[a,#(b]",
            Open {
                what: "multipath",
                offset: 0,
            },
        ),
        (
            "!\"a",
            Open {
                what: "literal",
                offset: 0,
            },
        ),
        (
            "a.@nope:1",
            UnknownModifier {
                name: "@nope".into(),
                offset: 2,
            },
        ),
        (
            "[a,b.@nope:1]",
            UnknownModifier {
                name: "@nope".into(),
                offset: 5,
            },
        ),
        (
            "@pretty:{\"a\"",
            Open {
                what: "argument",
                offset: 8,
            },
        ),
    ] {
        assert_eq!(Path::compile(path), Err(error), "{path}");
    }
    let deep = format!("{}a{}", "[".repeat(100), "]".repeat(100));
    assert!(matches!(Path::compile(&deep), Err(TooDeep { .. })));
    for path in [
        "@timestamp",
        "a.@type",
        "a.#(b==1)#.c",
        "a\\.b.*",
        "..#.a",
        "{a,\"k\":b}|@pretty",
        "a.",
        "#",
    ] {
        assert!(Path::compile(path).is_ok(), "{path}");
    }
}

#[test]
fn hostile_documents_and_paths_end_soon() {
    for path in ["0.0", "#", "@valid", "@pretty", "@this.#(a)#"] {
        black_box(get(&[b'['; 1_000_000], path));
    }
    // Far beyond any stack, and small enough for the paths that spend all they may.
    let open = "[".repeat(20_000);
    let deep = format!("{open}{}", "]".repeat(20_000));
    let objects = format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
    let down = "0.".repeat(50_000);
    let keys = "a.".repeat(50_000);
    let stars = "*.".repeat(50_000);
    let pipes = "@this|".repeat(15_000);
    let tostr = "@tostr|".repeat(1000);
    let double = "[@this,@this]|".repeat(1000);
    let nested = "[".repeat(100_000);
    let each = "#.".repeat(50_000);
    let query = format!("{}a{}", "#(".repeat(30_000), ")".repeat(30_000));
    let glob = format!("#(%\"{}b\")#", "*a".repeat(30_000));
    let strings = format!("[\"{}\"]", "a".repeat(20_000));
    let wide = format!("@pretty:{{\"indent\":\"{}\"}}", " ".repeat(50_000));
    let width = "@pretty:{\"width\":1e300}";
    for json in [&open, &deep, &objects, &strings] {
        for path in [
            &down,
            &keys,
            &stars,
            &pipes,
            &tostr,
            &double,
            &nested,
            &each,
            &query,
            &glob,
            &wide,
            width,
            "@pretty",
            "@ugly",
            "@flatten:{\"deep\":true}",
            "@dig:a",
            "@dig:0",
            "@dig:@dig:a",
            "@valid",
            "@reverse",
            "@group",
            "@join",
            "#.#.#",
        ] {
            black_box(get(json.as_bytes(), path).map(|found| found.text().len()));
            black_box(Path::compile(path)).ok();
        }
    }
}

fn path() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[ab0-2#*?.|@!:\\\\{}\\[\\]()\"=<>%~]{0,12}",
        Just("@pretty".to_owned()),
        Just("#(a==\"b\")#".to_owned()),
        Just("{a,\"k\":b}".to_owned()),
        Just("@dig:a".to_owned()),
        Just("@flatten".to_owned()),
        any::<String>(),
    ];
    prop::collection::vec(piece, 0..5).prop_map(|pieces| pieces.join("."))
}

proptest! {
    #[test]
    fn no_bytes_and_no_path_panic(json in prop::collection::vec(any::<u8>(), 0..200), path in path()) {
        let found = get(&json, &path);
        black_box(found.map(|found| (found.text().len(), found.to_value(), found.as_f64(), found.as_bool())));
        black_box(valid(&json));
    }

    #[test]
    fn no_broken_json_panics(json in "[\\[\\]{},:\"ab0-9\\\\utrfalsen. -]{0,60}", path in path()) {
        if let Ok(compiled) = Path::compile(&path) {
            prop_assert_eq!(compiled.get(json.as_bytes()), get(json.as_bytes(), &path));
        }
        if crate::json::parse(json.as_bytes()).is_ok() {
            prop_assert!(valid(json.as_bytes()));
        }
    }
}
