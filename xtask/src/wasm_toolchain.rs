//! A Rust that builds for `wasm32-unknown-unknown`.
//!
//! In this order, the first that works: the Rust in PATH; the private one that an earlier run made;
//! `rustup target add`; Debian's packages, unpacked, with `std` built from their source, offline.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::Result;
use crate::cache::Cache;
use crate::debian::{self, Apt};
use crate::files;
use crate::process;
use crate::progress::{say, step};

const TARGET: &str = "wasm32-unknown-unknown";
const SETTING: &str = "FANLIGHT_WASM_RUST";
/// rustup may answer in two seconds, be refused, or hang.
const RUSTUP_LIMIT: Duration = Duration::from_secs(20);
/// Debian's packages of the newest Rust it has for a stable release.
const PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-clippy", "rust-web-src"];
/// Wanted in our directory even if the system has them: rustc finds `std` and linker beside itself.
const BESIDE_RUSTC: [&str; 5] = ["rustc-web", "cargo-web", "rust-web-", "libstd-rust-web", "lld-"];
const PROGRAMS: [&str; 5] = ["rustc", "rustdoc", "cargo", "cargo-clippy", "clippy-driver"];

/// The directory of programs to put first in PATH; none if the Rust in PATH is right as it is.
pub(crate) fn ensure(cache: &Cache, min_minor: u32) -> Result<Option<PathBuf>> {
    let usable = |dir: &Path| {
        let rustc = dir.join("bin/rustc");
        minor_of(&rustc).is_some_and(|minor| minor >= min_minor) && links(&rustc)
    };
    let private = cache.path("rust");
    let only_debian = env::var(SETTING).is_ok_and(|value| value == "debian");
    if !only_debian {
        if links(Path::new("rustc")) {
            return Ok(None);
        }
        if usable(&private) {
            return Ok(Some(private.join("bin")));
        }
        if rustup_adds_it() {
            return Ok(None);
        }
    }
    let dir = cache.ensure("rust", usable, |new, place| {
        let apt = Apt::open(new)?.ok_or_else(|| no_way("this is not a Debian"))?;
        let version = apt.candidate("rustc-web").unwrap_or_default();
        if minor(&version).is_none_or(|minor| minor < min_minor) {
            let found = if version.is_empty() { "none" } else { &version };
            return Err(no_way(&format!("Debian's rustc-web is {found}")));
        }
        step(&format!("unpacking Debian's Rust {version} (about 15 s)"), || unpack(&apt, new))?;
        step(&format!("building std for {TARGET} (about 35 s)"), || build_std(new))?;
        let programs = PROGRAMS.iter().map(|name| format!("usr/bin/{name}"));
        let mut programs = programs.filter(|program| new.join(program).is_file());
        programs.try_for_each(|program| debian::write_program(new, place, &program, ""))
    })?;
    Ok(Some(dir.join("bin")))
}

fn no_way(reason: &str) -> String {
    format!(
        "Rust cannot build for {TARGET} here, and {reason}: install it with `rustup target add {TARGET}`"
    )
}

/// Whether this rustc compiles against `std`, and links, a wasm library.
fn links(rustc: &Path) -> bool {
    let dir = env::temp_dir().join(format!("fanlight-xtask-{}", std::process::id()));
    let source = "pub fn f() -> String { format!(\"{:?}\", std::time::Duration::ZERO) }\n";
    let file = dir.join("l.rs");
    let ready = files::create_dir(&dir).is_ok() && files::write(&file, source).is_ok();
    let mut command = Command::new(rustc);
    command.args(["--crate-type=cdylib", "--crate-name=l", "--edition=2021", "-O"]);
    command.args(["--target", TARGET, "--out-dir"]).arg(&dir).arg(&file);
    let links = ready && process::succeeds(&mut command) && dir.join("l.wasm").is_file();
    // It is in the directory for temporary files, where a leftover harms nobody.
    let _ = files::remove_dir(&dir);
    links
}

fn rustup_adds_it() -> bool {
    if process::find("rustup").is_none() {
        return false;
    }
    let limit = RUSTUP_LIMIT.as_secs();
    let added = step(&format!("asking rustup for {TARGET} (at most {limit} s)"), || {
        let mut rustup = Command::new("rustup");
        // Without the variable a failure is one line.
        rustup.args(["target", "add", TARGET]).env("RUST_BACKTRACE", "0");
        let added = process::succeeds_within(&mut rustup, RUSTUP_LIMIT);
        if added { Ok(()) } else { Err("rustup could not fetch it".to_owned()) }
    });
    if let Err(sentence) = &added {
        say(sentence);
    }
    added.is_ok() && links(Path::new("rustc"))
}

