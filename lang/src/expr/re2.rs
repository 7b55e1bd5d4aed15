//! Go's regular expressions on the `regex` crate: ASCII classes, `\Q…\E`, Go's brackets.
//! It never backtracks and refuses what Go refuses, so a pattern means the same on both sides.

use regex::bytes::{Regex, RegexBuilder};

/// The most memory that one compiled pattern may take.
const MAX_SIZE: usize = 4 << 20;

/// The largest repetition count, as in Go.
const MAX_REPEAT: u32 = 1000;

/// Compiles a pattern as Go's `regexp.Compile` understands it.
///
/// # Errors
/// A sentence that says why it is no pattern.
pub(crate) fn compile(pattern: &str) -> Result<Regex, String> {
    let translated = Translator {
        rest: pattern.chars().collect(),
        at: 0,
        out: String::new(),
    }
    .run()?;
    RegexBuilder::new(&translated)
        .size_limit(MAX_SIZE)
        .nest_limit(100)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "it needs too much memory".to_owned(),
            other => {
                let text = other.to_string();
                let last = text.lines().last().unwrap_or_default();
                last.trim_start_matches("error: ").to_owned()
            }
        })
}

struct Translator {
    rest: Vec<char>,
    at: usize,
    out: String,
}

impl Translator {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.rest.get(self.at + ahead).copied()
    }

    fn run(mut self) -> Result<String, String> {
        // Whether what stands before can be repeated only once more: Go has no `a**`.
        let mut repeated = false;
        while let Some(char) = self.peek(0) {
            match char {
                '\\' => self.escape(false)?,
                '[' => self.class()?,
                '*' | '+' | '?' => {
                    if repeated {
                        return Err("invalid nested repetition operator".to_owned());
                    }
                    self.take(1);
                    self.lazy();
                    repeated = true;
                    continue;
                }
                '{' => {
                    if let Some(length) = self.repetition()? {
                        if repeated {
                            return Err("invalid nested repetition operator".to_owned());
                        }
                        self.take(length);
                        self.lazy();
                        repeated = true;
                        continue;
                    }
                    self.out.push_str("\\{");
                    self.at += 1;
                }
                '}' => {
                    self.out.push_str("\\}");
                    self.at += 1;
                }
                '(' if self.peek(1) == Some('?') => {
                    self.take(2);
                    // Flags that only the other engine knows would change meaning in silence.
                    let flags = self.rest.get(self.at..).unwrap_or_default();
                    let flags = flags
                        .iter()
                        .take_while(|char| char.is_ascii_alphabetic() || **char == '-');
                    if self.peek(0) != Some('P')
                        && flags.clone().any(|flag| !"imsU-".contains(*flag))
                    {
                        return Err("invalid or unsupported Perl syntax".to_owned());
                    }
                }
                _ => self.take(1),
            }
            repeated = false;
        }
        Ok(self.out)
    }

    fn take(&mut self, count: usize) {
        self.out
            .extend(self.rest.get(self.at..self.at + count).unwrap_or_default());
        self.at += count;
    }

    fn lazy(&mut self) {
        if self.peek(0) == Some('?') {
            self.take(1);
        }
    }

    /// The length of `{2}`, `{2,}` or `{2,5}`; anything else is plain text in Go.
    fn repetition(&self) -> Result<Option<usize>, String> {
        let rest = self.rest.get(self.at + 1..).unwrap_or_default();
        let Some(end) = rest.iter().position(|char| *char == '}') else {
            return Ok(None);
        };
        let inner: String = rest.iter().take(end).collect();
        let (from, to) = inner.split_once(',').unwrap_or((&inner, ""));
        let number =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !number(from) || !(to.is_empty() || number(to)) {
            return Ok(None);
        }
        let count = |text: &str| text.parse::<u32>().is_ok_and(|count| count <= MAX_REPEAT);
        if !count(from) || !(to.is_empty() || count(to)) {
            return Err("invalid repeat count".to_owned());
        }
        Ok(Some(end + 2))
    }

    fn escape(&mut self, in_class: bool) -> Result<(), String> {
        let Some(char) = self.peek(1) else {
            return Err("trailing backslash at end of expression".to_owned());
        };
        let translated = match (char, in_class) {
            ('d', false) => "[0-9]",
            ('D', false) => "[^0-9]",
            ('w', false) => "[0-9A-Za-z_]",
            ('W', false) => "[^0-9A-Za-z_]",
            ('s', false) => "[\\t\\n\\f\\r ]",
            ('S', false) => "[^\\t\\n\\f\\r ]",
            ('d', true) => "0-9",
            ('D', true) => "[^0-9]",
            ('w', true) => "0-9A-Za-z_",
            ('W', true) => "[^0-9A-Za-z_]",
            ('s', true) => "\\t\\n\\f\\r ",
            ('S', true) => "[^\\t\\n\\f\\r ]",
            ('b', false) => "(?-u:\\b)",
            ('B', false) => "(?-u:\\B)",
            ('Q', false) => return self.quoted(),
            ('0'..='7', _) => return self.octal(),
            ('p' | 'P' | 'x', _) => {
                self.take(2);
                return Ok(());
            }
            ('a' | 'f' | 't' | 'n' | 'r' | 'v', _) | ('A' | 'z', false) => {
                self.take(2);
                return Ok(());
            }
            (char, _) if char.is_ascii_punctuation() || !char.is_ascii() => {
                self.at += 2;
                self.out.push_str(&regex::escape(&char.to_string()));
                return Ok(());
            }
            _ => return Err(format!("invalid escape sequence: `\\{char}`")),
        };
        self.at += 2;
        self.out.push_str(translated);
        Ok(())
    }

    fn quoted(&mut self) -> Result<(), String> {
        self.at += 2;
        while let Some(char) = self.peek(0) {
            if char == '\\' && self.peek(1) == Some('E') {
                self.at += 2;
                break;
            }
            self.out.push_str(&regex::escape(&char.to_string()));
            self.at += 1;
        }
        Ok(())
    }

    /// `\123` and `\0`; a single digit but zero would be a back-reference, which Go refuses.
    fn octal(&mut self) -> Result<(), String> {
        let digits = self.rest.get(self.at + 1..).unwrap_or_default();
        let digits: String = digits
            .iter()
            .take(3)
            .take_while(|char| ('0'..='7').contains(*char))
            .collect();
        if !digits.starts_with('0') && digits.len() == 1 {
            return Err(format!("invalid escape sequence: `\\{digits}`"));
        }
        let code = u32::from_str_radix(&digits, 8).unwrap_or_default();
        self.out.push_str(&format!("\\x{{{code:x}}}"));
        self.at += 1 + digits.len();
        Ok(())
    }

    fn class(&mut self) -> Result<(), String> {
        self.take(1);
        if self.peek(0) == Some('^') {
            self.take(1);
        }
        let mut first = true;
        loop {
            match self.peek(0) {
                None => return Err("missing closing ]".to_owned()),
                Some(']') if !first => {
                    self.take(1);
                    return Ok(());
                }
                Some(']') => {
                    self.out.push_str("\\]");
                    self.at += 1;
                }
                Some('[') if self.peek(1) == Some(':') => {
                    let rest = self.rest.get(self.at..).unwrap_or_default();
                    let end = rest.windows(2).skip(2).position(|pair| pair == [':', ']']);
                    match end {
                        Some(end) => self.take(end + 4),
                        None => return Err("invalid character class range".to_owned()),
                    }
                }
                Some('\\') => self.escape(true)?,
                // Set operators and nested sets of the other engine are plain text in Go.
                Some(char @ ('[' | '&' | '~')) => {
                    self.out.push('\\');
                    self.out.push(char);
                    self.at += 1;
                }
                Some('-') if self.peek(1) == Some('-') => {
                    self.out.push_str("\\-");
                    self.at += 1;
                }
                Some(_) => self.take(1),
            }
            first = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_in_go() {
        for (pattern, text, matches) in [
            (r"^\d+$", "123", true),
            (r"^\d+$", "١٢", false),
            (r"^[\d\s]+$", "1 2", true),
            (r"\bfoo\b", "a foo b", true),
            (r"\Qa.b\E", "a.b", true),
            (r"\Qa.b\E", "axb", false),
            (r"^[[:alpha:]]+$", "abc", true),
            (r"^[[a]+$", "[a", true),
            (r"^[a&&b]+$", "&", true),
            (r"^[]a]+$", "]a", true),
            (r"(?i)ABC", "xabc", true),
            (r"^a{,2}$", "a{,2}", true),
            (r"^a{2,3}$", "aaa", true),
            (r"\x41\x{42}\101", "ABA", true),
            (r"(?P<x>a)(?P<y>b)", "ab", true),
            (r"a.c", "a\u{e9}c", true),
            (r"^[\w-]+$", "a-b", true),
        ] {
            let regex = compile(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
            assert_eq!(
                regex.is_match(text.as_bytes()),
                matches,
                "{pattern} on {text}"
            );
        }
        for pattern in [
            "a**", "(", "[", r"\1", "a{1001}", "(?=a)", "(?x)a", "\\", r"\Z", "*a",
        ] {
            assert!(compile(pattern).is_err(), "{pattern}");
        }
        assert!(compile(&"(".repeat(100_000)).is_err());
        assert!(compile(&format!("{}a{}", "(".repeat(100_000), ")".repeat(100_000))).is_err());
    }
}
