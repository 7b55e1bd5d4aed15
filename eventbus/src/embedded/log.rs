//! The log: files in a folder, appended to in groups, one sync a group. It knows nothing of consumers.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::record::Record;
use super::segment::{START, Scanned, Segment};

/// The files, for readers.
#[derive(Debug, Default)]
pub(crate) struct Segments(Mutex<VecDeque<Arc<Segment>>>);

impl Segments {
    fn with<R>(&self, look: impl FnOnce(&mut VecDeque<Arc<Segment>>) -> R) -> R {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The first records at or after `seq`; none means that `seq` is past the end.
    pub(crate) fn read_from(&self, seq: u64, max_bytes: usize) -> io::Result<Vec<Record>> {
        let mut seq = seq;
        loop {
            let (segment, next) = self.with(|list| {
                let at = list.partition_point(|segment| segment.first <= seq);
                let at = at.saturating_sub(1);
                (
                    list.get(at).cloned(),
                    list.get(at + 1).map(|next| next.first),
                )
            });
            let Some(segment) = segment else {
                return Ok(Vec::new());
            };
            let records = segment.read_from(seq.max(segment.first), max_bytes)?;
            match next {
                // Damage at the end of a file, or a jump in the numbers.
                Some(next) if records.is_empty() => seq = next,
                _ => return Ok(records),
            }
        }
    }

    /// Each file with its first number and the first number after it, oldest first; the last has none after it.
    fn spans(&self) -> Vec<(Arc<Segment>, Option<u64>)> {
        self.with(|list| {
            let nexts = list
                .iter()
                .skip(1)
                .map(|next| Some(next.first))
                .chain([None]);
            list.iter().cloned().zip(nexts).collect()
        })
    }

    /// The first number that may still be there.
    pub(crate) fn first_seq(&self) -> u64 {
        self.with(|list| list.front().map_or(1, |segment| segment.first))
    }
}

/// When a new file is begun.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SegmentSize {
    pub(crate) bytes: u64,
    pub(crate) messages: u64,
}

/// The writing end.
#[derive(Debug)]
pub(crate) struct Log {
    dir: PathBuf,
    segments: Arc<Segments>,
    active: Arc<Segment>,
    segment: SegmentSize,
    next_seq: u64,
    sealed_bytes: u64,
    /// A write failed: nothing is appended before the file is whole again.
    damaged: Option<Damage>,
    #[cfg(test)]
    pub(crate) faults: Arc<Faults>,
}

/// What has to be done before the next append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Damage {
    /// Bytes beyond the end must go.
    Tail,
    /// A sync failed: what the file holds beyond the end is unknown, so a new one is begun.
    Sync,
}

/// A disk with little room, for tests.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct Faults {
    pub(crate) room: std::sync::atomic::AtomicU64,
    pub(crate) sync_fails: std::sync::atomic::AtomicBool,
}

#[cfg(test)]
impl Default for Faults {
    fn default() -> Self {
        Self {
            room: u64::MAX.into(),
            sync_fails: false.into(),
        }
    }
}

impl Log {
    /// Opens the folder and mends a torn end. `beyond`: no number up to it is given again.
    pub(crate) fn open(
        dir: &Path,
        segment: SegmentSize,
        beyond: u64,
        now_nanos: i64,
    ) -> io::Result<(Self, Arc<Segments>)> {
        let mut paths: Vec<PathBuf> = std::fs::read_dir(dir)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()?;
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
        paths.sort();
        let mut list = VecDeque::new();
        for path in paths {
            match Segment::open(&path)? {
                Some(segment) => list.push_back(Arc::new(segment)),
                // The process ended between making the file and writing its header.
                None => std::fs::remove_file(&path)?,
            }
        }
        let last_seq = match list.back() {
            Some(segment) => mend(segment)?,
            None => 0,
        };
        let next_seq = last_seq.max(beyond) + 1;
        let active = match list.back() {
            Some(newest) if next_seq == last_seq + 1 => newest.clone(),
            // Within a file numbers never jump, which tells a record from rubbish that looks like one.
            _ => {
                let newest = Arc::new(Segment::create(dir, next_seq, now_nanos)?);
                sync_dir(dir)?;
                list.push_back(newest.clone());
                newest
            }
        };
        let sealed_bytes = list.iter().map(|segment| segment.end()).sum::<u64>() - active.end();
        let segments = Arc::new(Segments(Mutex::new(list)));
        let log = Self {
            dir: dir.to_owned(),
            segments: segments.clone(),
            active,
            segment,
            next_seq,
            sealed_bytes,
            damaged: None,
            #[cfg(test)]
            faults: Arc::default(),
        };
        Ok((log, segments))
    }

    pub(crate) fn next_seq(&self) -> u64 {
        self.next_seq
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.sealed_bytes + self.active.end()
    }

    /// How many events the files hold, counting numbers.
    pub(crate) fn messages(&self) -> u64 {
        self.next_seq.saturating_sub(self.segments.first_seq())
    }

    /// Appends records whose numbers go on from [`Log::next_seq`], and syncs. All or none is kept.
    pub(crate) fn append(&mut self, records: &[(Record, Bytes)], now_nanos: i64) -> io::Result<()> {
        self.repair(now_nanos)?;
        let Some((last, _)) = records.last() else {
            return Ok(());
        };
        let held = self.next_seq.saturating_sub(self.active.first);
        if self.active.end() >= self.segment.bytes || held >= self.segment.messages {
            self.roll(now_nanos)?;
        }
        let total = records.iter().map(|(_, bytes)| bytes.len()).sum();
        let mut buffer = Vec::with_capacity(total);
        let from = self.active.end();
        for (_, bytes) in records {
            buffer.extend_from_slice(bytes);
        }
        if let Err(error) = self.write(&buffer, from) {
            self.damaged = Some(Damage::Tail);
            // Most often the disk is full; the part that was written makes room for others.
            if let Err(error) = self.repair(now_nanos) {
                tracing::debug!(%error, "the torn write is cut before the next one");
            }
            return Err(error);
        }
        if let Err(error) = self.sync() {
            self.damaged = Some(Damage::Sync);
            return Err(error);
        }
        let mut at = from;
        for (record, bytes) in records {
            self.active.note(record.seq, at);
            at += bytes.len() as u64;
        }
        self.active.set_end(at);
        self.next_seq = last.seq + 1;
        Ok(())
    }

