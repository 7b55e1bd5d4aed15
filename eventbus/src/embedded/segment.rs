//! One file of the log: appended to by the writer, read by everybody. It finds damage and steps over it; it never changes what is whole.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use super::record::{HEADER, Parsed, Record, parse};

const MAGIC: &[u8; 8] = b"TIPHYSL1";
/// The file's own header: the magic word, the first number, the time of its making.
pub(crate) const START: u64 = 24;
/// How far apart the places are that the index knows.
const STRIDE: u64 = 64 << 10;
const WINDOW: usize = 256 << 10;

/// A file of the log. Bytes before `end` are committed.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) path: PathBuf,
    pub(crate) first: u64,
    pub(crate) made_nanos: i64,
    pub(crate) file: File,
    end: AtomicU64,
    index: Mutex<Option<Vec<(u64, u64)>>>,
    reported: AtomicBool,
}

/// What a scan meets.
#[derive(Debug)]
pub(crate) enum Scanned {
    /// A whole record at this place.
    Record(Record, u64),
    /// Bytes between whole records that cannot be read.
    Damaged { from: u64, to: u64 },
    /// Nothing whole follows this place.
    Torn { from: u64 },
    /// The end.
    End,
}

pub(crate) fn file_name(first: u64) -> String {
    format!("{first:020}.log")
}

impl Segment {
    /// Makes an empty file; the caller syncs the folder.
    pub(crate) fn create(dir: &Path, first: u64, made_nanos: i64) -> io::Result<Self> {
        let path = dir.join(file_name(first));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)?;
        let mut header = MAGIC.to_vec();
        header.extend_from_slice(&first.to_le_bytes());
        header.extend_from_slice(&made_nanos.to_le_bytes());
        file.write_all_at(&header, 0)?;
        file.sync_all()?;
        Ok(Self {
            path,
            first,
            made_nanos,
            file,
            end: AtomicU64::new(START),
            index: Mutex::new(Some(Vec::new())),
            reported: AtomicBool::new(false),
        })
    }

    /// Opens a file; `None` where it has no whole header and so never held a record.
    pub(crate) fn open(path: &Path) -> io::Result<Option<Self>> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let len = file.metadata()?.len();
        if len < START {
            return Ok(None);
        }
        let mut header = [0; 24];
        file.read_exact_at(&mut header, 0)?;
        let (magic, rest) = header.split_at(8);
        let (first, made) = rest.split_at(8);
        let number = |bytes: &[u8]| bytes.try_into().map(u64::from_le_bytes).unwrap_or_default();
        let (mut first, made) = (number(first), number(made));
        let name = path.file_stem().and_then(|name| name.to_str());
        let named: Option<u64> = name.and_then(|name| name.parse().ok());
        if magic != MAGIC || named != Some(first) {
            tracing::error!(file = %path.display(), "the header of a file of the event bus is damaged; its events are read all the same");
            first = named.unwrap_or(first);
        }
        Ok(Some(Self {
            path: path.to_owned(),
            first,
            made_nanos: made.cast_signed(),
            file,
            end: AtomicU64::new(len),
            index: Mutex::new(None),
            reported: AtomicBool::new(false),
        }))
    }

    pub(crate) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    pub(crate) fn set_end(&self, end: u64) {
        self.end.store(end, Ordering::Release);
    }

    /// Tells the index where a record of the file that is written to stands.
    pub(crate) fn note(&self, seq: u64, at: u64) {
        if let Some(index) = &mut *self.index.lock().unwrap_or_else(PoisonError::into_inner) {
            note(index, seq, at);
        }
    }

    pub(crate) fn scan(&self, from: u64, last_seq: u64) -> Scan<'_> {
        Scan {
            segment: self,
            at: from,
            end: self.end(),
            last_seq,
            window: Bytes::new(),
            window_at: 0,
        }
    }

    /// A place at or before the record `seq`, and the number that comes before it.
    fn place(&self, seq: u64) -> io::Result<(u64, u64)> {
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        if index.is_none() {
            *index = Some(self.build_index()?);
        }
        let index = index.as_deref().unwrap_or_default();
        let found = index.partition_point(|(known, _)| *known <= seq);
        let place = found.checked_sub(1).and_then(|at| index.get(at));
        Ok(
            place.map_or((START, self.first.saturating_sub(1)), |(seq, at)| {
                (*at, seq.saturating_sub(1))
            }),
        )
    }

    fn build_index(&self) -> io::Result<Vec<(u64, u64)>> {
        let mut index = Vec::new();
        let mut scan = self.scan(START, self.first.saturating_sub(1));
        loop {
            match scan.step()? {
                Scanned::Record(record, at) => note(&mut index, record.seq, at),
                Scanned::Damaged { .. } => {}
                Scanned::Torn { .. } | Scanned::End => return Ok(index),
            }
        }
    }

    /// The records from `seq` on, at most about `max_bytes` of them but at least one.
    pub(crate) fn read_from(&self, seq: u64, max_bytes: usize) -> io::Result<Vec<Record>> {
        let (at, before) = self.place(seq)?;
        let mut scan = self.scan(at, before);
        let (mut records, mut bytes) = (Vec::new(), 0);
        while bytes < max_bytes {
            match scan.step()? {
                Scanned::Record(record, _) => {
                    if record.seq >= seq {
                        bytes += record.len();
                        records.push(record);
                    }
                }
                Scanned::Damaged { from, to } => self.report(from, to),
                Scanned::Torn { from } => {
                    self.report(from, self.end());
                    break;
                }
                Scanned::End => break,
            }
        }
        Ok(records)
    }

    /// Says once per file that something is lost.
    pub(crate) fn report(&self, from: u64, to: u64) {
        if !self.reported.swap(true, Ordering::Relaxed) {
            tracing::error!(
                file = %self.path.display(), from, to, bytes = to.saturating_sub(from),
                "a part of the event bus's log is damaged and its events cannot be read; the rest is kept. Check the disk"
            );
        }
    }
}

