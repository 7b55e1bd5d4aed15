//! `tiphys rbac`: the Roles and bindings that the service accounts of Sensors and EventSources need, for `kubectl apply`.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use kube::Client;
use kube::core::GroupVersionKind;
use kube::discovery::{Scope, pinned_kind};
use serde_json::json;
use tiphys_controller::rbac::{self, Lookup, Options, Resource};
use tiphys_core::manifest::Document;

use crate::{connect, files, output};

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

/// Prints the objects; what could not be known goes to standard error. Exit code 1 where an object is wrong, after what
/// the others need.
pub(crate) async fn run(args: &Rbac) -> anyhow::Result<ExitCode> {
    let mut documents: Vec<Document> = Vec::new();
    for loaded in files::load(&args.paths)? {
        let file = loaded.path.display().to_string();
        let read = loaded.documents;
        documents.extend(read.with_context(|| format!("{file} is not YAML"))?);
    }
    let account = args.service_account.as_ref().map(|text| {
        let (namespace, name) = text.split_once('/').unwrap_or((&args.namespace, text));
        (namespace.to_owned(), name.to_owned())
    });
    let derive = |lookup: Lookup<'_>| {
        let options = Options {
            namespace: &args.namespace,
            account: account.clone(),
            lookup,
        };
        rbac::derive(&documents, &options)
    };
    let asked = RefCell::new(BTreeSet::new());
    let mut derived = derive(&|api_version, kind| {
        let kind = (api_version.to_owned(), kind.to_owned());
        asked.borrow_mut().insert(kind);
        None
    });
    anyhow::ensure!(
        derived.looked_at > 0,
        "there is no Sensor and no EventSource in these files"
    );
    if args.discover {
        let found = discover(asked.into_inner()).await?;
        derived = derive(&|api_version, kind| {
            let kind = (api_version.to_owned(), kind.to_owned());
            found.get(&kind).cloned()
        });
    }
    for note in &derived.notes {
        output::note(&format!("note: {note}"));
    }
    match derived.without.as_slice() {
        [] => {}
        [one] => output::note(&format!("note: {one} needs no rights")),
        several => output::note(&format!("note: {} objects need no rights", several.len())),
    }
    for wrong in &derived.wrong {
        output::note(&format!("error: {wrong}"));
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
    Ok(if derived.wrong.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What the cluster serves of these kinds.
async fn discover(
    kinds: BTreeSet<(String, String)>,
) -> anyhow::Result<BTreeMap<(String, String), Resource>> {
    let config = connect::cluster().await.context(
        "--discover needs a cluster, and none is known: set KUBECONFIG, or leave --discover out",
    )?;
    let server = config.cluster_url.to_string();
    let client = Client::try_from(config)?;
    let mut found = BTreeMap::new();
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
                found.insert((api_version, kind), resource);
            }
            Err(error) if is_unserved(&error) => {
                output::note(&format!(
                    "note: the cluster does not serve {kind} of {api_version}; its plural is guessed"
                ));
            }
            Err(error) => {
                let right = is_forbidden(&error).then(|| {
                    let path = if group.is_empty() { "/api" } else { "/apis" };
                    format!(": you need the right to `get` {path}/{api_version}, which the ClusterRole system:discovery gives")
                });
                let right = right.unwrap_or_default();
                return Err(error).with_context(|| {
                    format!("cannot ask the cluster at {server} for {kind} of {api_version}{right}; without --discover plurals are guessed")
                });
            }
        }
    }
    Ok(found)
}

fn is_forbidden(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 403)
}

/// Whether an error means that there is no such kind, and not that nobody could say.
fn is_unserved(error: &kube::Error) -> bool {
    match error {
        kube::Error::Discovery(_) => true,
        kube::Error::Api(status) => status.code == 404,
        _ => false,
    }
}
