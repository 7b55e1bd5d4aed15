//! The variables that a place in a template can see, with their slots.
//! It never gives two variables that live at once the same slot.

use crate::gotemplate::ast::Variable;

/// The variables of one template while it is parsed.
#[derive(Default)]
pub(super) struct Scope {
    pub(super) variables: Vec<Variable>,
    pub(super) next_slot: usize,
    pub(super) slots: usize,
    /// Loops around the current place.
    pub(super) loops: usize,
}

impl Scope {
    pub(super) fn new() -> Self {
        let root = Variable {
            name: "$".into(),
            slot: Some(0),
        };
        Self {
            variables: vec![root],
            next_slot: 1,
            slots: 1,
            loops: 0,
        }
    }

    pub(super) fn find(&self, name: &str) -> Option<&Variable> {
        let mut named = self
            .variables
            .iter()
            .rev()
            .filter(|variable| *variable.name == *name);
        let last = named.next()?;
        if last.slot.is_some() {
            return Some(last);
        }
        // An assignment made the name known; its slot is that of the declaration, if any.
        Some(
            named
                .find(|variable| variable.slot.is_some())
                .unwrap_or(last),
        )
    }

    pub(super) fn declare(&mut self, name: &str) -> Variable {
        let variable = Variable {
            name: name.into(),
            slot: Some(self.next_slot),
        };
        self.next_slot += 1;
        self.slots = self.slots.max(self.next_slot);
        self.variables.push(variable.clone());
        variable
    }

    pub(super) fn mark(&self) -> (usize, usize) {
        (self.variables.len(), self.next_slot)
    }

    pub(super) fn back_to(&mut self, (variables, next_slot): (usize, usize)) {
        self.variables.truncate(variables);
        self.next_slot = next_slot;
    }
}
