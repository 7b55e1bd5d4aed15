//! Sprig's encodings and sums.
//! It never refuses bad input with an error: as in Sprig, the message is the result.

use super::{Function, bytes, function};
use crate::gotemplate::call::Param::Str;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

pub(super) const TABLE: &[Function] = &[
    function("b64enc", &[Str], |cx, args| {
        cx.text(STANDARD.encode(bytes(args, 0)))
    }),
    function("b64dec", &[Str], |cx, args| {
        cx.text(match base64_decode(bytes(args, 0)) {
            Ok(decoded) => decoded,
            Err(at) => format!("illegal base64 data at input byte {at}").into_bytes(),
        })
    }),
    function("b32enc", &[Str], |cx, args| {
        cx.text(base32_encode(bytes(args, 0)))
    }),
    function("b32dec", &[Str], |cx, args| {
        cx.text(match base32_decode(bytes(args, 0)) {
            Ok(decoded) => decoded,
            Err(at) => format!("illegal base32 data at input byte {at}").into_bytes(),
        })
    }),
    function("sha1sum", &[Str], |cx, args| {
        cx.text(hex(&Sha1::digest(bytes(args, 0))))
    }),
    function("sha256sum", &[Str], |cx, args| {
        cx.text(hex(&Sha256::digest(bytes(args, 0))))
    }),
    function("sha512sum", &[Str], |cx, args| {
        cx.text(hex(&Sha512::digest(bytes(args, 0))))
    }),
    function("adler32sum", &[Str], |cx, args| {
        cx.text(adler32(bytes(args, 0)).to_string())
    }),
];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn adler32(bytes: &[u8]) -> u32 {
    const MODULUS: u32 = 65_521;
    let (mut low, mut high) = (1_u32, 0_u32);
    for byte in bytes {
        low = (low + u32::from(*byte)) % MODULUS;
        high = (high + low) % MODULUS;
    }
    high << 16 | low
}

/// Decodes as Go's `StdEncoding`: line ends are skipped; the error is the place in the input.
pub(super) fn base64_decode(text: &[u8]) -> Result<Vec<u8>, usize> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let skip = |mut at: usize| {
        while matches!(text.get(at), Some(b'\n' | b'\r')) {
            at += 1;
        }
        at
    };
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let mut at = 0;
    loop {
        let mut quantum = 0_u32;
        let mut count = 0;
        while count < 4 {
            let Some(byte) = text.get(at).copied() else {
                return if count == 0 { Ok(out) } else { Err(at - count) };
            };
            at += 1;
            match (digit(byte), byte) {
                (Some(digit), _) => {
                    quantum = quantum << 6 | u32::from(digit);
                    count += 1;
                }
                (None, b'\n' | b'\r') => {}
                (None, b'=') if count >= 2 => {
                    if count == 2 {
                        at = skip(at);
                        match text.get(at) {
                            None => return Err(text.len()),
                            Some(b'=') => at += 1,
                            Some(_) => return Err(at - 1),
                        }
                    }
                    at = skip(at);
                    if at < text.len() {
                        return Err(at);
                    }
                    let shifted = quantum << (6 * (4 - count));
                    let [_, one, two, _] = shifted.to_be_bytes();
                    out.push(one);
                    if count == 3 {
                        out.push(two);
                    }
                    return Ok(out);
                }
                _ => return Err(at - 1),
            }
        }
        let [_, one, two, three] = quantum.to_be_bytes();
        out.extend_from_slice(&[one, two, three]);
    }
}

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

fn base32_encode(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len().div_ceil(5) * 8);
    for chunk in bytes.chunks(5) {
        let mut bits = 0_u64;
        for index in 0..5 {
            bits = bits << 8 | u64::from(chunk.get(index).copied().unwrap_or(0));
        }
        let digits = (chunk.len() * 8).div_ceil(5);
        for index in 0..8 {
            let digit = usize::try_from(bits >> (35 - index * 5) & 31).unwrap_or(0);
            let byte = BASE32.get(digit).copied().unwrap_or(b'=');
            out.push(if index < digits { byte } else { b'=' });
        }
    }
    out
}

fn base32_decode(text: &[u8]) -> Result<Vec<u8>, usize> {
    let text: Vec<u8> = text
        .iter()
        .copied()
        .filter(|byte| !matches!(byte, b'\n' | b'\r'))
        .collect();
    let length = text.len();
    let mut out = Vec::new();
    let mut rest = text.as_slice();
    while !rest.is_empty() {
        let mut bits = 0_u64;
        let mut count = 0;
        let mut ended = false;
        while count < 8 {
            let Some((byte, after)) = rest.split_first() else {
                return Err(length - count);
            };
            rest = after;
            if *byte == b'=' && count >= 2 && rest.len() < 8 {
                if rest.len() + count < 7 {
                    return Err(length);
                }
                for extra in 0..7 - count {
                    if rest.get(extra).is_some_and(|byte| *byte != b'=') {
                        return Err((length + extra).saturating_sub(rest.len() + 1));
                    }
                }
                if matches!(count, 1 | 3 | 6) {
                    return Err(length - rest.len() - 1);
                }
                ended = true;
                break;
            }
            let digit = BASE32.iter().position(|known| known == byte);
            let digit = digit.ok_or(length - rest.len() - 1)?;
            bits = bits << 5 | digit as u64;
            count += 1;
        }
        let bytes = (bits << (5 * (8 - count)) << 24).to_be_bytes();
        let whole = count * 5 / 8;
        out.extend_from_slice(bytes.get(..whole).unwrap_or_default());
        if ended {
            break;
        }
    }
    Ok(out)
}
