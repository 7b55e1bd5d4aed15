//! A look over a template before it is parsed: nesting would otherwise overflow the parser's stack.
//! It never judges syntax beyond that, and refuses what would pull in other templates.

use super::{CompileError, MAX_DEPTH, MAX_LENGTH, Place};

/// Checks length, nesting, and that there are no partials or decorators.
pub(super) fn check(text: &str) -> Result<(), CompileError> {
    if text.len() > MAX_LENGTH {
        return Err(CompileError::TooLong);
    }
    // How many levels each open block counts for: an `else if` is a block within.
    let mut open: Vec<usize> = Vec::new();
    let mut depth = 0_usize;
    let mut rest = text;
    while let Some((before, tag)) = rest.split_once("{{") {
        let here = text.len() - tag.len() - 2;
        rest = tag;
        // One backslash makes it text.
        if before.ends_with('\\') && !before.ends_with("\\\\") {
            continue;
        }
        let inside = tag.trim_start_matches(['{', '~', '&', ' ', '\t', '\r', '\n']);
        if inside.starts_with('!') {
            let (skip, end) = if inside.starts_with("!--") {
                (3, "--")
            } else {
                (1, "}}")
            };
            let comment = inside.get(skip..).unwrap_or_default();
            rest = comment.split_once(end).map_or("", |(_, after)| after);
            continue;
        }
        if inside.starts_with(['>', '*']) || inside.starts_with("#>") || inside.starts_with("#*") {
            return Err(CompileError::Partial {
                place: place(text, here),
            });
        }
        let end = tag.find("}}").unwrap_or(tag.len());
        let body = tag.get(..end).unwrap_or(tag);
        let word = inside.trim_start_matches('^').trim_start();
        if inside.starts_with('#')
            || (inside.starts_with('^') && !word.starts_with(['}', '~']))
            || tag.starts_with("{{")
        {
            open.push(1);
            depth += 1;
        } else if inside.starts_with('/') {
            depth -= open.pop().unwrap_or(0);
        } else if inside.starts_with("else")
            && let Some(levels) = open.last_mut()
        {
            *levels += 1;
            depth += 1;
        }
        if depth > MAX_DEPTH || brackets(body) > MAX_DEPTH {
            return Err(CompileError::TooDeep {
                place: place(text, here),
            });
        }
    }
    Ok(())
}

/// How deep brackets nest in a tag, whatever their kind.
fn brackets(tag: &str) -> usize {
    let (mut depth, mut most) = (0_usize, 0);
    for byte in tag.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        most = most.max(depth);
    }
    most
}

fn place(text: &str, at: usize) -> Place {
    let before = text.get(..at).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count()
        + 1;
    Place { line, column }
}
