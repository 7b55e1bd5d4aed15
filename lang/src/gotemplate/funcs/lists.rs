//! Sprig's lists.
//! It never changes a list: each function gives a new one.

use super::defaults::is_empty;
use super::{Function, any, function, int, list, rest, to_int64, variadic};
use crate::gotemplate::call::Param::{Any, Int};
use crate::gotemplate::cx::{Answer, Cx, Fault};
use crate::gotemplate::value::{ListType, Val};

pub(super) const TABLE: &[Function] = &[
    variadic("list", &[], Any, |cx, args| {
        cx.list(ListType::Any, args.to_vec())
    }),
    variadic("tuple", &[], Any, |cx, args| {
        cx.list(ListType::Any, args.to_vec())
    }),
    function("append", &[Any, Any], push),
    function("push", &[Any, Any], push),
    function("mustAppend", &[Any, Any], push),
    function("mustPush", &[Any, Any], push),
    function("prepend", &[Any, Any], prepend),
    function("mustPrepend", &[Any, Any], prepend),
    function("first", &[Any], |_, args| {
        Ok(list(args, 0, FIRST)?.get(0).unwrap_or(Val::Nil))
    }),
    function("mustFirst", &[Any], |_, args| {
        Ok(list(args, 0, FIRST)?.get(0).unwrap_or(Val::Nil))
    }),
    function("last", &[Any], |_, args| last(args)),
    function("mustLast", &[Any], |_, args| last(args)),
    function("rest", &[Any], |cx, args| {
        part(cx, args, "Cannot find rest on type", 1, 0)
    }),
    function("mustRest", &[Any], |cx, args| {
        part(cx, args, "Cannot find rest on type", 1, 0)
    }),
    function("initial", &[Any], |cx, args| {
        part(cx, args, "Cannot find initial on type", 0, 1)
    }),
    function("mustInitial", &[Any], |cx, args| {
        part(cx, args, "Cannot find initial on type", 0, 1)
    }),
    function("reverse", &[Any], reverse),
    function("mustReverse", &[Any], reverse),
    function("uniq", &[Any], uniq),
    function("mustUniq", &[Any], uniq),
    variadic("without", &[Any], Any, without),
    variadic("mustWithout", &[Any], Any, without),
    function("has", &[Any, Any], has),
    function("mustHas", &[Any, Any], has),
    variadic("slice", &[Any], Any, slice),
    variadic("mustSlice", &[Any], Any, slice),
    function("chunk", &[Int, Any], chunk),
    function("mustChunk", &[Int, Any], chunk),
    function("compact", &[Any], compact),
    function("mustCompact", &[Any], compact),
];

const FIRST: &str = "Cannot find first on type";

fn push<'a>(cx: &Cx<'a>, args: &[Val<'a>]) -> Answer<'a> {
    let list = list(args, 0, "Cannot push on type")?;
    let mut items = list.to_vec();
    items.push(any(args, 1).clone());
    cx.list(ListType::Any, items)
}

fn prepend<'a>(cx: &Cx<'a>, args: &[Val<'a>]) -> Answer<'a> {
    let list = list(args, 0, "Cannot prepend on type")?;
    let mut items = vec![any(args, 1).clone()];
    items.extend(list.iter());
    cx.list(ListType::Any, items)
}

fn last<'a>(args: &[Val<'a>]) -> Answer<'a> {
    let list = list(args, 0, "Cannot find last on type")?;
    Ok(list
        .len()
        .checked_sub(1)
        .and_then(|at| list.get(at))
        .unwrap_or(Val::Nil))
}

fn part<'a>(
    cx: &Cx<'a>,
    args: &[Val<'a>],
    complaint: &str,
    before: usize,
    after: usize,
) -> Answer<'a> {
    let list = list(args, 0, complaint)?;
    if list.len() == 0 {
        return Ok(Cx::nil_list(ListType::Any));
    }
    let kept = list.iter().skip(before).take(list.len() - before - after);
    cx.list(ListType::Any, kept.collect())
}

