//! What a record shows of a value: cut short, and nothing that looks like a credential. Pure.

/// How many characters of a value are kept.
const SHOWN: usize = 256;

/// What stands for a value that is left out.
const HIDDEN: &str = "***";

/// Words that name credentials, in lower case. Encoders are among them, because they hide the others.
const WORDS: [&str; 12] = [
    "authorization",
    "password",
    "passwd",
    "secret",
    "token",
    "cookie",
    "apikey",
    "api-key",
    "api_key",
    "credential",
    "private_key",
    "b64enc",
];

/// Words that stand before a credential in a value.
const MARKS: [&str; 6] = [
    "authorization",
    "bearer ",
    "basic ",
    "cookie",
    "password",
    "private key",
];

/// Whether a path, template or destination speaks of a credential.
pub(crate) fn hides(text: &str) -> bool {
    WORDS.iter().any(|word| contains(text, word))
}

/// A value as a record shows it.
pub(crate) fn shown(value: &str) -> String {
    if MARKS.iter().any(|mark| contains(value, mark)) {
        return HIDDEN.to_owned();
    }
    cut(value)
}

/// A text with its end left out where it is long.
pub(crate) fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
    }
}

/// Whether a text holds a lower-case ASCII word in any case.
fn contains(text: &str, word: &str) -> bool {
    let (text, word) = (text.as_bytes(), word.as_bytes());
    let Some((first, _)) = word.split_first() else {
        return true;
    };
    text.windows(word.len()).any(|part| {
        part.first().map(u8::to_ascii_lowercase) == Some(*first) && part.eq_ignore_ascii_case(word)
    })
}

/// A value that is hidden whatever it is.
pub(super) fn hidden() -> String {
    HIDDEN.to_owned()
}
