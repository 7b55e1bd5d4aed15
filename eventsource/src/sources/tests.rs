//! The pages of all kinds: each has an example, and the example is valid.

use std::collections::BTreeSet;
use std::path::Path;

use tiphys_core::manifest;

use crate::EventSourceSpec;
use crate::spec::tests::problems_of;

/// The YAML blocks in the page of a kind.
fn blocks(page: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut block: Option<String> = None;
    for line in page.lines().map_while(|line| line.strip_prefix("//!")) {
        let line = line.strip_prefix(' ').unwrap_or(line);
        match (&mut block, line) {
            (None, "```yaml") => block = Some(String::new()),
            (Some(_), "```") => blocks.extend(block.take()),
            (Some(text), line) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, _) => {}
        }
    }
    blocks
}

#[test]
fn every_kind_has_a_page_with_an_example_that_is_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sources");
    let mut kinds = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let mut path = entry.unwrap().path();
        if path.is_dir() {
            path.push("mod.rs");
        }
        if path.ends_with("sources/tests.rs") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for block in blocks(&text) {
            let block = if block.contains("kind: EventSource") {
                block
            } else {
                let indented = block.replace('\n', "\n  ");
                format!("spec:\n  {indented}")
            };
            let found = problems_of(&block);
            assert!(found.is_empty(), "{}: {found}", path.display());
            let documents = manifest::parse(&block).unwrap();
            let spec = documents[0]
                .object
                .get("spec")
                .unwrap()
                .as_object()
                .unwrap();
            kinds.extend(spec.keys().filter(|key| *key != "service").cloned());
        }
    }
    let spec = serde_json::to_value(schemars::schema_for!(EventSourceSpec)).unwrap();
    let fields = spec["properties"].as_object().unwrap().keys();
    let common = ["eventBusName", "replicas", "template", "service"];
    let fields: BTreeSet<String> = fields
        .filter(|key| !common.contains(&key.as_str()))
        .cloned()
        .collect();
    assert_eq!(kinds, fields);
    assert_eq!(kinds.len(), 32);
}
