//! Templates, scripts and paths.

use super::super::Place;
use super::super::look::{Look, words_of_script, words_of_template};

/// Traces of templates that were written around exponents.
const EXPONENTS: [&str; 7] = ["e+", "E+", "%e", "%E", "%g", "%G", "e\\+"];
const WITHHELD: [&str; 3] = ["env", "expandenv", "getHostByName"];
const NO_GLOBALS: [&str; 9] = [
    "os",
    "io",
    "debug",
    "load",
    "loadstring",
    "dofile",
    "loadfile",
    "require",
    "collectgarbage",
];

pub(in super::super) fn numbers(look: &Look<'_>, places: &mut Vec<Place>) {
    for template in look.templates() {
        let text = template.as_text();
        if let Some(trace) = EXPONENTS.iter().find(|trace| text.contains(**trace)) {
            places.push(Place::with(template.path, format!("has {trace:?} in it")));
        }
    }
}

pub(in super::super) fn environment(look: &Look<'_>, places: &mut Vec<Place>) {
    for template in look.templates() {
        let words = words_of_template(template.as_text());
        if let Some(word) = words.iter().find(|word| WITHHELD.contains(word)) {
            places.push(Place::with(template.path, format!("calls {word}")));
        }
    }
}

pub(in super::super) fn lua(look: &Look<'_>, places: &mut Vec<Place>) {
    for script in look.scripts() {
        let words = words_of_script(script.as_text());
        if let Some(word) = words.iter().find(|word| NO_GLOBALS.contains(word)) {
            places.push(Place::with(script.path, format!("uses {word}")));
        }
    }
}

pub(in super::super) fn jsonpath(look: &Look<'_>, places: &mut Vec<Place>) {
    let paths = look.paths().into_iter();
    let found = paths.filter(|path| {
        let text = path.as_text();
        text.starts_with("$.") || text.starts_with("$[")
    });
    places.extend(found.map(|path| Place::at(path.path)));
}
