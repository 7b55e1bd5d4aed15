//! A small disk of its own for a server's store, so that it can be full. It exists only where the system lets us mount one.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A mounted file system in memory, gone when dropped.
#[derive(Debug)]
pub(super) struct Disk {
    at: PathBuf,
}

impl Disk {
    /// Mounts one of so many megabytes; `None` where that is not permitted.
    pub(super) fn mount(at: &Path, megabytes: usize) -> Option<Self> {
        fs::create_dir_all(at).ok()?;
        let size = format!("size={megabytes}m");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(at)
            .stderr(Stdio::null())
            .status();
        mounted
            .is_ok_and(|status| status.success())
            .then(|| Self { at: at.to_owned() })
    }

    fn filler(&self) -> PathBuf {
        self.at.join("filler")
    }

    /// Takes all room that is left.
    pub(super) fn fill(&self) {
        let Ok(mut file) = File::create(self.filler()) else {
            return;
        };
        // Smaller and smaller, so that not even a small record fits afterwards.
        for size in [1 << 20, 1 << 12, 1] {
            let block = vec![0_u8; size];
            while file.write_all(&block).is_ok() {}
        }
    }

    /// Gives it back.
    pub(super) fn empty(&self) {
        fs::remove_file(self.filler()).ok();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a server may be on its way out.
        Command::new("umount")
            .arg("-l")
            .arg(&self.at)
            .stderr(Stdio::null())
            .status()
            .ok();
    }
}
