//! What the project is made of: licences and sources of its crates, and what is known against them.
//!
//! Licences, sources and banned crates are looked at by this program, from Cargo.lock and `cargo
//! tree`, by the rules of `deny.toml`; so that much is always tested. cargo-deny and cargo-audit take
//! minutes to build, and need the database of advisories; they are run where they are installed.

use std::collections::BTreeSet;
use std::process::Command;

use crate::Result;
use crate::files;
use crate::process;
use crate::progress::say;
use crate::toolbox::Toolbox;

const RULES: &str = "deny.toml";
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";
/// How cargo-deny and cargo-audit speak when the database cannot be fetched.
const UNREACHABLE: [&str; 3] =
    ["failed to fetch advisory database", "couldn't fetch", "error: git"];

/// The test's step.
pub(crate) fn check(tools: &mut Toolbox) -> Result<()> {
    let rules = files::read(&tools.project.path(RULES))?;
    sources(&files::read(&tools.project.path("Cargo.lock"))?, &rules)?;
    let mut tree = tools.native("cargo");
    tree.args([
        "tree",
        "--locked",
        "--workspace",
        "--edges",
        "normal,build,dev",
        "--prefix",
        "none",
    ]);
    tree.args(["--format", "{p}|{l}"]);
    let count = licences(&process::output(&mut tree)?, &rules)?;
    say(&format!("{count} crates: licences, sources and bans are as {RULES} has them"));
    for (program, args) in [("deny", &["check"][..]), ("audit", &[])] {
        let mut cargo = tools.native("cargo");
        cargo.arg(program).args(args);
        if !process::succeeds(tools.native("cargo").args([program, "--version"])) {
            say(&format!(
                "cargo-{program} is not installed: what is known against crates is not \
                 looked at by it (cargo install --locked cargo-{program})"
            ));
            continue;
        }
        advised(program, &mut cargo, tools)?;
    }
    Ok(())
}

/// Runs one of the two; without the database what it can do without.
fn advised(program: &str, cargo: &mut Command, tools: &Toolbox) -> Result<()> {
    let output = cargo.output().map_err(|error| format!("cargo {program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if !UNREACHABLE.iter().any(|words| said.contains(words)) {
        return Err(format!("cargo {program} complains:\n{said}"));
    }
    say(&format!(
        "cargo-{program} cannot reach the database of advisories: they are not looked at"
    ));
    if program != "deny" {
        return Ok(());
    }
    let mut rest = tools.native("cargo");
    process::run(rest.args(["deny", "check", "bans", "licenses", "sources"]))
}

/// Every crate is the workspace's own or of the one registry, and none is banned.
fn sources(lock: &str, rules: &str) -> Result<()> {
    let mut wrong = BTreeSet::new();
    let banned: Vec<&str> =
        rules.lines().filter_map(|line| quoted_after(line, "crate = ")).collect();
    for package in lock.split("[[package]]").skip(1) {
        let of = |key: &str| package.lines().find_map(|line| line.strip_prefix(key));
        let name = of("name = ").unwrap_or_default().trim_matches('"');
        match of("source = ").map(|source| source.trim_matches('"')) {
            Some(source) if source != REGISTRY => wrong.insert(format!("{name} is from {source}")),
            Some(_) if of("checksum = ").is_none() => {
                wrong.insert(format!("{name} has no checksum"))
            }
            Some(_) | None if banned.contains(&name) => wrong.insert(format!("{name} is banned")),
            Some(_) | None => false,
        };
    }
    none(wrong)
}

fn quoted_after<'a>(line: &'a str, words: &str) -> Option<&'a str> {
    line.split_once(words)?.1.split('"').nth(1)
}

/// Every crate may be used under a licence that is allowed; says how many there are.
fn licences(tree: &str, rules: &str) -> Result<usize> {
    let list = rules.split_once("allow = [").and_then(|(_, rest)| rest.split_once(']'));
    let (list, _) = list.ok_or_else(|| format!("{RULES} allows no licences"))?;
    let allowed: Vec<&str> = list.split('"').skip(1).step_by(2).collect();
    let crates: BTreeSet<&str> =
        tree.lines().map(|line| line.trim_end_matches(" (*)")).filter(|l| !l.is_empty()).collect();
    let wrong = crates.iter().filter_map(|line| {
        let (name, licence) = line.split_once('|')?;
        let fits = !licence.is_empty() && is_allowed(licence, &allowed);
        (!fits).then(|| format!("{name} is under {licence:?}"))
    });
    none(wrong.collect())?;
    Ok(crates.len())
}