fn unpack(apt: &Apt, root: &Path) -> Result<()> {
    let mut wanted = apt.closure(&PACKAGES)?;
    let llvm = wanted.iter().find_map(|package| package.strip_prefix("libllvm"));
    let linker = format!("lld-{}", llvm.ok_or("Debian's rustc-web depends on no libllvm")?);
    wanted.extend(apt.closure(&[&linker])?);
    let beside = |package: &String| BESIDE_RUSTC.iter().any(|start| package.starts_with(start));
    let mut packages: Vec<String> = wanted.iter().filter(|name| beside(name)).cloned().collect();
    packages.extend(debian::missing(&wanted)?);
    packages.sort();
    packages.dedup();
    let source: &[&str] = &["./usr/src/rustc-*/library", "./usr/lib/rustlib/src"];
    apt.unpack(&packages, root, &[("rust-web-src", source)])?;
    files::remove_dir(&root.join("apt"))?;

    let mut lld = files::list(&root.join("usr/lib")).into_iter().map(|dir| dir.join("bin/lld"));
    let linker = lld.rfind(|file| file.is_file()).ok_or("Debian's lld package has no lld")?;
    let mut rustc = Command::new(root.join("usr/bin/rustc"));
    rustc.env("LD_LIBRARY_PATH", debian::library_path(root));
    let said = process::output(rustc.arg("-vV"))?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
    // rustc looks for its linker for wasm here, so that no setting has to name one.
    let beside_std = root.join("usr/lib/rustlib").join(host).join("bin");
    files::create_dir(&beside_std)?;
    let linker = linker.strip_prefix(root.join("usr/lib")).map_err(|error| error.to_string())?;
    files::symlink(&Path::new("../../..").join(linker), &beside_std.join("rust-lld"))
}

/// Builds `std` for wasm from the unpacked source and its vendored crates, and puts it in place.
fn build_std(root: &Path) -> Result<()> {
    let source = root.join("usr/lib/rustlib/src/rust");
    let real = source.canonicalize().map_err(files::named(&source))?;
    let build = root.join("build");
    files::create_dir(&build.join("src"))?;
    files::create_dir(&build.join(".cargo"))?;
    files::write(&build.join("src/lib.rs"), "")?;
    files::write(&build.join("Cargo.toml"), EMPTY_CRATE)?;
    let vendored = format!(
        "[source.crates-io]\nreplace-with = \"vendored\"\n\
         [source.vendored]\ndirectory = {:?}\n",
        real.join("library/vendor")
    );
    files::write(&build.join(".cargo/config.toml"), &vendored)?;

    // Without bitcode in it, this std could not be linked into a build with link-time optimisation.
    let mut flags = vec!["-Cembed-bitcode=yes".to_owned()];
    flags.extend(
        [&source, &real].map(|path| format!("--remap-path-prefix={}=/rust", path.display())),
    );
    let mut cargo = Command::new(root.join("usr/bin/cargo"));
    cargo.current_dir(&build).env("LD_LIBRARY_PATH", debian::library_path(root));
    // The user's own settings are kept out.
    for name in ["CARGO", "RUSTDOC", "RUSTUP_TOOLCHAIN", "CARGO_BUILD_TARGET", "RUSTFLAGS"] {
        cargo.env_remove(name);
    }
    cargo.env("RUSTC_BOOTSTRAP", "1").env("RUSTC", root.join("usr/bin/rustc"));
    cargo
        .env("RUSTC_WRAPPER", "")
        .env("RUSTC_WORKSPACE_WRAPPER", "")
        .env("CARGO_HOME", build.join("home"));
    cargo.env("CARGO_INCREMENTAL", "0").env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    cargo.args(["build", "--offline", "--release", "--target", TARGET, "--target-dir"]);
    // `cargo test` for wasm needs the `test` crate too.
    cargo.arg(build.join("target")).arg("-Zbuild-std=std,panic_abort,proc_macro,test");
    process::run(&mut cargo)?;

    let place = root.join("usr/lib/rustlib").join(TARGET).join("lib");
    files::create_dir(&place)?;
    for file in files::list(&build.join("target").join(TARGET).join("release/deps")) {
        let name = files::name(&file);
        if name.ends_with(".rlib") && !name.starts_with("libempty-") {
            files::copy(&file, &place.join(name))?;
        }
    }
    // Only this build needed the source.
    for dir in ["build", "usr/src", "usr/lib/rustlib/src"] {
        files::remove_dir(&root.join(dir))?;
    }
    Ok(())
}

const EMPTY_CRATE: &str = r#"[package]
name = "empty"
version = "0.0.0"
edition = "2021"
[lib]
[workspace]
[profile.release]
codegen-units = 1
"#;

fn minor_of(rustc: &Path) -> Option<u32> {
    let said = process::output(Command::new(rustc).arg("--version")).ok()?;
    minor(said.strip_prefix("rustc ")?)
}

/// The minor number of a version `1.96.0…`, which may have an epoch, as in `1:1.96.0`.
fn minor(version: &str) -> Option<u32> {
    let version = version.split_once(':').map_or(version, |(_, version)| version);
    version.split('.').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minor_version_is_read_with_and_without_an_epoch() {
        assert_eq!(minor("1.96.0+dfsg1-1~deb12u2"), Some(96));
        assert_eq!(minor("1:1.85.0+dfsg3-1"), Some(85));
        assert_eq!(minor("1.95.0 (59807616e 2026-04-14)"), Some(95));
        assert_eq!(minor(""), None);
    }
}
