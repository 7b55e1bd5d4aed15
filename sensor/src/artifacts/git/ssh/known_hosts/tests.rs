//! Lines of `known_hosts` files against the keys that servers show.

use super::*;

const ONE: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
const OTHER: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAfuCHKVTjquxvt6CM6tdG4SLp1Btn/nOeHHE5UOzRdf";
const CURVE: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxkZMy7opKgwFB9nkt5YRrYMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg=";

fn key(text: &str) -> PublicKey {
    PublicKey::from_openssh(text).unwrap()
}

fn expected(host: &str, port: u16, text: &str) -> Expected {
    let mut expected = Expected::new(host, port, "in the file".to_owned());
    expected.learn(text, "the file");
    expected
}

/// What the server is told that shows `ONE`.
fn said(host: &str, port: u16, text: &str) -> String {
    let checked = expected(host, port, text).check(&key(ONE));
    checked.map_or_else(|error| error.to_string(), |()| "known".to_owned())
}

#[test]
fn a_host_is_known_by_each_way_of_writing_it() {
    // Hashed by `ssh-keygen -H`.
    let hashed = "|1|djIqQOANsTuV/z0TQ+Pr0GDcOis=|LJGQI6aU2pMQvnj5AlYdGqFvoCw= ONE";
    let hashed_port = "|1|KadT9w+3pktgxjmyjqoUlZ4MFgU=|N+LRk9BtW68+wRGy5HeqGvexBbU= ONE";
    for (host, port, line) in [
        ("git.host", 22, "git.host ONE"),
        ("git.host", 22, "git.host ONE a comment"),
        ("git.host", 22, "  other,GIT.host\tONE"),
        ("Git.Host", 22, "git.host ONE"),
        ("git.host", 22, "*.host ONE"),
        ("git.host", 22, "g?t.* ONE"),
        ("git.host", 22, "*,!other ONE"),
        ("git.host", 2222, "[git.host]:2222 ONE"),
        ("git.host", 2222, "[*.host]:* ONE"),
        ("10.1.2.3", 22, "10.1.* ONE"),
        ("::1", 2222, "[::1]:2222 ONE"),
        ("git.host", 22, "git.host OTHER\ngit.host ONE"),
        (
            "git.host",
            22,
            "\u{feff}\n# git.host OTHER\nbroken\ngit.host\ngit.host x\ngit.host ONE",
        ),
        ("git.host", 22, "git.host ssh-ed25519 !!!\ngit.host ONE"),
        ("git.host", 22, hashed),
        ("git.host", 2222, hashed_port),
    ] {
        let text = line.replace("ONE", ONE).replace("OTHER", OTHER);
        assert_eq!(said(host, port, &text), "known", "{line}");
    }
}

#[test]
fn another_host_an_authority_and_a_left_out_host_are_not_known() {
    for (host, port, line) in [
        ("git.host", 22, ""),
        ("git.host", 22, "other ONE"),
        ("git.host", 22, "git.host.evil ONE"),
        ("git.host", 22, "*.host,!git.host ONE"),
        ("git.host", 22, "[git.host]:2222 ONE"),
        ("git.host", 2222, "git.host ONE"),
        ("git.host", 22, "@cert-authority git.host ONE"),
        ("git.host", 22, "@unknown git.host ONE"),
        ("git.host", 22, "|1|AAAA ONE"),
        ("git.host", 22, "|1|AAAA|AAAA ONE"),
    ] {
        let said = said(host, port, &line.replace("ONE", ONE));
        assert!(said.contains("which nobody knows here:"), "{line}: {said}");
        assert!(said.contains("then write the line"), "{said}");
        assert!(said.contains("in the file"), "{said}");
    }
}

