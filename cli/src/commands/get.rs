//! `tiphys get`: one Workflow as `argo get` prints it.

use jiff::Timestamp;
use kube::{Api, ResourceExt as _};
use tiphys_workflow::{Workflow, tree};

use crate::args::Get;
use crate::connect;
use crate::output::{self, Format};

/// Prints the Workflow.
pub(crate) async fn run(args: &Get) -> anyhow::Result<()> {
    let connection = connect::connect(&args.api).await?;
    let api = Api::<Workflow>::namespaced(connection.client, &connection.namespace);
    let workflow = find(&api, &args.workflow, &connection.namespace).await?;
    match args.output {
        Some(Format::Json) => output::line(&serde_json::to_string_pretty(&workflow)?)?,
        Some(Format::Yaml) => output::print(&output::yaml(&workflow)?)?,
        Some(Format::Name) => output::line(&workflow.name_any())?,
        Some(Format::Wide) | None => output::print(&tree::describe(&workflow, Timestamp::now()))?,
    }
    Ok(())
}

/// The Workflow of that name, or the newest for `@latest`.
pub(crate) async fn find(
    api: &Api<Workflow>,
    name: &str,
    namespace: &str,
) -> anyhow::Result<Workflow> {
    if name == "@latest" {
        let all = api.list(&kube::api::ListParams::default()).await?.items;
        let newest = all.into_iter().max_by_key(Workflow::creation_timestamp);
        return newest.ok_or_else(|| anyhow::anyhow!("no workflows in namespace {namespace:?}"));
    }
    let found = api.get_opt(name).await?;
    found.ok_or_else(|| {
        anyhow::anyhow!("no workflow {name:?} in namespace {namespace:?}; `tiphys list -A` shows all, -n chooses the namespace")
    })
}
