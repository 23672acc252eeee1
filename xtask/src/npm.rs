//! The npm packages that building and testing need, as the lock files pin them.

use std::path::Path;
use std::process::Command;

use crate::Result;
use crate::files;
use crate::process;
use crate::progress::step;
use crate::toolbox::Toolbox;

/// The directories with a lock file: the package that we make, and the tests in a browser.
const DIRS: [&str; 2] = ["wasm/npm", "tests/browser"];
const OLDEST_NODE: u32 = 20;

pub(crate) fn require_node() -> Result<()> {
    let wanted = format!("Node.js {OLDEST_NODE} or later is needed");
    let said = process::output(Command::new("node").arg("--version"))
        .map_err(|_| format!("{wanted}, and there is none: nodejs.org tells how to get it"))?;
    if major(&said).is_some_and(|major| major >= OLDEST_NODE) {
        return Ok(());
    }
    Err(format!("{wanted}, and this is {}: nodejs.org tells how to get it", said.trim()))
}

fn major(version: &str) -> Option<u32> {
    version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

pub(crate) fn install_all(tools: &Toolbox) -> Result<()> {
    DIRS.iter().try_for_each(|dir| install(tools, dir))
}

/// Installs what a directory's lock file names, unless that was done for the same lock file.
pub(crate) fn install(tools: &Toolbox, dir: &str) -> Result<()> {
    let place = tools.project.path(dir);
    let lock = place.join("package-lock.json");
    if !lock.is_file() || is_current(&place)? {
        return Ok(());
    }
    require_node()?;
    let _lock = tools.cache.lock("npm")?;
    if is_current(&place)? {
        return Ok(());
    }
    step(&format!("installing npm packages for {dir} (about 10 s)"), || {
        let mut npm = tools.native("npm");
        npm.current_dir(&place).args(["ci", "--no-audit", "--no-fund"]);
        process::run(&mut npm)?;
        files::copy(&lock, &stamp(&place))
    })
}

/// A copy of the lock file that was installed from.
fn stamp(place: &Path) -> std::path::PathBuf {
    place.join("node_modules/.installed-from")
}

fn is_current(place: &Path) -> Result<bool> {
    let stamp = stamp(place);
    Ok(stamp.is_file() && files::read(&stamp)? == files::read(&place.join("package-lock.json"))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_of_node_is_read() {
        assert_eq!(major("v20.20.2\n"), Some(20));
        assert_eq!(major("20"), None);
    }
}
