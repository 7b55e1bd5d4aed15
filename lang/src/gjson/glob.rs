//! Wildcard matching: `*` any run, `?` one character, `\` takes the next one as it is.
//! It never backtracks over more than the last `*`, so no pattern takes exponential time.

/// Whether the pattern fits the whole text. Steps are taken from `fuel`; without any left nothing fits.
pub(super) fn matches(text: &[u8], pattern: &[u8], fuel: &mut u64) -> bool {
    let (mut at, mut place) = (0, 0);
    // Where the last `*` was: the pattern after it, and the text it has not taken yet.
    let mut star: Option<(usize, usize)> = None;
    loop {
        if *fuel == 0 {
            return false;
        }
        *fuel -= 1;
        let here = text.get(at);
        match pattern.get(place) {
            None if here.is_none() => return true,
            Some(b'*') => {
                place += 1;
                star = Some((place, at));
                continue;
            }
            Some(b'?') if here.is_some() => {
                at += char_len(text, at);
                place += 1;
                continue;
            }
            Some(b'\\') if here.is_some() && pattern.get(place + 1) == here => {
                at += 1;
                place += 2;
                continue;
            }
            Some(b'\\' | b'?') => {}
            wanted if here.is_some() && wanted == here => {
                at += 1;
                place += 1;
                continue;
            }
            _ => {}
        }
        match star {
            Some((after, taken)) if taken < text.len() => {
                at = taken + char_len(text, taken);
                place = after;
                star = Some((after, at));
            }
            _ => return false,
        }
    }
}

/// The bytes of the character at `at`; one where it is not UTF-8.
fn char_len(text: &[u8], at: usize) -> usize {
    let size = match text.get(at) {
        Some(0xc2..=0xdf) => 2,
        Some(0xe0..=0xef) => 3,
        Some(0xf0..=0xf4) => 4,
        _ => 1,
    };
    let whole = text
        .get(at..at + size)
        .is_some_and(|bytes| str::from_utf8(bytes).is_ok());
    if whole { size } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_whole_texts() {
        for (text, pattern, fits) in [
            ("", "", true),
            ("", "*", true),
            ("", "?", false),
            ("abc", "a*c", true),
            ("abc", "*b", false),
            ("é", "?", true),
            ("aé", "*?", true),
            ("a*c", "a\\*c", true),
            ("abc", "a\\*c", false),
            ("a", "a\\", false),
            ("mississippi", "m*iss*i", true),
        ] {
            assert_eq!(
                matches(text.as_bytes(), pattern.as_bytes(), &mut 1000),
                fits,
                "{pattern}"
            );
        }
        let mut fuel = 10_000;
        assert!(!matches(&[b'a'; 5000], "*a*a*a*a*b".as_bytes(), &mut fuel) || fuel == 0);
    }
}
