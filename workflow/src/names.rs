//! Names and ids of nodes and pods, as Argo makes them (reference `workflow-engine.md`, section 2.1). Pure.

/// The id of a node: the workflow's own name for the root, else the workflow's name and a hash of the node's name.
#[must_use]
pub fn node_id(workflow: &str, node: &str) -> String {
    if workflow == node {
        workflow.to_owned()
    } else {
        format!("{workflow}-{}", fnv32a(node))
    }
}

/// The name of the pod that runs a leaf, in Argo's second format.
#[must_use]
pub fn pod_name(workflow: &str, node: &str, template: &str) -> String {
    if workflow == node {
        return workflow.to_owned();
    }
    let hash = fnv32a(node).to_string();
    let mut prefix = if template.is_empty() {
        workflow.to_owned()
    } else {
        format!("{workflow}-{template}")
    };
    // A pod's name has at most 253 characters, eleven of them for the longest hash.
    let mut room = prefix.len().min(242);
    while !prefix.is_char_boundary(room) {
        room -= 1;
    }
    prefix.truncate(room);
    format!("{prefix}-{hash}")
}

fn fnv32a(text: &str) -> u32 {
    text.bytes().fold(2_166_136_261, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(16_777_619)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_argos() {
        for (workflow, node, hash) in [
            ("steps-z2zdn", "steps-z2zdn[0].hello1", "27420706"),
            ("steps-z2zdn", "steps-z2zdn[1].hello2a", "2006760091"),
            ("steps-z2zdn", "steps-z2zdn[0]", "108230077"),
            ("status-workflow", "status-workflow.whalesay", "261193263"),
            (
                "loops-abcde",
                "loops-abcde[0].print(0:hello world)",
                "826629674",
            ),
        ] {
            assert_eq!(node_id(workflow, node), format!("{workflow}-{hash}"));
        }
        assert_eq!(node_id("wf", "wf"), "wf");
        assert_eq!(
            pod_name("steps-z2zdn", "steps-z2zdn[0].hello1", "whalesay"),
            "steps-z2zdn-whalesay-27420706"
        );
    }
}
