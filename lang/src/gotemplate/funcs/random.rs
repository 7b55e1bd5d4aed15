//! Sprig's random texts and numbers.
//! It never uses a generator that is not fit for secrets, but to shuffle.

use super::{Function, bytes, function, int};
use crate::go::quote;
use crate::gotemplate::call::Param::{Int, Str};
use crate::gotemplate::cx::{Answer, Cx, Fault};
use crate::gotemplate::value::Val;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::Rng as _;
use rand::seq::SliceRandom as _;

const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const DIGITS: &[u8] = b"0123456789";

pub(super) const TABLE: &[Function] = &[
    function("randAlphaNum", &[Int], |cx, args| {
        random(cx, args, |byte| byte.is_ascii_alphanumeric())
    }),
    function("randAlpha", &[Int], |cx, args| {
        random(cx, args, |byte| LETTERS.contains(&byte))
    }),
    function("randNumeric", &[Int], |cx, args| {
        random(cx, args, |byte| DIGITS.contains(&byte))
    }),
    function("randAscii", &[Int], |cx, args| {
        random(cx, args, |byte| (b' '..127).contains(&byte))
    }),
    function("randBytes", &[Int], |cx, args| {
        let count = usize::try_from(int(args, 0))
            .map_err(|_| Fault::from("runtime error: makeslice: len out of range"))?;
        cx.charge(count)?;
        let mut buffer = vec![0; count];
        rand::rng().fill(buffer.as_mut_slice());
        cx.text(STANDARD.encode(buffer))
    }),
    function("randInt", &[Int, Int], |_, args| {
        let (low, high) = (int(args, 0), int(args, 1));
        if high.checked_sub(low).is_none_or(|width| width <= 0) {
            return Err(Fault::from("invalid argument to Intn"));
        }
        Ok(Val::int(rand::rng().random_range(low..high)))
    }),
    function("shuffle", &[Str], |cx, args| {
        let mut chars = quote::runes(bytes(args, 0));
        chars.shuffle(&mut rand::rng());
        cx.text(chars.into_iter().collect::<String>())
    }),
    function("uuidv4", &[], |cx, _| {
        cx.text(uuid::Uuid::new_v4().to_string())
    }),
];

fn random<'a>(cx: &Cx<'a>, args: &[Val<'a>], allowed: fn(u8) -> bool) -> Answer<'a> {
    // A negative count is an error that Sprig drops: the text is empty.
    let count = usize::try_from(int(args, 0)).unwrap_or(0);
    cx.charge(count)?;
    let set: Vec<u8> = (0..128).filter(|byte| allowed(*byte)).collect();
    let mut random = rand::rng();
    let text: Vec<u8> = (0..count)
        .filter_map(|_| set.get(random.random_range(0..set.len())).copied())
        .collect();
    cx.text(text)
}
