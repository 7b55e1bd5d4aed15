//! Where a template writes to: a text that ends at its bound, and a count of the turns of loops.
//! It never allocates beyond the bound.

use std::io::{Error, Write};

use super::{MAX_OUTPUT, MAX_STEPS};

/// A bounded text.
#[derive(Default)]
pub(super) struct Bounded {
    pub(super) bytes: Vec<u8>,
    /// Whether something did not fit.
    pub(super) full: bool,
    /// Turns of loops: each writes an empty text.
    pub(super) steps: u64,
}

impl Write for Bounded {
    fn write(&mut self, text: &[u8]) -> Result<usize, Error> {
        self.write_all(text)?;
        Ok(text.len())
    }

    fn write_all(&mut self, text: &[u8]) -> Result<(), Error> {
        if text.is_empty() {
            self.steps += 1;
        }
        self.full |= self.bytes.len() + text.len() > MAX_OUTPUT;
        if self.full || self.steps > MAX_STEPS {
            return Err(Error::other("bound reached"));
        }
        self.bytes.extend_from_slice(text);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}
