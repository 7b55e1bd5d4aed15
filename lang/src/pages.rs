//! What a user may write in each dialect, with examples: `docs/dialects.md` is made of it by a test that runs them.
//! It never evaluates anything itself.

mod paths;
mod programs;
mod templates;

/// The page of one dialect.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// What `tiphys eval` calls it.
    pub name: &'static str,
    /// What people call it.
    pub title: &'static str,
    /// Where in the YAML it is written.
    pub place: &'static str,
    /// What it is compared with, by name and version.
    pub reference: &'static str,
    /// What it offers, in sentences.
    pub offers: &'static str,
    /// What can be done with it, one example each.
    pub examples: &'static [Example],
    /// What differs from the reference, and why.
    pub differs: &'static [(&'static str, &'static str)],
}

/// One thing that a dialect can do.
#[derive(Debug, Clone, Copy)]
pub struct Example {
    /// What it shows.
    pub shows: &'static str,
    /// The template, path, expression or script.
    pub text: &'static str,
    /// Another input than [`INPUT`].
    pub input: Option<&'static str>,
}

/// What the examples see, if they do not say otherwise.
pub const INPUT: &str = r#"{"body":{"user":"ada","n":3,"price":1.50,"id":12345678901234567890,"tags":["b","a"],"items":[{"sku":"x1","qty":2},{"sku":"y2","qty":5}],"on":true,"none":null}}"#;

/// The pages, in the order in which they are read.
#[must_use]
pub const fn pages() -> &'static [Page] {
    &[
        templates::GO,
        templates::HANDLEBARS,
        paths::GJSON,
        paths::JSONPATH,
        paths::SJSON,
        programs::GOVALUATE,
        programs::EXPR,
        programs::CONDITION,
        programs::LUA,
        programs::JQ,
    ]
}

const fn example(shows: &'static str, text: &'static str) -> Example {
    Example {
        shows,
        text,
        input: None,
    }
}

const fn example_on(shows: &'static str, text: &'static str, input: &'static str) -> Example {
    Example {
        shows,
        text,
        input: Some(input),
    }
}
