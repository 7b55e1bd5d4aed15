//! The command line as people and scripts meet it: exit codes, what is data and what is not.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tiphys_tests::tiphys::TiphysOutput;
use tiphys_tests::{Tiphys, temp_dir};

use crate::scene::plain_source;
use crate::support::{LIMIT, tutorial};

async fn tiphys(args: &[&str]) -> TiphysOutput {
    Tiphys::command(args).output(LIMIT).await
}

/// A folder of the repository.
fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

#[tokio::test]
async fn the_examples_have_no_errors_and_lint_speaks_to_people_and_programs() {
    let examples = folder("examples");
    let examples = examples.to_str().unwrap();
    let plain = tiphys(&["lint", examples]).await;
    assert_eq!(plain.code, Some(0), "{plain:?}");
    assert!(plain.stderr.starts_with("no errors in "), "{plain:?}");
    assert!(!plain.stdout.contains("error:"), "{plain:?}");

    let empty = temp_dir();
    let sensor = empty.path().join("a.yaml");
    std::fs::write(
        &sensor,
        "apiVersion: argoproj.io/v1alpha1\nkind: Sensor\nmetadata: {name: a}\nspec: {more: 1}\n",
    )
    .unwrap();
    let json = tiphys(&["lint", "-o", "json", empty.path().to_str().unwrap()]).await;
    assert_eq!(json.code, Some(1), "{json:?}");
    let problems: Vec<Value> = json
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let unknown = problems
        .iter()
        .find(|problem| problem["path"] == "spec.more")
        .unwrap();
    assert_eq!(unknown["severity"], "warning");
    assert_eq!(
        (&unknown["line"], &unknown["column"]),
        (&4.into(), &14.into())
    );
    assert_eq!(unknown["object"], "Sensor a");
    assert!(
        problems
            .iter()
            .any(|problem| problem["severity"] == "error")
    );

    let source = empty.path().join("a.yaml");
    std::fs::write(
        &source,
        format!(
            "{}    more: 1\n",
            plain_source().replace("endpoint: /in", "endpoint: /in, more: 1")
        ),
    )
    .unwrap();
    let lenient = tiphys(&["lint", source.to_str().unwrap()]).await;
    let strict = tiphys(&["lint", "--strict", source.to_str().unwrap()]).await;
    assert!(lenient.stdout.contains("warning: "), "{lenient:?}");
    assert_eq!(strict.code, Some(1), "{strict:?}");
}

#[tokio::test]
async fn all_examples_lint_without_an_error() {
    let lint = tiphys(&["lint", folder("examples").to_str().unwrap()]).await;
    assert_eq!(lint.code, Some(0), "{}", lint.stdout);
}

#[tokio::test]
async fn each_dialect_evaluates_as_a_sensor_would_with_the_result_alone_on_stdout() {
    let input = r#"{"a": {"b": 9007199254740993}, "l": [1, 2], "t": true, "s": "x"}"#;
    let home = temp_dir();
    let file = home.path().join("input.json");
    std::fs::write(&file, input).unwrap();
    let cases: [(&[&str], &str); 10] = [
        (
            &["gotemplate", "{{ .Input.a.b }} {{ .Input.s | upper }}"],
            "9007199254740993 X",
        ),
        (
            &["handlebars", "{{Input.a.b}} {{Input.s}}"],
            "9007199254740993 x",
        ),
        (&["gjson", "a.b"], "9007199254740993"),
        (&["jsonpath", "$.l[1]"], "2"),
        (
            &["sjson", "a.b", "--value", "v"],
            r#"{"a": {"b": "v"}, "l": [1, 2], "t": true, "s": "x"}"#,
        ),
        (&["expr", "len(l) == 2 && t"], "true"),
        (&["govaluate", "s == 'x'"], "true"),
        (&["lua", "return event.s == 'x'"], "true"),
        (&["jq", ".l[1]"], "2"),
        (&["condition", "t || nothing"], ""),
    ];
    for (args, wanted) in cases {
        let output = Tiphys::command(["eval"])
            .args(args)
            .args(["--input".as_ref(), file.as_os_str()])
            .output(LIMIT)
            .await;
        if wanted.is_empty() {
            assert_eq!(output.code, Some(1), "{args:?} {output:?}");
            assert!(output.stdout.is_empty(), "{args:?} {output:?}");
            assert!(output.stderr.starts_with("error: "), "{args:?} {output:?}");
        } else {
            assert_eq!(output.code, Some(0), "{args:?} {output:?}");
            assert_eq!(output.stdout.trim_end(), wanted, "{args:?}");
        }
    }
    for args in [
        ["gjson", "a.c"],
        ["gotemplate", "{{ .x"],
        ["gotemplate", "{{ fail \"no\" }}"],
    ] {
        let output = tiphys(&["eval", args[0], args[1]]).await;
        assert_eq!(
            (output.code, output.stdout.as_str()),
            (Some(1), ""),
            "{output:?}"
        );
        assert!(output.stderr.starts_with("error: "), "{output:?}");
    }
}

