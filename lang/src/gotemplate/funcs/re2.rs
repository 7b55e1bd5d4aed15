//! RE2's syntax in that of the `regex` crate: few things differ, and those are translated or refused here.
//! It never lets through what RE2 refuses because the crate happens to read it.

use crate::gotemplate::cx::Fault;
use std::iter::Peekable;
use std::str::CharIndices;

/// The expression as the `regex` crate reads it.
pub(super) fn translate(pattern: &str) -> Result<String, Fault> {
    let chars = pattern.char_indices().peekable();
    let mut translator = Translator {
        pattern,
        chars,
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
    fn fail<T>(&self, what: &str) -> Result<T, Fault> {
        Err(Fault(format!(
            "error parsing regexp: {what}: `{}`",
            self.pattern
        )))
    }

    fn next_is(&mut self, wanted: char) -> bool {
        self.chars.next_if(|(_, char)| *char == wanted).is_some()
    }

    fn run(&mut self) -> Result<(), Fault> {
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
                            .any(|number| number.parse::<u32>().is_ok_and(|number| number > 1000))
                        {
                            return self.fail("invalid repeat count");
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
                    let named = flags.is_some_and(|flags| flags.starts_with(['P', '<']));
                    if flags.is_some_and(|flags| !named && flags.contains(['x', 'u', 'R'])) {
                        return self.fail("invalid or unsupported Perl syntax");
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

    fn repetition(&mut self, repeated: bool) -> Result<(), Fault> {
        if repeated {
            return self.fail("invalid nested repetition operator");
        }
        if self.next_is('?') {
            self.out.push('?');
        }
        self.repeated = true;
        Ok(())
    }

    fn escape(&mut self, in_class: bool) -> Result<(), Fault> {
        let Some((at, char)) = self.chars.next() else {
            return self.fail("trailing backslash at end of expression");
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
                    return self.fail("invalid escape sequence");
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
            _ => return self.fail("invalid escape sequence"),
        }
        Ok(())
    }

    fn class(&mut self) -> Result<(), Fault> {
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
                char => self.out.push(char),
            }
        }
        self.fail("missing closing ]")
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
