//! What the answers of a git server say: what it speaks, which references it has, and the pack that was asked for.
//! It asks nothing.

use bytes::{Buf as _, Bytes, BytesMut};

use super::lines::{Line, WireError, line, short, text};
use super::oid::Oid;

/// What the server said about itself.
pub(super) enum Speaks {
    /// Version 2: references are asked for by name.
    Second { filter: bool, sha1: bool },
    /// Version 0: it has sent all references already.
    First {
        refs: Vec<(Oid, String)>,
        capabilities: String,
    },
}

/// What the first answer says.
pub(super) fn advertised(mut rest: Bytes) -> Result<Speaks, WireError> {
    let mut refs = Vec::new();
    let mut capabilities: Option<String> = None;
    let mut second = None;
    while let Some(line) = line(&mut rest)? {
        let Line::Data(data) = line else { continue };
        let (first, more) = match data.iter().position(|byte| *byte == 0) {
            Some(zero) => (data.slice(..zero), Some(data.slice(zero + 1..))),
            None => (data.clone(), None),
        };
        let Ok(said) = text(&first) else {
            // A name that is no text is none that a spec can ask for.
            continue;
        };
        if said.starts_with("# service=") {
            continue;
        }
        if said == "version 2" {
            second = Some((false, false));
            continue;
        }
        if let Some((filter, sha1)) = &mut second {
            if let Some(features) = said.strip_prefix("fetch=") {
                *filter = features.split(' ').any(|feature| feature == "filter");
            } else if let Some(format) = said.strip_prefix("object-format=") {
                named_by(format)?;
                *sha1 = true;
            }
            continue;
        }
        if let (None, Some(more)) = (&capabilities, &more) {
            let more = text(more)?;
            for word in more.split(' ') {
                if let Some(format) = word.strip_prefix("object-format=") {
                    named_by(format)?;
                } else if let Some(head) = word.strip_prefix("symref=HEAD:") {
                    // Kept as version 2 writes it.
                    refs.extend(
                        Oid::parse(&"0".repeat(40)).map(|oid| (oid, format!("HEAD {head}"))),
                    );
                }
            }
            capabilities = Some(more.to_owned());
        }
        let (oid, name) = said.split_once(' ').ok_or(WireError::NoGit)?;
        refs.push((Oid::parse(oid).ok_or(WireError::NoGit)?, name.to_owned()));
    }
    match (second, capabilities) {
        (Some((filter, sha1)), _) => Ok(Speaks::Second { filter, sha1 }),
        (None, Some(capabilities)) => Ok(Speaks::First { refs, capabilities }),
        (None, None) => Err(WireError::NoGit),
    }
}

fn named_by(format: &str) -> Result<(), WireError> {
    if format == "sha1" {
        return Ok(());
    }
    Err(WireError::ObjectFormat(short(format.as_bytes())))
}

/// References as version 2 lists them; where HEAD leads is kept as `HEAD NAME`.
pub(super) fn listing(mut rest: Bytes) -> Result<Vec<(Oid, String)>, WireError> {
    let mut refs = Vec::new();
    while let Some(line) = line(&mut rest)? {
        let Line::Data(data) = line else { continue };
        let Ok(said) = text(&data) else { continue };
        let mut words = said.split(' ');
        let (Some(oid), Some(name)) = (words.next(), words.next()) else {
            return Err(WireError::Damaged);
        };
        // A branch without a commit is listed as `unborn`.
        let Some(oid) = Oid::parse(oid) else { continue };
        refs.push((oid, name.to_owned()));
        if name == "HEAD" {
            let target = words.find_map(|word| word.strip_prefix("symref-target:"));
            refs.extend(target.map(|target| (oid, format!("HEAD {target}"))));
        }
    }
    Ok(refs)
}

/// The pack in the answer to a fetch, of either version.
pub(super) fn packed(mut rest: Bytes) -> Result<Bytes, WireError> {
    let mut pack = BytesMut::new();
    loop {
        // Servers of version 0 that know no side bands send the pack as it is.
        if pack.is_empty() && rest.starts_with(b"PACK") {
            return Ok(rest);
        }
        let Some(line) = line(&mut rest)? else { break };
        let Line::Data(mut data) = line else { continue };
        match data.first() {
            Some(1) => {
                data.advance(1);
                pack.extend_from_slice(&data);
            }
            Some(2) => {}
            Some(3) => {
                data.advance(1);
                return Err(WireError::Said(short(&data)));
            }
            // The names of sections, shallow commits, NAK.
            _ => {}
        }
    }
    if pack.is_empty() {
        return Err(WireError::Damaged);
    }
    Ok(pack.freeze())
}

#[cfg(test)]
mod tests {
    use super::super::lines::packet;
    use super::*;

    const OID: &str = "0123456789abcdef0123456789abcdef01234567";

    fn answer(lines: &[&str]) -> Bytes {
        let mut out = Vec::new();
        for line in lines {
            match *line {
                "0000" | "0001" => out.extend_from_slice(line.as_bytes()),
                text => packet(&mut out, text),
            }
        }
        out.into()
    }

    #[test]
    fn both_versions_introduce_themselves() {
        let second = answer(&[
            "# service=git-upload-pack\n",
            "0000",
            "version 2\n",
            "ls-refs=unborn\n",
            "fetch=shallow wait-for-done filter\n",
            "object-format=sha1\n",
            "0000",
        ]);
        let spoken = advertised(second).unwrap();
        assert!(matches!(
            spoken,
            Speaks::Second {
                filter: true,
                sha1: true
            }
        ));
        let first = answer(&[
            "# service=git-upload-pack\n",
            "0000",
            &format!("{OID} HEAD\0side-band-64k shallow symref=HEAD:refs/heads/main\n"),
            &format!("{OID} refs/heads/main\n"),
            "0000",
        ]);
        let Speaks::First { refs, capabilities } = advertised(first).unwrap() else {
            panic!("version 0");
        };
        let names: Vec<&str> = refs.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(names, ["HEAD refs/heads/main", "HEAD", "refs/heads/main"]);
        assert!(capabilities.contains("shallow"));
    }

    #[test]
    fn answers_that_are_none_are_errors_and_never_worse() {
        for bytes in [
            "",
            "0",
            "0000",
            "zzzz",
            "0003",
            "ffff",
            "0005",
            "<html></html>",
            "0008PACK",
            "000eERR no way",
            "0009hello",
            "0011# service=x\n0000",
        ] {
            assert!(advertised(Bytes::from(bytes)).is_err(), "{bytes}");
        }
        assert!(packed(answer(&["NAK\n", "\u{3}out of memory"])).is_err());
        assert!(packed(answer(&["NAK\n"])).is_err());
        assert!(advertised(answer(&["version 2\n", "object-format=sha256\n"])).is_err());
    }
}
