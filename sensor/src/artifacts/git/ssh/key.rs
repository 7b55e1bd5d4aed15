//! The private key that a Secret holds, in every format that ssh's own tools write. It is never printed.

use russh::keys::{Algorithm, Error, PrivateKey, decode_secret_key};
use tiphys_core::Secret;

/// No key is larger.
const LARGEST: usize = 32 * 1024;

/// Why a Secret is no key.
#[derive(Debug, thiserror::Error)]
pub(in super::super) enum KeyError {
    #[error(
        "the ssh key is encrypted, and nobody is there to be asked for its passphrase: store it without one \
         (`ssh-keygen -p -N '' -f KEY`), or make a key for this use"
    )]
    Encrypted,
    #[error("it is a public key: the server gets that one, and the Secret the private key")]
    Public,
    #[error(
        "the ssh key is of a kind that is not supported: make one with `ssh-keygen -t ed25519`"
    )]
    Kind,
    #[error("it is no private key as ssh-keygen or openssl write it, with its BEGIN and END lines")]
    NoKey(#[source] Option<Error>),
}

/// Reads a private key.
pub(in super::super) fn read(secret: &Secret) -> Result<PrivateKey, KeyError> {
    let text = secret.expose_str().ok_or(KeyError::NoKey(None))?.trim();
    if text.len() > LARGEST {
        return Err(KeyError::NoKey(None));
    }
    let public = ["ssh-", "ecdsa-sha2-", "-----BEGIN PUBLIC KEY"];
    if public.iter().any(|begin| text.starts_with(begin)) {
        return Err(KeyError::Public);
    }
    let begins = |kind: &str| text.contains(&format!("-----BEGIN {kind}PRIVATE KEY-----"));
    if begins("ENCRYPTED ") || text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(KeyError::Encrypted);
    }
    if begins("DSA ") {
        return Err(KeyError::Kind);
    }
    if !["OPENSSH ", "RSA ", "EC ", ""].into_iter().any(begins) {
        return Err(KeyError::NoKey(None));
    }
    match decode_secret_key(text, None) {
        Ok(key) if key.is_encrypted() => Err(KeyError::Encrypted),
        Ok(key) => match key.algorithm() {
            Algorithm::Ed25519 | Algorithm::Ecdsa { .. } | Algorithm::Rsa { .. } => Ok(key),
            _ => Err(KeyError::Kind),
        },
        Err(Error::KeyIsEncrypted) => Err(KeyError::Encrypted),
        Err(error) => Err(KeyError::NoKey(Some(error))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made for this test, with a passphrase; it opens nothing.
    const ENCRYPTED: &str = include_str!("encrypted.test.key");

    #[test]
    fn what_is_no_usable_key_is_told_apart() {
        let public =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl me";
        let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n\
                   -----END RSA PRIVATE KEY-----";
        let wrapped =
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----";
        let dsa = "-----BEGIN DSA PRIVATE KEY-----\nAAAA\n-----END DSA PRIVATE KEY-----";
        let broken = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----";
        let long = format!("-----BEGIN PRIVATE KEY-----\n{}", "A".repeat(LARGEST));
        for (text, said) in [
            (ENCRYPTED, "is encrypted"),
            (old, "is encrypted"),
            (wrapped, "is encrypted"),
            (public, "is a public key"),
            (dsa, "not supported"),
            (broken, "no private key"),
            ("PuTTY-User-Key-File-3: ssh-ed25519", "no private key"),
            ("", "no private key"),
            ("hunter2", "no private key"),
            (&long, "no private key"),
        ] {
            let error = read(&Secret::new(text.to_owned())).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
