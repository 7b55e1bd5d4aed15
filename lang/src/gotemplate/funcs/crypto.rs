//! Sprig's passwords and ciphers.
//! It never makes a weak choice of its own: algorithms and costs are Sprig's.

use super::encoding::base64_decode;
use super::{Function, any, bytes, function, int, utf8};
use crate::gotemplate::call::Param::{Str, Uint32};
use crate::gotemplate::cx::{Answer, Cx, Fault};
use crate::gotemplate::value::Val;
use aes::Aes256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cbc::cipher::block_padding::{NoPadding, Pkcs7};
use cbc::cipher::{BlockDecryptMut, BlockEncryptMut, KeyIvInit};
use hmac::{Hmac, Mac};
use rand::Rng as _;
use sha2::Sha256;

pub(super) const TABLE: &[Function] = &[
    function("bcrypt", &[Str], |cx, args| {
        let hash = bcrypt_hash(cx, bytes(args, 0))?;
        cx.text(hash)
    }),
    function("htpasswd", &[Str, Str], |cx, args| {
        let user = utf8(args, 0);
        if user.contains(':') {
            return cx.text(format!("invalid username: {user}"));
        }
        let hash = bcrypt_hash(cx, bytes(args, 1))?;
        cx.text(format!("{user}:{hash}"))
    }),
    function(
        "derivePassword",
        &[Uint32, Str, Str, Str, Str],
        derive_password,
    ),
    function("encryptAES", &[Str, Str], encrypt),
    function("decryptAES", &[Str, Str], decrypt),
];

/// Slow by design: few of them fit into one rendering.
const SLOW_STEPS: u64 = 500_000;

fn bcrypt_hash(cx: &Cx<'_>, password: &[u8]) -> Result<String, Fault> {
    cx.steps_taken(SLOW_STEPS)?;
    if password.len() > 72 {
        let why = "bcrypt: password length exceeds 72 bytes";
        return Ok(format!("failed to encrypt string with bcrypt: {why}"));
    }
    let salt: [u8; 16] = rand::rng().random();
    let parts = bcrypt::hash_with_salt(password, 10, salt)
        .map_err(|error| Fault(format!("cannot hash the password: {error}")))?;
    Ok(parts.format_for_version(bcrypt::Version::TwoA))
}

/// The password shapes of the Master Password algorithm.
fn shapes(kind: &[u8]) -> Option<&'static [&'static str]> {
    Some(match kind {
        b"maximum" => &["anoxxxxxxxxxxxxxxxxx", "axxxxxxxxxxxxxxxxxno"],
        b"long" => &[
            "CvcvnoCvcvCvcv",
            "CvcvCvcvnoCvcv",
            "CvcvCvcvCvcvno",
            "CvccnoCvcvCvcv",
            "CvccCvcvnoCvcv",
            "CvccCvcvCvcvno",
            "CvcvnoCvccCvcv",
            "CvcvCvccnoCvcv",
            "CvcvCvccCvcvno",
            "CvcvnoCvcvCvcc",
            "CvcvCvcvnoCvcc",
            "CvcvCvcvCvccno",
            "CvccnoCvccCvcv",
            "CvccCvccnoCvcv",
            "CvccCvccCvcvno",
            "CvcvnoCvccCvcc",
            "CvcvCvccnoCvcc",
            "CvcvCvccCvccno",
            "CvccnoCvcvCvcc",
            "CvccCvcvnoCvcc",
            "CvccCvcvCvccno",
        ],
        b"medium" => &["CvcnoCvc", "CvcCvcno"],
        b"short" => &["Cvcn"],
        b"basic" => &["aaanaaan", "aannaaan", "aaannaaa"],
        b"pin" => &["nnnn"],
        _ => return None,
    })
}

