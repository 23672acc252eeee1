//! trunk, which builds the playground and, for those who change it, serves and rebuilds it.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::Result;
use crate::process;
use crate::progress::step;
use crate::toolbox::Toolbox;

/// Later versions want a newer Rust than ours.
const VERSION: &str = "0.21.14";
const SERIES: &str = "0.21.";

/// The directory that holds trunk; none if the one in PATH is right.
pub(crate) fn ensure(tools: &Toolbox) -> Result<Option<PathBuf>> {
    if is_trunk(Path::new("trunk")) {
        return Ok(None);
    }
    let works = |dir: &Path| is_trunk(&dir.join("bin/trunk"));
    let dir = tools.cache.ensure(&format!("trunk-{VERSION}"), works, |new, _place| {
        step(&format!("building trunk {VERSION} (about 2.5 minutes)"), || {
            // Kept beside it until it is whole, so that an interrupted build goes on.
            let build = tools.cache.path("trunk-build");
            let mut cargo = tools.native("cargo");
            cargo.current_dir(new).args(["install", "trunk", "--locked", "--version", VERSION]);
            cargo.arg("--root").arg(new).arg("--target-dir").arg(&build);
            // It fetches nothing for us, so it goes without TLS; and it spends its time in cargo, so it
            // need not be fast itself. Both together save a third of its build.
            cargo.arg("--no-default-features").env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0");
            cargo.env("CARGO_PROFILE_RELEASE_LTO", "off");
            cargo.env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
            cargo.env_remove("CARGO_BUILD_TARGET");
            process::run(&mut cargo)?;
            crate::files::remove_dir(&build)
        })
    })?;
    Ok(Some(dir.join("bin")))
}

fn is_trunk(program: &Path) -> bool {
    let said = process::output(Command::new(program).arg("--version"));
    said.is_ok_and(|said| said.starts_with(&format!("trunk {SERIES}")))
}

/// trunk, with the project's tools in its PATH.
pub(crate) fn command(tools: &Toolbox) -> Command {
    let mut trunk = tools.wasm("trunk");
    // It wants `true` or `false` of this, and refuses the usual `1`.
    trunk.env_remove("NO_COLOR");
    trunk
}

/// Becomes trunk, with the project's tools in its PATH.
pub(crate) fn run(tools: &mut Toolbox, args: &[String]) -> Result<ExitCode> {
    tools.for_page()?;
    process::replace(command(tools).args(args))
}
