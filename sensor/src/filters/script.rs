//! `filters.script`: a Lua script that says whether an event counts.

use super::{Report, Verdict};
use crate::document::Input;
use crate::transform::{Script, compile_script, object_of};

/// A compiled script filter.
#[derive(Debug)]
pub(super) struct Filter {
    script: Result<Script, String>,
}

impl Filter {
    pub(super) fn new(text: &str) -> Self {
        Self {
            script: compile_script(text).map_err(|flaw| flaw.to_string()),
        }
    }

    /// Whether the script returns the boolean true.
    pub(super) fn evaluate(&self, input: &Input, report: &mut Report) -> Verdict {
        let verdict = match self.holds(input) {
            Ok(holds) => Verdict::from_bool(holds),
            Err(error) => Verdict::Failed(format!("script filter error ({error})")),
        };
        report.add(&verdict, || {
            (
                "filters.script".into(),
                "true".into(),
                "something else".into(),
            )
        });
        verdict
    }

    fn holds(&self, input: &Input) -> Result<bool, String> {
        let script = self.script.as_ref().map_err(Clone::clone)?;
        let Some(json) = input.json().map_err(|error| error.to_string())? else {
            return Ok(true);
        };
        script.holds(&object_of(json)?)
    }
}
