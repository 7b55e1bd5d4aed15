//! Endpoints with path parameters, `{name}` and `{name:regex}`. What a parameter matched is not kept, as in Argo.

use regex::{Regex, RegexBuilder};

/// The path or paths that an endpoint stands for.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    regex: Option<Regex>,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// Why a text is not an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// No request could ever have this path.
    #[error("must start with `/`, as /example")]
    Relative,
    /// Braces that do not pair.
    #[error("must close every `{{` with a `}}`")]
    Braces,
    /// `{}` or `{:x}`.
    #[error("must name each parameter, as {{id}} or {{id:[0-9]+}}")]
    Unnamed,
    /// The expression inside a parameter.
    #[error("has a regular expression that cannot be read: {0}")]
    Regex(String),
}

impl Pattern {
    /// Reads an endpoint.
    ///
    /// # Errors
    /// [`PatternError`], in words that complete "the endpoint …".
    pub fn parse(endpoint: &str) -> Result<Self, PatternError> {
        if !endpoint.starts_with('/') {
            return Err(PatternError::Relative);
        }
        let text = endpoint.to_owned();
        if !endpoint.contains(['{', '}']) {
            return Ok(Self { text, regex: None });
        }
        let mut source = String::from("^");
        let mut rest = endpoint;
        while let Some(start) = rest.find(['{', '}']) {
            let (literal, tail) = rest.split_at(start);
            source.push_str(&regex::escape(literal));
            let end = closing(tail).ok_or(PatternError::Braces)?;
            let parameter = tail.get(1..end).ok_or(PatternError::Braces)?;
            let (name, expression) = parameter.split_once(':').unwrap_or((parameter, "[^/]+"));
            if name.is_empty() || expression.is_empty() {
                return Err(PatternError::Unnamed);
            }
            source.push_str("(?:");
            source.push_str(expression);
            source.push(')');
            rest = tail.get(end + 1..).unwrap_or_default();
        }
        source.push_str(&regex::escape(rest));
        source.push('$');
        // The limit keeps `a{1000}{1000}` from becoming a machine of a gigabyte.
        let regex = RegexBuilder::new(&source)
            .size_limit(1 << 20)
            .build()
            .map_err(|error| PatternError::Regex(last_line(&error.to_string())))?;
        Ok(Self {
            text,
            regex: Some(regex),
        })
    }

    /// The endpoint as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it has parameters.
    #[must_use]
    pub fn is_template(&self) -> bool {
        self.regex.is_some()
    }

    /// Whether a decoded path is meant. Case and a slash at the end matter.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        match &self.regex {
            Some(regex) => regex.is_match(path),
            None => self.text == path,
        }
    }
}

/// Where the brace that opens `text` is closed; braces inside, as in `{id:[0-9]{3}}`, count.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

/// The regex crate draws the expression over several lines and says what is wrong in the last one.
fn last_line(error: &str) -> String {
    let line = error.lines().last().unwrap_or_default();
    line.trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_match_one_segment_or_their_expression() {
        for (endpoint, yes, no) in [
            ("/example", "/example", "/example/"),
            ("/example", "/example", "/EXAMPLE"),
            ("/", "/", "/x"),
            ("/a/{id}", "/a/1.2", "/a/1/2"),
            ("/a/{id}/", "/a/b/", "/a/b"),
            ("/a/{id:[0-9]{3}}/b", "/a/123/b", "/a/12/b"),
            ("/{rest:.*}", "/a/b/c", "x"),
            ("/a.b/{x}", "/a.b/c", "/aXb/c"),
            ("/{a:x|y}", "/y", "/xy"),
        ] {
            let pattern = Pattern::parse(endpoint).unwrap();
            assert!(pattern.matches(yes), "{endpoint} {yes}");
            assert!(!pattern.matches(no), "{endpoint} {no}");
        }
    }

    #[test]
    fn broken_endpoints_say_what_must_hold() {
        for (endpoint, message) in [
            ("example", "must start with `/`, as /example"),
            ("/a/{id", "must close every `{` with a `}`"),
            ("/a/id}", "must close every `{` with a `}`"),
            ("/{}", "must name each parameter, as {id} or {id:[0-9]+}"),
            (
                "/{:[0-9]}",
                "must name each parameter, as {id} or {id:[0-9]+}",
            ),
            (
                "/{a:[}",
                "has a regular expression that cannot be read: unclosed character class",
            ),
        ] {
            assert_eq!(Pattern::parse(endpoint).unwrap_err().to_string(), message);
        }
        let huge = Pattern::parse("/{a:((x{500}){500}){500}}").unwrap_err();
        assert!(matches!(huge, PatternError::Regex(_)));
    }
}