    fn write(&self, buffer: &[u8], at: u64) -> io::Result<()> {
        #[cfg(test)]
        {
            let room = self.faults.room.load(std::sync::atomic::Ordering::Relaxed);
            if (buffer.len() as u64) > room {
                let part = usize::try_from(room).unwrap_or(usize::MAX);
                self.active
                    .file
                    .write_all_at(buffer.get(..part).unwrap_or_default(), at)?;
                return Err(rustix::io::Errno::NOSPC.into());
            }
        }
        self.active.file.write_all_at(buffer, at)
    }

    fn sync(&self) -> io::Result<()> {
        #[cfg(test)]
        if self
            .faults
            .sync_fails
            .load(std::sync::atomic::Ordering::Relaxed)
        {
            return Err(rustix::io::Errno::IO.into());
        }
        self.active.file.sync_data()
    }

    /// Makes the file whole after a failed write.
    pub(crate) fn repair(&mut self, now_nanos: i64) -> io::Result<()> {
        let Some(damage) = self.damaged else {
            return Ok(());
        };
        self.active.file.set_len(self.active.end())?;
        self.active.file.sync_all()?;
        if damage == Damage::Sync {
            self.roll(now_nanos)?;
        }
        self.damaged = None;
        Ok(())
    }

    /// Whether the last write failed and could not be undone yet.
    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged.is_some()
    }

    /// Begins a new file, unless the present one is empty.
    pub(crate) fn roll(&mut self, now_nanos: i64) -> io::Result<()> {
        if self.active.first == self.next_seq {
            return Ok(());
        }
        let segment = Arc::new(Segment::create(&self.dir, self.next_seq, now_nanos)?);
        sync_dir(&self.dir)?;
        self.sealed_bytes += self.active.end();
        self.segments.with(|list| list.push_back(segment.clone()));
        self.active = segment;
        Ok(())
    }

    /// The oldest file's last number, if it is not the one written to.
    pub(crate) fn oldest_sealed(&self) -> Option<(u64, u64)> {
        self.segments.with(|list| {
            let first = list.front().map(|segment| segment.first);
            first.zip(list.get(1).map(|next| next.first.saturating_sub(1)))
        })
    }

    /// When the last event of the oldest file was stored at the latest; `None` for the one written to.
    pub(crate) fn oldest_ended_nanos(&self) -> Option<i64> {
        self.segments
            .with(|list| list.get(1).map(|next| next.made_nanos))
    }

    /// When the file that is written to was begun, if it holds anything.
    pub(crate) fn active_made_nanos(&self) -> Option<i64> {
        (self.active.first != self.next_seq).then_some(self.active.made_nanos)
    }

    /// Removes the oldest file.
    pub(crate) fn remove_oldest(&mut self) -> io::Result<()> {
        let oldest = self
            .segments
            .with(|list| (list.len() > 1).then(|| list.front().cloned()).flatten());
        let Some(oldest) = oldest else { return Ok(()) };
        std::fs::remove_file(&oldest.path)?;
        self.segments.with(VecDeque::pop_front);
        self.sealed_bytes = self.sealed_bytes.saturating_sub(oldest.end());
        Ok(())
    }

    /// Walks over what was stored since `nanos`, oldest first.
    pub(crate) fn since(&self, nanos: i64, mut visit: impl FnMut(&Record)) -> io::Result<()> {
        let spans = self.segments.spans();
        let ended = spans
            .iter()
            .skip(1)
            .map(|(next, _)| next.made_nanos)
            .chain([i64::MAX]);
        for ((segment, _), ended) in spans.iter().zip(ended) {
            if ended < nanos {
                continue;
            }
            let mut scan = segment.scan(START, segment.first.saturating_sub(1));
            loop {
                match scan.step()? {
                    Scanned::Record(record, _) if record.time_nanos() >= nanos => visit(&record),
                    Scanned::Record(..) => {}
                    Scanned::Damaged { from, to } => segment.report(from, to),
                    Scanned::Torn { from } => {
                        segment.report(from, segment.end());
                        break;
                    }
                    Scanned::End => break,
                }
            }
        }
        Ok(())
    }
}

/// Reads the newest file to its end and cuts what a crash left behind the last whole record.
fn mend(segment: &Segment) -> io::Result<u64> {
    let mut last_seq = segment.first.saturating_sub(1);
    let mut scan = segment.scan(START, last_seq);
    loop {
        match scan.step()? {
            Scanned::Record(record, _) => last_seq = record.seq,
            Scanned::Damaged { from, to } => segment.report(from, to),
            Scanned::Torn { from } => {
                tracing::warn!(
                    file = %segment.path.display(), bytes = segment.end().saturating_sub(from), last_seq,
                    "cut an unfinished write from the end of the event bus's log; it was never acknowledged"
                );
                segment.file.set_len(from)?;
                segment.file.sync_all()?;
                segment.set_end(from);
                return Ok(last_seq);
            }
            Scanned::End => return Ok(last_seq),
        }
    }
}

/// Makes names in a folder durable.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
