//! The simulation for as long as one likes.

use std::process::ExitCode;

use crate::Result;
use crate::process;
use crate::progress::step;
use crate::toolbox::Toolbox;

/// Builds it and becomes it.
pub(crate) fn run(tools: &Toolbox, args: &[String]) -> Result<ExitCode> {
    step("building the simulation", || {
        let mut cargo = tools.native("cargo");
        cargo.args(["build", "--locked", "--release", "-p", "fanlight-tests", "--example", "sim"]);
        process::run(&mut cargo)
    })?;
    let program = tools.project.target().join("release/examples/sim");
    process::replace(tools.native(program).args(args))
}
