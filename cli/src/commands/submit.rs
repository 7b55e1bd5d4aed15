//! `tiphys submit`: creates Workflows from files, standard input, URLs, templates and schedules, as `argo submit` does.

use std::io::Read as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use rand::Rng as _;
use serde_json::Value;
use tiphys_core::{Problems, manifest};
use tiphys_workflow::Workflow;
use tiphys_workflow::operations::{
    Create, Draft, Operator, Origin, SubmitOptions, label_pairs, parameters_of_file, time,
};

use crate::args::{Submit, View};
use crate::commands::operator::{connect, explained, follow, name, operator, parameters, show};
use crate::output;

/// What a generated name ends with: Kubernetes' letters and digits.
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// How long a URL may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Creates the Workflows, and waits or watches where that is asked for.
pub(crate) async fn run(args: &Submit) -> anyhow::Result<ExitCode> {
    if (args.dry_run || args.server_dry_run)
        && (args.after.wait || args.after.watch || args.after.logs())
    {
        anyhow::bail!(
            "--wait, --watch and --log need a Workflow that is created, which a dry run does not do"
        );
    }
    if (args.after.watch || args.after.logs())
        && matches!(args.output, Some(View::Json | View::Yaml))
    {
        anyhow::bail!("--watch and --log print for people; leave --output json and yaml out");
    }
    let options = options(args).await?;
    let (connection, own) = if args.dry_run && args.from.is_none() {
        // Nothing is asked of the API.
        return dry_run(args, &options).await;
    } else {
        connect(&args.api).await?
    };
    let mut drafts = match &args.from {
        Some(from) => vec![from_origin(&own, from).await?],
        None => read_all(&args.files).await?,
    };
    if drafts.len() > 1 && (args.after.watch || args.after.logs()) {
        anyhow::bail!("cannot watch more than one workflow; use --wait");
    }
    let how = Create {
        dry_run: args.server_dry_run,
        strict: args.strict,
    };
    let mut names = Vec::new();
    let mut place = own;
    for draft in &mut drafts {
        draft.apply(&options)?;
        if !draft.namespace().is_empty()
            && args.api.namespace.is_none()
            && draft.namespace() != place.namespace()
        {
            place = operator(&connection.client, draft.namespace(), &args.api).await;
        }
        draft.set_metadata("namespace", place.namespace());
        place.sign(draft);
        if args.dry_run {
            print(draft, args)?;
            continue;
        }
        let created = place.create(draft, how).await.map_err(explained)?;
        show(&created, args.output, &args.tree)?;
        names.push(name(&created).to_owned());
    }
    let quiet = args.output.is_some();
    let well = follow(&connection, &place, &args.after, &names, quiet).await?;
    Ok(if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn dry_run(args: &Submit, options: &SubmitOptions) -> anyhow::Result<ExitCode> {
    for draft in &mut read_all(&args.files).await? {
        draft.apply(options)?;
        if let Some(namespace) = &args.api.namespace {
            draft.set_metadata("namespace", namespace);
        }
        draft.check()?;
        print(draft, args)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print(draft: &Draft, args: &Submit) -> anyhow::Result<()> {
    let object: Value = serde_json::from_slice(&draft.to_json()?)?;
    show(&object, args.output, &args.tree)
}

async fn options(args: &Submit) -> anyhow::Result<SubmitOptions> {
    let pairs = |given: &[String]| -> anyhow::Result<Vec<(String, String)>> {
        let pairs = given.iter().map(|text| label_pairs(text));
        Ok(pairs.collect::<Result<Vec<_>, _>>()?.concat())
    };
    if let Some(given) = &args.scheduled_time {
        time(given)?;
    }
    let mut all = parameters(&args.parameters)?;
    for file in &args.parameter_files {
        let text = read(file).await?;
        for parameter in parameters_of_file(file, &text)? {
            if !all.iter().any(|known| known.name == parameter.name) {
                all.push(parameter);
            }
        }
    }
    Ok(SubmitOptions {
        name: args.name.clone(),
        generate_name: args.generate_name.clone(),
        entrypoint: args.entrypoint.clone(),
        service_account: args.serviceaccount.clone(),
        labels: pairs(&args.labels)?,
        annotations: pairs(&args.annotations)?,
        parameters: all,
        priority: args.priority,
        scheduled_time: args.scheduled_time.clone(),
    })
}

async fn from_origin(operator: &Operator, from: &str) -> anyhow::Result<Draft> {
    let Some((kind, name)) = from.split_once('/').filter(|(_, name)| !name.is_empty()) else {
        anyhow::bail!("--from must be KIND/NAME, as workflowtemplate/hello, not {from:?}");
    };
    operator
        .draft_from(Origin::parse(kind)?, name)
        .await
        .map_err(explained)
}

/// The Workflows of all files. Objects of other kinds are left out, with a note.
async fn read_all(files: &[String]) -> anyhow::Result<Vec<Draft>> {
    let mut drafts = Vec::new();
    for file in files {
        let text = read(file).await?;
        let documents = manifest::parse(&text).map_err(|error| match error.position {
            Some(at) => anyhow::anyhow!("{file}:{}:{}: {error}", at.line, at.column),
            None => anyhow::anyhow!("{file}: {error}"),
        })?;
        // JSON is taken as it is, digit by digit.
        let alone = documents.len() == 1 && text.trim_start().starts_with('{');
        for document in documents {
            if document.kind() != "Workflow" {
                output::note(&format!(
                    "{file}: {} {:?} is no Workflow and is left out",
                    if document.kind().is_empty() {
                        "an object without kind"
                    } else {
                        document.kind()
                    },
                    document.name()
                ));
                continue;
            }
            // Before anything is made of it: not every API looks at the fields of a Workflow.
            let mut problems = Problems::default();
            document.typed::<Workflow>(&mut problems);
            anyhow::ensure!(!problems.has_errors(), "{file}: {}", problems.errors());
            let json = if alone && serde_json::from_str::<Value>(&text).is_ok() {
                text.clone()
            } else {
                document.object.to_string()
            };
            drafts.push(
                Draft::parse(json.as_bytes()).with_context(|| format!("cannot read {file}"))?,
            );
        }
    }
    anyhow::ensure!(!drafts.is_empty(), "No Workflow found in given files");
    Ok(drafts)
}

async fn read(file: &str) -> anyhow::Result<String> {
    if file == "-" {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .context("cannot read standard input")?;
        return Ok(text);
    }
    if file.starts_with("http://") || file.starts_with("https://") {
        let client = reqwest::Client::builder().timeout(PATIENCE).build()?;
        let answer = client.get(file).send().await;
        let answer = answer.and_then(reqwest::Response::error_for_status);
        let text = answer
            .with_context(|| format!("cannot read {file}"))?
            .text()
            .await;
        return text.with_context(|| format!("cannot read {file}"));
    }
    std::fs::read_to_string(file).with_context(|| format!("cannot read {file}"))
}

/// A name for `generateName`, as the API server makes one.
pub(crate) fn random_name(prefix: &str) -> String {
    let mut random = rand::rng();
    let letters = (0..5).filter_map(|_| LETTERS.get(random.random_range(0..LETTERS.len())));
    let end: String = letters.map(|byte| char::from(*byte)).collect();
    let prefix: String = prefix.chars().take(58).collect();
    format!("{prefix}{end}")
}
