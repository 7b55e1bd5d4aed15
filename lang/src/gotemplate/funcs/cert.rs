//! Sprig's keys and certificates.
//! It never makes an RSA or DSA key: certificates get an ECDSA key instead, such a key alone is refused.

use super::{Function, bytes, function, int, utf8};
use crate::gotemplate::call::Param::{self, Cert, Int, Str};
use crate::gotemplate::cx::{Answer, Cx, Fault};
use crate::gotemplate::value::{Certificate, Val};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SanType, SerialNumber,
};
use std::rc::Rc;

pub(super) const TABLE: &[Function] = &[
    function("genPrivateKey", &[Str], private_key),
    function("buildCustomCert", &[Str, Str], build),
    function("genCA", &[Str, Int], |cx, args| {
        authority(cx, args, &generate()?)
    }),
    function("genCAWithKey", &[Str, Int, Str], |cx, args| {
        authority(cx, args, &Key::read(&utf8(args, 2))?)
    }),
    function("genSelfSignedCert", SELF_SIGNED, |cx, args| {
        self_signed(cx, args, &generate()?)
    }),
    function(
        "genSelfSignedCertWithKey",
        &[Str, LIST, LIST, Int, Str],
        |cx, args| self_signed(cx, args, &Key::read(&utf8(args, 4))?),
    ),
    function(
        "genSignedCert",
        &[Str, LIST, LIST, Int, Cert],
        |cx, args| signed(cx, args, &generate()?),
    ),
    function(
        "genSignedCertWithKey",
        &[Str, LIST, LIST, Int, Cert, Str],
        |cx, args| signed(cx, args, &Key::read(&utf8(args, 5))?),
    ),
];

const LIST: Param = Param::List;
const SELF_SIGNED: &[Param] = &[Str, LIST, LIST, Int];

/// Making and signing are slow: few of them fit into one rendering.
const SLOW_STEPS: u64 = 100_000;

/// A key with the PEM text that it came from or is written as.
struct Key {
    pair: KeyPair,
    pem: String,
}

fn pem(label: &str, der: &[u8]) -> String {
    let mut out = format!("-----BEGIN {label}-----\n");
    for line in STANDARD.encode(der).as_bytes().chunks(64) {
        out.push_str(&String::from_utf8_lossy(line));
        out.push('\n');
    }
    out.push_str(&format!("-----END {label}-----\n"));
    out
}

/// The label and the content of the first PEM block.
fn unpem(text: &str) -> Option<(String, Vec<u8>)> {
    let (_, after) = text.split_once("-----BEGIN ")?;
    let (label, after) = after.split_once("-----")?;
    let (body, _) = after.split_once(&format!("-----END {label}-----"))?;
    let body: String = body.chars().filter(|char| !char.is_whitespace()).collect();
    Some((label.to_owned(), STANDARD.decode(body).ok()?))
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut out = vec![tag];
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let bytes = length.to_be_bytes();
            let bytes: Vec<u8> = bytes.into_iter().skip_while(|byte| *byte == 0).collect();
            out.push(0x80 | u8::try_from(bytes.len()).unwrap_or(0));
            out.extend(bytes);
        }
    }
    out.extend_from_slice(content);
    out
}

const OID_P256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const OID_P384: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];
const OID_EC: &[u8] = &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const RSA: &[u8] = &[
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
];

/// Wraps a key of an older format into PKCS#8.
fn pkcs8(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    let body = [
        &[0x02, 0x01, 0x00][..],
        &der(0x30, algorithm),
        &der(0x04, key),
    ]
    .concat();
    der(0x30, &body)
}

fn find(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

impl Key {
    fn read(text: &str) -> Result<Self, Fault> {
        let fail = |why: &str| Fault(format!("parsing private key: {why}"));
        let (label, content) = unpem(text).ok_or_else(|| fail("no PEM data in input"))?;
        let wrapped = match label.as_str() {
            "PRIVATE KEY" => content,
            "RSA PRIVATE KEY" => pkcs8(RSA, &content),
            "EC PRIVATE KEY" => {
                let curve = if find(&content, OID_P384) {
                    OID_P384
                } else {
                    OID_P256
                };
                pkcs8(&[OID_EC, curve].concat(), &content)
            }
            "DSA PRIVATE KEY" => return Err(fail("DSA keys are not supported")),
            label if label.ends_with(" PRIVATE KEY") => {
                let kind = label.trim_end_matches(" PRIVATE KEY");
                return Err(fail(&format!("invalid private key type {kind}")));
            }
            label => {
                return Err(fail(&format!(
                    "no private key data in PEM block of type {label}"
                )));
            }
        };
        let pair = KeyPair::try_from(wrapped).map_err(|error| fail(&error.to_string()))?;
        let pem = text
            .get(text.find("-----BEGIN").unwrap_or(0)..)
            .unwrap_or(text);
        Ok(Self {
            pair,
            pem: format!("{}\n", pem.trim_end()),
        })
    }
}

fn failed(error: &rcgen::Error) -> Fault {
    Fault(format!("error creating certificate: {error}"))
}

fn generate() -> Result<Key, Fault> {
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|error| failed(&error))?;
    let pem = ec_pem(&pair)?;
    Ok(Key { pair, pem })
}

/// The key as SEC 1 writes it, which is what Sprig gives.
fn ec_pem(pair: &KeyPair) -> Result<String, Fault> {
    let whole = pair.serialize_der();
    // In PKCS#8 the secret follows the version of the inner structure.
    let marker = [0x02, 0x01, 0x01, 0x04, 0x20];
    let at = whole
        .windows(marker.len())
        .position(|window| window == marker);
    let secret = at.and_then(|at| whole.get(at + marker.len()..at + marker.len() + 32));
    let secret = secret.ok_or_else(|| Fault::from("failed to generate private key"))?;
    let public = [&[0][..], pair.public_key_raw()].concat();
    let body = [
        &[0x02, 0x01, 0x01][..],
        &der(0x04, secret),
        &der(0xa0, OID_P256),
        &der(0xa1, &der(0x03, &public)),
    ]
    .concat();
    Ok(pem("EC PRIVATE KEY", &der(0x30, &body)))
}

