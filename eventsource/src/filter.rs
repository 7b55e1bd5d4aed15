//! The condition that events of a source must meet. It sees the event data and nothing else.

use tiphys_core::Problems;
use tiphys_lang::Value;
use tiphys_lang::expr::{CompileError, EvalError, Program, environment};
use tiphys_lang::json::{self, JsonError};

/// A compiled condition.
pub(crate) struct Filter(Program);

/// Why a condition has no answer for an event.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FilterError {
    /// The event data is not JSON that it can see.
    #[error("cannot read the event data")]
    Json(#[source] JsonError),
    /// The event data has no members that it could name.
    #[error("the event data is not a JSON object")]
    NoObject,
    /// It fails on the values of this event.
    #[error("cannot evaluate filter.expression")]
    Eval(#[source] EvalError),
}

impl Filter {
    /// Reads an expression.
    pub(crate) fn compile(expression: &str) -> Result<Self, CompileError> {
        Program::compile(expression).map(Self)
    }

    /// Reports an expression that cannot be read.
    pub(crate) fn check(expression: &str, problems: &mut Problems) {
        if let Err(error) = Program::compile(expression) {
            let CompileError { what, line, column } = error;
            problems.error_inside(line, column, format!("must be an expression: {what}"));
        }
    }

    /// Whether the event goes on.
    pub(crate) fn passes(&self, data: &[u8]) -> Result<bool, FilterError> {
        let Value::Object(event) = json::parse(data).map_err(FilterError::Json)? else {
            return Err(FilterError::NoObject);
        };
        self.0
            .holds(&environment(&event))
            .map_err(FilterError::Eval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATA: &[u8] =
        br#"{"header":{"X-Foo":["bar"]},"body":{"id":4,"name":"John","a-b":1,"list":[1,2]}}"#;

    #[test]
    fn conditions_see_body_and_header() {
        for (expression, passes) in [
            ("body.id == 4", Some(true)),
            ("body.id == '4'", Some(false)),
            (
                "body['a-b'] == 1 && header['X-Foo'][0] == 'bar'",
                Some(true),
            ),
            ("body.nope == nil", Some(true)),
            ("body.nope.deep == 1", None),
            ("body.id", None),
            ("2 in body.list", Some(true)),
        ] {
            let filter = Filter::compile(expression).unwrap();
            assert_eq!(filter.passes(DATA).ok(), passes, "{expression}");
        }
        assert!(Filter::compile("body.id ==").is_err());
        let filter = Filter::compile("true").unwrap();
        assert!(matches!(filter.passes(b"[1]"), Err(FilterError::NoObject)));
        assert!(matches!(filter.passes(b"x"), Err(FilterError::Json(_))));
    }
}