fn none(wrong: BTreeSet<String>) -> Result<()> {
    if wrong.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = wrong.into_iter().collect();
    Err(format!("{RULES} does not allow this: {}", list.join("; ")))
}

/// Whether an SPDX expression can be met with these licences. Old crates write `/` for `OR`.
fn is_allowed(expression: &str, allowed: &[&str]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = tokens.as_slice();
    any(&mut rest, allowed) && rest.is_empty()
}

fn any(rest: &mut &[&str], allowed: &[&str]) -> bool {
    let mut met = all(rest, allowed);
    while let Some((&"OR", after)) = rest.split_first() {
        *rest = after;
        met |= all(rest, allowed);
    }
    met
}

fn all(rest: &mut &[&str], allowed: &[&str]) -> bool {
    let mut met = one(rest, allowed);
    while let Some((&"AND", after)) = rest.split_first() {
        *rest = after;
        met &= one(rest, allowed);
    }
    met
}

fn one(rest: &mut &[&str], allowed: &[&str]) -> bool {
    let Some((&first, after)) = rest.split_first() else { return false };
    *rest = after;
    if first == "(" {
        let met = any(rest, allowed);
        let Some((&")", after)) = rest.split_first() else { return false };
        *rest = after;
        return met;
    }
    if let [exception_word, exception, after @ ..] = *rest
        && *exception_word == "WITH"
    {
        *rest = after;
        return allowed.contains(&format!("{first} WITH {exception}").as_str());
    }
    allowed.contains(&first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_met_as_it_is_meant() {
        let allowed = ["MIT", "Apache-2.0 WITH LLVM-exception", "Unicode-3.0"];
        for (expression, met) in [
            ("MIT", true),
            ("GPL-3.0", false),
            ("MIT OR GPL-3.0", true),
            ("GPL-3.0/MIT", true),
            ("MIT AND GPL-3.0", false),
            ("(GPL-3.0 OR MIT) AND Unicode-3.0", true),
            ("GPL-3.0 OR MIT AND Unicode-3.0", true),
            ("Apache-2.0", false),
            ("Apache-2.0 WITH LLVM-exception OR GPL-3.0", true),
            ("", false),
            ("(MIT", false),
            ("MIT MIT", false),
        ] {
            assert_eq!(is_allowed(expression, &allowed), met, "{expression}");
        }
    }

    #[test]
    fn crates_from_elsewhere_without_checksum_or_banned_are_told() {
        let package = |name: &str, rest: &str| format!("[[package]]\nname = \"{name}\"\n{rest}\n");
        let registry = format!("source = \"{REGISTRY}\"\n");
        let good = package("good", &format!("{registry}checksum = \"ab\"")) + &package("ours", "");
        let rules = "deny = [\n    { crate = \"openssl-sys\" },\n]\n";
        assert_eq!(sources(&good, rules), Ok(()));
        let git = package("forked", "source = \"git+https://example.com/forked\"");
        let bare = package("bare", &registry);
        let banned = package("openssl-sys", &format!("{registry}checksum = \"ab\""));
        for (lock, what) in [
            (git, "forked is from git+https"),
            (bare, "bare has no checksum"),
            (banned, "openssl-sys is banned"),
        ] {
            let sentence = sources(&(good.clone() + &lock), rules).expect_err("it is not right");
            assert!(sentence.contains(what), "{sentence}");
        }
    }

    #[test]
    fn every_crate_of_a_tree_is_looked_at_once() {
        let rules = "[licenses]\nallow = [\n    \"MIT\",\n]\n";
        let tree = "a v1.0.0|MIT\nb v1.0.0 (/here)|MIT OR X\na v1.0.0|MIT (*)\n\n";
        assert_eq!(licences(tree, rules), Ok(2));
        let sentence = licences("a v1.0.0|X\nb v1.0.0|\n", rules).expect_err("it is not right");
        assert!(sentence.contains("a v1.0.0 is under \"X\"; b v1.0.0 is under \"\""), "{sentence}");
    }
}
