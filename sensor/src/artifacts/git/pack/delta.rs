//! An object that is stored as a change of another one. It never makes more than the change says it does.

use super::{DAMAGED, MOST_OBJECT, PackError};

/// An object made from another one: copies of parts of it, and new bytes between.
pub(super) fn apply(base: &[u8], delta: &[u8]) -> Result<Vec<u8>, PackError> {
    let mut at = 0;
    let mut next = || {
        let byte = delta.get(at).copied();
        at += 1;
        byte
    };
    let mut size = || -> Result<usize, PackError> {
        let (mut size, mut shift) = (0_usize, 0_u32);
        loop {
            let byte = next().ok_or(DAMAGED)?;
            if shift > 40 {
                return Err(PackError::TooLarge);
            }
            size |= usize::from(byte & 127) << shift;
            shift += 7;
            if byte & 128 == 0 {
                return Ok(size);
            }
        }
    };
    let (from, to) = (size()?, size()?);
    if from != base.len() {
        return Err(PackError::Damaged("a change is of another object"));
    }
    if to > MOST_OBJECT {
        return Err(PackError::TooLarge);
    }
    let mut out = Vec::with_capacity(to);
    while let Some(&op) = delta.get(at) {
        at += 1;
        if op & 128 == 0 {
            let end = at + usize::from(op);
            if op == 0 {
                return Err(PackError::Damaged("a change says nothing"));
            }
            out.extend_from_slice(delta.get(at..end).ok_or(DAMAGED)?);
            at = end;
        } else {
            let mut number = |bits: std::ops::Range<u32>| -> Result<usize, PackError> {
                let mut number = 0;
                for (place, bit) in bits.enumerate() {
                    if op >> bit & 1 == 1 {
                        number |= usize::from(*delta.get(at).ok_or(DAMAGED)?) << (8 * place);
                        at += 1;
                    }
                }
                Ok(number)
            };
            let (start, length) = (number(0..4)?, number(4..7)?);
            let length = if length == 0 { 0x10000 } else { length };
            out.extend_from_slice(base.get(start..start + length).ok_or(DAMAGED)?);
        }
        if out.len() > to {
            return Err(PackError::Damaged("a change makes too much"));
        }
    }
    if out.len() != to {
        return Err(DAMAGED);
    }
    Ok(out)
}
