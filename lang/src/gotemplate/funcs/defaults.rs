//! Sprig's defaults, types and flow: what is empty, what takes its place, what kind a value is.
//! It never calls a time, version or certificate empty.

use super::{Function, any, bytes, function, utf8, variadic};
use crate::gotemplate::call::Param::{Any, Bool, Str};
use crate::gotemplate::cx::{Cx, Fault};
use crate::gotemplate::exec::truth;
use crate::gotemplate::value::Val;

pub(super) const TABLE: &[Function] = &[
    variadic("default", &[Any], Any, |cx, args| match args.get(1) {
        Some(given) if !is_empty(cx, given) => Ok(given.clone()),
        _ => Ok(any(args, 0).clone()),
    }),
    function("empty", &[Any], |cx, args| {
        Ok(Val::Bool(is_empty(cx, any(args, 0))))
    }),
    variadic("coalesce", &[], Any, |cx, args| {
        Ok(args
            .iter()
            .find(|value| !is_empty(cx, value))
            .cloned()
            .unwrap_or(Val::Nil))
    }),
    variadic("all", &[], Any, |cx, args| {
        Ok(Val::Bool(!args.iter().any(|value| is_empty(cx, value))))
    }),
    variadic("any", &[], Any, |cx, args| {
        Ok(Val::Bool(args.iter().any(|value| !is_empty(cx, value))))
    }),
    function("ternary", &[Any, Any, Bool], |_, args| {
        let index = usize::from(!matches!(args.get(2), Some(Val::Bool(true))));
        Ok(any(args, index).clone())
    }),
    function("fail", &[Str], |_, args| {
        Err(Fault(utf8(args, 0).into_owned()))
    }),
    function("typeOf", &[Any], |_, args| {
        Ok(Val::constant(any(args, 0).type_name()))
    }),
    function("typeIs", &[Str, Any], |_, args| {
        Ok(Val::Bool(
            bytes(args, 0) == any(args, 1).type_name().as_bytes(),
        ))
    }),
    function("typeIsLike", &[Str, Any], |_, args| {
        let (target, name) = (bytes(args, 0), any(args, 1).type_name().as_bytes());
        Ok(Val::Bool(
            target == name || name.strip_prefix(b"*") == Some(target),
        ))
    }),
    function("kindOf", &[Any], |_, args| {
        Ok(Val::constant(any(args, 0).kind_name()))
    }),
    function("kindIs", &[Str, Any], |_, args| {
        Ok(Val::Bool(
            bytes(args, 0) == any(args, 1).kind_name().as_bytes(),
        ))
    }),
    function("env", &[Str], |_, _| withheld("env", "the environment")),
    function("expandenv", &[Str], |_, _| {
        withheld("expandenv", "the environment")
    }),
    function("getHostByName", &[Str], |_, _| {
        withheld("getHostByName", "the network")
    }),
];

fn withheld<'a>(name: &str, what: &str) -> Result<Val<'a>, Fault> {
    Err(Fault(format!(
        "{name} is withheld: templates cannot see {what}"
    )))
}

/// Sprig's `empty`: the zero of any type.
pub(super) fn is_empty<'a>(cx: &Cx<'a>, value: &Val<'a>) -> bool {
    !truth(cx, value)
}
