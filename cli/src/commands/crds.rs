//! `tiphys crds`: the definitions of EventBus, EventSource and Sensor, for `kubectl apply -f -`.

use crate::args::{Crds, CrdsOutput};
use crate::output;

/// Prints the definitions.
pub(crate) fn run(args: &Crds) -> anyhow::Result<()> {
    let definitions = tiphys_controller::crds::definitions()?;
    match args.output {
        CrdsOutput::Yaml => {
            let documents: Result<Vec<_>, _> = definitions.iter().map(output::yaml).collect();
            output::print(&documents?.join("---\n"))?;
        }
        CrdsOutput::Json => {
            let list =
                serde_json::json!({ "apiVersion": "v1", "kind": "List", "items": definitions });
            output::line(&serde_json::to_string_pretty(&list)?)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Writes what is wrong and then fails, so that the next run passes.
    #[test]
    fn the_manifests_hold_the_definitions() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/crds");
        let mut written = Vec::new();
        for definition in tiphys_controller::crds::definitions().unwrap() {
            let name = definition["metadata"]["name"].as_str().unwrap();
            let path = folder.join(format!("{}.yaml", name.split('.').next().unwrap()));
            let text = format!(
                "# Printed by `tiphys crds`; a test keeps this file in step with the types.\n{}",
                output::yaml(&definition).unwrap()
            );
            if std::fs::read_to_string(&path).ok().as_deref() != Some(text.as_str()) {
                std::fs::create_dir_all(&folder).unwrap();
                std::fs::write(&path, text).unwrap();
                written.push(path);
            }
        }
        assert!(written.is_empty(), "written anew, commit them: {written:?}");
    }
}
