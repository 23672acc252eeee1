//! The playground and the server, built and started with one command.

use std::process::ExitCode;

use crate::Result;
use crate::page;
use crate::process;
use crate::progress::step;
use crate::toolbox::Toolbox;

/// Builds both, and becomes `fanlight serve`, which says the address to open, and which ctrl-C
/// stops as it would if it had been started directly.
pub(crate) fn run(tools: &mut Toolbox, args: &[String]) -> Result<ExitCode> {
    page::build(tools)?;
    let server = build_server(tools)?;
    process::replace(tools.native(server).arg("serve").args(args))
}

/// Builds the server, which holds the playground as it is now in `dist/`.
pub(crate) fn build_server(tools: &Toolbox) -> Result<std::path::PathBuf> {
    step("building the server (the first time about 2 minutes)", || {
        let mut cargo = tools.native("cargo");
        cargo.args(["build", "--locked", "--release", "-p", "fanlight-server"]);
        process::run(&mut cargo)
    })?;
    Ok(tools.project.target().join("release/fanlight"))
}
