//! Asks the linker for a program of which less has to be in memory. It changes nothing of what the program does.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "this is how a build script hears and speaks"
)]

use std::env;
use std::process::Command;

/// The first version of glibc that can read packed relocations.
const PACKED: (u32, u32) = (2, 36);

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |key: &str, value: &str| env::var(key).is_ok_and(|set| set == value);
    if !(is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu")) {
        return;
    }
    // What only start-up and failures need is put together, so that the pages of the rest hold more of what is used.
    println!("cargo::rustc-link-arg-bins=-Wl,-z,keep-text-section-prefix");
    // Every page of the table of relocations is read at the start and stays: 2 MB, or 20 kB packed.
    let native = env::var("HOST").is_ok_and(|host| is("TARGET", &host));
    if native && glibc().is_some_and(|version| version >= PACKED) {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// The version of glibc here, which is the one that runs the program unless it is built for another machine.
fn glibc() -> Option<(u32, u32)> {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    let text = String::from_utf8(output.ok()?.stdout).ok()?;
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    let minor = minor.split('.').next()?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
