//! Rewrites a filter so that it cannot run without asking its budget.
//! It never changes what a filter computes, but for what gojq does differently from jaq.

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};
use jaq_core::ops::Math;
use jaq_core::path::{Opt, Part};

type T<'s> = Term<&'s str>;

fn call<'s>(name: &'s str, arguments: Vec<T<'s>>) -> T<'s> {
    Term::Call(name, arguments)
}

fn pipe<'s>(left: T<'s>, right: T<'s>) -> T<'s> {
    Term::BinOp(Box::new(left), BinaryOp::Pipe(None), Box::new(right))
}

fn bind<'s>(value: T<'s>, name: &'s str, body: T<'s>) -> T<'s> {
    let pattern = BinaryOp::Pipe(Some(Pattern::Var(name)));
    Term::BinOp(Box::new(value), pattern, Box::new(body))
}

fn tick<'s>() -> T<'s> {
    call("__tick", Vec::new())
}

fn made(term: T<'_>) -> T<'_> {
    pipe(term, call("__made", Vec::new()))
}

fn measured(term: T<'_>) -> T<'_> {
    pipe(term, call("__measure", Vec::new()))
}

/// A definition whose every call takes a step.
pub(super) fn def(def: Def<&str>) -> Def<&str> {
    Def {
        name: def.name,
        args: def.args,
        body: pipe(tick(), term(def.body)),
    }
}

#[expect(clippy::boxed_local, reason = "the tree has boxes")]
fn boxed<'s>(inner: Box<T<'s>>) -> Box<T<'s>> {
    Box::new(term(*inner))
}

/// A term whose every stage takes a step.
pub(super) fn term<'s>(source: T<'s>) -> T<'s> {
    match source {
        Term::Str(format, parts) => {
            let part = |part| match part {
                StrPart::Term(inner) => StrPart::Term(pipe(term(inner), tick())),
                other => other,
            };
            made(Term::Str(format, parts.into_iter().map(part).collect()))
        }
        Term::Arr(Some(inner)) => measured(Term::Arr(Some(Box::new(made(term(*inner)))))),
        Term::Obj(entries) => {
            let entry = |(key, value): (T<'s>, Option<T<'s>>)| match (key, value) {
                // A bare key is also the name of its value and must stay as it is.
                (key, None) => (key, None),
                (key @ Term::Str(..), Some(value)) => (key_text(key), Some(term(value))),
                (key, Some(value)) => (term(key), Some(term(value))),
            };
            measured(Term::Obj(entries.into_iter().map(entry).collect()))
        }
        Term::Neg(inner) => Term::Neg(boxed(inner)),
        Term::BinOp(left, operator, right) => binary(*left, operator, *right),
        Term::Label(name, inner) => Term::Label(name, boxed(inner)),
        Term::Fold(name, source, variable, steps) => {
            let source = Box::new(pipe(term(*source), tick()));
            let steps = steps.into_iter().map(|step| made(term(step))).collect();
            Term::Fold(name, source, pattern(variable), steps)
        }
        Term::TryCatch(inner, handler) => Term::TryCatch(boxed(inner), handler.map(boxed)),
        Term::IfThenElse(branches, otherwise) => {
            let branch = |(condition, then)| (term(condition), term(then));
            Term::IfThenElse(
                branches.into_iter().map(branch).collect(),
                otherwise.map(boxed),
            )
        }
        Term::Def(defs, body) => Term::Def(defs.into_iter().map(def).collect(), boxed(body)),
        Term::Call(name, arguments) => {
            let arguments = arguments.into_iter().map(term).collect();
            let result = call(name, arguments);
            // These make values from values without an array or object in sight.
            if matches!(name, "setpath" | "tojson" | "tostring" | "fromjson" | "add") {
                return made(result);
            }
            result
        }
        Term::Path(base, path) => {
            let part = |(part, optional): (Part<T<'s>>, Opt)| {
                let part = match part {
                    Part::Index(index) => Part::Index(key_or(index)),
                    Part::Range(from, to) => Part::Range(from.map(term), to.map(term)),
                };
                (part, optional)
            };
            let parts = path.0.into_iter().map(part).collect();
            Term::Path(boxed(base), jaq_core::path::Path(parts))
        }
        other @ (Term::Id
        | Term::Recurse
        | Term::Num(_)
        | Term::Arr(None)
        | Term::Break(_)
        | Term::Var(_)) => other,
    }
}

