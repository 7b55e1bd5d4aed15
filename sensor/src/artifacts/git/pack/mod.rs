//! A pack of git objects as a server sends it: objects found by their hash, files by their path.
//! Everything is bounded: a pack that is hostile costs a known amount of time and memory.

mod delta;
mod tree;

use std::collections::HashMap;

use bytes::Bytes;
use flate2::{Decompress, FlushDecompress, Status};
use sha1::{Digest as _, Sha1};

use super::oid::Oid;

pub(super) use tree::Found;

/// How many objects a pack may hold.
const MOST_OBJECTS: u32 = 1_000_000;

/// How much may be unpacked of one pack in all, what is unpacked twice counted twice.
const MOST_WORK: usize = 512 * 1024 * 1024;

/// How large one object may be that is looked into.
const MOST_OBJECT: usize = 32 * 1024 * 1024;

/// How many changes may lie between an object and what it is made from.
const MOST_DELTAS: usize = 4096;

/// Why a pack does not give the file.
#[derive(Debug, thiserror::Error)]
pub(super) enum PackError {
    #[error("the pack of objects is damaged: {0}")]
    Damaged(&'static str),
    #[error("the repository is too large to be read for one file")]
    TooLarge,
    #[error("the file is larger than {0} bytes")]
    FileTooLarge(usize),
    #[error("there is no {0:?} in the repository")]
    NoFile(String),
    #[error("{0:?} is a symbol link which is not allowed")]
    Link(String),
    #[error("{0:?} must be a file")]
    NotAFile(String),
    #[error("{0:?} is in another repository, as a submodule")]
    Submodule(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Commit,
    Tree,
    Blob,
    Tag,
}

#[derive(Debug, Clone, Copy)]
enum Made {
    Whole(Kind),
    FromOid(Oid),
    FromEntry(usize),
}

struct Entry {
    made: Made,
    /// Where its compressed bytes begin.
    at: usize,
    size: usize,
}

/// A pack.
pub(super) struct Pack {
    bytes: Bytes,
    entries: Vec<Entry>,
    known: HashMap<Oid, usize>,
    /// Entries whose names are not known yet.
    unnamed: Vec<usize>,
    work: usize,
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Tree => "tree",
            Self::Blob => "blob",
            Self::Tag => "tag",
        }
    }
}

const DAMAGED: PackError = PackError::Damaged("it ends too early");

impl Pack {
    /// Reads the list of objects; what they hold is unpacked later.
    pub(super) fn read(bytes: Bytes) -> Result<Self, PackError> {
        let body = bytes.len().checked_sub(20).ok_or(DAMAGED)?;
        let (head, sum) = (bytes.get(..body).ok_or(DAMAGED)?, bytes.get(body..));
        if sum != Some(Sha1::digest(head).as_slice()) {
            return Err(PackError::Damaged("its sum is wrong"));
        }
        let number = |at: usize| {
            let digits: [u8; 4] = head.get(at..at + 4)?.try_into().ok()?;
            Some(u32::from_be_bytes(digits))
        };
        if head.get(..4) != Some(b"PACK") || !matches!(number(4), Some(2 | 3)) {
            return Err(PackError::Damaged("it does not begin as a pack"));
        }
        let count = number(8).ok_or(DAMAGED)?;
        if count > MOST_OBJECTS {
            return Err(PackError::TooLarge);
        }
        let mut pack = Self {
            bytes: bytes.slice(..body),
            entries: Vec::new(),
            known: HashMap::new(),
            unnamed: Vec::new(),
            work: 0,
        };
        let mut offsets = HashMap::new();
        let mut at = 12;
        for index in 0..count {
            let index = usize::try_from(index).map_err(|_| PackError::TooLarge)?;
            offsets.insert(at, index);
            at = pack.entry(index, at, &offsets)?;
        }
        Ok(pack)
    }

    /// Takes in one entry, and says where the next one begins.
    fn entry(
        &mut self,
        index: usize,
        start: usize,
        offsets: &HashMap<usize, usize>,
    ) -> Result<usize, PackError> {
        let mut at = start;
        let mut next = || {
            let byte = self.bytes.get(at).copied();
            at += 1;
            byte.ok_or(DAMAGED)
        };
        let first = next()?;
        let mut size = usize::from(first & 15);
        let (mut shift, mut more) = (4_u32, first & 128 != 0);
        while more {
            let byte = next()?;
            if shift > 40 {
                return Err(PackError::TooLarge);
            }
            size |= usize::from(byte & 127) << shift;
            shift += 7;
            more = byte & 128 != 0;
        }
        let made = match first >> 4 & 7 {
            1 => Made::Whole(Kind::Commit),
            2 => Made::Whole(Kind::Tree),
            3 => Made::Whole(Kind::Blob),
            4 => Made::Whole(Kind::Tag),
            6 => {
                let mut byte = next()?;
                let mut back = usize::from(byte & 127);
                while byte & 128 != 0 {
                    byte = next()?;
                    let higher = back.checked_add(1).and_then(|back| back.checked_mul(128));
                    back = higher.ok_or(DAMAGED)? | usize::from(byte & 127);
                }
                let base = start.checked_sub(back).and_then(|at| offsets.get(&at));
                Made::FromEntry(*base.ok_or(PackError::Damaged("a change has no base"))?)
            }
            7 => {
                let mut oid = [0; 20];
                for byte in &mut oid {
                    *byte = next()?;
                }
                Made::FromOid(Oid(oid))
            }
            _ => return Err(PackError::Damaged("it has an object of no kind")),
        };
        self.entries.push(Entry { made, at, size });
        let mut hash = Sha1::new();
        let used = match made {
            Made::Whole(kind) => {
                hash.update(format!("{} {size}\0", kind.word()));
                let used = self.inflate(at, size, |bytes| hash.update(bytes))?;
                self.known.insert(Oid(hash.finalize().into()), index);
                used
            }
            Made::FromOid(_) | Made::FromEntry(_) => {
                self.unnamed.push(index);
                self.inflate(at, size, |_| ())?
            }
        };
        Ok(at + used)
    }

