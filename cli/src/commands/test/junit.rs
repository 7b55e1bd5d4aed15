//! The results of cases as JUnit XML, for the machines that read it. Pure.

use super::Outcome;

/// One suite a file.
pub(super) fn report(outcomes: &[Outcome]) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    let mut files: Vec<&str> = outcomes
        .iter()
        .map(|outcome| outcome.file.as_str())
        .collect();
    files.dedup();
    for file in files {
        let cases: Vec<&Outcome> = outcomes
            .iter()
            .filter(|outcome| outcome.file == file)
            .collect();
        let failed = cases
            .iter()
            .filter(|outcome| !outcome.failures.is_empty())
            .count();
        let took: f64 = cases.iter().map(|outcome| outcome.took.as_secs_f64()).sum();
        let file = escaped(file);
        let mut write = |text: std::fmt::Arguments<'_>| out.push_str(&text.to_string());
        write(format_args!(
            "  <testsuite name=\"{file}\" tests=\"{}\" failures=\"{failed}\" time=\"{took:.3}\">\n",
            cases.len()
        ));
        for case in cases {
            let (name, took) = (escaped(&case.name), case.took.as_secs_f64());
            write(format_args!(
                "    <testcase classname=\"{file}\" name=\"{name}\" time=\"{took:.3}\""
            ));
            if case.failures.is_empty() {
                write(format_args!("/>\n"));
                continue;
            }
            let text = case.failures.join("\n");
            let first = text.lines().next().unwrap_or_default();
            write(format_args!(
                ">\n      <failure message=\"{}\">{}</failure>\n    </testcase>\n",
                escaped(first),
                escaped(&text)
            ));
        }
        write(format_args!("  </testsuite>\n"));
    }
    out.push_str("</testsuites>\n");
    out
}

/// A text in XML: what XML 1.0 cannot hold at all is left out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            c if c.is_control() && c != '\t' => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn results_are_xml_whatever_they_hold() {
        let outcome = |name: &str, failures: Vec<String>| Outcome {
            file: "a.test.yaml".to_owned(),
            name: name.to_owned(),
            failures,
            took: Duration::ZERO,
        };
        let text = report(&[
            outcome("fine", vec![]),
            outcome("<b> \u{0}", vec!["x \"y\"".to_owned()]),
        ]);
        expect_test::expect![[r#"
            <?xml version="1.0" encoding="UTF-8"?>
            <testsuites>
              <testsuite name="a.test.yaml" tests="2" failures="1" time="0.000">
                <testcase classname="a.test.yaml" name="fine" time="0.000"/>
                <testcase classname="a.test.yaml" name="&lt;b&gt; " time="0.000">
                  <failure message="x &quot;y&quot;">x &quot;y&quot;</failure>
                </testcase>
              </testsuite>
            </testsuites>
        "#]]
        .assert_eq(&text);
    }
}
