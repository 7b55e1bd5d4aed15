//! The log of one pod as lines with their times, and several of them as one in the order of time. It prints nothing.

use std::collections::VecDeque;

use futures::stream::{self, BoxStream};
use futures::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, StreamExt as _};
use jiff::Timestamp;

/// A longer line comes in pieces, so that one without an end does not fill the memory.
const LONGEST: u64 = 1 << 20;

/// One line of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) pod: String,
    /// When it was printed, where that is known.
    pub(super) at: Option<Timestamp>,
    /// As the API server gives it: with the time in front.
    pub(super) stamped: String,
}

impl Line {
    fn new(pod: &str, bytes: &[u8]) -> Self {
        // What a program prints need not be text.
        let stamped = String::from_utf8_lossy(bytes).into_owned();
        let at = stamped.split(' ').next().and_then(|time| time.parse().ok());
        Self {
            pod: pod.to_owned(),
            at,
            stamped,
        }
    }

    /// The line without its time.
    pub(super) fn plain(&self) -> &str {
        match self.stamped.split_once(' ') {
            Some((_, rest)) if self.at.is_some() => rest,
            // An empty line has nothing behind its time.
            None if self.at.is_some() => "",
            _ => &self.stamped,
        }
    }
}

/// What a stream of a pod brings: lines, at most one error, and then its end.
#[derive(Debug)]
pub(super) enum Piece {
    Line(Line),
    Broken(String, std::io::Error),
    End(String),
}

/// The log of a pod as it comes in.
pub(super) fn pieces(
    pod: String,
    log: impl AsyncBufRead + Send + Unpin + 'static,
) -> BoxStream<'static, Piece> {
    let begin = Some((pod, log));
    stream::unfold(begin, |state| async move {
        let (pod, mut log) = state?;
        let mut bytes = Vec::new();
        match (&mut log).take(LONGEST).read_until(b'\n', &mut bytes).await {
            Ok(0) => Some((Piece::End(pod), None)),
            Ok(_) => {
                let bytes = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
                let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
                let line = Line::new(&pod, bytes);
                Some((Piece::Line(line), Some((pod, log))))
            }
            Err(error) => Some((Piece::Broken(pod, error), None)),
        }
    })
    .boxed()
}

/// Several logs as one. The times of each only grow, so that no more than one line of each is held.
pub(super) struct Merged {
    heads: Vec<(Option<Timestamp>, Piece, BoxStream<'static, Piece>)>,
    coming: VecDeque<BoxStream<'static, Piece>>,
}

impl Merged {
    pub(super) fn new(streams: impl IntoIterator<Item = BoxStream<'static, Piece>>) -> Self {
        Self {
            heads: Vec::new(),
            coming: streams.into_iter().collect(),
        }
    }

    /// The earliest line that is left; what has no time comes at once.
    pub(super) async fn next(&mut self) -> Option<Piece> {
        while let Some(stream) = self.coming.pop_front() {
            self.put(stream).await;
        }
        let times = self.heads.iter().enumerate();
        let (earliest, _) = times.min_by_key(|(_, (at, ..))| *at)?;
        let (_, piece, stream) = self.heads.remove(earliest);
        self.coming.push_back(stream);
        Some(piece)
    }

    async fn put(&mut self, mut stream: BoxStream<'static, Piece>) {
        if let Some(piece) = stream.next().await {
            let at = match &piece {
                Piece::Line(line) => line.at,
                Piece::Broken(..) | Piece::End(_) => None,
            };
            self.heads.push((at, piece, stream));
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::io::Cursor;

    use super::*;

    async fn merged(logs: &[(&str, &[u8])]) -> Vec<String> {
        let streams = logs
            .iter()
            .map(|(pod, log)| pieces((*pod).to_owned(), Cursor::new(log.to_vec())));
        let mut merged = Merged::new(streams.collect::<Vec<_>>());
        let mut lines = Vec::new();
        while let Some(piece) = merged.next().await {
            if let Piece::Line(line) = piece {
                lines.push(format!("{}: {}", line.pod, line.plain()));
            }
        }
        lines
    }

    #[tokio::test]
    async fn lines_of_several_pods_come_in_the_order_of_time() {
        let a = b"2026-01-01T00:00:01.5Z one\n2026-01-01T00:00:03Z three\n";
        let b = b"2026-01-01T00:00:02Z two\r\n2026-01-01T00:00:04Z \n2026-01-01T00:00:05Z";
        let lines = merged(&[("a", a), ("b", b), ("c", b"")]).await;
        assert_eq!(lines, ["a: one", "b: two", "a: three", "b: ", "b: "]);
    }

    #[tokio::test]
    async fn bytes_that_are_no_text_and_lines_without_end_are_printed() {
        let lines = merged(&[("a", b"2026-01-01T00:00:01Z \xff\xfe\nno time")]).await;
        assert_eq!(lines, ["a: \u{fffd}\u{fffd}", "a: no time"]);
        let longest = usize::try_from(LONGEST).unwrap();
        let endless = vec![b'x'; longest + 3];
        let lines = merged(&[("a", &endless)]).await;
        let lengths: Vec<usize> = lines.iter().map(String::len).collect();
        assert_eq!(lengths, [longest + 3, 6]);
    }
}
