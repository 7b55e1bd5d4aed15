//! Sprig's `urlParse` and `urlJoin`, by the rules of Go's `net/url`.
//! It never resolves a name or opens a connection.

use super::{Function, function, map, utf8};
use crate::go::quote;
use crate::gotemplate::call::Param::{Dict, Str};
use crate::gotemplate::cx::{Answer, Cx, Fault};
use crate::gotemplate::value::{Text, Val};
use std::collections::BTreeMap;

pub(super) const TABLE: &[Function] = &[
    function("urlParse", &[Str], parse),
    function("urlJoin", &[Dict], join),
];

/// The parts of an address, decoded.
#[derive(Default, Debug)]
struct Parts {
    scheme: String,
    opaque: String,
    user: Option<(Vec<u8>, Option<Vec<u8>>)>,
    host: Vec<u8>,
    path: Vec<u8>,
    raw_path: String,
    query: String,
    force_query: bool,
    fragment: Vec<u8>,
    raw_fragment: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Path,
    Host,
    Zone,
    User,
    Fragment,
}

fn quoted(text: &str) -> String {
    let mut out = Vec::new();
    quote::quote(text.as_bytes(), false, &mut out);
    quote::to_string(out)
}

fn parse<'a>(cx: &Cx<'a>, args: &[Val<'a>]) -> Answer<'a> {
    let text = utf8(args, 0);
    let parts = split(&text).map_err(|why| {
        Fault(format!(
            "unable to parse url: parse {}: {why}",
            quoted(&text)
        ))
    })?;
    let hostname = hostname(&parts.host);
    let mut entries = BTreeMap::new();
    let mut put = |key: &'static str, value: Vec<u8>| {
        cx.charge(value.len())?;
        entries.insert(Text::Borrowed(key.as_bytes()), Val::text(value));
        Ok::<_, Fault>(())
    };
    put("hostname", hostname)?;
    put("userinfo", user_text(parts.user.as_ref()))?;
    put("scheme", parts.scheme.into_bytes())?;
    put("host", parts.host)?;
    put("path", parts.path)?;
    put("query", parts.query.into_bytes())?;
    put("opaque", parts.opaque.into_bytes())?;
    put("fragment", parts.fragment)?;
    cx.dict(entries)
}

