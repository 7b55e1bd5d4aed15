//! One stored event as bytes: `len, crc, seq, time, lengths of the names, names, body`. It reads and writes buffers, never files.

use bytes::Bytes;
use jiff::Timestamp;

/// The fixed part of a record.
pub(crate) const HEADER: usize = 30;
/// No record is longer; a length beyond it is damage.
pub(crate) const MAX_RECORD: usize = 64 << 20;

/// A record that has been read and found whole.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) seq: u64,
    time_nanos: i64,
    source: u16,
    event: u16,
    dedup: u16,
    bytes: Bytes,
}

/// What stands at the start of a buffer.
#[derive(Debug)]
pub(crate) enum Parsed {
    /// A whole record of this many bytes.
    Record(Record, usize),
    /// A record may stand here, but this many bytes are needed to know.
    More(usize),
    /// No record.
    Damaged,
}

/// Why an event does not fit into a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLong(pub(crate) &'static str);

impl Record {
    pub(crate) fn source(&self) -> &str {
        self.name(0, self.source)
    }

    pub(crate) fn event(&self) -> &str {
        self.name(self.source.into(), self.event)
    }

    pub(crate) fn dedup(&self) -> &str {
        self.name(
            usize::from(self.source) + usize::from(self.event),
            self.dedup,
        )
    }

    fn name(&self, from: usize, len: u16) -> &str {
        let bytes = self
            .bytes
            .get(HEADER + from..HEADER + from + usize::from(len));
        str::from_utf8(bytes.unwrap_or_default()).unwrap_or_default()
    }

    /// The envelope.
    pub(crate) fn body(&self) -> Bytes {
        let names = usize::from(self.source) + usize::from(self.event) + usize::from(self.dedup);
        self.bytes.slice((HEADER + names).min(self.bytes.len())..)
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn time_nanos(&self) -> i64 {
        self.time_nanos
    }

    pub(crate) fn time(&self) -> Timestamp {
        Timestamp::from_nanosecond(self.time_nanos.into()).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

/// An event's record before it has its number and time.
#[derive(Debug)]
pub(crate) struct Draft(Vec<u8>);

impl Draft {
    pub(crate) fn new(
        source: &str,
        event: &str,
        dedup: &str,
        body: &[u8],
    ) -> Result<Self, TooLong> {
        let short = |text: &str, what| u16::try_from(text.len()).map_err(|_| TooLong(what));
        let (source_len, event_len, dedup_len) = (
            short(source, "the name of its source")?,
            short(event, "its name")?,
            short(dedup, "its id")?,
        );
        let total = HEADER + source.len() + event.len() + dedup.len() + body.len();
        if total > MAX_RECORD {
            return Err(TooLong("its payload"));
        }
        let len = u32::try_from(total).map_err(|_| TooLong("its payload"))?;
        let mut out = Vec::with_capacity(total);
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(&[0; 20]);
        for len in [source_len, event_len, dedup_len] {
            out.extend_from_slice(&len.to_le_bytes());
        }
        for part in [source.as_bytes(), event.as_bytes(), dedup.as_bytes(), body] {
            out.extend_from_slice(part);
        }
        Ok(Self(out))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// What makes the bus store the event once.
    pub(crate) fn dedup(&self) -> &[u8] {
        let name = |at: usize| usize::from(u16_at(&self.0, at).unwrap_or_default());
        let from = HEADER + name(24) + name(26);
        self.0.get(from..from + name(28)).unwrap_or_default()
    }

    /// The record under its number.
    pub(crate) fn number(self, seq: u64, time_nanos: i64) -> (Record, Bytes) {
        let mut out = self.0;
        put(&mut out, 8, &seq.to_le_bytes());
        put(&mut out, 16, &time_nanos.to_le_bytes());
        let crc = checksum(&out);
        put(&mut out, 4, &crc.to_le_bytes());
        let bytes = Bytes::from(out);
        let at = |at| u16_at(&bytes, at).unwrap_or_default();
        let record = Record {
            seq,
            time_nanos,
            source: at(24),
            event: at(26),
            dedup: at(28),
            bytes: bytes.clone(),
        };
        (record, bytes)
    }
}

fn put(out: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = out.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

/// Covers all but the checksum itself.
fn checksum(bytes: &[u8]) -> u32 {
    let len = crc32c::crc32c(bytes.get(..4).unwrap_or_default());
    crc32c::crc32c_append(len, bytes.get(8..).unwrap_or_default())
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

/// Reads the record at the start of `bytes`; its number must lie in `seqs`.
pub(crate) fn parse(bytes: &Bytes, seqs: std::ops::RangeInclusive<u64>) -> Parsed {
    let (Some(len), Some(crc), Some(seq), Some(nanos)) = (
        u32_at(bytes, 0),
        u32_at(bytes, 4),
        u64_at(bytes, 8),
        u64_at(bytes, 16),
    ) else {
        return Parsed::More(HEADER);
    };
    let Ok(len) = usize::try_from(len) else {
        return Parsed::Damaged;
    };
    if !(HEADER..=MAX_RECORD).contains(&len) || !seqs.contains(&seq) {
        return Parsed::Damaged;
    }
    if bytes.len() < len {
        return Parsed::More(len);
    }
    let bytes = bytes.slice(..len);
    if checksum(&bytes) != crc {
        return Parsed::Damaged;
    }
    let (Some(source), Some(event), Some(dedup)) =
        (u16_at(&bytes, 24), u16_at(&bytes, 26), u16_at(&bytes, 28))
    else {
        return Parsed::Damaged;
    };
    let record = Record {
        seq,
        time_nanos: nanos.cast_signed(),
        source,
        event,
        dedup,
        bytes,
    };
    Parsed::Record(record, len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_as_it_was_written() {
        let draft = Draft::new("src", "evt", "key", b"body").unwrap();
        assert_eq!(draft.dedup(), b"key");
        let (_, bytes) = draft.number(7, 1_000);
        let Parsed::Record(record, len) = parse(&bytes, 1..=10) else {
            panic!()
        };
        assert_eq!(len, bytes.len());
        let read = (record.seq, record.source(), record.event(), record.dedup());
        assert_eq!(read, (7, "src", "evt", "key"));
        assert_eq!(
            (&record.body()[..], record.time_nanos()),
            (&b"body"[..], 1_000)
        );
    }

    #[test]
    fn any_changed_byte_is_noticed() {
        let (_, bytes) = Draft::new("s", "e", "k", b"body").unwrap().number(7, 1_000);
        for at in 0..bytes.len() {
            let mut changed = bytes.to_vec();
            changed[at] ^= 0x41;
            let parsed = parse(&changed.into(), 1..=u64::MAX);
            assert!(!matches!(parsed, Parsed::Record(..)), "byte {at}");
        }
    }

    #[test]
    fn a_part_of_a_record_asks_for_more() {
        let (_, bytes) = Draft::new("s", "e", "k", b"body").unwrap().number(7, 1_000);
        for len in 0..bytes.len() {
            assert!(
                matches!(parse(&bytes.slice(..len), 1..=10), Parsed::More(_)),
                "{len}"
            );
        }
    }

    #[test]
    fn names_that_do_not_fit_are_refused() {
        let long = "x".repeat(70_000);
        assert_eq!(
            Draft::new("s", "e", &long, b"").unwrap_err(),
            TooLong("its id")
        );
    }
}
