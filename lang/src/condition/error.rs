//! Why a text is no condition, in words that tell what to write instead.
//! It never decides anything: the parser does.

/// Why a condition does not compile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    /// A name that is no dependency of the sensor.
    #[error("{name:?} at byte {offset} is not a dependency of this sensor{}", hint(suggestion.as_deref()))]
    Unknown {
        /// The name as written.
        name: String,
        /// Bytes from the start of the text.
        offset: usize,
        /// The dependency that looks most like it.
        suggestion: Option<String>,
    },
    /// Something that is neither a name, `&&`, `||` nor a parenthesis, or one of these out of place.
    #[error(
        "{what} at byte {offset}: a condition is dependency names joined by `&&`, `||` and parentheses"
    )]
    Syntax {
        /// What was found or missing.
        what: String,
        /// Bytes from the start of the text.
        offset: usize,
    },
    /// More parentheses inside each other than any condition needs.
    #[error("parentheses nested more than {limit} deep at byte {offset}")]
    TooDeep {
        /// The limit.
        limit: usize,
        /// Bytes from the start of the text.
        offset: usize,
    },
}

impl ConditionError {
    /// Bytes from the start of the text to the place of the problem.
    #[must_use]
    pub fn offset(&self) -> usize {
        match self {
            Self::Unknown { offset, .. }
            | Self::Syntax { offset, .. }
            | Self::TooDeep { offset, .. } => *offset,
        }
    }
}

fn hint(suggestion: Option<&str>) -> String {
    suggestion
        .map(|name| format!(", did you mean {name:?}?"))
        .unwrap_or_default()
}
