//! `tiphys test`: cases kept beside the Sensors, each run as a dry run. Nothing is sent and nothing is created.
//! Files end in `.test.yaml`; what they hold is told where they are read, in the sensor's `cases`.

mod junit;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tiphys_sensor::cases;

use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Test {
    /// Files that end in .test.yaml, or folders of them.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Only cases whose name holds this text.
    #[arg(long, value_name = "TEXT")]
    pub run: Option<String>,
    /// Writes the results as JUnit XML, too.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
}

/// What one case said.
struct Outcome {
    file: String,
    name: String,
    /// What is not as it must be; empty where all is well.
    failures: Vec<String>,
    took: Duration,
}

/// Runs the cases; fails where any does.
pub(crate) fn run(args: &Test) -> anyhow::Result<ExitCode> {
    let mut files = Vec::new();
    for path in &args.paths {
        let before = files.len();
        find(path, &mut files).with_context(|| format!("cannot read {}", path.display()))?;
        anyhow::ensure!(
            files.len() > before,
            "{}: no cases here; they are in files that end in .test.yaml",
            path.display()
        );
    }
    let mut outcomes = Vec::new();
    for file in &files {
        run_file(args, file, &mut outcomes)?;
    }
    let failed = outcomes
        .iter()
        .filter(|outcome| !outcome.failures.is_empty());
    let failed = failed.count();
    for outcome in &outcomes {
        let mark = if outcome.failures.is_empty() {
            "ok  "
        } else {
            "FAIL"
        };
        output::line(&format!("{mark} {}: {}", outcome.file, outcome.name))?;
        for failure in &outcome.failures {
            for line in failure.lines() {
                output::line(&format!("       {line}"))?;
            }
        }
    }
    output::line(&format!(
        "{} passed, {failed} failed",
        outcomes.len() - failed
    ))?;
    if let Some(path) = &args.junit {
        std::fs::write(path, junit::report(&outcomes))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    anyhow::ensure!(!outcomes.is_empty(), "no case is named so");
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Whether a file holds cases rather than objects.
pub(crate) fn is_cases(path: &Path) -> bool {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    name.is_some_and(|name| name.ends_with(".test.yaml") || name.ends_with(".test.yml"))
}

fn find(path: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if !std::fs::metadata(path)?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let entries = std::fs::read_dir(path)?;
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    for path in paths {
        let hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        let folder = path.is_dir() && !path.is_symlink();
        if !hidden && (folder || is_cases(&path)) {
            find(&path, files)?;
        }
    }
    Ok(())
}

fn run_file(args: &Test, path: &Path, outcomes: &mut Vec<Outcome>) -> anyhow::Result<()> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let suites = match cases::suites(&text) {
        Ok(suites) => suites,
        Err(error) => {
            outcomes.push(Outcome {
                file: shown,
                name: "the file can be read".to_owned(),
                failures: vec![error.to_string()],
                took: Duration::ZERO,
            });
            return Ok(());
        }
    };
    for suite in &suites {
        for case in &suite.cases {
            if args
                .run
                .as_ref()
                .is_some_and(|text| !case.name.contains(text))
            {
                continue;
            }
            let begun = Instant::now();
            let failures = case.run(suite, folder);
            outcomes.push(Outcome {
                file: shown.clone(),
                name: case.name.clone(),
                failures: failures.unwrap_or_else(|error| vec![error.to_string()]),
                took: begun.elapsed(),
            });
        }
    }
    Ok(())
}
