//! The documentation holds: its YAML passes lint, its links lead somewhere, its commands exist, its metrics are those
//! of the program.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tiphys_core::manifest;
use tiphys_core::metrics::Metrics;
use tiphys_tests::{Tiphys, temp_dir};

use crate::support::LIMIT;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every page, with its path.
fn pages() -> Vec<(PathBuf, String)> {
    let mut paths = vec![root().join("README.md"), root().join("ARCHITECTURE.md")];
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "md") {
                paths.push(path);
            }
        }
    }
    paths.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        (path, text)
    };
    paths.into_iter().map(read).collect()
}

/// The fenced blocks of a page in one of the languages, with their lines.
fn blocks(text: &str, languages: &[&str]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut open: Option<(usize, bool, String)> = None;
    for (number, line) in text.lines().enumerate() {
        let fence = line.trim_start().strip_prefix("```");
        open = match (open, fence) {
            (None, None) => None,
            (None, Some(language)) => Some((
                number + 2,
                languages.contains(&language.trim()),
                String::new(),
            )),
            (Some((line, wanted, block)), Some(_)) => {
                if wanted {
                    found.push((line, block));
                }
                None
            }
            (Some((start, wanted, mut block)), None) => {
                block.push_str(line);
                block.push('\n');
                Some((start, wanted, block))
            }
        };
    }
    found
}

#[tokio::test]
async fn the_yaml_of_the_pages_passes_lint() {
    let folder = temp_dir();
    let mut objects = 0;
    for (path, text) in pages() {
        for (line, block) in blocks(&text, &["yaml"]) {
            let documents = manifest::parse(&block)
                .unwrap_or_else(|error| panic!("{}:{line}: {error}", path.display()));
            // A part of an object is only read.
            let whole = |document: &manifest::Document| {
                !document.kind().is_empty() && document.kind() != "Kustomization"
            };
            if documents.iter().all(whole) {
                let page = path.file_stem().unwrap().to_string_lossy();
                // A folder each, as nothing ties the objects of two blocks together.
                let own = folder.path().join(format!("{page}-{line}"));
                std::fs::create_dir(&own).unwrap();
                std::fs::write(own.join("block.yaml"), block).unwrap();
                let output = Tiphys::command(["lint"])
                    .args([own.as_os_str()])
                    .output(LIMIT)
                    .await;
                assert!(
                    output.code == Some(0),
                    "{}:{line}\n{output:?}",
                    path.display()
                );
                objects += documents.len();
            }
        }
    }
    println!("{objects} objects in the pages");
    assert!(objects > 0);
}

