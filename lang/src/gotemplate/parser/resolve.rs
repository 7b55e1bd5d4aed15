//! Calls of templates, tied to what they call once all of a text is read.
//! It never fails: a call of a template that is not there is an error only when it is reached.

use crate::gotemplate::ast::{Node, Program};

/// Gives template calls the index of what they call.
pub(super) fn resolve(program: &mut Program) {
    // The text's own body is only reachable by the empty name, as the root is in Go.
    let names: Vec<Vec<u8>> = program
        .templates
        .iter()
        .map(|one| one.name.clone())
        .collect();
    for template in &mut program.templates {
        resolve_list(&mut template.body, &names);
    }
}

fn resolve_list(nodes: &mut [Node], names: &[Vec<u8>]) {
    for node in nodes {
        match node {
            Node::Template { name, index, .. } => {
                *index = names.iter().position(|known| known == name);
            }
            Node::If {
                branches,
                otherwise,
            }
            | Node::With {
                branches,
                otherwise,
            } => {
                for (_, body) in branches {
                    resolve_list(body, names);
                }
                resolve_list(otherwise.as_deref_mut().unwrap_or_default(), names);
            }
            Node::Range {
                body, otherwise, ..
            } => {
                resolve_list(body, names);
                resolve_list(otherwise.as_deref_mut().unwrap_or_default(), names);
            }
            Node::Text(_) | Node::Action(_) | Node::Break | Node::Continue => {}
        }
    }
}
