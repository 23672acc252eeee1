//! `wasm-bindgen` and its test runner, built once from the version that Cargo.lock pins.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::files;
use crate::process;
use crate::progress::step;
use crate::toolbox::Toolbox;

const PROGRAMS: [&str; 2] = ["wasm-bindgen", "wasm-bindgen-test-runner"];

/// The directory that holds both programs.
pub(crate) fn ensure(tools: &Toolbox) -> Result<PathBuf> {
    let version = tools.project.locked_version("wasm-bindgen-cli")?;
    let works = |dir: &Path| {
        PROGRAMS.iter().all(|name| {
            let said = process::output(Command::new(dir.join(name)).arg("--version"));
            said.is_ok_and(|said| said.split_whitespace().nth(1) == Some(&version))
        })
    };
    tools.cache.ensure(&format!("wasm-bindgen-{version}"), works, |new, _place| {
        step(&format!("building wasm-bindgen {version} (about 70 s)"), || {
            let mut cargo = tools.native("cargo");
            cargo.args(["build", "--locked", "--profile", "tool", "-p", "fanlight-bindgen"]);
            // Its dependencies' future is not for those to read who only want to build.
            cargo.env("CARGO_FUTURE_INCOMPAT_REPORT_FREQUENCY", "never");
            process::run(&mut cargo)?;
            let built = tools.project.target().join("tool").join("fanlight-bindgen");
            PROGRAMS.iter().try_for_each(|name| files::copy(&built, &new.join(name)))
        })
    })
}