    /// Unpacks what begins at a place, and says how many bytes it took there.
    fn inflate(
        &mut self,
        at: usize,
        size: usize,
        mut out: impl FnMut(&[u8]),
    ) -> Result<usize, PackError> {
        self.work = self.work.saturating_add(size).saturating_add(64);
        if self.work > MOST_WORK {
            return Err(PackError::TooLarge);
        }
        let damaged = || PackError::Damaged("an object cannot be unpacked");
        let input = self.bytes.get(at..).ok_or(DAMAGED)?;
        let mut inflate = Decompress::new(true);
        let mut buffer = vec![0; size.clamp(64, 64 * 1024)];
        let place = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        loop {
            let (used, made) = (place(inflate.total_in()), place(inflate.total_out()));
            let rest = input.get(used..).ok_or(DAMAGED)?;
            let status = inflate
                .decompress(rest, &mut buffer, FlushDecompress::None)
                .map_err(|_| damaged())?;
            let came = place(inflate.total_out()) - made;
            if place(inflate.total_out()) > size {
                return Err(damaged());
            }
            out(buffer.get(..came).ok_or(DAMAGED)?);
            match status {
                Status::StreamEnd if place(inflate.total_out()) == size => {
                    return Ok(place(inflate.total_in()));
                }
                Status::StreamEnd => return Err(damaged()),
                // Neither eats nor gives: the bytes are over.
                _ if place(inflate.total_in()) == used && came == 0 => return Err(damaged()),
                _ => {}
            }
        }
    }

    /// An object by its name, unpacked.
    fn object(&mut self, oid: Oid) -> Result<Option<(Kind, Vec<u8>)>, PackError> {
        if !self.known.contains_key(&oid) {
            self.name_until(oid)?;
        }
        let Some(index) = self.known.get(&oid).copied() else {
            return Ok(None);
        };
        self.unpack(index)
    }

    /// Names changed objects until the wanted one is among them.
    fn name_until(&mut self, wanted: Oid) -> Result<(), PackError> {
        loop {
            let before = self.unnamed.len();
            for index in std::mem::take(&mut self.unnamed) {
                // Looking costs too: an order that is made to be slow ends here.
                self.work = self.work.saturating_add(64);
                if self.work > MOST_WORK {
                    return Err(PackError::TooLarge);
                }
                if self.known.contains_key(&wanted) {
                    self.unnamed.push(index);
                    continue;
                }
                let Some((kind, bytes)) = self.unpack(index)? else {
                    self.unnamed.push(index);
                    continue;
                };
                let mut hash = Sha1::new();
                hash.update(format!("{} {}\0", kind.word(), bytes.len()));
                hash.update(&bytes);
                self.known.insert(Oid(hash.finalize().into()), index);
            }
            if self.unnamed.len() == before || self.known.contains_key(&wanted) {
                return Ok(());
            }
        }
    }

    /// An entry's bytes; nothing where what it is made from is not known yet.
    fn unpack(&mut self, index: usize) -> Result<Option<(Kind, Vec<u8>)>, PackError> {
        let mut deltas = Vec::new();
        let mut index = index;
        let kind = loop {
            let entry = self.entries.get(index).ok_or(DAMAGED)?;
            match entry.made {
                Made::Whole(kind) => break kind,
                Made::FromEntry(base) => {
                    deltas.push(index);
                    index = base;
                }
                Made::FromOid(base) => {
                    deltas.push(index);
                    match self.known.get(&base) {
                        Some(base) => index = *base,
                        None => return Ok(None),
                    }
                }
            }
            if deltas.len() > MOST_DELTAS {
                return Err(PackError::Damaged("an object is made of itself"));
            }
        };
        let mut bytes = self.whole(index)?;
        for index in deltas.into_iter().rev() {
            let delta = self.whole(index)?;
            bytes = delta::apply(&bytes, &delta)?;
            self.work = self.work.saturating_add(bytes.len());
        }
        Ok(Some((kind, bytes)))
    }

    fn whole(&mut self, index: usize) -> Result<Vec<u8>, PackError> {
        let entry = self.entries.get(index).ok_or(DAMAGED)?;
        let (at, size) = (entry.at, entry.size);
        if size > MOST_OBJECT {
            return Err(PackError::TooLarge);
        }
        let mut bytes = Vec::with_capacity(size);
        self.inflate(at, size, |part| bytes.extend_from_slice(part))?;
        Ok(bytes)
    }
}
