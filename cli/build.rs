//! Asks the linker for a program of which less has to be in memory. It changes nothing of what the program does.

#![expect(
    clippy::disallowed_methods,
    reason = "this is how a build script hears"
)]

use std::path::Path;
use std::process::Command;
use std::{env, fs, io};

/// What runs in a start and with the first events: a symbol without its hash on each line, by `scripts/startup-order`.
const STARTUP: &str = "startup.txt";

/// The first version of glibc that can read packed relocations.
const PACKED: (u32, u32) = (2, 36);

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={STARTUP}");
    if !(is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu")) {
        return Ok(());
    }
    // What only failures and libraries' own start-up need stands apart.
    println!("cargo::rustc-link-arg-bins=-Wl,-z,keep-text-section-prefix");
    // Every page of the table of relocations is read at the start and stays: 2 MB, or 20 kB packed.
    let native = env::var("HOST").is_ok_and(|host| is("TARGET", &host));
    if native && glibc().is_some_and(|version| version >= PACKED) {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
    // The linker that Rust brings along here knows this; another one may not.
    if is("CARGO_CFG_TARGET_ARCH", "x86_64") && is("PROFILE", "release") && !other_linker() {
        let script = Path::new(&env::var("OUT_DIR").unwrap_or_default()).join("startup.ld");
        fs::write(&script, startup()?)?;
        let script = script.display();
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{script}");
    }
    Ok(())
}

fn is(key: &str, value: &str) -> bool {
    env::var(key).is_ok_and(|set| set == value)
}

fn other_linker() -> bool {
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    env::var_os("RUSTC_LINKER").is_some() || flags.contains("link")
}

/// A script that puts what runs at the start in front of the rest. The system maps code in pieces of 64 kB: strewn over
/// the program, these functions would have nearly all of it in memory.
fn startup() -> io::Result<String> {
    let mut script = "SECTIONS {\n  .text.first : {\n".to_owned();
    for symbol in fs::read_to_string(STARTUP)?.lines() {
        script.push_str("    *(.text.");
        script.push_str(symbol);
        script.push_str("17h*)\n");
    }
    script.push_str("  }\n}\nINSERT BEFORE .text;\n");
    Ok(script)
}

/// The version of glibc here, which is the one that runs the program unless it is built for another machine.
fn glibc() -> Option<(u32, u32)> {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    let text = String::from_utf8(output.ok()?.stdout).ok()?;
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    let minor = minor.split('.').next()?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