#[tokio::test]
async fn render_prints_what_would_be_made_or_why_nothing_would() {
    let home = temp_dir();
    let event = home.path().join("event.json");
    std::fs::write(&event, r#"{"body": {"message": "hi", "who": "you"}}"#).unwrap();
    let path = tutorial("sensor.yaml");
    let sensor = path.to_str().unwrap();
    let given = format!("myproject-start={}", event.display());
    let made = tiphys(&["render", sensor, "--event", &given]).await;
    assert_eq!(made.code, Some(0), "{made:?}");
    for text in ["kind: Workflow", "generateName: webhook-", "hi", "you"] {
        assert!(made.stdout.contains(text), "{text}\n{made:?}");
    }
    let json = tiphys(&["render", sensor, "--event", &given, "-o", "json"]).await;
    assert_eq!(json.code, Some(0), "{json:?}");
    let report: Value = serde_json::from_str(&json.stdout).unwrap();
    let effect = &report["triggers"][0]["firings"][0]["effect"];
    assert_eq!(effect["kind"], "Workflow", "{report}");

    let text = std::fs::read_to_string(&path).unwrap();
    let filtered = home.path().join("sensor.yaml");
    let filter = "eventName: myproject-start\n      filters: {data: [{path: body.who, type: string, value: [nobody]}]}";
    std::fs::write(
        &filtered,
        text.replace("eventName: myproject-start", filter),
    )
    .unwrap();
    let nothing = tiphys(&["render", filtered.to_str().unwrap(), "--event", &given]).await;
    assert_eq!(nothing.code, Some(3), "{nothing:?}");
    let said = format!("{}{}", nothing.stdout, nothing.stderr);
    assert!(said.contains("body.who"), "{nothing:?}");

    let unknown = tiphys(&["render", sensor, "--event", "nosuch=event.json"]).await;
    assert!(
        unknown.code == Some(1) && unknown.stdout.is_empty(),
        "{unknown:?}"
    );
    assert!(unknown.stderr.contains("error: "), "{unknown:?}");
}

#[tokio::test]
async fn versions_completions_and_help_are_data() {
    let version = tiphys(&["version"]).await;
    assert_eq!(version.code, Some(0));
    assert_eq!(
        version.stdout,
        format!("tiphys {}\n", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(tiphys(&["--version"]).await.stdout, version.stdout);
    for shell in ["bash", "zsh", "fish"] {
        let script = tiphys(&["completion", shell]).await;
        assert_eq!(script.code, Some(0), "{script:?}");
        assert!(script.stdout.contains("eventsource") && script.stderr.is_empty());
    }
    let help = tiphys(&["--help"]).await;
    assert_eq!(help.code, Some(0));
    for command in [
        "demo",
        "run",
        "lint",
        "render",
        "eval",
        "eventsource",
        "sensor",
        "get",
        "list",
        "logs",
    ] {
        assert!(
            help.stdout.contains(&format!("\n  {command} ")),
            "{}",
            help.stdout
        );
        let of_it = tiphys(&[command, "--help"]).await;
        assert_eq!(
            (of_it.code, of_it.stderr.as_str()),
            (Some(0), ""),
            "{of_it:?}"
        );
        assert!(of_it.stdout.contains("Usage: tiphys"), "{of_it:?}");
    }
    for wrong in [
        &["nosuch"][..],
        &["run"],
        &["eval", "nosuch", "x"],
        &["get", "a", "-o", "nosuch"],
    ] {
        let output = tiphys(wrong).await;
        assert_eq!(
            (output.code, output.stdout.as_str()),
            (Some(2), ""),
            "{output:?}"
        );
        assert!(output.stderr.starts_with("error: "), "{output:?}");
    }
    let level = tiphys(&["lint", "--log", "verbose", "."]).await;
    assert_eq!(level.code, Some(1), "{level:?}");
    assert!(
        level
            .stderr
            .contains("none of error, warn, info, debug, trace"),
        "{level:?}"
    );
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_is_no_error() {
    let script = r#"{ "$@"; echo "code $?" >&2; } | head -1"#;
    let examples = folder("examples");
    for args in [
        &["completion", "bash"][..],
        &["lint", "-o", "json", examples.to_str().unwrap()],
        &["--help"],
    ] {
        let output = Tiphys::in_shell(script, args).output(LIMIT).await;
        assert_eq!(output.stdout.lines().count(), 1, "{output:?}");
        assert!(
            output.stderr.contains("code 0"),
            "{args:?} {}",
            output.stderr
        );
        assert!(!output.stderr.contains("panic"), "{}", output.stderr);
    }
}
