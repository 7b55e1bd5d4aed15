//! Sprig's dicts: maps that templates make and change.
//! It never changes the input: a map of it becomes a copy when it is first written.

use super::{Function, any, bytes, function, map, rest, strval, variadic, writable};
use crate::gotemplate::builtins::number_order;
use crate::gotemplate::call::Param::{Any, Dict, Str};
use crate::gotemplate::cx::{Answer, Cx, Fault};
use crate::gotemplate::exec::truth;
use crate::gotemplate::value::{ListType, MapRef, Text, Val};
use std::collections::BTreeMap;

pub(super) const TABLE: &[Function] = &[
    variadic("dict", &[], Any, |cx, args| {
        let mut entries = BTreeMap::new();
        for pair in args.chunks(2) {
            let key = match pair.first() {
                Some(Val::Str(text)) => text.clone(),
                Some(other) => Text::Shared(strval(cx, other)?.into()),
                None => continue,
            };
            entries.insert(key, pair.get(1).cloned().unwrap_or(Val::constant("")));
        }
        cx.dict(entries)
    }),
    function("get", &[Dict, Str], |cx, args| {
        let found = map(args, 0).and_then(|map| cx.get(map, bytes(args, 1)));
        Ok(found.unwrap_or(Val::constant("")))
    }),
    function("set", &[Dict, Str, Any], |cx, args| {
        cx.charge(100)?;
        let dict = writable(cx, args, 0)?;
        if let Val::Str(key) = any(args, 1) {
            dict.entries
                .borrow_mut()
                .insert(key.clone(), any(args, 2).clone());
        }
        Ok(any(args, 0).clone())
    }),
    function("unset", &[Dict, Str], |cx, args| {
        if map(args, 0).is_some() {
            writable(cx, args, 0)?
                .entries
                .borrow_mut()
                .remove(bytes(args, 1));
            return Ok(any(args, 0).clone());
        }
        cx.dict(BTreeMap::new())
    }),
    function("hasKey", &[Dict, Str], |cx, args| {
        Ok(Val::Bool(
            map(args, 0).is_some_and(|map| cx.get(map, bytes(args, 1)).is_some()),
        ))
    }),
    variadic("pluck", &[Str], Dict, |cx, args| {
        let found = (1..args.len()).filter_map(|index| cx.get(map(args, index)?, bytes(args, 0)));
        cx.list(ListType::Any, found.collect())
    }),
    variadic("keys", &[], Dict, |cx, args| {
        let mut keys = Vec::new();
        for index in 0..args.len() {
            if let Some(map) = map(args, index) {
                keys.extend(cx.entries(map)?.into_iter().map(|(key, _)| Val::Str(key)));
            }
        }
        cx.list(ListType::Str, keys)
    }),
    function("values", &[Dict], |cx, args| {
        let entries = match map(args, 0) {
            Some(map) => cx.entries(map)?,
            None => Vec::new(),
        };
        cx.list(
            ListType::Any,
            entries.into_iter().map(|(_, value)| value).collect(),
        )
    }),
    variadic("pick", &[Dict], Str, |cx, args| {
        let mut entries = BTreeMap::new();
        for key in rest(args, 1) {
            if let (Val::Str(key), Some(map)) = (key, map(args, 0))
                && let Some(value) = cx.get(map, key)
            {
                entries.insert(key.clone(), value);
            }
        }
        cx.dict(entries)
    }),
    variadic("omit", &[Dict], Str, |cx, args| {
        let mut entries = BTreeMap::new();
        if let Some(map) = map(args, 0) {
            for (key, value) in cx.entries(map)? {
                let left_out = (1..args.len()).any(|index| bytes(args, index) == &*key);
                if !left_out {
                    entries.insert(key, value);
                }
            }
        }
        cx.dict(entries)
    }),
    variadic("merge", &[Dict], Dict, |cx, args| {
        merge_all(cx, args, false)
    }),
    variadic("mustMerge", &[Dict], Dict, |cx, args| {
        merge_all(cx, args, false)
    }),
    variadic("mergeOverwrite", &[Dict], Dict, |cx, args| {
        merge_all(cx, args, true)
    }),
    variadic("mustMergeOverwrite", &[Dict], Dict, |cx, args| {
        merge_all(cx, args, true)
    }),
    function("deepCopy", &[Any], copy),
    function("mustDeepCopy", &[Any], copy),
    function("deepEqual", &[Any, Any], |cx, args| {
        Ok(Val::Bool(deep_equal(cx, any(args, 0), any(args, 1), 0)?))
    }),
    variadic("dig", &[], Any, dig),
];