fn hostname(host: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(host);
    let without_port = match text.rsplit_once(':') {
        Some((before, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => before,
        _ => &*text,
    };
    let inner = without_port
        .strip_prefix('[')
        .and_then(|inner| inner.strip_suffix(']'));
    inner.unwrap_or(without_port).as_bytes().to_vec()
}

fn split(text: &str) -> Result<Parts, String> {
    if text.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
        return Err("net/url: invalid control character in URL".to_owned());
    }
    let (text, raw_fragment) = text.split_once('#').unwrap_or((text, ""));
    let mut parts = Parts::default();
    if text == "*" {
        parts.path = b"*".to_vec();
        return Ok(parts);
    }
    let (scheme, mut rest) = scheme(text)?;
    parts.scheme = scheme.to_ascii_lowercase();
    if rest.ends_with('?') && rest.matches('?').count() == 1 {
        parts.force_query = true;
        rest = rest.strip_suffix('?').unwrap_or(rest);
    } else if let Some((before, query)) = rest.split_once('?') {
        parts.query = query.to_owned();
        rest = before;
    }
    if !rest.starts_with('/') {
        if !parts.scheme.is_empty() {
            parts.opaque = rest.to_owned();
            return with_fragment(parts, raw_fragment);
        }
        let first = rest.split('/').next().unwrap_or(rest);
        if first.contains(':') {
            return Err("first path segment in URL cannot contain colon".to_owned());
        }
    }
    let authority = !parts.scheme.is_empty() || !rest.starts_with("///");
    if let Some(after) = rest.strip_prefix("//").filter(|_| authority) {
        let end = after.find('/').unwrap_or(after.len());
        let (host, path) = after.split_at_checked(end).unwrap_or((after, ""));
        read_authority(host, &mut parts)?;
        rest = path;
    }
    parts.path = unescape(rest, Mode::Path)?;
    if escape(&parts.path, Mode::Path) != rest {
        parts.raw_path = rest.to_owned();
    }
    with_fragment(parts, raw_fragment)
}

fn with_fragment(mut parts: Parts, raw: &str) -> Result<Parts, String> {
    parts.fragment = unescape(raw, Mode::Fragment)?;
    if escape(&parts.fragment, Mode::Fragment) != raw {
        parts.raw_fragment = raw.to_owned();
    }
    Ok(parts)
}

fn scheme(text: &str) -> Result<(&str, &str), String> {
    for (at, char) in text.char_indices() {
        match char {
            'a'..='z' | 'A'..='Z' => {}
            '0'..='9' | '+' | '-' | '.' if at > 0 => {}
            ':' if at == 0 => return Err("missing protocol scheme".to_owned()),
            ':' => {
                let (scheme, rest) = text.split_at_checked(at).unwrap_or((text, ""));
                return Ok((scheme, rest.strip_prefix(':').unwrap_or(rest)));
            }
            _ => break,
        }
    }
    Ok(("", text))
}

fn read_authority(text: &str, parts: &mut Parts) -> Result<(), String> {
    let (user, host) = match text.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, text),
    };
    parts.host = read_host(host)?;
    let Some(user) = user else {
        return Ok(());
    };
    let allowed = |char: char| char.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(char);
    if !user.chars().all(allowed) {
        return Err("net/url: invalid userinfo".to_owned());
    }
    let (name, password) = match user.split_once(':') {
        Some((name, password)) => (name, Some(unescape(password, Mode::User)?)),
        None => (user, None),
    };
    parts.user = Some((unescape(name, Mode::User)?, password));
    Ok(())
}

fn read_host(host: &str) -> Result<Vec<u8>, String> {
    let bad_port = |port: &str| {
        let digits = port
            .strip_prefix(':')
            .map(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        !port.is_empty() && digits != Some(true)
    };
    if host.starts_with('[') {
        let Some(end) = host.rfind(']') else {
            return Err("missing ']' in host".to_owned());
        };
        let (address, port) = host.split_at_checked(end + 1).unwrap_or((host, ""));
        if bad_port(port) {
            return Err(format!("invalid port {} after host", quoted(port)));
        }
        if let Some(zone) = address.find("%25") {
            let (before, zone) = address.split_at_checked(zone).unwrap_or((address, ""));
            let mut out = unescape(before, Mode::Host)?;
            out.extend(unescape(
                zone.strip_suffix(']').unwrap_or(zone),
                Mode::Zone,
            )?);
            out.push(b']');
            out.extend(unescape(port, Mode::Host)?);
            return Ok(out);
        }
    } else if let Some(colon) = host.find(':') {
        let port = host.get(colon..).unwrap_or_default();
        if bad_port(port) {
            return Err(format!("invalid port {} after host", quoted(port)));
        }
    }
    unescape(host, Mode::Host)
}

fn unescape(text: &str, mode: Mode) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        if *byte == b'%' {
            let shown = |bytes: &[u8]| quoted(&String::from_utf8_lossy(bytes));
            let invalid = |rest: &[u8]| {
                format!(
                    "invalid URL escape {}",
                    shown(rest.get(..3).unwrap_or(rest))
                )
            };
            let digits = after
                .get(..2)
                .filter(|two| two.iter().all(u8::is_ascii_hexdigit));
            let digits = digits.and_then(|two| str::from_utf8(two).ok());
            let Some(code) = digits.and_then(|two| u8::from_str_radix(two, 16).ok()) else {
                return Err(invalid(rest));
            };
            // A host may only be escaped where its bytes are not ASCII.
            if mode == Mode::Host && code < 0x80 && rest.get(..3) != Some(b"%25") {
                return Err(invalid(rest));
            }
            out.push(code);
            rest = after.get(2..).unwrap_or_default();
            continue;
        }
        if matches!(mode, Mode::Host | Mode::Zone) && *byte < 0x80 && must_escape(*byte, mode) {
            let char = quoted(&char::from(*byte).to_string());
            return Err(format!("invalid character {char} in host name"));
        }
        out.push(*byte);
        rest = after;
    }
    Ok(out)
}