#[test]
fn a_changed_key_a_revoked_one_and_one_of_another_kind_are_told_apart() {
    for (text, said_of_it) in [
        (
            "git.host OTHER",
            "the file has another one: somebody may be in between",
        ),
        (
            "git.host CURVE",
            "nobody knows here (its key of ecdsa-sha2-nistp256 is known)",
        ),
        (
            "git.host ONE\n@revoked git.host ONE",
            "which the file says is revoked",
        ),
        ("@revoked * ONE", "which the file says is revoked"),
        ("@revoked * OTHER", "which nobody knows here:"),
    ] {
        let text = text
            .replace("ONE", ONE)
            .replace("OTHER", OTHER)
            .replace("CURVE", CURVE);
        let said = said("git.host", 22, &text);
        assert!(said.contains(said_of_it), "{text}: {said}");
        assert!(
            said.contains("SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"),
            "{said}"
        );
    }
    let mut any = expected("git.host", 22, &format!("git.host {OTHER}"));
    any.take_any();
    assert!(any.check(&key(ONE)).is_ok());
    any.learn(&format!("@revoked * {ONE}"), "the file");
    assert!(any.check(&key(ONE)).is_err());
}

#[test]
fn the_line_that_is_offered_makes_the_key_known() {
    let Err(HostKeyError::Unknown { line, .. }) = expected("Git.Host", 2222, "").check(&key(CURVE))
    else {
        panic!("unknown");
    };
    let learned = expected("git.host", 2222, &line);
    assert!(learned.check(&key(CURVE)).is_ok(), "{line}");
}

#[test]
fn the_kind_that_is_known_is_asked_for_first() {
    let first = |text: &str| expected("h", 22, text).kinds().remove(0).to_string();
    assert_eq!(first(""), "ssh-ed25519");
    assert_eq!(first(&format!("h {CURVE}")), "ecdsa-sha2-nistp256");
    assert_eq!(first("h ssh-rsa AAAA"), "rsa-sha2-512");
    assert_eq!(first("@revoked h ssh-rsa AAAA"), "ssh-ed25519");
    // SHA-1 is never offered.
    assert_eq!(expected("h", 22, "h ssh-rsa AAAA").kinds().len(), 6);
}

/// The fingerprints are those that the forges publish in their own documentation.
#[test]
fn the_forges_are_known_by_the_keys_that_they_publish() {
    let mut seen = 0;
    for line in FORGES.lines() {
        let mut words = line.split(' ');
        let (hosts, kind, blob) = (
            words.next().unwrap(),
            words.next().unwrap(),
            words.next().unwrap(),
        );
        let key = key(&format!("{kind} {blob}"));
        let published = match hosts.split(',').next().unwrap() {
            "github.com" => "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU",
            "gitlab.com" => "SHA256:eUXGGm1YGsMAS7vkcx6JOJdOGHPem5gQp4taiCfCLB8",
            "bitbucket.org" => "SHA256:ybgmFkzwOSotHTHLJgHO0QN8L0xErw6vd0VhFA9m3SM",
            "ssh.dev.azure.com" => "SHA256:ohD8VZEXGWo6Ez8GSEJQ9WpafgLFsOfLOtGGQCQo6Og",
            other => panic!("{other}"),
        };
        assert_eq!(
            key.fingerprint(HashAlg::Sha256).to_string(),
            published,
            "{hosts}"
        );
        seen += 1;
    }
    assert_eq!(seen, 4);
}

#[test]
fn who_names_a_forge_has_the_say_over_it() {
    let forge = key(ONE);
    for (text, good) in [
        ("", true),
        ("other.host ssh-ed25519 AAAA", true),
        (&format!("github.com {OTHER}") as &str, false),
        (&format!("@revoked * {ONE}"), false),
    ] {
        let mut expected = expected("github.com", 22, text);
        expected.learn_forges();
        assert_eq!(expected.check(&forge).is_ok(), good, "{text}");
    }
    let mut other_port = expected("ssh.github.com", 443, "");
    other_port.learn_forges();
    assert!(other_port.check(&forge).is_ok());
}

#[test]
fn patterns_that_are_made_to_be_slow_are_not() {
    let pattern = "*a".repeat(20_000);
    assert!(!matches(&pattern, &"a".repeat(10_000)));
    assert!(matches("*", ""));
    assert!(!matches("", "a"));
    assert!(matches("**b*", "aab"));
}
