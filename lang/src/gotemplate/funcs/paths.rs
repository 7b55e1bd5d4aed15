//! Sprig's paths, those of Unix.
//! It never looks at a file system.

use super::{Function, bytes, function};
use crate::gotemplate::call::Param::Str;
use crate::gotemplate::value::Val;

pub(super) const TABLE: &[Function] = &[
    function("base", &[Str], |cx, args| cx.text(base(bytes(args, 0)))),
    function("dir", &[Str], |cx, args| cx.text(dir(bytes(args, 0)))),
    function("clean", &[Str], |cx, args| cx.text(clean(bytes(args, 0)))),
    function("ext", &[Str], |cx, args| cx.text(ext(bytes(args, 0)))),
    function("isAbs", &[Str], |_, args| {
        Ok(Val::Bool(bytes(args, 0).starts_with(b"/")))
    }),
    function("osBase", &[Str], |cx, args| cx.text(base(bytes(args, 0)))),
    function("osDir", &[Str], |cx, args| cx.text(dir(bytes(args, 0)))),
    function("osClean", &[Str], |cx, args| cx.text(clean(bytes(args, 0)))),
    function("osExt", &[Str], |cx, args| cx.text(ext(bytes(args, 0)))),
    function("osIsAbs", &[Str], |_, args| {
        Ok(Val::Bool(bytes(args, 0).starts_with(b"/")))
    }),
];

fn base(path: &[u8]) -> &[u8] {
    if path.is_empty() {
        return b".";
    }
    let end = path
        .iter()
        .rposition(|byte| *byte != b'/')
        .map_or(0, |at| at + 1);
    let path = path.get(..end).unwrap_or_default();
    if path.is_empty() {
        return b"/";
    }
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

fn dir(path: &[u8]) -> Vec<u8> {
    let end = path
        .iter()
        .rposition(|byte| *byte == b'/')
        .map_or(0, |at| at + 1);
    clean(path.get(..end).unwrap_or_default())
}

fn ext(path: &[u8]) -> &[u8] {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
    match name.iter().rposition(|byte| *byte == b'.') {
        Some(at) => name.get(at..).unwrap_or_default(),
        None => b"",
    }
}

fn clean(path: &[u8]) -> Vec<u8> {
    if path.is_empty() {
        return b".".to_vec();
    }
    let rooted = path.starts_with(b"/");
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => match parts.last() {
                Some(last) if *last != b".." => drop(parts.pop()),
                _ if rooted => {}
                _ => parts.push(part),
            },
            part => parts.push(part),
        }
    }
    let joined = parts.join(&b'/');
    match (rooted, joined.is_empty()) {
        (true, _) => [b"/", joined.as_slice()].concat(),
        (false, true) => b".".to_vec(),
        (false, false) => joined,
    }
}