fn reverse<'a>(cx: &Cx<'a>, args: &[Val<'a>]) -> Answer<'a> {
    let list = list(args, 0, "Cannot find reverse on type")?;
    cx.list(ListType::Any, list.iter().rev().collect())
}

fn contains<'a>(cx: &Cx<'a>, haystack: &[Val<'a>], needle: &Val<'a>) -> Result<bool, Fault> {
    for item in haystack {
        if super::dicts::deep_equal(cx, needle, item, 0)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn uniq<'a>(cx: &Cx<'a>, args: &[Val<'a>]) -> Answer<'a> {
    let mut kept = Vec::new();
    for item in list(args, 0, "Cannot find uniq on type")?.iter() {
        if !contains(cx, &kept, &item)? {
            kept.push(item);
        }
    }
    cx.list(ListType::Any, kept)
}

fn without<'a>(cx: &Cx<'a>, args: &[Val<'a>]) -> Answer<'a> {
    let mut kept = Vec::new();
    for item in list(args, 0, "Cannot find without on type")?.iter() {
        if !contains(cx, rest(args, 1), &item)? {
            kept.push(item);
        }
    }
    cx.list(ListType::Any, kept)
}

fn has<'a>(cx: &Cx<'a>, args: &[Val<'a>]) -> Answer<'a> {
    if any(args, 1).is_nil() {
        return Ok(Val::Bool(false));
    }
    for item in list(args, 1, "Cannot find has on type")?.iter() {
        if super::dicts::deep_equal(cx, any(args, 0), &item, 0)? {
            return Ok(Val::Bool(true));
        }
    }
    Ok(Val::Bool(false))
}

fn slice<'a>(cx: &Cx<'a>, args: &[Val<'a>]) -> Answer<'a> {
    let list = list(args, 0, "list should be type of slice or array but")?;
    if list.len() == 0 {
        return Ok(Val::Nil);
    }
    let length = i64::try_from(list.len()).unwrap_or(i64::MAX);
    let start = args.get(1).map_or(0, to_int64);
    let end = args.get(2).map_or(length, to_int64);
    if start < 0 || start > end || end > length {
        return Err(Fault::from(
            "reflect.Value.Slice: slice index out of bounds",
        ));
    }
    let (start, end) = (
        usize::try_from(start).unwrap_or(0),
        usize::try_from(end).unwrap_or(0),
    );
    cx.list(
        list.kind,
        list.iter().skip(start).take(end - start).collect(),
    )
}

fn chunk<'a>(cx: &Cx<'a>, args: &[Val<'a>]) -> Answer<'a> {
    let list = list(args, 1, "Cannot chunk type")?;
    let size = int(args, 0);
    let length = i64::try_from(list.len()).unwrap_or(i64::MAX);
    // Go rounds down before it adds one: some negative sizes give no chunk at all.
    if size != 0
        && (length - 1).div_euclid(size) + i64::from(size > 0 || (length - 1) % size == 0) == 0
    {
        return cx.list(ListType::Lists, Vec::new());
    }
    let size = usize::try_from(size).ok().filter(|size| *size > 0);
    let Some(size) = size else {
        return Err(Fault::from("runtime error: makeslice: len out of range"));
    };
    let items = list.to_vec();
    let chunks: Result<Vec<_>, _> = items
        .chunks(size)
        .map(|chunk| cx.list(ListType::Any, chunk.to_vec()))
        .collect();
    cx.list(ListType::Lists, chunks?)
}

fn compact<'a>(cx: &Cx<'a>, args: &[Val<'a>]) -> Answer<'a> {
    let list = list(args, 0, "Cannot compact on type")?;
    cx.list(
        ListType::Any,
        list.iter().filter(|item| !is_empty(cx, item)).collect(),
    )
}