fn note(index: &mut Vec<(u64, u64)>, seq: u64, at: u64) {
    if index.last().is_none_or(|(_, last)| at >= last + STRIDE) {
        index.push((seq, at));
    }
}

/// Walks over the records of one file.
pub(crate) struct Scan<'a> {
    segment: &'a Segment,
    at: u64,
    end: u64,
    last_seq: u64,
    window: Bytes,
    window_at: u64,
}

impl Scan<'_> {
    /// What comes next.
    pub(crate) fn step(&mut self) -> io::Result<Scanned> {
        if self.at >= self.end {
            return Ok(Scanned::End);
        }
        let place = self.at;
        let mut want = HEADER;
        loop {
            let bytes = self.bytes(place, want)?;
            match parse(&bytes, self.last_seq + 1..=u64::MAX) {
                Parsed::Record(record, len) => {
                    self.at += len as u64;
                    self.last_seq = record.seq;
                    return Ok(Scanned::Record(record, place));
                }
                Parsed::More(more) if place + more as u64 <= self.end => want = more,
                Parsed::More(_) | Parsed::Damaged => return self.resume(place),
            }
        }
    }

    /// Looks for the next whole record behind damage.
    fn resume(&mut self, from: u64) -> io::Result<Scanned> {
        let rest = usize::try_from(self.end - from).unwrap_or(usize::MAX);
        let bytes = self.bytes(from, rest)?;
        for offset in 1..bytes.len().saturating_sub(HEADER) {
            // Each lost record took at least a header, which bounds the numbers that can follow.
            let lost = (offset / HEADER) as u64 + 1;
            let seqs = self.last_seq + 1..=self.last_seq.saturating_add(lost + 1);
            if let Parsed::Record(..) = parse(&bytes.slice(offset..), seqs) {
                let to = from + offset as u64;
                self.at = to;
                return Ok(Scanned::Damaged { from, to });
            }
        }
        self.at = self.end;
        Ok(Scanned::Torn { from })
    }

    /// At least `want` bytes from `at` on, or all there are.
    fn bytes(&mut self, at: u64, want: usize) -> io::Result<Bytes> {
        let held = self.window_at + self.window.len() as u64;
        if at < self.window_at || at + want as u64 > held.min(self.end).max(at) && held < self.end {
            let rest = usize::try_from(self.end - at).unwrap_or(usize::MAX);
            let mut buffer = vec![0; want.max(WINDOW).min(rest)];
            self.segment.file.read_exact_at(&mut buffer, at)?;
            (self.window, self.window_at) = (buffer.into(), at);
        }
        let skip = usize::try_from(at - self.window_at).unwrap_or(usize::MAX);
        Ok(self.window.slice(skip.min(self.window.len())..))
    }
}