/// How deep values are compared, copied and merged.
const MAX_DEPTH: u32 = 550;

fn descend(cx: &Cx<'_>, depth: u32) -> Result<u32, Fault> {
    cx.step()?;
    if depth >= MAX_DEPTH {
        return Err(Fault::from("the value is nested too deeply"));
    }
    Ok(depth + 1)
}

fn merge_all<'a>(cx: &Cx<'a>, args: &[Val<'a>], overwrite: bool) -> Answer<'a> {
    let Some(target) = map(args, 0) else {
        return if args.len() > 1 && (1..args.len()).any(|index| map(args, index).is_some()) {
            let mut merged = vec![cx.dict(BTreeMap::new())?];
            merged.extend(rest(args, 1).iter().cloned());
            merge_all(cx, &merged, overwrite)
        } else {
            Ok(any(args, 0).clone())
        };
    };
    for index in 1..args.len() {
        if let Some(source) = map(args, index) {
            merge(cx, target, source, overwrite, 0)?;
        }
    }
    Ok(any(args, 0).clone())
}

/// What `mergo` does with maps of any values.
fn merge<'a>(
    cx: &Cx<'a>,
    target: &MapRef<'a>,
    source: &MapRef<'a>,
    overwrite: bool,
    depth: u32,
) -> Result<(), Fault> {
    let depth = descend(cx, depth)?;
    if cx.same_map(target, source) {
        return Ok(());
    }
    let dict = cx.writable(target)?;
    for (key, value) in cx.entries(source)? {
        let present = dict.entries.borrow().get(&*key).cloned();
        let set = |value: Val<'a>| {
            cx.charge(100)?;
            dict.entries.borrow_mut().insert(key.clone(), value);
            Ok::<_, Fault>(())
        };
        match (&value, &present) {
            (Val::Missing | Val::Nil, _) => {
                if overwrite {
                    set(value)?;
                }
            }
            (Val::Map(inner), Some(Val::Map(into))) if !overwrite || cx.map_len(into) > 0 => {
                merge(cx, into, inner, overwrite, depth)?;
                if cx.map_len(into) == 0 {
                    set(value)?;
                }
            }
            (_, None) => set(value)?,
            (_, Some(present)) => {
                if overwrite || !truth(cx, present) {
                    set(value)?;
                }
            }
        }
    }
    Ok(())
}