/// A key in an object or path: a plain text stays one.
fn key_text<'s>(source: T<'s>) -> T<'s> {
    match source {
        Term::Str(format, parts) => {
            let part = |part| match part {
                StrPart::Term(inner) => StrPart::Term(term(inner)),
                other => other,
            };
            Term::Str(format, parts.into_iter().map(part).collect())
        }
        other => term(other),
    }
}

fn key_or<'s>(source: T<'s>) -> T<'s> {
    if matches!(source, Term::Str(..)) {
        key_text(source)
    } else {
        term(source)
    }
}

fn pattern(source: Pattern<&str>) -> Pattern<&str> {
    match source {
        Pattern::Var(name) => Pattern::Var(name),
        Pattern::Arr(items) => Pattern::Arr(items.into_iter().map(pattern).collect()),
        Pattern::Obj(entries) => Pattern::Obj(
            entries
                .into_iter()
                .map(|(key, value)| (key_or(key), pattern(value)))
                .collect(),
        ),
    }
}

fn binary<'s>(left: T<'s>, operator: BinaryOp<&'s str>, right: T<'s>) -> T<'s> {
    match operator {
        BinaryOp::Pipe(variable) => {
            let right = pipe(tick(), term(right));
            // What is bound to a variable is kept.
            let left = if variable.is_some() {
                made(term(left))
            } else {
                term(left)
            };
            let operator = BinaryOp::Pipe(variable.map(pattern));
            Term::BinOp(Box::new(left), operator, Box::new(right))
        }
        BinaryOp::Math(operation) => {
            // The right side is the outer loop, as in jq.
            let body = math(operation, Term::Var("$__l"), Term::Var("$__r"));
            bind(term(right), "$__r", bind(term(left), "$__l", body))
        }
        BinaryOp::UpdateMath(operation) => {
            let update = math(operation, Term::Id, Term::Var("$__r"));
            bind(term(right), "$__r", modify(left, update))
        }
        BinaryOp::UpdateAlt => {
            let update = Term::BinOp(
                Box::new(Term::Id),
                BinaryOp::Alt,
                Box::new(Term::Var("$__r")),
            );
            bind(term(right), "$__r", modify(left, update))
        }
        BinaryOp::Update => modify(left, term(right)),
        BinaryOp::Assign => bind(term(right), "$__r", modify(left, Term::Var("$__r"))),
        other => Term::BinOp(Box::new(term(left)), other, Box::new(term(right))),
    }
}

fn math<'s>(operation: Math, left: T<'s>, right: T<'s>) -> T<'s> {
    let name = match operation {
        Math::Add => "__add",
        Math::Sub => "__sub",
        Math::Mul => "__mul",
        Math::Div => "__div",
        Math::Rem => "__rem",
    };
    call(name, vec![left, right])
}

/// `path |= update`; a path of plain keys also makes the objects that are missing, as in gojq.
fn modify<'s>(path: T<'s>, update: T<'s>) -> T<'s> {
    let term = match plain_keys(&path) {
        Some(keys) => {
            let keys = keys.into_iter().reduce(|left, right| {
                Term::BinOp(Box::new(left), BinaryOp::Comma, Box::new(right))
            });
            call("__modify", vec![Term::Arr(keys.map(Box::new)), update])
        }
        None => Term::BinOp(Box::new(term(path)), BinaryOp::Update, Box::new(update)),
    };
    measured(term)
}

/// The keys of `.a["b"].c[0]`, if the path has nothing else.
fn plain_keys<'s>(path: &T<'s>) -> Option<Vec<T<'s>>> {
    let Term::Path(base, path) = path else {
        return None;
    };
    if !matches!(**base, Term::Id) {
        return None;
    }
    let key = |(part, optional): &(Part<T<'s>>, Opt)| match (part, optional) {
        (Part::Index(index), Opt::Essential) => match index {
            Term::Str(None, parts)
                if parts.iter().all(|part| !matches!(part, StrPart::Term(_))) =>
            {
                Some(index.clone())
            }
            Term::Num(_) | Term::Var(_) => Some(index.clone()),
            _ => None,
        },
        _ => None,
    };
    path.0.iter().map(key).collect()
}
