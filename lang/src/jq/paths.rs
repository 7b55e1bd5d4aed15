//! Reading, setting and deleting at a path of keys, which makes what is missing.
//! It never makes an array longer than a million elements.

use std::rc::Rc;

use jaq_core::ValT as _;
use jaq_json::{Error, Map, Num, Val};

use super::budget::MAX_DEPTH;

/// The longest array that setting an element may make.
const MAX_LENGTH: usize = 1_000_000;

pub(super) fn keys(path: &Val) -> Result<Vec<Val>, Error> {
    match path {
        Val::Arr(keys) if keys.len() <= MAX_DEPTH => Ok(keys.to_vec()),
        Val::Arr(_) => Err(Error::str("the path is too long")),
        other => Err(Error::typ(other.clone(), "array")),
    }
}

/// The value at a path, null where there is none.
pub(super) fn get(value: Val, path: &[Val]) -> Result<Val, Error> {
    let mut value = value;
    for key in path {
        value = match value {
            Val::Null => Val::Null,
            other => other.index(key)?,
        };
    }
    Ok(value)
}

/// The value with another one at a path.
pub(super) fn set(value: Val, path: &[Val], new: Val) -> Result<Val, Error> {
    let Some((key, rest)) = path.split_first() else {
        return Ok(new);
    };
    match (value, key) {
        (Val::Null, Val::TStr(_)) => {
            let mut map = Map::default();
            map.insert(key.clone(), set(Val::Null, rest, new)?);
            Ok(Val::obj(map))
        }
        (Val::Obj(mut map), Val::TStr(_)) => {
            let fields = Rc::make_mut(&mut map);
            let old = fields.get_mut(key).map(std::mem::take).unwrap_or_default();
            fields.insert(key.clone(), set(old, rest, new)?);
            Ok(Val::Obj(map))
        }
        (Val::Null, Val::Num(number)) => set_item(Rc::default(), number, rest, new),
        (Val::Arr(items), Val::Num(number)) => set_item(items, number, rest, new),
        (value @ (Val::Null | Val::Arr(_)), Val::Obj(_)) => {
            let part = get(value.clone(), std::slice::from_ref(key))?;
            let Val::Arr(part) = set(part, rest, new)? else {
                return Err(Error::str("a slice can only be set to an array"));
            };
            splice(value, key, &part)
        }
        (value, key) => Err(Error::index(value, key.clone())),
    }
}

fn set_item(mut items: Rc<Vec<Val>>, number: &Num, rest: &[Val], new: Val) -> Result<Val, Error> {
    let length = items.len();
    let Some(index) = index(number) else {
        return Err(Error::index(Val::Arr(items), Val::Num(number.clone())));
    };
    let Some(index) = place(index, length) else {
        return Err(Error::str("a negative index is out of range"));
    };
    if index >= MAX_LENGTH {
        return Err(Error::str("the index is too large"));
    }
    let list = Rc::make_mut(&mut items);
    if index >= length {
        list.resize(index + 1, Val::Null);
    }
    if let Some(item) = list.get_mut(index) {
        *item = set(std::mem::take(item), rest, new)?;
    }
    Ok(Val::Arr(items))
}

/// A whole number, cut if it is a float.
fn index(number: &Num) -> Option<isize> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "an index is cut to a whole number"
    )]
    match number {
        Num::Float(float) => Some(float.floor() as isize),
        Num::Dec(text) => text.parse::<f64>().ok().map(|float| float.floor() as isize),
        _ => number.as_isize(),
    }
}

fn place(index: isize, length: usize) -> Option<usize> {
    if index < 0 {
        length.checked_sub(index.unsigned_abs())
    } else {
        usize::try_from(index).ok()
    }
}

/// The bounds that `{"start":…,"end":…}` has in an array of that length.
fn bounds(key: &Val, length: usize) -> Option<(usize, usize)> {
    let Val::Obj(map) = key else { return None };
    let bound = |name: &str, absent: usize| match map.get(&Val::utf8_str(name.to_owned())) {
        None | Some(Val::Null) => Some(absent),
        Some(Val::Num(number)) => {
            let index = index(number)?;
            Some(place(index, length).unwrap_or_default().min(length))
        }
        _ => None,
    };
    let (start, end) = (bound("start", 0)?, bound("end", length)?);
    Some((start, end.max(start)))
}

fn splice(value: Val, key: &Val, part: &[Val]) -> Result<Val, Error> {
    let mut items = match value {
        Val::Arr(items) => items,
        _ => Rc::default(),
    };
    let Some((start, end)) = bounds(key, items.len()) else {
        return Err(Error::index(Val::Arr(items), key.clone()));
    };
    Rc::make_mut(&mut items).splice(start..end, part.iter().cloned());
    Ok(Val::Arr(items))
}

/// The value without what is at a path.
pub(super) fn delete(value: Val, path: &[Val]) -> Result<Val, Error> {
    let Some((key, rest)) = path.split_first() else {
        return Ok(Val::Null);
    };
    match (value, key) {
        (Val::Null, _) => Ok(Val::Null),
        (Val::Obj(mut map), Val::TStr(_)) => {
            if map.contains_key(key) {
                let fields = Rc::make_mut(&mut map);
                if rest.is_empty() {
                    fields.shift_remove(key);
                } else if let Some(item) = fields.get_mut(key) {
                    *item = delete(std::mem::take(item), rest)?;
                }
            }
            Ok(Val::Obj(map))
        }
        (Val::Arr(mut items), Val::Num(number)) => {
            let place = index(number).and_then(|index| place(index, items.len()));
            if let Some(index) = place.filter(|index| *index < items.len()) {
                let list = Rc::make_mut(&mut items);
                if rest.is_empty() {
                    list.remove(index);
                } else if let Some(item) = list.get_mut(index) {
                    *item = delete(std::mem::take(item), rest)?;
                }
            }
            Ok(Val::Arr(items))
        }
        (value @ Val::Arr(_), Val::Obj(_)) => {
            let part = if rest.is_empty() {
                Rc::default()
            } else {
                let part = get(value.clone(), std::slice::from_ref(key))?;
                match delete(part, rest)? {
                    Val::Arr(part) => part,
                    _ => return Ok(value),
                }
            };
            splice(value, key, &part)
        }
        (value, key) => Err(Error::index(value, key.clone())),
    }
}
