//! The lines of git's protocol: four digits of length, then as much text or data. It knows no line's meaning.

use bytes::{Buf as _, Bytes};

/// A line of the protocol.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Data(Bytes),
    Flush,
    Delimiter,
}

/// Why an answer cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    #[error("the server speaks no git there; is it the URL of a repository?")]
    NoGit,
    #[error("the server's answer is damaged")]
    Damaged,
    #[error("the repository's objects are named by {0}; only sha1 is supported")]
    ObjectFormat(String),
    #[error("the repository has no {wanted}{remedy}")]
    NoRef { wanted: String, remedy: String },
    #[error("the server says: {0}")]
    Said(String),
    #[error("the server wants other credentials (it answered {0})")]
    Credentials(u16),
}

/// Writes a line.
pub(super) fn packet(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(format!("{:04x}{text}", text.len() + 4).as_bytes());
}

/// Takes the next line off an answer; nothing where it is over.
pub(super) fn line(rest: &mut Bytes) -> Result<Option<Line>, WireError> {
    if rest.is_empty() {
        return Ok(None);
    }
    match length(rest).ok_or(WireError::Damaged)? {
        0 | 2 => rest.advance(4),
        1 => {
            rest.advance(4);
            return Ok(Some(Line::Delimiter));
        }
        3 => return Err(WireError::Damaged),
        length if length > rest.len() => return Err(WireError::Damaged),
        length => {
            let mut data = rest.split_to(length);
            data.advance(4);
            if let Some(said) = data.strip_prefix(b"ERR ") {
                return Err(WireError::Said(short(said)));
            }
            return Ok(Some(Line::Data(data)));
        }
    }
    Ok(Some(Line::Flush))
}

/// The length that a line begins with, itself included.
fn length(bytes: &[u8]) -> Option<usize> {
    let digits = bytes.get(..4)?;
    // A sign is none.
    let digits = digits.iter().all(u8::is_ascii_hexdigit).then_some(digits)?;
    usize::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
}

/// Where an answer that comes in pieces ends, for a connection that stays open after it.
#[derive(Debug, Default)]
pub(super) struct Ending {
    /// So much has been looked at, up to the begin of a line.
    looked: usize,
}

/// How far an answer has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Come {
    /// More of it is to come.
    Partly,
    /// Up to its last line.
    Whole,
    /// What came is no line.
    NoLine,
}

impl Ending {
    /// Looks at all that has come so far.
    pub(super) fn look(&mut self, bytes: &[u8]) -> Come {
        loop {
            let Some(rest) = bytes.get(self.looked..).filter(|rest| rest.len() >= 4) else {
                return Come::Partly;
            };
            match length(rest) {
                Some(0) => return Come::Whole,
                Some(short @ 1..4) if short < 3 => self.looked += 4,
                Some(length) if length >= 4 => self.looked += length,
                _ => return Come::NoLine,
            }
        }
    }
}

/// A text of the server, as much of it as a person reads.
pub(super) fn short(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let plain = text.chars().map(|c| if c == '\n' { ' ' } else { c });
    let plain = plain.filter(|c| !c.is_control()).take(200);
    plain.collect::<String>().trim().to_owned()
}

/// The text of a line.
pub(super) fn text(data: &Bytes) -> Result<&str, WireError> {
    let text = str::from_utf8(data).map_err(|_| WireError::Damaged)?;
    Ok(text.trim_end_matches('\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_with_its_flush_wherever_it_is_cut() {
        let mut whole = Vec::new();
        packet(&mut whole, "version 2\n");
        whole.extend_from_slice(b"0001");
        packet(&mut whole, "a line that has 0000 in it\n");
        whole.extend_from_slice(b"0000");
        for step in 1..whole.len() {
            let mut ending = Ending::default();
            let mut at = 0;
            while at + step < whole.len() {
                at += step;
                assert_eq!(ending.look(&whole[..at]), Come::Partly, "{step} {at}");
            }
            assert_eq!(ending.look(&whole), Come::Whole, "{step}");
        }
    }

    #[test]
    fn what_is_no_line_is_told_at_once() {
        for bytes in ["Hi there!", "zzzz", "0003", "+123", "\u{fc}\u{fc}"] {
            assert_eq!(
                Ending::default().look(bytes.as_bytes()),
                Come::NoLine,
                "{bytes}"
            );
        }
        assert_eq!(Ending::default().look(b"Hi"), Come::Partly);
        // A line may say that it is longer than anything that comes.
        assert_eq!(Ending::default().look(b"ffffx"), Come::Partly);
    }
}
