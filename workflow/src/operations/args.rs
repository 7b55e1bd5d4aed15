//! The `args` of an `argoWorkflow` trigger: the flags that the `argo` program takes, as a typed value. Pure.

mod flags;

use flags::{Does, Flag, flags, known};

use super::{
    NodeSelector, OperationError, ResubmitOptions, RetryOptions, Selection, SubmitOptions,
    label_pairs, parameter, time,
};

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Creates the Workflow.
    Submit,
    /// Creates a Workflow from a template or a schedule.
    SubmitFrom,
    /// Creates a Workflow like one that has been.
    Resubmit,
    /// Lets a Workflow go on from what went wrong.
    Retry,
    /// Lets a suspended Workflow go on.
    Resume,
    /// Holds a Workflow.
    Suspend,
    /// Ends a Workflow; exit handlers run.
    Stop,
    /// Ends a Workflow at once.
    Terminate,
}

impl Verb {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Submit,
        Self::SubmitFrom,
        Self::Resubmit,
        Self::Retry,
        Self::Resume,
        Self::Suspend,
        Self::Stop,
        Self::Terminate,
    ];

    /// The word in `operation`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Submit => "submit",
            Self::SubmitFrom => "submit-from",
            Self::Resubmit => "resubmit",
            Self::Retry => "retry",
            Self::Resume => "resume",
            Self::Suspend => "suspend",
            Self::Stop => "stop",
            Self::Terminate => "terminate",
        }
    }

    /// The verb of an `operation`; empty means submit.
    #[must_use]
    pub fn parse(operation: &str) -> Option<Self> {
        if operation.is_empty() {
            return Some(Self::Submit);
        }
        Self::ALL
            .into_iter()
            .find(|verb| verb.as_str() == operation)
    }
}

/// What is wrong with one of the args.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgProblem {
    /// Which of them.
    pub index: usize,
    /// What must hold, with the flag's name.
    pub message: String,
}

/// The flags of all verbs; what a verb does not take is not set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationArgs {
    /// Further Workflows, by name.
    pub names: Vec<String>,
    /// `-n`: instead of the object's namespace.
    pub namespace: Option<String>,
    /// `--instanceid`.
    pub instance_id: String,
    /// `-l`, `--field-selector`: Workflows by what they are.
    pub selection: Selection,
    /// What a submission changes; parameters of resubmit and retry too.
    pub submit: SubmitOptions,
    /// `-f`: files or URLs of parameters.
    pub parameter_files: Vec<String>,
    /// `--memoized`.
    pub memoized: bool,
    /// `--restart-successful`.
    pub restart_successful: bool,
    /// `--node-field-selector`.
    pub nodes: Option<NodeSelector>,
    /// `--message`.
    pub message: String,
    /// `-w`: done when the Workflow has ended, and well only if it has succeeded.
    pub wait: bool,
    /// `--strict`: fields that a Workflow does not have are refused.
    pub strict: bool,
    /// Flags that were given and change nothing here.
    pub without_effect: Vec<String>,
}

impl Default for OperationArgs {
    fn default() -> Self {
        Self {
            names: Vec::new(),
            namespace: None,
            instance_id: String::new(),
            selection: Selection::default(),
            submit: SubmitOptions::default(),
            parameter_files: Vec::new(),
            memoized: false,
            restart_successful: false,
            nodes: None,
            message: String::new(),
            wait: false,
            strict: true,
            without_effect: Vec::new(),
        }
    }
}

impl OperationArgs {
    /// Reads args as the `argo` program would; what is wrong with each is told and the others are read on.
    #[must_use]
    pub fn parse(verb: Verb, args: &[String]) -> (Self, Vec<ArgProblem>) {
        let mut parser = Parser {
            verb,
            args,
            at: 0,
            read: Self::default(),
            problems: Vec::new(),
        };
        parser.run();
        (parser.read, parser.problems)
    }

    /// What a resubmission may change.
    #[must_use]
    pub fn resubmit(&self) -> ResubmitOptions {
        ResubmitOptions {
            memoized: self.memoized,
            parameters: self.submit.parameters.clone(),
        }
    }

    /// What a retry may change.
    #[must_use]
    pub fn retry(&self) -> RetryOptions {
        RetryOptions {
            restart_successful: self.restart_successful,
            nodes: self.nodes.clone(),
            parameters: self.submit.parameters.clone(),
        }
    }
}

struct Parser<'a> {
    verb: Verb,
    args: &'a [String],
    at: usize,
    read: OperationArgs,
    problems: Vec<ArgProblem>,
}