#[test]
fn the_links_of_the_pages_lead_somewhere() {
    let mut broken = Vec::new();
    for (path, text) in pages() {
        for part in text.split("](").skip(1) {
            let target = part.split(')').next().unwrap();
            let file = target.split('#').next().unwrap();
            let elsewhere = target.contains("://") || file.is_empty() || target.contains(' ');
            if !elsewhere && !path.parent().unwrap().join(file).exists() {
                broken.push(format!("{}: {target}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[tokio::test]
async fn every_page_is_in_the_index() {
    let index = std::fs::read_to_string(root().join("docs/README.md")).unwrap();
    for (path, _) in pages() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let direct = path.parent().unwrap().ends_with("docs");
        if direct && name != "README.md" {
            assert!(
                index.contains(&format!("]({name}")),
                "docs/README.md does not link {name}"
            );
        }
    }
}

/// A command that a page shows, with each of its long flags, is one that the program knows.
#[tokio::test]
async fn the_commands_of_the_pages_exist() {
    let mut known: std::collections::BTreeMap<String, String> = std::collections::BTreeMap::new();
    let mut wrong = BTreeSet::new();
    for (path, text) in pages() {
        for (line, block) in blocks(&text, &["console", "sh", "bash", ""]) {
            for (offset, command) in block.lines().enumerate() {
                let command = command.trim_start_matches("$ ").trim();
                let Some(rest) = command.strip_prefix("tiphys ") else {
                    continue;
                };
                let rest = rest.split(" #").next().unwrap();
                let rest = rest.split(['|', '>', ';']).next().unwrap();
                let mut words = rest.split_whitespace();
                let mut name = vec![words.next().unwrap_or("").to_owned()];
                if name[0].starts_with('-') || !name[0].chars().all(|c| c.is_ascii_lowercase()) {
                    continue;
                }
                let second = words.next().unwrap_or("").to_owned();
                if name[0] == "migrate" || name[0] == "dead" {
                    name.push(second);
                }
                let key = name.join(" ");
                if !known.contains_key(&key) {
                    name.push("--help".to_owned());
                    let output = Tiphys::command(&name).output(LIMIT).await;
                    let help = if output.code == Some(0) {
                        output.stdout
                    } else {
                        String::new()
                    };
                    known.insert(key.clone(), help);
                }
                let help = &known[&key];
                let place = format!("{}:{}: {command}", path.display(), line + offset);
                if help.is_empty() {
                    wrong.insert(format!("{place}: no such command"));
                }
                for flag in rest
                    .split_whitespace()
                    .filter(|word| word.starts_with("--"))
                {
                    let flag = flag.split('=').next().unwrap();
                    if flag.len() > 2 && !help.contains(flag) {
                        wrong.insert(format!("{place}: no flag {flag}"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Every family with its type, labels and help, as the program writes them.
fn families() -> String {
    let metrics = Metrics::try_new("0").unwrap();
    drop(metrics.source("ns", "source", "event"));
    drop(metrics.running("ns", "source"));
    drop(metrics.trigger("ns", "sensor", "trigger"));
    drop(metrics.bus_up("ns", "bus", "kind", "durability"));
    drop(metrics.bus_lost("ns", "bus"));
    drop((
        metrics.looks("kind"),
        metrics.queue(),
        metrics.objects("kind"),
    ));
    drop((metrics.leader(), metrics.watch_interruptions("kind")));
    drop((metrics.reviews("kind"), metrics.reviews_failed()));
    drop(metrics.api_requests("GET", "200"));
    let text = metrics.text().unwrap();
    let mut table = String::from("| metric | type | labels | what |\n|---|---|---|---|\n");
    let mut help = String::new();
    let lines: Vec<&str> = text.lines().collect();
    for (number, line) in lines.iter().enumerate() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ').unwrap().1.to_owned();
        }
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            let sample = lines[number + 1];
            let labels = sample.split_once('{').map_or("", |(_, rest)| rest);
            let labels = labels.split('}').next().unwrap().split("\",");
            let labels: Vec<&str> = labels
                .filter_map(|label| label.split_once('=').map(|(name, _)| name))
                .filter(|name| *name != "le")
                .collect();
            let labels = labels.iter().map(|label| format!("`{label}`"));
            let labels = labels.collect::<Vec<_>>().join(", ");
            table.push_str(&format!("| `{name}` | {kind} | {labels} | {help} |\n"));
        }
    }
    table
}

fn made_has(page: &str, name: &str) -> bool {
    page.contains(&format!("| `{name}` |"))
}

/// Writes what is wrong and then fails, so that the next run passes.
#[test]
fn the_page_of_metrics_has_those_of_the_program() {
    const BEGIN: &str = "<!-- The table is made by a test. -->\n";
    const END: &str = "<!-- The table ends. -->\n";
    let path = root().join("docs/metrics.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let made = format!("{before}{BEGIN}\n{}\n{END}{after}", families());
    if made != page {
        std::fs::write(&path, made).unwrap();
        panic!("docs/metrics.md is written anew, commit it");
    }
    // A family without a sample is in no text: the names in the source tell whether one is forgotten above.
    let read = |file: &str| std::fs::read_to_string(root().join(file)).unwrap();
    let source = read("core/src/metrics.rs") + &read("core/src/metrics/control.rs");
    for name in source.split('"').skip(1).step_by(2) {
        let word = name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        if word && (name.starts_with("tiphys_") || name.starts_with("argo_events_")) {
            assert!(
                made_has(&page, name),
                "{name} is not in docs/metrics.md: touch it in families()"
            );
        }
    }
}
