//! `tiphys get`: Workflows as `argo get` prints them.

use jiff::Timestamp;
use serde_json::Value;
use tiphys_workflow::operations::NodeSelector;
use tiphys_workflow::tree::{self, Columns, Shown};

use crate::args::{Get, Tree, View};
use crate::commands::operator::{connect, explained, show, typed};
use crate::output;

/// Prints the Workflows.
pub(crate) async fn run(args: &Get) -> anyhow::Result<()> {
    let (_, operator) = connect(&args.api).await?;
    for name in &args.workflows {
        let object = operator.get(name).await.map_err(explained)?;
        show(&object, args.output, &args.tree)?;
    }
    Ok(())
}

/// The header and the tree of a Workflow, in colours where the terminal has them.
pub(crate) fn picture(object: &Value, view: Option<View>, shown: &Tree) -> anyhow::Result<String> {
    let workflow = typed(object)?;
    let selector = shown.node_field_selector.as_deref().unwrap_or_default();
    let how = Shown {
        columns: match view {
            Some(View::Wide) => Columns::Wide,
            Some(View::Short) => Columns::Short,
            _ => Columns::Usual,
        },
        status: shown.status.clone(),
        nodes: NodeSelector::parse(selector)?,
        letters: shown.no_utf8,
    };
    let text = tree::picture(&workflow, Timestamp::now(), &how);
    Ok(if shown.no_color {
        text
    } else {
        output::coloured(&text)
    })
}