fn private_key<'a>(cx: &Cx<'a>, args: &[Val<'a>]) -> Answer<'a> {
    cx.steps_taken(SLOW_STEPS)?;
    match bytes(args, 0) {
        b"ecdsa" => cx.text(generate()?.pem),
        b"ed25519" => {
            let pair = KeyPair::generate_for(&PKCS_ED25519).map_err(|error| failed(&error))?;
            cx.text(pem("PRIVATE KEY", pair.serialized_der()))
        }
        kind @ (b"" | b"rsa" | b"dsa") => {
            let kind = if kind == b"dsa" { "DSA" } else { "RSA" };
            Err(Fault(format!(
                "genPrivateKey withholds {kind} keys: use \"ecdsa\" or \"ed25519\""
            )))
        }
        _ => cx.text(format!("Unknown type {}", utf8(args, 0))),
    }
}

fn build<'a>(cx: &Cx<'a>, args: &[Val<'a>]) -> Answer<'a> {
    let decode = |index: usize, what: &str| {
        let decoded = super::encoding::base64_decode(bytes(args, index)).ok();
        let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        decoded.ok_or_else(|| Fault(format!("unable to decode base64 {what}")))
    };
    let (cert, key) = (decode(0, "certificate")?, decode(1, "private key")?);
    let content = unpem(&cert).ok_or_else(|| Fault::from("unable to decode certificate"))?;
    cx.charge(content.1.len())?;
    Issuer::from_ca_cert_pem(&cert, &generate()?.pair)
        .map_err(|error| Fault(format!("error parsing certificate: {error}")))?;
    Key::read(&key).map_err(|Fault(why)| Fault(format!("error {why}")))?;
    Ok(Val::Cert(Rc::new(Certificate { cert, key })))
}

fn texts(args: &[Val<'_>], index: usize) -> Result<Vec<String>, Fault> {
    let Some(Val::List(list)) = args.get(index) else {
        return Ok(Vec::new());
    };
    list.iter()
        .map(|item| match item {
            Val::Str(text) => Ok(text.lossy().into_owned()),
            _ => Err(Fault::from(
                "error processing alternate name: it is not a string",
            )),
        })
        .collect()
}

fn params(args: &[Val<'_>], days: i64, names: bool) -> Result<CertificateParams, Fault> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, utf8(args, 0).into_owned());
    if names {
        for text in texts(args, 1)? {
            let address = text
                .parse()
                .map_err(|_| Fault(format!("error parsing ip: {text}")))?;
            params.subject_alt_names.push(SanType::IpAddress(address));
        }
        for text in texts(args, 2)? {
            let name = text.try_into().map_err(|error| failed(&error))?;
            params.subject_alt_names.push(SanType::DnsName(name));
        }
    }
    let serial: [u8; 16] = rand::random();
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    let outside = || Fault::from("the validity is outside the supported years");
    let now = jiff::Timestamp::now();
    let hours = days
        .checked_mul(24)
        .filter(|hours| hours.abs() < 50_000_000)
        .ok_or_else(outside)?;
    let end = now
        .checked_add(jiff::SignedDuration::from_hours(hours))
        .map_err(|_| outside())?;
    params.not_before = date_time(now)?;
    params.not_after = date_time(end)?;
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyEncipherment,
    ];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params.is_ca = IsCa::ExplicitNoCa;
    Ok(params)
}

fn date_time(at: jiff::Timestamp) -> Result<time::OffsetDateTime, Fault> {
    time::OffsetDateTime::from_unix_timestamp(at.as_second())
        .map_err(|_| Fault::from("the validity is outside the supported years"))
}

fn cert<'a>(cx: &Cx<'a>, cert: &rcgen::Certificate, key: &Key) -> Answer<'a> {
    cx.steps_taken(SLOW_STEPS)?;
    let cert = pem("CERTIFICATE", cert.der());
    Ok(Val::Cert(Rc::new(Certificate {
        cert,
        key: key.pem.clone(),
    })))
}

fn authority<'a>(cx: &Cx<'a>, args: &[Val<'a>], key: &Key) -> Answer<'a> {
    let mut params = params(args, int(args, 1), false)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages.push(KeyUsagePurpose::KeyCertSign);
    let made = params
        .self_signed(&key.pair)
        .map_err(|error| failed(&error))?;
    cert(cx, &made, key)
}

fn self_signed<'a>(cx: &Cx<'a>, args: &[Val<'a>], key: &Key) -> Answer<'a> {
    let params = params(args, int(args, 3), true)?;
    let made = params
        .self_signed(&key.pair)
        .map_err(|error| failed(&error))?;
    cert(cx, &made, key)
}

fn signed<'a>(cx: &Cx<'a>, args: &[Val<'a>], key: &Key) -> Answer<'a> {
    let Some(Val::Cert(authority)) = args.get(4) else {
        return Err(Fault::from("unable to decode certificate"));
    };
    let signer = Key::read(&authority.key).map_err(|Fault(why)| Fault(format!("error {why}")))?;
    let issuer = Issuer::from_ca_cert_pem(&authority.cert, &signer.pair)
        .map_err(|error| Fault(format!("error parsing certificate: {error}")))?;
    let params = params(args, int(args, 3), true)?;
    let made = params
        .signed_by(&key.pair, &issuer)
        .map_err(|error| failed(&error))?;
    cert(cx, &made, key)
}
