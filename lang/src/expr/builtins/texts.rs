//! Functions on texts, counted in bytes as in Go.
//! It never makes more pieces than the text has characters.

use super::super::ast::Builtin;
use super::super::value::V;
use super::{Answer, misfit};

pub(super) fn call<'a>(builtin: Builtin, arguments: &[V<'a>]) -> Answer<'a> {
    let answer = match builtin {
        Builtin::String => arguments.last().map(|value| V::text(value.print())),
        Builtin::Upper => arguments
            .last()
            .and_then(V::as_text)
            .map(|text| V::text(upper(text))),
        Builtin::Lower => arguments
            .last()
            .and_then(V::as_text)
            .map(|text| V::text(lower(text))),
        Builtin::Trim => match arguments {
            [text] => text.as_text().map(|text| V::text(text.trim())),
            [text, set] => both(text, set)
                .map(|(text, set)| V::text(text.trim_matches(|char: char| set.contains(char)))),
            _ => None,
        },
        Builtin::TrimPrefix | Builtin::TrimSuffix => trim_affix(builtin, arguments),
        Builtin::Split | Builtin::SplitAfter => return split(builtin, arguments),
        Builtin::Replace => return replace(arguments),
        Builtin::Join => return join(arguments),
        _ => match arguments {
            [text, part, ..] => both(text, part).map(|(text, part)| search(builtin, text, part)),
            _ => None,
        },
    };
    answer.map_or_else(|| misfit(arguments), Ok)
}

fn both<'v>(a: &'v V<'_>, b: &'v V<'_>) -> Option<(&'v str, &'v str)> {
    Some((a.as_text()?, b.as_text()?))
}

fn search<'a>(builtin: Builtin, text: &str, part: &str) -> V<'a> {
    let index =
        |found: Option<usize>| V::Int(found.and_then(|at| i64::try_from(at).ok()).unwrap_or(-1));
    match builtin {
        Builtin::IndexOf => index(text.find(part)),
        Builtin::LastIndexOf => index(text.rfind(part)),
        Builtin::HasPrefix => V::Bool(text.starts_with(part)),
        _ => V::Bool(text.ends_with(part)),
    }
}

/// Letters that become one other letter are changed, as in Go; `ß` stays.
fn upper(text: &str) -> String {
    text.chars()
        .map(|char| one(char, char.to_uppercase()))
        .collect()
}

fn lower(text: &str) -> String {
    text.chars()
        .map(|char| one(char, char.to_lowercase()))
        .collect()
}

fn one(char: char, mut changed: impl Iterator<Item = char>) -> char {
    match (changed.next(), changed.next()) {
        (Some(changed), None) => changed,
        _ => char,
    }
}

fn trim_affix<'a>(builtin: Builtin, arguments: &[V<'a>]) -> Option<V<'a>> {
    let (text, affix) = match arguments {
        [text, affix] => both(text, affix)?,
        [text, ..] => (text.as_text()?, " "),
        [] => return None,
    };
    let trimmed = match builtin {
        Builtin::TrimPrefix => text.strip_prefix(affix),
        _ => text.strip_suffix(affix),
    };
    Some(V::text(trimmed.unwrap_or(text)))
}

fn split<'a>(builtin: Builtin, arguments: &[V<'a>]) -> Answer<'a> {
    let (text, separator, limit) = match arguments {
        [text, separator] => (text, separator, -1),
        [text, separator, limit] => match limit.as_cut_int() {
            Some(limit) => (text, separator, limit),
            None => return misfit(arguments),
        },
        _ => return misfit(arguments),
    };
    let Some((text, separator)) = both(text, separator) else {
        return misfit(arguments);
    };
    // A limit of zero asks for nothing, a negative one for everything.
    let limit = if limit < 0 {
        usize::MAX
    } else {
        usize::try_from(limit).unwrap_or(usize::MAX)
    };
    let pieces: Vec<&str> = match limit {
        0 => Vec::new(),
        _ if separator.is_empty() => {
            let mut starts: Vec<usize> =
                text.char_indices().map(|(at, _)| at).take(limit).collect();
            starts.push(text.len());
            starts
                .windows(2)
                .filter_map(|pair| text.get(*pair.first()?..*pair.get(1)?))
                .collect()
        }
        _ if builtin == Builtin::Split => text.splitn(limit, separator).collect(),
        _ => {
            let mut pieces: Vec<&str> = Vec::new();
            let mut rest = text;
            while pieces.len() + 1 < limit
                && let Some(at) = rest.find(separator)
            {
                let (piece, after) = rest
                    .split_at_checked(at + separator.len())
                    .unwrap_or((rest, ""));
                pieces.push(piece);
                rest = after;
            }
            pieces.push(rest);
            pieces
        }
    };
    V::array(pieces.into_iter().map(V::text).collect()).ok_or_else(|| "nests too deeply".to_owned())
}

fn replace<'a>(arguments: &[V<'a>]) -> Answer<'a> {
    let (text, old, new, limit) = match arguments {
        [text, old, new] => (text, old, new, -1),
        [text, old, new, limit] => match limit.as_cut_int() {
            Some(limit) => (text, old, new, limit),
            None => return misfit(arguments),
        },
        _ => return misfit(arguments),
    };
    let (Some((text, old)), Some(new)) = (both(text, old), new.as_text()) else {
        return misfit(arguments);
    };
    let limit = if limit < 0 {
        usize::MAX
    } else {
        usize::try_from(limit).unwrap_or(usize::MAX)
    };
    let places = text.matches(old).count().min(limit);
    if text.len().saturating_add(places.saturating_mul(new.len())) > 64 << 20 {
        return Err("makes a text that is too long".to_owned());
    }
    Ok(V::text(text.replacen(old, new, limit)))
}

fn join<'a>(arguments: &[V<'a>]) -> Answer<'a> {
    let (list, glue) = match arguments {
        [list, glue] => match glue.as_text() {
            Some(glue) => (list, glue),
            None => return misfit(arguments),
        },
        [list, ..] => (list, ""),
        [] => return misfit(arguments),
    };
    let V::Array(_) = list else {
        return misfit(arguments);
    };
    let items = list.items().unwrap_or_default();
    let texts: Option<Vec<&str>> = items.iter().map(V::as_text).collect();
    match texts {
        Some(texts) => {
            let size = texts
                .iter()
                .map(|text| text.len() + glue.len())
                .sum::<usize>();
            if size > 64 << 20 {
                return Err("makes a text that is too long".to_owned());
            }
            Ok(V::text(texts.join(glue)))
        }
        None => Err("needs texts only".to_owned()),
    }
}
