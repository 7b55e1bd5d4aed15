//! Compiles rewritten filters and runs them on a thread with a large stack.
//! It never lets an error of the budget be caught for good.

use std::time::Duration;

use jaq_core::data::HasLut;
use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};
use jaq_core::load::{Arena, Error as LoadError, File, Loader, parse, span};
use jaq_core::{Compiler, Ctx, DataT, Vars};
use jaq_json::Val;

use super::budget::{Budget, STACK};
use super::{JqError, MAX_TEXT, convert, natives, prelude, rewrite};
use crate::value::Value;

/// The most brackets, words and operators inside each other: the parser recurses.
const MAX_NESTING: usize = 100;

/// The engine's parameters: values as JSON, and a budget that every function can reach.
pub(super) struct Bounded;

impl DataT for Bounded {
    type V<'a> = Val;
    type Data<'a> = Data<'a>;
}

#[derive(Clone, Copy)]
pub(super) struct Data<'a> {
    lut: &'a jaq_core::Lut<Bounded>,
    pub(super) budget: &'a Budget,
}

impl<'a> HasLut<'a, Bounded> for Data<'a> {
    fn lut(&self) -> &'a jaq_core::Lut<Bounded> {
        self.lut
    }
}

pub(super) type Program = jaq_core::Filter<Bounded>;

fn refused<T>(what: impl Into<String>, offset: usize) -> Result<T, JqError> {
    Err(JqError::Compile {
        what: what.into(),
        offset,
    })
}

pub(super) fn compile(text: &str) -> Result<Program, JqError> {
    if text.len() > MAX_TEXT {
        return refused(
            format!("the filter is longer than {MAX_TEXT} bytes"),
            MAX_TEXT,
        );
    }
    check_nesting(text)?;
    on_large_stack(|| compile_here(text))?
}

fn compile_here(text: &str) -> Result<Program, JqError> {
    check_syntax(text)?;
    let Some(main) = parse(text, |parser| parser.term()) else {
        return refused("the filter is not jq", 0);
    };
    let empty = Term::Obj(Vec::new());
    let with_env = BinaryOp::Pipe(Some(Pattern::Var("$ENV")));
    let body = Term::BinOp(Box::new(empty), with_env, Box::new(rewrite::term(main)));
    let main: Def<&str> = Def {
        name: "__main",
        args: Vec::new(),
        body,
    };
    let defs = prelude::defs().map(|def| rewrite::def(def)).chain([main]);
    let arena = Arena::default();
    let loader = Loader::new(defs);
    let Ok(modules) = loader.load(
        &arena,
        File {
            code: "__main",
            path: (),
        },
    ) else {
        return refused("the filter is not jq", 0);
    };
    Compiler::default()
        .with_funs(natives::all())
        .compile(modules)
        .map_err(|errors| {
            let undefined = errors.into_iter().flat_map(|(_, errors)| errors).next();
            match undefined {
                Some((name, kind)) => {
                    let offset = text.find(name).unwrap_or_default();
                    JqError::Compile {
                        what: format!("there is no {} {name:?}", kind.as_str()),
                        offset,
                    }
                }
                None => JqError::Compile {
                    what: "the filter is not jq".to_owned(),
                    offset: 0,
                },
            }
        })
}

/// Parses for the sake of the place of an error; modules are refused.
fn check_syntax(text: &str) -> Result<(), JqError> {
    let arena = Arena::default();
    let loader = Loader::new([]);
    let Err(errors) = loader.load(
        &arena,
        File {
            code: text,
            path: (),
        },
    ) else {
        return Ok(());
    };
    let at = |part: &str| span(text, part).start.min(text.len());
    for (_, error) in errors {
        match error {
            LoadError::Lex(errors) => {
                if let Some((expected, found)) = errors.into_iter().next() {
                    return refused(format!("{} is missing", expected.as_str()), at(found));
                }
            }
            LoadError::Parse(errors) => {
                if let Some((expected, found)) = errors.into_iter().next() {
                    let offset = if found.is_empty() {
                        text.len()
                    } else {
                        at(found)
                    };
                    return refused(format!("{} is missing", expected.as_str()), offset);
                }
            }
            LoadError::Io(_) => return refused("modules are not available", 0),
        }
    }
    Ok(())
}

/// Refuses what nests so deeply that recursing over it might use up the stack.
///
/// Everything that can nest counts, wherever it stands: brackets, words that open or continue a term,
/// and operators, of which chains are nested to the right.
fn check_nesting(text: &str) -> Result<(), JqError> {
    let (mut brackets, mut words, mut in_text) = (0_usize, 0_usize, Vec::new());
    let mut operators = 0_usize;
    let mut escaped = false;
    let mut word = String::new();
    for (offset, char) in text.char_indices() {
        if in_text.last() == Some(&brackets) {
            match char {
                '(' if escaped => brackets += 1,
                '"' if !escaped => {
                    in_text.pop();
                }
                _ => {}
            }
            escaped = char == '\\' && !escaped;
        } else {
            match char {
                '"' => in_text.push(brackets),
                '(' | '[' | '{' => brackets += 1,
                ')' | ']' | '}' => brackets = brackets.saturating_sub(1),
                '-' | '?' => operators += 1,
                _ => {}
            }
            if char.is_alphanumeric() || char == '_' {
                word.push(char);
            } else {
                match word.as_str() {
                    "if" | "def" | "try" | "reduce" | "foreach" | "label" | "as" => words += 1,
                    "end" => words = words.saturating_sub(1),
                    _ => {}
                }
                word.clear();
            }
        }
        if brackets > MAX_NESTING
            || words > 20 * MAX_NESTING
            || in_text.len() > MAX_NESTING
            || operators > 20 * MAX_NESTING
        {
            return refused("the filter is nested too deeply", offset);
        }
    }
    Ok(())
}

/// Runs something on a thread with a stack that no bounded filter uses up.
fn on_large_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, JqError> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("jq".to_owned())
            .stack_size(STACK);
        let thread = thread.spawn_scoped(scope, work);
        let thread = thread.map_err(|_| JqError::Budget("much stack for this machine"))?;
        thread
            .join()
            .map_err(|_| JqError::Failed("the filter made the engine fail".to_owned()))
    })
}

pub(super) fn run(
    program: &Program,
    input: &Value,
    limit: usize,
    time: Duration,
) -> Result<Vec<Value>, JqError> {
    on_large_stack(|| run_here(program, input, limit, time))?
}

fn run_here(
    program: &Program,
    input: &Value,
    limit: usize,
    time: Duration,
) -> Result<Vec<Value>, JqError> {
    let budget = Budget::new(time);
    let data = Data {
        lut: &program.lut,
        budget: &budget,
    };
    let context = Ctx::<Bounded>::new(data, Vars::new([]));
    let mut outputs = Vec::new();
    // A filter may have caught the budget's error and gone on.
    let exceeded = || budget.exceeded().map(JqError::Budget);
    for output in program
        .id
        .run((context, convert::to_engine(input)))
        .take(limit)
    {
        if let Some(error) = exceeded() {
            return Err(error);
        }
        // Of exceptions only errors have a text: halting is withheld, and a break has its label.
        let value = output.map_err(|exception| match exception.get_err() {
            Ok(error) => JqError::Failed(error.to_string().chars().take(500).collect()),
            Err(_) => JqError::Failed("the filter left itself".to_owned()),
        })?;
        budget
            .measure(&value)
            .map_err(|error| JqError::Failed(error.to_string()))?;
        outputs.push(convert::from_engine(&value)?);
    }
    match exceeded() {
        Some(error) => Err(error),
        None => Ok(outputs),
    }
}
