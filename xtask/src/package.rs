//! The npm package, built from the wasm crate.

use crate::Result;
use crate::files;
use crate::npm;
use crate::process;
use crate::progress::step;
use crate::toolbox::Toolbox;

const DIR: &str = "wasm/npm";
/// Where the bindings are put for the package's own build script.
const BINDINGS: &str = "wasm/npm/bindings";

/// Builds the bindings, and then runs the package's own build script.
pub(crate) fn build(tools: &mut Toolbox) -> Result<()> {
    let manifest = tools.project.path(DIR).join("package.json");
    if !manifest.is_file() {
        return Err(format!("there is no {DIR}/package.json to build a package from"));
    }
    tools.for_wasm()?;
    npm::install(tools, DIR)?;
    let _lock = tools.cache.lock("package")?;
    step("building the npm package (the first time about 1 minute)", || {
        let mut cargo = tools.wasm("cargo");
        cargo.args(["build", "--locked", "--profile", "wasm", "-p", "fanlight-wasm"]);
        process::run(cargo.args(["--target", "wasm32-unknown-unknown"]))?;
        let built = tools.project.target().join("wasm32-unknown-unknown/wasm/fanlight_wasm.wasm");
        let mut bindgen = tools.wasm("wasm-bindgen");
        bindgen.args(["--target", "web", "--omit-default-module-path", "--out-dir", BINDINGS]);
        process::run(bindgen.arg(built))?;
        if files::read(&manifest)?.contains("\"build\":") {
            let mut npm = tools.wasm("npm");
            npm.current_dir(tools.project.path(DIR)).args(["run", "build"]);
            process::run(&mut npm)?;
        }
        Ok(())
    })
}
