//! RE2's syntax in that of the `regex` crate: few things differ, and those are translated or refused here.
//! It never lets through what RE2 refuses because the crate happens to read it.

use std::iter::Peekable;
use std::str::CharIndices;

use regex::bytes::{Regex, RegexBuilder};

/// The most memory that one compiled pattern may take, and its cache as much again.
const MAX_SIZE: usize = 4 << 20;

/// The largest repetition count.
const MAX_REPEAT: u32 = 1000;

/// Compiles a pattern as Go's `regexp.Compile` understands it.
///
/// # Errors
/// What is wrong with it, as Go words it where this module finds it.
pub fn compile(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(&translate(pattern)?)
        .size_limit(MAX_SIZE)
        .dfa_size_limit(MAX_SIZE)
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

/// The expression as the `regex` crate reads it.
fn translate(pattern: &str) -> Result<String, String> {
    let mut translator = Translator {
        pattern,
        chars: pattern.char_indices().peekable(),
        out: String::new(),
        repeated: false,
    };
    translator.run()?;
    Ok(translator.out)
}

struct Translator<'p> {
    pattern: &'p str,
    chars: Peekable<CharIndices<'p>>,
    out: String,
    /// Whether the last thing was a repetition, which cannot be repeated.
    repeated: bool,
}

