//! `tiphys rbac`: the Roles and bindings that the service accounts of Sensors and EventSources need, for `kubectl apply`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use kube::core::GroupVersionKind;
use kube::discovery::{Scope, pinned_kind};
use kube::{Client, Config};
use serde_json::{Value, json};
use tiphys_controller::rbac::{self, Options, Resource};
use tiphys_core::manifest::Document;

use crate::{files, output};

/// What is asked for.
#[derive(Debug, Args)]
pub(crate) struct Rbac {
    /// Files with Sensors and EventSources, or folders of them.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// The namespace of objects that name none.
    #[arg(short, long, default_value = "default", value_name = "NAMESPACE")]
    pub namespace: String,
    /// The account that gets the rights, instead of the one that each object names; for pooled hosting.
    #[arg(long, value_name = "[NAMESPACE/]NAME")]
    pub service_account: Option<String>,
    /// Asks the cluster of the kubeconfig for the plurals of kinds, instead of guessing them.
    #[arg(long)]
    pub discover: bool,
    /// How they are printed.
    #[arg(short, long, value_enum, default_value = "yaml")]
    pub output: RbacOutput,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RbacOutput {
    /// As YAML, one document an object.
    Yaml,
    /// As one JSON list.
    Json,
}

/// Prints the objects; what could not be known goes to standard error.
pub(crate) async fn run(args: &Rbac) -> anyhow::Result<ExitCode> {
    let mut documents: Vec<Document> = Vec::new();
    for loaded in files::load(&args.paths)? {
        let file = loaded.path.display().to_string();
        let read = loaded.documents;
        documents.extend(read.with_context(|| format!("{file} is not YAML"))?);
    }
    let found = if args.discover {
        discover(&documents).await?
    } else {
        Vec::new()
    };
    let lookup = |api_version: &str, kind: &str| {
        let mut known = found.iter();
        known
            .find(|((version, name), _)| version == api_version && name == kind)
            .map(|(_, resource)| resource.clone())
    };
    let account = args.service_account.as_ref().map(|text| {
        let (namespace, name) = text.split_once('/').unwrap_or((&args.namespace, text));
        (namespace.to_owned(), name.to_owned())
    });
    let options = Options {
        namespace: &args.namespace,
        account,
        lookup: &lookup,
    };
    let derived = rbac::derive(&documents, &options).map_err(anyhow::Error::msg)?;
    anyhow::ensure!(
        derived.looked_at > 0,
        "there is no Sensor and no EventSource in these files"
    );
    for note in &derived.notes {
        output::note(&format!("note: {note}"));
    }
    match args.output {
        RbacOutput::Yaml => {
            let texts: Result<Vec<_>, _> = derived.objects.iter().map(output::yaml).collect();
            output::print(&texts?.join("---\n"))?;
        }
        RbacOutput::Json => {
            let list = json!({ "apiVersion": "v1", "kind": "List", "items": derived.objects });
            output::line(&serde_json::to_string_pretty(&list)?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What the cluster serves of every kind that stands anywhere in the documents.
async fn discover(documents: &[Document]) -> anyhow::Result<Vec<((String, String), Resource)>> {
    let config = Config::infer().await.context(
        "--discover needs a cluster, and none is known: set KUBECONFIG, or leave --discover out",
    )?;
    let client = Client::try_from(config)?;
    let mut kinds = vec![("argoproj.io/v1alpha1".to_owned(), "Workflow".to_owned())];
    for document in documents {
        collect(&document.object, &mut kinds);
    }
    kinds.sort();
    kinds.dedup();
    let mut found = Vec::new();
    for (api_version, kind) in kinds {
        let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
        let gvk = GroupVersionKind::gvk(group, version, &kind);
        match pinned_kind(&client, &gvk).await {
            Ok((served, capabilities)) => {
                let resource = Resource {
                    group: served.group,
                    plural: served.plural,
                    namespaced: capabilities.scope == Scope::Namespaced,
                };
                found.push(((api_version, kind), resource));
            }
            Err(error) => {
                output::note(&format!(
                    "note: the cluster does not serve {kind} of {api_version} ({error}); its plural is guessed"
                ));
            }
        }
    }
    Ok(found)
}

/// Every object inside a value that says what it is.
fn collect(value: &Value, kinds: &mut Vec<(String, String)>) {
    match value {
        Value::Object(members) => {
            let text = |key: &str| members.get(key).and_then(Value::as_str);
            if let (Some(api_version), Some(kind)) = (text("apiVersion"), text("kind")) {
                kinds.push((api_version.to_owned(), kind.to_owned()));
            }
            for member in members.values() {
                collect(member, kinds);
            }
        }
        Value::Array(items) => {
            for item in items {
                collect(item, kinds);
            }
        }
        _ => {}
    }
}