fn copy<'a>(cx: &Cx<'a>, args: &[Val<'a>]) -> Answer<'a> {
    if any(args, 0).is_nil() {
        return Err(Fault::from(
            "reflect: call of reflect.Value.Type on zero Value",
        ));
    }
    deep_copy(cx, any(args, 0), 0)
}

fn deep_copy<'a>(cx: &Cx<'a>, value: &Val<'a>, depth: u32) -> Answer<'a> {
    let depth = descend(cx, depth)?;
    match value {
        Val::List(list) if !list.nil => {
            let items: Result<Vec<_>, _> = list
                .iter()
                .map(|item| deep_copy(cx, &item, depth))
                .collect();
            cx.list(list.kind, items?)
        }
        Val::Map(map) => {
            let mut entries = BTreeMap::new();
            for (key, item) in cx.entries(map)? {
                entries.insert(key, deep_copy(cx, &item, depth)?);
            }
            match map {
                MapRef::Dict(dict) if dict.of_strings => cx.dict_of_strings(entries),
                _ => cx.dict(entries),
            }
        }
        other => Ok(other.clone()),
    }
}

/// Go's `reflect.DeepEqual`, but that JSON numbers are equal by value.
pub(super) fn deep_equal<'a>(
    cx: &Cx<'a>,
    one: &Val<'a>,
    other: &Val<'a>,
    depth: u32,
) -> Result<bool, Fault> {
    let depth = descend(cx, depth)?;
    let numbers = matches!(one, Val::Num(_)) || matches!(other, Val::Num(_));
    if numbers && let Some(ordering) = number_order(one, other) {
        return Ok(ordering.is_some_and(std::cmp::Ordering::is_eq));
    }
    Ok(match (one, other) {
        (Val::Missing | Val::Nil, Val::Missing | Val::Nil) => true,
        (Val::Bool(one), Val::Bool(other)) => one == other,
        (Val::Int(one, kind), Val::Int(other, other_kind)) => one == other && kind == other_kind,
        (Val::Uint(one, kind), Val::Uint(other, other_kind)) => one == other && kind == other_kind,
        (Val::Float(one), Val::Float(other)) => one == other,
        (Val::Str(one), Val::Str(other)) => **one == **other,
        (Val::List(one), Val::List(other)) => {
            if one.kind != other.kind || one.nil != other.nil || one.len() != other.len() {
                return Ok(false);
            }
            for (one, other) in one.iter().zip(other.iter()) {
                if !deep_equal(cx, &one, &other, depth)? {
                    return Ok(false);
                }
            }
            true
        }
        (Val::Map(one_map), Val::Map(other_map)) => {
            if one.type_name() != other.type_name() || cx.map_len(one_map) != cx.map_len(other_map)
            {
                return Ok(false);
            }
            if cx.same_map(one_map, other_map) {
                return Ok(true);
            }
            for (key, value) in cx.entries(one_map)? {
                match cx.get(other_map, &key) {
                    Some(other) if deep_equal(cx, &value, &other, depth)? => {}
                    _ => return Ok(false),
                }
            }
            true
        }
        (Val::Time(one), Val::Time(other)) => one.at == other.at && one.zone == other.zone,
        (Val::Version(one), Val::Version(other)) => one == other,
        (Val::Cert(one), Val::Cert(other)) => one == other,
        _ => false,
    })
}

fn dig<'a>(cx: &Cx<'a>, args: &[Val<'a>]) -> Answer<'a> {
    let [keys @ .., default, last] = args else {
        return Err(Fault::from("dig needs at least three arguments"));
    };
    if keys.is_empty() {
        return Err(Fault::from("dig needs at least three arguments"));
    }
    let conversion = |value: &Val<'_>, wanted: &str| {
        let kind = match value {
            Val::Missing | Val::Nil => "nil",
            other => other.type_name(),
        };
        Fault(format!(
            "interface conversion: interface {{}} is {kind}, not {wanted}"
        ))
    };
    let mut value = last.clone();
    let plain = |value: &Val<'_>| match value {
        Val::Map(MapRef::Dict(dict)) => !dict.of_strings,
        Val::Map(_) => true,
        _ => false,
    };
    if !plain(&value) {
        return Err(conversion(&value, "map[string]interface {}"));
    }
    for key in keys {
        if !matches!(key, Val::Str(_)) {
            return Err(conversion(key, "string"));
        }
    }
    for key in keys {
        let (Val::Map(map), Val::Str(key)) = (&value, key) else {
            return Err(conversion(&value, "map[string]interface {}"));
        };
        if !plain(&value) {
            return Err(conversion(&value, "map[string]interface {}"));
        }
        match cx.get(map, key) {
            Some(found) => value = found,
            None => return Ok(default.clone()),
        }
    }
    Ok(value)
}
