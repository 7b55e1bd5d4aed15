//! `tiphys migrate check`: where objects of Argo Events will behave differently, with the reason and what to do.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::{Api, Client, Config};
use serde_json::json;
use tiphys_controller::migrate::{self, Finding, Level};
use tiphys_core::manifest::Document;

use crate::{files, output};

/// What is asked for.
#[derive(Debug, Args)]
pub(crate) struct Migrate {
    #[command(subcommand)]
    pub command: MigrateCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MigrateCommand {
    /// Reports what will behave differently in Tiphys: in files, or in a namespace of the cluster.
    ///
    /// Exit code 1 where something stops an object from running.
    Check(Check),
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// YAML files, or folders of them; without any the cluster of the kubeconfig is read.
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// The namespace of the cluster that is read.
    #[arg(short, long, value_name = "NAMESPACE", conflicts_with = "paths")]
    pub namespace: Option<String>,
    /// All namespaces of the cluster.
    #[arg(short = 'A', long, conflicts_with_all = ["paths", "namespace"])]
    pub all_namespaces: bool,
    /// Also what is only safer than before.
    #[arg(long)]
    pub all: bool,
    /// Exit code 1 also where something only differs.
    #[arg(long)]
    pub strict: bool,
    /// As JSON, for programs: one object a finding.
    #[arg(short, long, value_enum)]
    pub output: Option<CheckOutput>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum CheckOutput {
    /// One object a finding.
    Json,
}

/// An object and where it comes from.
struct Subject {
    /// The file; nothing for an object of the cluster.
    file: Option<String>,
    document: Document,
}

/// Reports; exit code 1 where something stops.
pub(crate) async fn run(args: Migrate) -> anyhow::Result<ExitCode> {
    let MigrateCommand::Check(args) = args.command;
    let mut unreadable = 0;
    let subjects = if args.paths.is_empty() {
        live(&args).await?
    } else {
        let mut subjects = Vec::new();
        for loaded in files::load(&args.paths)? {
            let file = loaded.path.display().to_string();
            match loaded.documents {
                Ok(documents) => subjects.extend(documents.into_iter().map(|document| Subject {
                    file: Some(file.clone()),
                    document,
                })),
                Err(error) => {
                    unreadable += 1;
                    output::note(&format!("error: {file}: not YAML: {}", error.message));
                }
            }
        }
        subjects
    };
    let findings: Vec<(&Subject, Finding)> = subjects
        .iter()
        .flat_map(|subject| {
            let found = migrate::examine(&subject.document).into_iter();
            found.map(move |finding| (subject, finding))
        })
        .collect();
    let count = |level| {
        let of = findings
            .iter()
            .filter(|(_, one)| one.difference.level == level);
        of.count()
    };
    let [stops, differs, safer] = [Level::Stops, Level::Differs, Level::Safer].map(count);
    print(&args, &findings)?;
    let hidden = if args.all || safer == 0 {
        ""
    } else {
        " (--all shows them)"
    };
    output::note(&format!(
        "{} looked at: {} from running, {} differ, {} only safer{hidden}",
        plural(subjects.len(), "object"),
        if stops == 1 {
            "1 place stops one".to_owned()
        } else {
            format!("{stops} places stop them")
        },
        plural(differs, "place"),
        plural(safer, "place"),
    ));
    let failed = stops + unreadable > 0 || (args.strict && differs > 0);
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn plural(number: usize, name: &str) -> String {
    if number == 1 {
        format!("1 {name}")
    } else {
        format!("{number} {name}s")
    }
}

/// The objects of the cluster.
async fn live(args: &Check) -> anyhow::Result<Vec<Subject>> {
    let config = Config::infer().await.context(
        "no files are named and no cluster is known: name files or folders, or set KUBECONFIG",
    )?;
    let namespace = args.namespace.clone();
    let namespace = namespace.unwrap_or_else(|| config.default_namespace.clone());
    let client = Client::try_from(config)?;
    let mut subjects = Vec::new();
    for (kind, plural) in [
        ("EventBus", "eventbus"),
        ("EventSource", "eventsources"),
        ("Sensor", "sensors"),
    ] {
        let resource = ApiResource {
            group: "argoproj.io".to_owned(),
            version: "v1alpha1".to_owned(),
            api_version: "argoproj.io/v1alpha1".to_owned(),
            kind: kind.to_owned(),
            plural: plural.to_owned(),
        };
        let api: Api<DynamicObject> = if args.all_namespaces {
            Api::all_with(client.clone(), &resource)
        } else {
            Api::namespaced_with(client.clone(), &namespace, &resource)
        };
        let list = api.list(&ListParams::default()).await;
        let list = list.with_context(|| format!("cannot list {plural}.argoproj.io"))?;
        for mut object in list.items {
            // What an API server leaves out of the items of a list.
            object.types = Some(kube::api::TypeMeta {
                api_version: resource.api_version.clone(),
                kind: kind.to_owned(),
            });
            subjects.push(Subject {
                file: None,
                document: Document::from_object(serde_json::to_value(object)?),
            });
        }
    }
    Ok(subjects)
}

fn print(args: &Check, findings: &[(&Subject, Finding)]) -> anyhow::Result<()> {
    let shown = |finding: &Finding| args.all || finding.difference.level != Level::Safer;
    if args.output.is_some() {
        for (subject, finding) in findings.iter().filter(|(_, finding)| shown(finding)) {
            output::line(&json(subject, finding).to_string())?;
        }
        return Ok(());
    }
    let mut order: Vec<_> = migrate::sections()
        .iter()
        .flat_map(|section| section.rows)
        .collect();
    order.sort_by_key(|row| row.level);
    for row in order {
        let here: Vec<_> = findings
            .iter()
            .filter(|(_, finding)| finding.difference.id == row.id && shown(finding))
            .collect();
        if here.is_empty() {
            continue;
        }
        let mut text = format!(
            "{} [{}], {}\n",
            row.level.as_str(),
            row.id,
            plural(here.len(), "place")
        );
        for (name, said) in [
            ("Argo Events", row.argo),
            ("Tiphys", row.tiphys),
            ("why", row.why),
            ("do", row.remedy),
        ] {
            if !said.is_empty() {
                text.push_str(&format!("    {name}: {said}\n"));
            }
        }
        for (subject, finding) in here {
            text.push_str(&format!("  {}\n", place(subject, finding)));
        }
        output::line(&text)?;
    }
    Ok(())
}

/// `file:line:column: Kind namespace/name: path: detail`.
fn place(subject: &Subject, finding: &Finding) -> String {
    let document = &subject.document;
    let mut text = String::new();
    if let Some(file) = &subject.file {
        text.push_str(file);
        if let Some(at) = document.position(&finding.path) {
            text.push_str(&format!(":{}:{}", at.line, at.column));
        }
        text.push_str(": ");
    }
    text.push_str(document.kind());
    text.push(' ');
    if !document.namespace().is_empty() {
        text.push_str(document.namespace());
        text.push('/');
    }
    text.push_str(document.name());
    text.push_str(&format!(": {}", finding.path));
    if !finding.detail.is_empty() {
        text.push_str(&format!(": {}", finding.detail));
    }
    text
}

fn json(subject: &Subject, finding: &Finding) -> serde_json::Value {
    let document = &subject.document;
    let row = finding.difference;
    let position = document.position(&finding.path);
    let position = position.filter(|_| subject.file.is_some());
    json!({
        "id": row.id,
        "level": row.level.as_str(),
        "file": subject.file,
        "line": position.map(|at| at.line),
        "column": position.map(|at| at.column),
        "kind": document.kind(),
        "namespace": document.namespace(),
        "name": document.name(),
        "path": finding.path.to_string(),
        "detail": finding.detail,
        "argo": row.argo,
        "tiphys": row.tiphys,
        "why": row.why,
        "remedy": row.remedy,
    })
}
