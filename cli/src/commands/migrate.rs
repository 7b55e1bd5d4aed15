//! `tiphys migrate check`: where objects of Argo Events will behave differently, with the reason and what to do.

mod left;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::{Api, Client};
use serde_json::json;
use tiphys_controller::check::API_VERSION;
use tiphys_controller::migrate::{self, Finding, Level};
use tiphys_core::manifest::Document;

use crate::{connect, files, output};

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
    /// Prints the commands that remove what the Sensors of Argo Events have left on their JetStream buses.
    ///
    /// It asks no bus and removes nothing. Run them when there is no way back any more.
    Leftovers(Where),
}

/// Which objects are read.
#[derive(Debug, Args)]
pub(crate) struct Where {
    /// YAML files, or folders of them; without any the cluster of the kubeconfig is read.
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// The namespace of the cluster that is read.
    #[arg(short, long, value_name = "NAMESPACE", conflicts_with = "paths")]
    pub namespace: Option<String>,
    /// All namespaces of the cluster.
    #[arg(short = 'A', long, conflicts_with_all = ["paths", "namespace"])]
    pub all_namespaces: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    pub place: Where,
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

/// What is looked at, with the plurals.
const KINDS: [(&str, &str); 3] = [
    ("EventBus", "eventbus"),
    ("EventSource", "eventsources"),
    ("Sensor", "sensors"),
];

/// An object and where it comes from.
struct Subject {
    /// The file; nothing for an object of the cluster.
    file: Option<String>,
    document: Document,
}

impl Subject {
    /// Whether it is of a kind that can be examined.
    fn is_ours(&self) -> bool {
        let document = &self.document;
        document.api_version() == API_VERSION
            && KINDS.iter().any(|(kind, _)| *kind == document.kind())
    }
}

/// Reports; exit code 1 where something stops.
pub(crate) async fn run(args: Migrate) -> anyhow::Result<ExitCode> {
    match args.command {
        MigrateCommand::Check(args) => check(args).await,
        MigrateCommand::Leftovers(place) => left::run(&place).await,
    }
}

/// The objects that are asked for, and how many files cannot be read.
struct Found {
    subjects: Vec<Subject>,
    /// Of other kinds.
    others: usize,
    unreadable: usize,
}

async fn find(place: &Where) -> anyhow::Result<Found> {
    let mut unreadable = 0;
    let all = if place.paths.is_empty() {
        live(place).await?
    } else {
        from_files(&place.paths, &mut unreadable)?
    };
    let count = all.len();
    let subjects: Vec<Subject> = all.into_iter().filter(Subject::is_ours).collect();
    anyhow::ensure!(
        !subjects.is_empty() || place.paths.is_empty() || unreadable > 0,
        "there is no EventBus, EventSource or Sensor in these files"
    );
    Ok(Found {
        others: count - subjects.len(),
        subjects,
        unreadable,
    })
}

async fn check(args: Check) -> anyhow::Result<ExitCode> {
    let Found {
        subjects,
        others,
        unreadable,
    } = find(&args.place).await?;
    let findings: Vec<(&Subject, Finding)> = subjects
        .iter()
        .flat_map(|subject| {
            let found = migrate::examine(&subject.document).into_iter();
            found.map(move |finding| (subject, finding))
        })
        .collect();
    print(&args, &findings)?;
    let count = |level| {
        let of = findings.iter();
        of.filter(|(_, one)| one.difference.level == level).count()
    };
    output::note(&summary(&args, &subjects, others, &findings));
    if !left::of(&subjects).is_empty() {
        output::note(
            "when the Sensors have moved for good, `tiphys migrate leftovers` names what Argo's leave on the bus",
        );
    }
    let failed = count(Level::Stops) + unreadable > 0 || (args.strict && count(Level::Differs) > 0);
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// How many objects can be moved as they are.
fn summary(
    args: &Check,
    subjects: &[Subject],
    others: usize,
    findings: &[(&Subject, Finding)],
) -> String {
    // By its worst finding.
    let mut worst: Vec<Option<Level>> = Vec::new();
    for subject in subjects {
        let own = findings.iter().filter(|(of, _)| std::ptr::eq(*of, subject));
        worst.push(own.map(|(_, finding)| finding.difference.level).min());
    }
    let of = |level| worst.iter().filter(|one| **one == Some(level)).count();
    let (stop, differ) = (of(Level::Stops), of(Level::Differs));
    let safer = findings.iter();
    let safer = safer.filter(|(_, one)| one.difference.level == Level::Safer);
    let mut text = plural(subjects.len(), "object");
    text.push_str(" looked at");
    if others > 0 {
        text.push_str(&format!(
            " (and {} of other kinds passed over)",
            plural(others, "object")
        ));
    }
    text.push_str(&format!(
        ": {stop} cannot run as written, {differ} will behave differently, {} can be moved as they are",
        subjects.len() - stop - differ
    ));
    match safer.count() {
        0 => {}
        _ if args.all => {}
        count => text.push_str(&format!(
            "; {} {} only safer than before (--all shows them)",
            plural(count, "place"),
            if count == 1 { "is" } else { "are" }
        )),
    }
    text
}

fn plural(number: usize, name: &str) -> String {
    if number == 1 {
        format!("1 {name}")
    } else {
        format!("{number} {name}s")
    }
}

/// The objects of files; those that are not YAML are told and counted.
fn from_files(paths: &[PathBuf], unreadable: &mut usize) -> anyhow::Result<Vec<Subject>> {
    let mut subjects = Vec::new();
    for loaded in files::load(paths)? {
        let file = loaded.path.display().to_string();
        match loaded.documents {
            Ok(documents) => subjects.extend(documents.into_iter().map(|document| Subject {
                file: Some(file.clone()),
                document,
            })),
            Err(error) => {
                *unreadable += 1;
                output::note(&format!("error: {file}: not YAML: {}", error.message));
            }
        }
    }
    Ok(subjects)
}

/// The objects of the cluster.
async fn live(args: &Where) -> anyhow::Result<Vec<Subject>> {
    let config = connect::cluster().await.context(
        "no files are named and no cluster is known: name files or folders, or set KUBECONFIG",
    )?;
    let server = config.cluster_url.to_string();
    let namespace = args.namespace.clone();
    let namespace = namespace.unwrap_or_else(|| config.default_namespace.clone());
    let place = if args.all_namespaces {
        "all namespaces".to_owned()
    } else {
        format!("namespace {namespace:?}")
    };
    let client = Client::try_from(config)?;
    let mut subjects = Vec::new();
    let mut missing = Vec::new();
    for (kind, plural) in KINDS {
        let resource = ApiResource {
            group: "argoproj.io".to_owned(),
            version: "v1alpha1".to_owned(),
            api_version: API_VERSION.to_owned(),
            kind: kind.to_owned(),
            plural: plural.to_owned(),
        };
        let api: Api<DynamicObject> = if args.all_namespaces {
            Api::all_with(client.clone(), &resource)
        } else {
            Api::namespaced_with(client.clone(), &namespace, &resource)
        };
        let list = match api.list(&ListParams::default()).await {
            Ok(list) => list,
            Err(kube::Error::Api(status)) if status.code == 404 => {
                missing.push(format!("{plural}.argoproj.io"));
                continue;
            }
            Err(error) => {
                let what = cannot_list(&error, &format!("{plural}.argoproj.io"), &place, &server);
                return Err(error).context(what);
            }
        };
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
    anyhow::ensure!(
        missing.len() < KINDS.len(),
        "the cluster at {server} has no EventBuses, EventSources and Sensors: their definitions are not installed there"
    );
    if !missing.is_empty() {
        output::note(&format!(
            "note: the cluster serves no {}",
            missing.join(" and no ")
        ));
    }
    if subjects.is_empty() {
        let everywhere = if args.all_namespaces {
            ""
        } else {
            "; -A looks everywhere"
        };
        output::note(&format!(
            "note: there is no EventBus, EventSource or Sensor in {place} of {server}{everywhere}"
        ));
    }
    Ok(subjects)
}

/// What somebody can do about it.
fn cannot_list(error: &kube::Error, what: &str, place: &str, server: &str) -> String {
    match error {
        kube::Error::Api(status) if status.code == 403 => format!(
            "cannot list {what} in {place}: you need the right to `list` them; -n NAMESPACE reads one namespace, and \
             files can be read instead"
        ),
        kube::Error::Api(status) if status.code == 401 => {
            format!("cannot list {what}: the cluster at {server} does not know you")
        }
        kube::Error::Api(_) => format!("cannot list {what} in {place}"),
        _ => format!("cannot reach the cluster at {server}"),
    }
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