impl Translator<'_> {
    fn next_is(&mut self, wanted: char) -> bool {
        self.chars.next_if(|(_, char)| *char == wanted).is_some()
    }

    fn run(&mut self) -> Result<(), String> {
        while let Some((at, char)) = self.chars.next() {
            let rest = self.pattern.get(at..).unwrap_or_default();
            let repeated = std::mem::take(&mut self.repeated);
            match char {
                '\\' => self.escape(false)?,
                '[' => self.class()?,
                '*' | '+' | '?' => {
                    self.out.push(char);
                    self.repetition(repeated)?;
                }
                '{' => match repeat_count(rest) {
                    Some(count) => {
                        if count
                            .split(',')
                            .filter(|number| !number.is_empty())
                            .any(|number| {
                                number.parse().is_ok_and(|number: u32| number > MAX_REPEAT)
                            })
                        {
                            return Err("invalid repeat count".to_owned());
                        }
                        self.out.push('{');
                        self.out.push_str(count);
                        self.out.push('}');
                        for _ in 0..=count.len() {
                            self.chars.next();
                        }
                        self.repetition(repeated)?;
                    }
                    // What is no repetition is text in RE2.
                    None => self.out.push_str("\\{"),
                },
                '}' => self.out.push_str("\\}"),
                '(' => {
                    let flags = rest
                        .strip_prefix("(?")
                        .map(|flags| flags.split([')', ':']).next().unwrap_or_default());
                    // Flags that only the crate knows would change the meaning in silence.
                    let named = flags.is_some_and(|flags| flags.starts_with(['P', '<']));
                    if flags.is_some_and(|flags| !named && flags.contains(['x', 'u', 'R'])) {
                        return Err(
                            "look-around, including look-ahead and look-behind, is not supported"
                                .to_owned(),
                        );
                    }
                    self.out.push('(');
                    if flags.is_some() {
                        // The question mark is no repetition here.
                        self.chars.next();
                        self.out.push('?');
                    }
                }
                char => self.out.push(char),
            }
        }
        Ok(())
    }

    fn repetition(&mut self, repeated: bool) -> Result<(), String> {
        if repeated {
            return Err("invalid nested repetition operator".to_owned());
        }
        if self.next_is('?') {
            self.out.push('?');
        }
        self.repeated = true;
        Ok(())
    }

    fn escape(&mut self, in_class: bool) -> Result<(), String> {
        let Some((at, char)) = self.chars.next() else {
            return Err("trailing backslash at end of expression".to_owned());
        };
        match char {
            'Q' if !in_class => {
                while let Some((at, char)) = self.chars.next() {
                    if self
                        .pattern
                        .get(at..)
                        .is_some_and(|rest| rest.starts_with("\\E"))
                    {
                        self.chars.next();
                        break;
                    }
                    self.out
                        .push_str(&regex::escape(char.encode_utf8(&mut [0; 4])));
                }
            }
            '0'..='7' => {
                let digits = self.pattern.get(at..).unwrap_or_default();
                let digits: String = digits
                    .chars()
                    .take_while(|digit| ('0'..='7').contains(digit))
                    .take(3)
                    .collect();
                if char != '0' && digits.len() < 2 {
                    return Err("invalid escape sequence".to_owned());
                }
                for _ in 1..digits.len() {
                    self.chars.next();
                }
                let code = u32::from_str_radix(&digits, 8).unwrap_or(0);
                self.out.push_str(&format!("\\x{{{code:x}}}"));
            }
            // Perl classes are of ASCII in RE2, of Unicode in the crate.
            'd' | 'D' | 'w' | 'W' | 's' | 'S' => self.out.push_str(perl_class(char, in_class)),
            'b' | 'B' if !in_class => {
                self.out.push_str(if char == 'b' {
                    r"(?-u:\b)"
                } else {
                    r"(?-u:\B)"
                });
            }
            'a' | 'f' | 't' | 'n' | 'r' | 'v' | 'x' | 'p' | 'P' => {
                self.out.push('\\');
                self.out.push(char);
                if matches!(char, 'x' | 'p' | 'P') && self.next_is('{') {
                    self.out.push('{');
                    while let Some((_, char)) = self.chars.next_if(|(_, char)| *char != '}') {
                        self.out.push(char);
                    }
                    if self.next_is('}') {
                        self.out.push('}');
                    }
                }
            }
            'A' | 'z' if !in_class => {
                self.out.push('\\');
                self.out.push(char);
            }
            char if char.is_ascii_punctuation() => {
                self.out
                    .push_str(&regex::escape(char.encode_utf8(&mut [0; 4])));
            }
            _ => return Err("invalid escape sequence".to_owned()),
        }
        Ok(())
    }

    fn class(&mut self) -> Result<(), String> {
        self.out.push('[');
        if self.next_is('^') {
            self.out.push('^');
        }
        if self.next_is(']') {
            self.out.push_str("\\]");
        }
        while let Some((at, char)) = self.chars.next() {
            let rest = self.pattern.get(at..).unwrap_or_default();
            match char {
                ']' => {
                    self.out.push(']');
                    return Ok(());
                }
                '\\' => self.escape(true)?,
                '[' if rest.starts_with("[:") && rest.contains(":]") => {
                    let name = rest.split_inclusive(":]").next().unwrap_or_default();
                    self.out.push_str(name);
                    for _ in 1..name.chars().count() {
                        self.chars.next();
                    }
                }
                // The crate has set operations, RE2 has plain characters.
                '[' | '&' | '~' => {
                    self.out.push('\\');
                    self.out.push(char);
                }
                '-' if rest.starts_with("--") => self.out.push_str("\\-"),
                char => self.out.push(char),
            }
        }
        Err("missing closing ]".to_owned())
    }
}

/// The inside of a repetition such as `{2,3}` at the start.
fn repeat_count(text: &str) -> Option<&str> {
    let (inside, _) = text.strip_prefix('{')?.split_once('}')?;
    let (low, high) = inside.split_once(',').unwrap_or((inside, "0"));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    (!low.is_empty() && digits(low) && digits(high)).then_some(inside)
}

fn perl_class(perl: char, in_class: bool) -> &'static str {
    match (perl, in_class) {
        ('d', false) => "[0-9]",
        ('d', true) => "0-9",
        ('D', _) => "[^0-9]",
        ('w', false) => "[0-9A-Za-z_]",
        ('w', true) => "0-9A-Za-z_",
        ('W', _) => "[^0-9A-Za-z_]",
        ('s', false) => r"[\t\n\f\r ]",
        ('s', true) => r"\t\n\f\r ",
        _ => r"[^\t\n\f\r ]",
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
            (r"^[--9]+$", "-.9", true),
            (r"^\p{Greek}\x{1F600}\pL$", "α😀é", true),
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
