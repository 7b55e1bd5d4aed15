//! What evaluating costs: the same four inputs as `tests/conformance/bench_test.go` gives to the Go libraries.
//! It never judges: `scripts/bench-dialects` runs both and compares.

#![expect(clippy::unwrap_used, reason = "a benchmark of inputs that are known")]

use divan::{Bencher, black_box};
use tiphys_lang::gotemplate::Template;
use tiphys_lang::govaluate::Expression;
use tiphys_lang::{Value, gjson, json};

const PUSH: &[u8] = include_bytes!("push.json");
const REPORT: &str = include_str!("report.tmpl");

fn main() {
    divan::main();
}

fn input() -> Value {
    json::parse(PUSH).unwrap()
}

/// `{{ .Input.body.message }}`, compiled before, on a document read before.
#[divan::bench]
fn message(bencher: Bencher<'_, '_>) {
    let template = Template::compile("{{ .Input.body.message }}").unwrap();
    let input = input();
    bencher.bench(|| template.render(black_box(&input)).unwrap());
}

/// Twenty actions with Sprig calls.
#[divan::bench]
fn report(bencher: Bencher<'_, '_>) {
    let template = Template::compile(REPORT).unwrap();
    let input = input();
    bencher.bench(|| template.render(black_box(&input)).unwrap());
}

/// A path to the end of a document of ten kilobytes.
#[divan::bench]
fn path(bencher: Bencher<'_, '_>) {
    let path = gjson::Path::compile("repository.owner.login").unwrap();
    bencher.bench(|| path.get(black_box(PUSH)).unwrap().text().len());
}

/// An `exprs` filter: three fields read by path from the same document, one expression over them.
#[divan::bench]
fn filter(bencher: Bencher<'_, '_>) {
    let fields = [
        ("name", "body.user.name"),
        ("count", "body.count"),
        ("text", "body.message"),
    ];
    let paths = fields.map(|(name, path)| (name, gjson::Path::compile(path).unwrap()));
    let expression =
        Expression::compile(r#"name == "ada" && (count > 5 || text =~ "^bye") && text != """#)
            .unwrap();
    bencher.bench(|| {
        let found = paths
            .each_ref()
            .map(|(name, path)| (*name, path.get(black_box(PUSH)).unwrap().to_value()));
        let holds = expression.holds(|name| {
            let place = found.iter().find(|(each, _)| *each == name);
            place.map(|(_, value)| value)
        });
        assert!(holds.unwrap());
    });
}
