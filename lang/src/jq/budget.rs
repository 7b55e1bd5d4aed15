//! What one run may take, and how much of it is left.
//! It never stops anything itself: it answers with the error that does.

use std::cell::Cell;
use std::time::{Duration, Instant};

use jaq_json::{Error, Val};

/// The longest run.
pub(super) const MAX_TIME: Duration = Duration::from_secs(1);

/// The most steps: calls, pipe stages, elements.
const MAX_STEPS: u64 = 5_000_000;

/// The most values that are looked at to measure arrays and objects.
const MAX_VISITS: u64 = 50_000_000;

/// The most leaves of one value, shared ones counted as often as they appear.
const MAX_LEAVES: u64 = 1_000_000;

/// The longest text.
const MAX_TEXT: usize = 16 << 20;

/// The most bytes of text that are made.
const MAX_BYTES: u64 = 256 << 20;

/// The deepest value.
pub(super) const MAX_DEPTH: usize = 500;

/// The stack of a run; the system hands it out page by page as it is used.
pub(super) const STACK: usize = 256 << 20;

/// How much of it a filter may use: what is left is for dropping what it built up.
const MAX_STACK: usize = STACK / 2;

pub(super) struct Budget {
    deadline: Instant,
    base: usize,
    steps: Cell<u64>,
    visits: Cell<u64>,
    bytes: Cell<u64>,
    exceeded: Cell<Option<&'static str>>,
}

/// About where the stack is now.
fn stack_place() -> usize {
    let here = 0_u8;
    std::ptr::from_ref(&here).addr()
}

impl Budget {
    pub(super) fn new(time: Duration) -> Self {
        Self {
            deadline: Instant::now() + time,
            base: stack_place(),
            steps: Cell::new(0),
            visits: Cell::new(0),
            bytes: Cell::new(0),
            exceeded: Cell::new(None),
        }
    }

    /// What was used up, even if the filter caught the error.
    pub(super) fn exceeded(&self) -> Option<&'static str> {
        self.exceeded.get()
    }

    pub(super) fn refuse(&self, what: &'static str) -> Error {
        let what = self.exceeded.get().unwrap_or(what);
        self.exceeded.set(Some(what));
        Error::str(format_args!("the filter takes too {what}"))
    }

    /// Takes steps, and looks at stack and clock.
    pub(super) fn step(&self, count: u64) -> Result<(), Error> {
        let before = self.steps.get();
        let after = before.saturating_add(count);
        self.steps.set(after);
        if self.exceeded.get().is_some() || after > MAX_STEPS {
            return Err(self.refuse("many steps"));
        }
        if stack_place().abs_diff(self.base) > MAX_STACK {
            return Err(self.refuse("many levels of calls"));
        }
        if before / 64 != after / 64 && Instant::now() > self.deadline {
            return Err(self.refuse("much time"));
        }
        Ok(())
    }

    /// Takes a text of that many bytes.
    pub(super) fn text(&self, bytes: usize) -> Result<(), Error> {
        self.bytes
            .set(self.bytes.get().saturating_add(bytes as u64));
        if self.bytes.get() > MAX_BYTES {
            return Err(self.refuse("much text"));
        }
        Ok(())
    }

    /// Takes one step with a value at hand.
    pub(super) fn tick(&self, value: &Val) -> Result<(), Error> {
        self.step(1)?;
        match value {
            Val::TStr(text) | Val::BStr(text) if text.len() > MAX_TEXT => {
                Err(self.refuse("much text"))
            }
            _ => Ok(()),
        }
    }

    /// Takes one step with a value that is going to be kept.
    pub(super) fn made(&self, value: &Val) -> Result<(), Error> {
        self.tick(value)?;
        match value {
            Val::TStr(text) | Val::BStr(text) => self.text(text.len()),
            _ => Ok(()),
        }
    }

    /// Looks through a value that was made.
    pub(super) fn measure(&self, value: &Val) -> Result<(), Error> {
        let mut leaves = 0;
        let result = self.walk(value, 0, &mut leaves);
        self.visits.set(self.visits.get() + leaves);
        result?;
        if self.visits.get() > MAX_VISITS {
            return Err(self.refuse("many values"));
        }
        Ok(())
    }

    fn walk(&self, value: &Val, depth: usize, leaves: &mut u64) -> Result<(), Error> {
        *leaves += 1;
        if depth > MAX_DEPTH {
            return Err(self.refuse("deep values"));
        }
        if *leaves > MAX_LEAVES {
            return Err(self.refuse("large values"));
        }
        match value {
            Val::Arr(items) => items
                .iter()
                .try_for_each(|item| self.walk(item, depth + 1, leaves)),
            Val::Obj(map) => map.iter().try_for_each(|(key, item)| {
                self.walk(key, depth + 1, leaves)?;
                self.walk(item, depth + 1, leaves)
            }),
            // A text that is shared is written as often as it appears.
            Val::TStr(text) => {
                *leaves += (text.len() / 64) as u64;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
