//! The playground, built by trunk from the top-level index.html.

use crate::Result;
use crate::files;
use crate::process;
use crate::progress::step;
use crate::toolbox::Toolbox;
use crate::trunk;

/// Builds the playground into `dist/`. Files there that stay the same are not touched, and so the
/// server, which holds a copy of them, is not built again for nothing.
pub(crate) fn build(tools: &mut Toolbox) -> Result<()> {
    if !tools.project.path("index.html").is_file() {
        return Err("there is no index.html, from which trunk builds the playground".to_owned());
    }
    tools.for_page()?;
    let _lock = tools.cache.lock("page")?;
    step("building the playground (the first time about 2 minutes)", || {
        let built = tools.project.target().join("page");
        let mut trunk = trunk::command(tools);
        process::run(trunk.args(["build", "--release", "--locked", "--dist"]).arg(&built))?;
        files::mirror(&built, &tools.project.path("dist"))
    })
}