fn must_escape(byte: u8, mode: Mode) -> bool {
    if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
        return false;
    }
    match mode {
        Mode::Host | Mode::Zone => !b"!$&'()*+,;=:[]<>\"".contains(&byte),
        Mode::Path => !b"$&+,/:;=@".contains(&byte),
        Mode::User => !b"$&+,;=".contains(&byte),
        Mode::Fragment => !b"$&+,/:;=?@!()*".contains(&byte),
    }
}

fn escape(text: &[u8], mode: Mode) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text {
        if must_escape(*byte, mode) {
            out.push_str(&format!("%{byte:02X}"));
        } else {
            out.push(char::from(*byte));
        }
    }
    out
}

fn user_text(user: Option<&(Vec<u8>, Option<Vec<u8>>)>) -> Vec<u8> {
    let Some((name, password)) = user else {
        return Vec::new();
    };
    let mut out = escape(name, Mode::User);
    if let Some(password) = password {
        out.push(':');
        out.push_str(&escape(password, Mode::User));
    }
    out.into_bytes()
}

fn join<'a>(cx: &Cx<'a>, args: &[Val<'a>]) -> Answer<'a> {
    let part = |key: &str| match map(args, 0).and_then(|map| cx.get(map, key.as_bytes())) {
        None => Ok(String::new()),
        Some(Val::Str(text)) => Ok(text.lossy().into_owned()),
        Some(other) => {
            let kind = other.kind_name();
            Err(Fault(format!(
                "unable to parse {key} key, must be of type string, but {kind} found"
            )))
        }
    };
    let (scheme, host, path) = (part("scheme")?, part("host")?, part("path")?);
    let (query, opaque, fragment) = (part("query")?, part("opaque")?, part("fragment")?);
    let userinfo = part("userinfo")?;
    let mut user = None;
    if !userinfo.is_empty() {
        let address = format!("proto://{userinfo}@host");
        let parts = split(&address).map_err(|why| {
            Fault(format!(
                "unable to parse userinfo in dict: parse {}: {why}",
                quoted(&address)
            ))
        })?;
        user = parts.user;
    }
    let mut out = String::new();
    if !scheme.is_empty() {
        out.push_str(&scheme);
        out.push(':');
    }
    if opaque.is_empty() {
        if !scheme.is_empty() || !host.is_empty() || user.is_some() {
            if !host.is_empty() || !path.is_empty() || user.is_some() {
                out.push_str("//");
            }
            if let Some(user) = &user {
                out.push_str(&quote::to_string(user_text(Some(user))));
                out.push('@');
            }
            out.push_str(&escape(host.as_bytes(), Mode::Host));
        }
        let escaped = if path == "*" {
            path.clone()
        } else {
            escape(path.as_bytes(), Mode::Path)
        };
        if !escaped.is_empty() && !escaped.starts_with('/') && !host.is_empty() {
            out.push('/');
        }
        if out.is_empty()
            && escaped
                .split('/')
                .next()
                .is_some_and(|first| first.contains(':'))
        {
            out.push_str("./");
        }
        out.push_str(&escaped);
    } else {
        out.push_str(&opaque);
    }
    if !query.is_empty() {
        out.push('?');
        out.push_str(&query);
    }
    if !fragment.is_empty() {
        out.push('#');
        out.push_str(&escape(fragment.as_bytes(), Mode::Fragment));
    }
    cx.text(out)
}