fn alphabet(class: u8) -> &'static [u8] {
    match class {
        b'V' => b"AEIOU",
        b'C' => b"BCDFGHJKLMNPQRSTVWXYZ",
        b'v' => b"aeiou",
        b'c' => b"bcdfghjklmnpqrstvwxyz",
        b'A' => b"AEIOUBCDFGHJKLMNPQRSTVWXYZ",
        b'a' => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz",
        b'n' => b"0123456789",
        b'o' => b"@&%?,=[]_:-+*$#!'^~;()/.",
        _ => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz0123456789!@#$%^&*()",
    }
}

fn derive_password<'a>(cx: &Cx<'a>, args: &[Val<'a>]) -> Answer<'a> {
    const SEED: &[u8] = b"com.lyndir.masterpassword";
    let Some(shapes) = shapes(bytes(args, 1)) else {
        return cx.text(format!("cannot find password template {}", utf8(args, 1)));
    };
    cx.steps_taken(SLOW_STEPS)?;
    let length = |text: &[u8]| u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes();
    let (password, user, site) = (bytes(args, 2), bytes(args, 3), bytes(args, 4));
    let salt = [SEED, &length(user), user].concat();
    let mut key = [0; 64];
    let refused = |_| Fault::from("failed to derive password");
    let params =
        scrypt::Params::new(15, 8, 2, 64).map_err(|_| Fault::from("failed to derive password"))?;
    scrypt::scrypt(password, &salt, &params, &mut key)
        .map_err(|_| Fault::from("failed to derive password"))?;
    let counter = u32::try_from(int(args, 0)).unwrap_or(0).to_be_bytes();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(refused)?;
    mac.update(&[SEED, &length(site), site, &counter].concat());
    let seed = mac.finalize().into_bytes();
    let pick = |index: usize, length: usize| {
        usize::from(seed.get(index).copied().unwrap_or(0)) % length.max(1)
    };
    let shape = shapes.get(pick(0, shapes.len())).copied().unwrap_or("");
    let text: Vec<u8> = shape
        .bytes()
        .enumerate()
        .filter_map(|(index, class)| {
            let letters = alphabet(class);
            letters.get(pick(index + 1, letters.len())).copied()
        })
        .collect();
    cx.text(text)
}

/// The first 32 bytes of the password, zeros behind a shorter one.
fn key(password: &[u8]) -> [u8; 32] {
    let mut key = [0; 32];
    for (place, byte) in key.iter_mut().zip(password) {
        *place = *byte;
    }
    key
}

fn encrypt<'a>(cx: &Cx<'a>, args: &[Val<'a>]) -> Answer<'a> {
    let text = bytes(args, 1);
    if text.is_empty() {
        return Ok(any(args, 1).clone());
    }
    let iv: [u8; 16] = rand::rng().random();
    let cipher = cbc::Encryptor::<Aes256>::new(&key(bytes(args, 0)).into(), &iv.into());
    let mut out = iv.to_vec();
    out.extend(cipher.encrypt_padded_vec_mut::<Pkcs7>(text));
    cx.text(STANDARD.encode(out))
}

fn decrypt<'a>(cx: &Cx<'a>, args: &[Val<'a>]) -> Answer<'a> {
    if bytes(args, 1).is_empty() {
        return Ok(any(args, 1).clone());
    }
    let data = base64_decode(bytes(args, 1))
        .map_err(|at| Fault(format!("illegal base64 data at input byte {at}")))?;
    let bounds = || Fault::from("runtime error: slice bounds out of range");
    let (iv, data) = data.split_at_checked(16).ok_or_else(bounds)?;
    let iv: [u8; 16] = iv.try_into().map_err(|_| bounds())?;
    let cipher = cbc::Decryptor::<Aes256>::new(&key(bytes(args, 0)).into(), &iv.into());
    let mut plain = cipher
        .decrypt_padded_vec_mut::<NoPadding>(data)
        .map_err(|_| Fault::from("crypto/cipher: input not full blocks"))?;
    let padding = usize::from(plain.last().copied().ok_or_else(bounds)?);
    let length = plain.len().checked_sub(padding).ok_or_else(bounds)?;
    plain.truncate(length);
    cx.text(plain)
}
