//! The way from a commit to a file, by the folders between. It follows no link, and leaves the repository by no path.

use bytes::Bytes;

use super::super::oid::Oid;
use super::{DAMAGED, Kind, Pack, PackError};

/// How many tags may point to tags, one after the other.
const MOST_TAGS: usize = 8;

/// What is at the end of a path.
pub(in super::super) enum Found {
    /// The file.
    File(Bytes),
    /// Its name; the pack does not have it.
    Absent(Oid),
}

impl Pack {
    /// Goes from a commit, or a tag of one, along a path to a file.
    pub(in super::super) fn walk(
        mut self,
        commit: Oid,
        path: &[String],
        most: usize,
    ) -> Result<Found, PackError> {
        let mut at = commit;
        for _ in 0..MOST_TAGS {
            match self.object(at)? {
                Some((Kind::Tag, text)) => at = named(&text, b"object ")?,
                Some((Kind::Commit, text)) => {
                    at = named(&text, b"tree ")?;
                    break;
                }
                Some((Kind::Tree, _)) => break,
                Some((Kind::Blob, _)) => return Err(PackError::NotAFile(at.to_string())),
                None => return Err(PackError::Damaged("the commit is not in it")),
            }
        }
        let mut shown = String::new();
        let mut steps = path.iter().peekable();
        while let Some(step) = steps.next() {
            let Some((Kind::Tree, tree)) = self.object(at)? else {
                return Err(PackError::Damaged("a folder is not in it"));
            };
            shown = if shown.is_empty() {
                step.clone()
            } else {
                format!("{shown}/{step}")
            };
            let (mode, oid) =
                child(&tree, step.as_bytes())?.ok_or_else(|| PackError::NoFile(shown.clone()))?;
            let last = steps.peek().is_none();
            match mode {
                Mode::Link => return Err(PackError::Link(shown)),
                Mode::Submodule => return Err(PackError::Submodule(shown)),
                Mode::Folder if last => return Err(PackError::NotAFile(shown)),
                Mode::File if !last => return Err(PackError::NoFile(path.join("/"))),
                Mode::Folder | Mode::File => at = oid,
            }
        }
        match self.object(at)? {
            Some((Kind::Blob, bytes)) if bytes.len() > most => Err(PackError::FileTooLarge(most)),
            Some((Kind::Blob, bytes)) => Ok(Found::File(bytes.into())),
            Some(_) => Err(PackError::NotAFile(shown)),
            None => Ok(Found::Absent(at)),
        }
    }

    /// A file by its name.
    pub(in super::super) fn into_blob(mut self, oid: Oid, most: usize) -> Result<Bytes, PackError> {
        match self.object(oid)? {
            Some((Kind::Blob, bytes)) if bytes.len() > most => Err(PackError::FileTooLarge(most)),
            Some((Kind::Blob, bytes)) => Ok(bytes.into()),
            _ => Err(PackError::Damaged("the file is not in it")),
        }
    }
}

/// The name behind the first word of a commit or tag.
fn named(text: &[u8], word: &[u8]) -> Result<Oid, PackError> {
    let line = text.split(|byte| *byte == b'\n').next();
    line.and_then(|line| line.strip_prefix(word))
        .and_then(|digits| str::from_utf8(digits).ok())
        .and_then(Oid::parse)
        .ok_or(PackError::Damaged("a commit names no tree"))
}

enum Mode {
    File,
    Folder,
    Link,
    Submodule,
}

/// One entry of a folder.
fn child(mut tree: &[u8], name: &[u8]) -> Result<Option<(Mode, Oid)>, PackError> {
    while !tree.is_empty() {
        let end = tree.iter().position(|byte| *byte == 0).ok_or(DAMAGED)?;
        let (head, rest) = tree.split_at_checked(end).ok_or(DAMAGED)?;
        let space = head.iter().position(|byte| *byte == b' ').ok_or(DAMAGED)?;
        let (mode, found) = head.split_at_checked(space).ok_or(DAMAGED)?;
        let oid: [u8; 20] = rest
            .get(1..21)
            .and_then(|oid| oid.try_into().ok())
            .ok_or(DAMAGED)?;
        if found.get(1..) == Some(name) {
            let mode = match mode {
                b"40000" | b"040000" => Mode::Folder,
                b"120000" => Mode::Link,
                b"160000" => Mode::Submodule,
                _ => Mode::File,
            };
            return Ok(Some((mode, Oid(oid))));
        }
        tree = rest.get(21..).ok_or(DAMAGED)?;
    }
    Ok(None)
}
