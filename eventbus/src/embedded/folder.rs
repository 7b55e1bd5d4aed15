//! The folder of an embedded bus: taken by one process at a time, or refused with the remedy.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use rustix::fs::FlockOperation;

use crate::bus::OpenError;

/// The folder is this process's until this is dropped.
pub(super) struct Held(File);

impl Drop for Held {
    /// Closing the file is not enough: a program that is just being started has it open too, until it runs.
    fn drop(&mut self) {
        if let Err(error) = rustix::fs::flock(&self.0, FlockOperation::Unlock) {
            tracing::debug!(%error, "a folder is free once its file is closed everywhere");
        }
    }
}

/// Takes the folder for this process.
pub(super) fn lock(dir: &Path) -> Result<Held, OpenError> {
    let fatal = |error: std::io::Error| OpenError::Fatal {
        reason: unusable(dir, &error),
    };
    std::fs::create_dir_all(dir).map_err(fatal)?;
    let path = dir.join("lock");
    let mut options = OpenOptions::new();
    let mut file = options
        .create(true)
        .read(true)
        .write(true)
        .truncate(false)
        .open(&path)
        .map_err(fatal)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let holder = std::fs::read_to_string(&path).unwrap_or_default();
            let holder = match holder.trim() {
                "" => String::new(),
                pid => format!(" (process {pid})"),
            };
            return Err(OpenError::Fatal {
                reason: format!(
                    "another Tiphys{holder} uses the folder {}: stop it, or choose another data folder",
                    dir.display()
                ),
            });
        }
        Err(error) => return Err(fatal(error.into())),
    }
    let pid = std::process::id().to_string();
    file.set_len(0)
        .and_then(|()| file.write_all(pid.as_bytes()))
        .map_err(fatal)?;
    Ok(Held(file))
}

/// Why a folder cannot be used, and what helps.
pub(super) fn unusable(dir: &Path, error: &std::io::Error) -> String {
    let dir = dir.display();
    match error.kind() {
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => format!(
            "the folder {dir} cannot be written ({error}): make it writable, or choose another data folder"
        ),
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            format!("no space is left in {dir}: free some, or choose another data folder")
        }
        _ => format!(
            "the folder {dir} cannot be used: {error}; choose another data folder or mend it"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_free_at_once_also_while_a_program_is_being_started() {
        let dir = tempfile::tempdir().unwrap();
        let held = lock(dir.path()).unwrap();
        assert!(lock(dir.path()).is_err());
        // What a child has between its fork and its program.
        let inherited = held.0.try_clone().unwrap();
        drop(held);
        drop(lock(dir.path()).unwrap());
        drop(inherited);
    }
}