impl Parser<'_> {
    fn run(&mut self) {
        let mut only_names = false;
        while let Some(arg) = self.args.get(self.at) {
            let index = self.at;
            self.at += 1;
            if only_names || arg == "-" || !arg.starts_with('-') {
                self.name(index, arg);
            } else if arg == "--" {
                only_names = true;
            } else if let Some(flag) = arg.strip_prefix("--") {
                self.long(index, flag);
            } else {
                self.shorts(index, arg.get(1..).unwrap_or_default());
            }
        }
    }

    fn problem(&mut self, index: usize, message: String) {
        self.problems.push(ArgProblem { index, message });
    }

    fn name(&mut self, index: usize, name: &str) {
        if matches!(self.verb, Verb::Submit | Verb::SubmitFrom) {
            let message = format!(
                "{name:?} is no flag; {} takes its object from the source",
                self.verb.as_str()
            );
            self.problem(index, message);
        } else {
            self.read.names.push(name.to_owned());
        }
    }

    fn unknown(&mut self, index: usize, flag: &str) {
        let hint = if flag.contains(char::is_whitespace) {
            "; each word must be an item of its own"
        } else {
            ""
        };
        let (verb, known) = (self.verb.as_str(), known(self.verb));
        self.problem(
            index,
            format!("unknown flag {flag} of {verb}{hint}; it takes {known}"),
        );
    }

    fn long(&mut self, index: usize, text: &str) {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text, None),
        };
        let all = flags(self.verb).iter().copied().flatten();
        let Some(flag) = all.into_iter().find(|flag| flag.name == name) else {
            return self.unknown(index, &format!("--{name}"));
        };
        self.flag(index, flag, &format!("--{name}"), value);
    }

    fn shorts(&mut self, index: usize, mut letters: &str) {
        while let Some(letter) = letters.chars().next() {
            letters = letters.get(letter.len_utf8()..).unwrap_or_default();
            let all = flags(self.verb).iter().copied().flatten();
            let Some(flag) = all.into_iter().find(|flag| flag.short == Some(letter)) else {
                return self.unknown(index, &format!("-{letter}"));
            };
            let name = format!("-{letter}");
            if !flag.alone && !letters.is_empty() {
                let value = letters.strip_prefix('=').unwrap_or(letters);
                return self.flag(index, flag, &name, Some(value.to_owned()));
            }
            if flag.alone
                && let Some(value) = letters.strip_prefix('=')
            {
                return self.flag(index, flag, &name, Some(value.to_owned()));
            }
            self.flag(index, flag, &name, None);
        }
    }

    fn flag(&mut self, index: usize, flag: &Flag, name: &str, value: Option<String>) {
        if flag.alone {
            let on = match value.as_deref().unwrap_or("true") {
                "true" | "1" | "t" | "T" | "True" | "TRUE" => true,
                "false" | "0" | "f" | "F" | "False" | "FALSE" => false,
                other => {
                    return self.problem(
                        index,
                        format!("flag {name} must be true or false, not {other:?}"),
                    );
                }
            };
            return self.switch(index, flag.does, name, on);
        }
        let value = match value {
            Some(value) => value,
            None => match self.args.get(self.at) {
                Some(value) => {
                    self.at += 1;
                    value.clone()
                }
                None => {
                    return self.problem(index, format!("flag {name} must be followed by a value"));
                }
            },
        };
        if let Err(error) = self.value(index, flag.does, name, value) {
            self.problem(index, format!("flag {name}: {error}"));
        }
    }

    fn switch(&mut self, index: usize, does: Does, name: &str, on: bool) {
        match does {
            Does::Strict => self.read.strict = on,
            Does::Wait => self.read.wait = on,
            Does::Memoized => self.read.memoized = on,
            Does::RestartSuccessful => self.read.restart_successful = on,
            Does::Never(why) if on => {
                self.problem(index, format!("flag {name} must not be set: {why}"));
            }
            _ => self.read.without_effect.push(name.to_owned()),
        }
    }

    fn value(
        &mut self,
        index: usize,
        does: Does,
        name: &str,
        value: String,
    ) -> Result<(), OperationError> {
        let read = &mut self.read;
        match does {
            Does::Name => read.submit.name = Some(value),
            Does::GenerateName => read.submit.generate_name = Some(value),
            Does::Entrypoint => read.submit.entrypoint = Some(value),
            Does::ServiceAccount => read.submit.service_account = Some(value),
            Does::Parameter => read.submit.parameters.push(parameter(&value)?),
            Does::ParameterFile => read.parameter_files.push(value),
            Does::Labels => read.submit.labels.extend(label_pairs(&value)?),
            Does::Priority => {
                let number = value.trim().parse().map_err(|_| {
                    OperationError::refused(format!("{value:?} is not a whole number"))
                })?;
                read.submit.priority = Some(number);
            }
            Does::ScheduledTime => {
                time(&value)?;
                read.submit.scheduled_time = Some(value);
            }
            Does::Selector => read.selection.labels = Some(value),
            Does::FieldSelector => read.selection.fields = Some(value),
            Does::Nodes => read.nodes = NodeSelector::parse(&value)?,
            Does::Message => read.message = value,
            Does::Namespace => read.namespace = Some(value),
            Does::InstanceId => read.instance_id = value,
            Does::Never(why) => self.problem(index, format!("flag {name} must not be set: {why}")),
            Does::Strict
            | Does::Wait
            | Does::Memoized
            | Does::RestartSuccessful
            | Does::Nothing => {
                read.without_effect.push(name.to_owned());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
