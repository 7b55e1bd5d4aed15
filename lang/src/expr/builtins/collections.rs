//! Functions on arrays and maps.
//! It never changes a collection: it makes a new one.

use std::collections::BTreeMap;

use super::super::access::resolve;
use super::super::ast::Builtin;
use super::super::value::V;
use super::{Answer, misfit};

/// The deepest lists that are flattened.
const MAX_DEPTH: usize = 600;

pub(super) fn call<'a>(builtin: Builtin, arguments: &[V<'a>]) -> Answer<'a> {
    match (builtin, arguments) {
        // Go's library looks at the last argument only.
        (Builtin::Len, [.., value]) => match value {
            V::Text(text) => count(text.as_str().chars().count()),
            _ => value.len().map_or_else(|| misfit(arguments), count),
        },
        (Builtin::Type, [.., value]) => Ok(V::text(value.type_name())),
        (Builtin::First, [list, ..]) => Ok(list.item(0).unwrap_or(V::Nil)),
        (Builtin::Last, [list, ..]) => {
            let last = list.len().and_then(|length| length.checked_sub(1));
            Ok(last.and_then(|last| list.item(last)).unwrap_or(V::Nil))
        }
        (Builtin::Get, [from, key, ..]) => get(from, key).map_or_else(|| misfit(arguments), Ok),
        (Builtin::Take, [list, wanted]) => match (list.items(), wanted.as_whole()) {
            (Some(mut items), Some(wanted)) if wanted >= 0 => {
                items.truncate(usize::try_from(wanted).unwrap_or(usize::MAX));
                array(items)
            }
            _ => misfit(arguments),
        },
        (Builtin::Keys | Builtin::Values | Builtin::ToPairs, [map]) => {
            let Some(pairs) = map.pairs() else {
                return misfit(arguments);
            };
            let part = |(key, value)| match builtin {
                Builtin::Keys => Ok(key),
                Builtin::Values => Ok(value),
                _ => array(vec![key, value]),
            };
            array(pairs.into_iter().map(part).collect::<Result<_, _>>()?)
        }
        (Builtin::FromPairs, [list]) => from_pairs(list, arguments),
        (Builtin::Reverse, [list]) => match list.items() {
            Some(items) => array(items.into_iter().rev().collect()),
            None => misfit(arguments),
        },
        (Builtin::Concat, [_, ..]) => {
            let mut all = Vec::new();
            for list in arguments {
                match list.items() {
                    Some(items) => all.extend(items),
                    None => return misfit(arguments),
                }
            }
            array(all)
        }
        (Builtin::Flatten, [list]) => {
            let mut all = Vec::new();
            match list.items() {
                Some(_) if flatten(list, &mut all, 0) => array(all),
                _ => misfit(arguments),
            }
        }
        _ => misfit(arguments),
    }
}

fn count<'a>(length: usize) -> Answer<'a> {
    Ok(V::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

fn array(items: Vec<V<'_>>) -> Answer<'_> {
    V::array(items).ok_or_else(|| "nests too deeply".to_owned())
}

/// A member, or nil where there is none.
fn get<'a>(from: &V<'a>, key: &V<'a>) -> Option<V<'a>> {
    match from {
        V::Array(_) | V::Text(_) | V::Bytes(_) => {
            let index = resolve(key.as_cut_int()?, from.len()?);
            Some(index.and_then(|index| from.item(index)).unwrap_or(V::Nil))
        }
        V::Map(_) => from.member(key).map(|member| member.unwrap_or(V::Nil)),
        _ => Some(V::Nil),
    }
}

fn from_pairs<'a>(list: &V<'a>, arguments: &[V<'a>]) -> Answer<'a> {
    let Some(items) = list.items() else {
        return misfit(arguments);
    };
    let mut entries = BTreeMap::new();
    for item in items {
        match item.items().as_deref() {
            Some([key, value]) => match key.as_key() {
                Some(key) => drop(entries.insert(key, value.clone())),
                None => return Err(format!("cannot have {} as a key", key.type_name())),
            },
            _ => return Err("needs pairs only".to_owned()),
        }
    }
    V::map(entries, true).ok_or_else(|| "nests too deeply".to_owned())
}

fn flatten<'a>(list: &V<'a>, all: &mut Vec<V<'a>>, depth: usize) -> bool {
    if depth > MAX_DEPTH {
        return false;
    }
    for item in list.items().unwrap_or_default() {
        match item {
            V::Array(_) | V::Bytes(_) => {
                if !flatten(&item, all, depth + 1) {
                    return false;
                }
            }
            item => all.push(item),
        }
    }
    true
}
